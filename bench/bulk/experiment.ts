/** `bench bulk`: one connection, one direction, as much as goes through. */
import { Option } from "commander";
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure, single, type Params } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { ranged, rounded } from "../lib/text.ts";
import type { BulkSample, BulkTask } from "./task.ts";

interface BulkExperimentOptions {
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly ("inline" | "threaded")[];
  readonly chunk: number;
  readonly mtu: number;
  readonly timers: BulkTask["profile"];
  readonly cc: BulkTask["control"];
  readonly loss?: number;
  readonly delay?: number;
  readonly rate?: number;
  readonly seed: number;
}

const TASK = new URL("task.js", import.meta.url);
const NAMES = ["inline", "threaded"];

export const bulk = defineExperiment<BulkExperimentOptions>({
  name: "bulk",
  description: "a stream over one connection, in Gbit/s; over a link with loss, in virtual time",
  options: (command) =>
    command
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 3600), 2)
      .option("--chunk <bytes>", "bytes per send", integer(1024, 1 << 20), 65_536)
      .option("--mtu <bytes>", "largest IP packet", integer(576, 1906), 1500)
      .addOption(
        new Option("--timers <name>", "TCP timers").choices(["default", "lan"]).default("lan"),
      )
      .addOption(
        new Option("--cc <name>", "congestion control")
          .choices(CONGESTION_CONTROLS)
          .default("cubic"),
      )
      .option("--loss <p>", "part of the frames that the link loses, each way", decimal(0, 1))
      .option("--delay <ms>", "one-way delay of the link", decimal(0, 10_000))
      .option("--rate <mbit>", "rate of the link, Mbit/s", decimal(0.01, 1_000_000))
      .option("--seed <n>", "of the link's random numbers", integer(0, 2 ** 31), 1),
  turns: { systems: NAMES, repeats: 5 },
  help: [
    "With --loss, --delay or --rate both ends run inline in virtual time, where the seconds are",
    "the link's and every run with the same seed is the same: it is measured once.",
  ],
  examples: ["", "--loss 0.01 --delay 10 --rate 100 --seconds 30"],
  bounded: { seconds: 1, repeats: 3 },
  run: runBulk,
  charts: [
    { kind: "bars", title: "One stream, MTU 1500", y: { metric: "gbit_per_s", label: "Gbit/s" } },
  ],
});

function runBulk(options: BulkExperimentOptions, reporter: Reporter): Promise<void> {
  const { loss, delay, rate } = options;
  const hasLink = loss !== undefined || delay !== undefined || rate !== undefined;
  return hasLink ? measureLink(options, reporter) : measureReal(options, reporter);
}

async function measureReal(options: BulkExperimentOptions, reporter: Reporter): Promise<void> {
  const { seconds, repeats, systems } = options;
  reporter.note(
    `bulk: one connection, MTU ${options.mtu}, ${options.chunk} B per send; ` +
      `median (least–most) of ${repeats} × ${seconds} s`,
  );
  const samples = new Map(systems.map((system) => [system, [] as BulkSample[]]));
  reporter.expect(repeats * systems.length);
  for (let repeat = 1; repeat <= repeats; repeat++) {
    for (const [system, taken] of samples) {
      reporter.step(`ixwasm ${system}`);
      taken.push(await runTask<BulkSample>(TASK, taskOf(system, options), seconds));
    }
  }
  const rows: string[][] = [];
  for (const [system, taken] of samples) {
    const rates = figure(taken.map(gigabits));
    rows.push([`ixwasm ${system}`, ranged(rates)]);
    reporter.record({
      system: `ixwasm ${system}`,
      params: { ...paramsOf(options), repeats },
      metrics: { gbit_per_s: rates },
    });
  }
  reporter.table(["system", "Gbit/s of payload"], rows);
}

async function measureLink(options: BulkExperimentOptions, reporter: Reporter): Promise<void> {
  const { loss = 0, delay = 0, rate, seed, seconds } = options;
  const link: LinkOptions = {
    loss,
    delay: delay * 1000,
    seed,
    ...(rate === undefined ? {} : { rate: rate * 1e6 }),
  };
  const limit = rate === undefined ? "unlimited rate" : `${rate} Mbit/s`;
  reporter.note(
    `bulk: one connection over a link of ${limit}, ${delay} ms each way, ` +
      `${rounded(loss * 100)} % loss, seed ${seed}; ${seconds} s of virtual time`,
  );
  reporter.expect(1);
  reporter.step("running");
  const sample = await runTask<BulkSample>(TASK, { ...taskOf("link", options), link }, 600);
  const goodput = gigabits(sample) * 1000;
  const metrics: Record<string, number> = {
    mbit_per_s: goodput,
    retransmits: sample.retransmits,
    timeouts: sample.timeouts,
  };
  if (rate !== undefined) metrics.link_share = goodput / rate;
  const share = rate === undefined ? "–" : `${((goodput / rate) * 100).toFixed(1)} %`;
  const counts = [String(sample.retransmits), String(sample.timeouts)];
  reporter.table(
    ["system", "Mbit/s of payload", "of the link", "retransmits", "timeouts"],
    [["ixwasm, virtual time", goodput.toFixed(2), share, ...counts]],
  );
  const bound = renoBound(loss, delay, options.mtu);
  if (rate !== undefined && bound < rate) {
    reporter.note(
      `Reno's response to random loss allows ${bound.toFixed(2)} Mbit/s (Mathis et al.).`,
    );
    metrics.reno_bound_mbit_per_s = bound;
  }
  reporter.record({
    system: "ixwasm virtual",
    params: { ...paramsOf(options), loss, delay, ...(rate !== undefined && { rate }), seed },
    metrics: single(metrics),
    simulated: true,
  });
}

function paramsOf({ seconds, chunk, mtu, timers, cc }: BulkExperimentOptions): Params {
  return { seconds, chunk, mtu, profile: timers, cc };
}

/**
 * What additive increase and multiplicative decrease come to at a loss probability, however fast the
 * link (Mathis, Semke, Mahdavi, Ott, 1997): MSS / RTT × √(3/2p), here in Mbit/s.
 */
function renoBound(loss: number, delay: number, mtu: number): number {
  const mss = mtu - 40;
  return (((mss * 8) / (2 * delay * 1000)) * Math.sqrt(1.5)) / Math.sqrt(loss);
}

function taskOf(system: BulkTask["system"], options: BulkExperimentOptions): BulkTask {
  const { chunk, mtu, seconds, timers, cc } = options;
  return { system, chunk, mtu, seconds, profile: timers, control: cc };
}

function gigabits({ bytes, seconds }: BulkSample): number {
  return (bytes * 8) / seconds / 1e9;
}
