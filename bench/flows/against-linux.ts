/** `bench grid --linux`: flows in real time over the same link, from Linux and from a dataplane in turn. */
import { execFileSync } from "node:child_process";
import process from "node:process";
import type { Reporter } from "../lib/reporter.ts";
import { figure } from "../lib/results.ts";
import { spread } from "../lib/statistics.ts";
import { runTask } from "../lib/task.ts";
import { ranged, rounded } from "../lib/text.ts";
import { whyNoLinux } from "./real.ts";
import type { RealOutcome, RealTask, Sender } from "./real.ts";
import type { Scenario } from "./simulate.ts";

const TASK = new URL("real-task.js", import.meta.url);
const SENDERS: readonly Sender[] = ["linux", "ixwasm"];

/** Measures each scenario `repeats` times, each time with another seed, the same for both senders. */
export async function compareWithLinux(
  scenarios: readonly Scenario[],
  repeats: number,
  reporter: Reporter,
): Promise<void> {
  const absence = whyNoLinux();
  if (absence !== undefined) {
    reporter.absent("Linux through a TAP", absence);
    return;
  }
  reporter.note(
    "grid: from Linux through a TAP, and from ixwasm, in real time over the same link to the same " +
      `receiver; Mbit/s of payload, median (least–most) of ${repeats}`,
  );
  reporter.expect(scenarios.length * repeats * SENDERS.length);
  const rows: string[][] = [];
  for (const scenario of scenarios) {
    const figures = await inTurn(scenario, repeats, reporter);
    const [linux, own] = SENDERS.map((sender) => spread(figures[sender]));
    const ratio = (own.median / linux.median).toFixed(2);
    rows.push([nameOf(scenario), ranged(linux), ranged(own), ratio]);
    for (const sender of SENDERS) {
      const { controls, rate, roundTrip, loss, queue, warmup, seconds } = scenario;
      const path = {
        control: controls[0],
        rate: rate / 1e6,
        rtt: roundTrip / 1000,
        loss: loss * 100,
      };
      reporter.record({
        system: `${sender} real`,
        params: { ...path, queue, warmup, seconds, repeats },
        metrics: { mbit_per_s: figure(figures[sender]) },
      });
    }
  }
  reporter.table(["link, round trip, loss, control", "Linux", "ixwasm", "ixwasm / Linux"], rows);
}

/**
 * Has `use` measure with a network namespace that knows nothing of earlier runs, and is gone afterwards
 * or when this process ends.
 */
async function inNamespace<Result>(use: (namespace: string) => Promise<Result>): Promise<Result> {
  const namespace = `ixwasm-bench-${process.pid}`;
  const remove = (): void => void execFileSync("ip", ["netns", "delete", namespace]);
  execFileSync("ip", ["netns", "add", namespace]);
  process.once("exit", remove);
  try {
    return await use(namespace);
  } finally {
    process.removeListener("exit", remove);
    remove();
  }
}

async function inTurn(
  scenario: Scenario,
  repeats: number,
  reporter: Reporter,
): Promise<Record<Sender, number[]>> {
  const figures: Record<Sender, number[]> = { linux: [], ixwasm: [] };
  for (let run = 0; run < repeats; run++) {
    for (const sender of SENDERS) {
      reporter.step(`${nameOf(scenario)}: ${sender}, run ${run + 1}`);
      const seeded = { ...scenario, seed: scenario.seed + run };
      const seconds = scenario.warmup + scenario.seconds;
      const { goodput } = await inNamespace((namespace) => {
        const task: RealTask = { sender, namespace, scenario: seeded };
        return runTask<RealOutcome>(TASK, task, seconds);
      });
      figures[sender].push(goodput / 1e6);
    }
  }
  return figures;
}

function nameOf({ rate, roundTrip, loss, controls }: Scenario): string {
  return `${rate / 1e6} Mbit/s, ${roundTrip / 1000} ms, ${rounded(loss * 100)} %, ${controls[0]}`;
}
