/** `bench grid`: what one flow makes of a path, by loss, round trip, rate and congestion control. */
import { Command } from "commander";
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { decimal, decimals, integer, someOf } from "../lib/options.ts";
import { printTable, progress, writeRecords } from "../lib/report.ts";
import type { BenchRecord } from "../lib/report.ts";
import { runTask } from "../lib/task.ts";
import type { Outcome, Scenario } from "./simulate.ts";

interface GridOptions {
  readonly cc: readonly CongestionControl[];
  readonly rates: readonly number[];
  readonly rtts: readonly number[];
  readonly losses: readonly number[];
  readonly queue: number;
  readonly warmup: number;
  readonly seconds: number;
  readonly seed: number;
  readonly sack: boolean;
  readonly json?: string;
}

const TASK = new URL("task.js", import.meta.url);
const CONTROLS: readonly string[] = CONGESTION_CONTROLS;
/** A child has this long for its scenarios, s. */
const PATIENCE = 900;

export function gridCommand(): Command {
  return new Command("grid")
    .description("one flow by loss × round trip × rate × congestion control, in virtual time")
    .option("--cc <names>", `which ones, of ${CONTROLS.join(",")}`, someOf(CONTROLS), CONTROLS)
    .option("--rates <mbit>", "of the link, Mbit/s", decimals(0.1, 10_000), [100, 1000])
    .option("--rtts <ms>", "round trips", decimals(0.01, 10_000), [1, 10, 50, 100])
    .option("--losses <%>", "of the frames each way", decimals(0, 100), [0, 0.1, 1, 3, 5])
    .option("--queue <n>", "frames the link holds, in contents of the path", decimal(0, 100), 1)
    .option("--warmup <s>", "virtual seconds before measuring", decimal(0, 3600), 5)
    .option("--seconds <s>", "virtual seconds measured", decimal(0.1, 3600), 10)
    .option("--seed <n>", "of the link's random numbers", integer(0, 2 ** 31), 1)
    .option("--no-sack", "recover by duplicate ACKs alone, as without SACK and timestamps")
    .option("--json <file>", "write the figures to a file")
    .addHelpText(
      "after",
      [
        "",
        "Every run with the same seed gives the same figures, on any machine.",
        "",
        "Examples:",
        "  npm run bench -- grid --rates 100",
        "  npm run bench -- grid --cc bbr,cubic --rates 100 --rtts 20 --losses 1",
      ].join("\n"),
    )
    .action(runGrid);
}

async function runGrid(options: GridOptions): Promise<void> {
  const { warmup, seconds, queue, losses, seed, sack } = options;
  console.log(
    `grid: one flow, a queue of ${queue} × the path, ${seconds} s after ${warmup} s of warming up, ` +
      `seed ${seed}${sack ? "" : ", without SACK"}; payload in per cent of the link`,
  );
  const records: BenchRecord[] = [];
  const rows: string[][] = [];
  for (const rate of options.rates) {
    for (const rtt of options.rtts) {
      for (const control of options.cc) {
        progress(`${control}: ${rate} Mbit/s, ${rtt} ms`);
        const scenarios = losses.map((loss) => scenarioOf(options, control, rate, rtt, loss));
        const outcomes = await runTask<Outcome[]>(TASK, scenarios, PATIENCE);
        const shares = outcomes.map(({ goodputs }) => goodputs[0] / (rate * 1e6));
        rows.push([`${rate} Mbit/s, ${rtt} ms, ${control}`, ...shares.map(percent)]);
        for (const [index, { retransmits, timeouts }] of outcomes.entries()) {
          const params = {
            control,
            rate,
            rtt,
            loss: losses[index],
            queue,
            warmup,
            seconds,
            seed,
            sack,
          };
          const metrics = { link_share: shares[index], retransmits, timeouts };
          records.push({ experiment: "grid", system: "ixwasm virtual", params, metrics });
        }
      }
    }
  }
  progress("");
  printTable(["link, round trip, control", ...losses.map((loss) => `loss ${loss} %`)], rows);
  if (options.json !== undefined) writeRecords(options.json, records);
}

function scenarioOf(
  { queue, warmup, seconds, seed, sack }: GridOptions,
  control: CongestionControl,
  rate: number,
  rtt: number,
  loss: number,
): Scenario {
  return {
    controls: [control],
    rate: rate * 1e6,
    roundTrip: rtt * 1000,
    loss: loss / 100,
    queue,
    warmup,
    seconds,
    seed,
    sack,
  };
}

function percent(share: number): string {
  return (share * 100).toFixed(1);
}
