/** `bench grid`: what one flow makes of a path, by loss, round trip, rate and congestion control. */
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, decimals, integer, someOf } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { single } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { compareWithLinux } from "./against-linux.ts";
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
  readonly linux: boolean;
  readonly repeats: number;
}

const TASK = new URL("task.js", import.meta.url);
const CONTROLS: readonly string[] = CONGESTION_CONTROLS;
/** A child has this long for its scenarios, s. */
const PATIENCE = 900;

export const grid = defineExperiment<GridOptions>({
  name: "grid",
  description: "one flow by loss × round trip × rate × congestion control, in virtual time",
  method: "Every run with the same seed gives the same figures, on any machine.",
  options: (command) =>
    command
      .option("--cc <names>", `which ones, of ${CONTROLS.join(",")}`, someOf(CONTROLS), [
        ...CONTROLS,
      ])
      .option("--rates <mbit>", "of the link, Mbit/s", decimals(0.1, 10_000), [100, 1000])
      .option("--rtts <ms>", "round trips", decimals(0.01, 10_000), [1, 10, 50, 100])
      .option("--losses <%>", "of the frames each way", decimals(0, 100), [0, 0.1, 1, 3, 5])
      .option("--queue <n>", "frames the link holds, in contents of the path", decimal(0, 100), 1)
      .option("--warmup <s>", "virtual seconds before measuring", decimal(0, 3600), 5)
      .option("--seconds <s>", "virtual seconds measured", decimal(0.1, 3600), 10)
      .option("--seed <n>", "of the link's random numbers", integer(0, 2 ** 31), 1)
      .option("--no-sack", "recover by duplicate ACKs alone, as without SACK and timestamps")
      .option("--linux", "in real time, beside Linux through a TAP over the same link; needs root")
      .option("--repeats <n>", "runs of each, with --linux", integer(1, 100), 3),
  examples: [
    "--rates 100",
    "--cc bbr,cubic --rates 100 --rtts 20 --losses 1",
    "--linux --cc cubic,newreno --rates 100 --rtts 10 --losses 1",
  ],
  bounded: { rates: [100], rtts: [10, 50], losses: [0, 0.1, 1, 3] },
  tour: { rates: [100], rtts: [20], losses: [0, 0.1, 1], warmup: 2, seconds: 5 },
  run: runGrid,
  charts: [
    {
      kind: "lines",
      title: "Use of the link by loss",
      x: { param: "loss", label: "loss, %" },
      y: { metric: "link_share", label: "% of the link", scale: 100 },
      per: "rtt",
      by: ["control", "rate"],
    },
  ],
});

async function runGrid(options: GridOptions, reporter: Reporter): Promise<void> {
  if (options.linux) return compareWithLinux(scenariosOf(options), options.repeats, reporter);
  const { warmup, seconds, queue, losses, seed, sack } = options;
  reporter.note(
    `grid: one flow, a queue of ${queue} × the path, ${seconds} s after ${warmup} s of warming up, ` +
      `seed ${seed}${sack ? "" : ", without SACK"}; payload in per cent of the link`,
  );
  const rows: string[][] = [];
  reporter.expect(options.rates.length * options.rtts.length * options.cc.length);
  for (const rate of options.rates) {
    for (const rtt of options.rtts) {
      for (const control of options.cc) {
        reporter.step(`${control}: ${rate} Mbit/s, ${rtt} ms`);
        const scenarios = losses.map((loss) => scenarioOf(options, control, rate, rtt, loss));
        const outcomes = await runTask<Outcome[]>(TASK, scenarios, PATIENCE);
        const shares = outcomes.map(({ goodputs }) => goodputs[0] / (rate * 1e6));
        rows.push([`${rate} Mbit/s, ${rtt} ms, ${control}`, ...shares.map(percent)]);
        for (const [index, { retransmits, timeouts }] of outcomes.entries()) {
          const path = { control, rate, rtt, loss: losses[index], queue };
          reporter.record({
            system: "ixwasm virtual",
            params: { ...path, warmup, seconds, seed, sack },
            metrics: single({ link_share: shares[index], retransmits, timeouts }),
            simulated: true,
          });
        }
      }
    }
  }
  reporter.table(["link, round trip, control", ...losses.map((loss) => `loss ${loss} %`)], rows);
}

/** All of them. */
function scenariosOf(options: GridOptions): Scenario[] {
  const { rates, rtts, cc, losses } = options;
  return rates.flatMap((rate) =>
    rtts.flatMap((rtt) =>
      cc.flatMap((control) => losses.map((loss) => scenarioOf(options, control, rate, rtt, loss))),
    ),
  );
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
