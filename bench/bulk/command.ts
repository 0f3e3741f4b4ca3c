/** `bench bulk`: one connection, one direction, as much as goes through. */
import { Command } from "commander";
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { describeMachine } from "../lib/machine.ts";
import { decimal, integer, someOf } from "../lib/options.ts";
import { printTable, progress, ranged, spreadMetrics, writeRecords } from "../lib/report.ts";
import type { BenchRecord } from "../lib/report.ts";
import { spread } from "../lib/statistics.ts";
import { runTask } from "../lib/task.ts";
import type { BulkSample, BulkTask } from "./task.ts";

interface BulkCommandOptions {
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly ("inline" | "threaded")[];
  readonly chunk: number;
  readonly mtu: number;
  readonly profile: readonly string[];
  readonly cc: readonly string[];
  readonly loss?: number;
  readonly delay?: number;
  readonly rate?: number;
  readonly seed: number;
  readonly json?: string;
}

const TASK = new URL("task.js", import.meta.url);
const NAMES = ["inline", "threaded"];
const CONTROLS: readonly string[] = CONGESTION_CONTROLS;

export function bulkCommand(): Command {
  return new Command("bulk")
    .description("a stream over one connection, in Gbit/s; over a link with loss, in virtual time")
    .option("--seconds <s>", "length of a measurement", decimal(0.1, 3600), 2)
    .option("--repeats <n>", "measurements of each system, taken in turn", integer(1, 100), 5)
    .option("--systems <names>", `which ones, of ${NAMES.join(",")}`, someOf(NAMES), NAMES)
    .option("--chunk <bytes>", "bytes per send", integer(1024, 1 << 20), 65_536)
    .option("--mtu <bytes>", "largest IP packet", integer(576, 1906), 1500)
    .option("--profile <name>", "TCP timers, default or lan", someOf(["default", "lan"]), ["lan"])
    .option("--cc <name>", `congestion control, ${CONTROLS.join(", ")}`, someOf(CONTROLS), [
      "cubic",
    ])
    .option("--loss <p>", "part of the frames that the link loses, each way", decimal(0, 1))
    .option("--delay <ms>", "one-way delay of the link", decimal(0, 10_000))
    .option("--rate <mbit>", "rate of the link, Mbit/s", decimal(0.01, 1_000_000))
    .option("--seed <n>", "of the link's random numbers", integer(0, 2 ** 31), 1)
    .option("--json <file>", "write the figures to a file")
    .addHelpText(
      "after",
      [
        "",
        "With --loss, --delay or --rate both ends run inline in virtual time, where the seconds are",
        "the link's and every run with the same seed is the same: it is measured once.",
        "",
        "Examples:",
        "  npm run bench -- bulk",
        "  npm run bench -- bulk --loss 0.01 --delay 10 --rate 100 --seconds 30",
      ].join("\n"),
    )
    .action(runBulk);
}

async function runBulk(options: BulkCommandOptions): Promise<void> {
  console.log(describeMachine());
  const { loss, delay, rate } = options;
  const hasLink = loss !== undefined || delay !== undefined || rate !== undefined;
  const records = hasLink ? await measureLink(options) : await measureReal(options);
  if (options.json !== undefined) writeRecords(options.json, records);
}

async function measureReal(options: BulkCommandOptions): Promise<BenchRecord[]> {
  const { seconds, repeats, systems } = options;
  console.log(
    `bulk: one connection, MTU ${options.mtu}, ${options.chunk} B per send; ` +
      `median (least–most) of ${repeats} × ${seconds} s`,
  );
  const samples = new Map(systems.map((system) => [system, [] as BulkSample[]]));
  for (let repeat = 1; repeat <= repeats; repeat++) {
    for (const [system, taken] of samples) {
      progress(`ixwasm ${system}: measurement ${repeat} of ${repeats}`);
      taken.push(await runTask<BulkSample>(TASK, taskOf(system, options), seconds));
    }
  }
  progress("");
  const records: BenchRecord[] = [];
  const rows: string[][] = [];
  for (const [system, taken] of samples) {
    const rates = spread(taken.map(gigabits));
    rows.push([`ixwasm ${system}`, ranged(rates)]);
    const metrics = spreadMetrics("gbit_per_s", rates);
    records.push({
      experiment: "bulk",
      system: `ixwasm ${system}`,
      params: { ...options },
      metrics,
    });
  }
  printTable(["system", "Gbit/s of payload"], rows);
  return records;
}

async function measureLink(options: BulkCommandOptions): Promise<BenchRecord[]> {
  const { loss = 0, delay = 0, rate, seed, seconds } = options;
  const link: LinkOptions = {
    loss,
    delay: delay * 1000,
    seed,
    ...(rate === undefined ? {} : { rate: rate * 1e6 }),
  };
  const limit = rate === undefined ? "unlimited rate" : `${rate} Mbit/s`;
  console.log(
    `bulk: one connection over a link of ${limit}, ${delay} ms each way, ` +
      `${loss * 100} % loss, seed ${seed}; ${seconds} s of virtual time`,
  );
  progress("running");
  const sample = await runTask<BulkSample>(TASK, { ...taskOf("link", options), link }, 600);
  progress("");
  const goodput = gigabits(sample) * 1000;
  const metrics: Record<string, number> = {
    mbit_per_s: goodput,
    retransmits: sample.retransmits,
    timeouts: sample.timeouts,
  };
  if (rate !== undefined) metrics.link_share = goodput / rate;
  const share = rate === undefined ? "–" : `${((goodput / rate) * 100).toFixed(1)} %`;
  const counts = [String(sample.retransmits), String(sample.timeouts)];
  printTable(
    ["system", "Mbit/s of payload", "of the link", "retransmits", "timeouts"],
    [["ixwasm, virtual time", goodput.toFixed(2), share, ...counts]],
  );
  const bound = renoBound(loss, delay, options.mtu);
  if (rate !== undefined && bound < rate) {
    console.log(
      `Reno's response to random loss allows ${bound.toFixed(2)} Mbit/s (Mathis et al.).`,
    );
    metrics.reno_bound_mbit_per_s = bound;
  }
  return [{ experiment: "bulk", system: "ixwasm virtual", params: { ...options }, metrics }];
}

/**
 * What additive increase and multiplicative decrease come to at a loss probability, however fast the
 * link (Mathis, Semke, Mahdavi, Ott, 1997): MSS / RTT × √(3/2p), here in Mbit/s.
 */
function renoBound(loss: number, delay: number, mtu: number): number {
  const mss = mtu - 40;
  return (((mss * 8) / (2 * delay * 1000)) * Math.sqrt(1.5)) / Math.sqrt(loss);
}

function taskOf(system: BulkTask["system"], options: BulkCommandOptions): BulkTask {
  const { chunk, mtu, seconds } = options;
  const [profile] = options.profile as readonly BulkTask["profile"][];
  const [control] = options.cc as readonly BulkTask["control"][];
  return { system, chunk, mtu, seconds, profile, control };
}

function gigabits({ bytes, seconds }: BulkSample): number {
  return (bytes * 8) / seconds / 1e9;
}
