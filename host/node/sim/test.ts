/**
 * Tests on a network, for any framework whose `test` takes a name and a function: vitest, node:test. A
 * test that fails says its seed, and leaves a capture of its frames.
 *
 *   import { test } from "vitest";
 *   const simTest = simTests(test);
 *   simTest("elects a leader", async (network) => { … });
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createNetwork, type NodeSimulatedNetwork, type NodeSimulationOptions } from "./network.ts";

/** What `test` of a framework is, as far as it is needed. */
export type TestFunction = (name: string, body: () => Promise<void>) => unknown;

export type SimulationBody = (network: NodeSimulatedNetwork) => Promise<void> | void;

export interface SimulationTestOptions extends NodeSimulationOptions {
  /** Where captures of failed tests go. Default IXWASM_CAPTURES, or ".ixwasm" where the tests run. */
  readonly captures?: string;
}

export interface SimulationTest {
  (name: string, body: SimulationBody): unknown;
  (name: string, options: SimulationTestOptions, body: SimulationBody): unknown;
}

/**
 * Makes the test function. Every test has a network of its own, in whose time it runs: time passes while
 * the test waits for something. The timers are virtual unless `timers` says otherwise; the seed is that
 * of the options, else IXWASM_SEED, else another one each time.
 */
export function simTests(test: TestFunction): SimulationTest {
  return (
    name: string,
    options: SimulationTestOptions | SimulationBody,
    body: SimulationBody = options as SimulationBody,
  ) => test(name, () => simulate(name, typeof options === "function" ? {} : options, body));
}

/** The simulation that is under way, or the last one. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `body` on a network of its own, as a test that `simTests` makes does. One runs at a time, because
 * virtual timers are the whole process's: others wait, as after an error in a callback, for which
 * frameworks end a test at once.
 */
export function simulate(
  name: string,
  options: SimulationTestOptions,
  body: SimulationBody,
): Promise<void> {
  const turn = last.then(() => simulateNow(name, options, body));
  last = turn.catch(() => {});
  return turn;
}

async function simulateNow(
  name: string,
  options: SimulationTestOptions,
  body: SimulationBody,
): Promise<void> {
  const { captures, seed = chooseSeed(), ...rest } = options;
  const network = createNetwork({ timers: "virtual", ...rest, seed });
  try {
    await network.run(async () => body(network));
  } catch (error) {
    throw explain(error, network, writeCapture(network, name, captures));
  } finally {
    await network.close();
  }
}

function chooseSeed(): number {
  const given = process.env["IXWASM_SEED"];
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}

/** Writes the frames down; returns where, or why not. */
function writeCapture(network: NodeSimulatedNetwork, name: string, directory?: string): string {
  const where = directory ?? process.env["IXWASM_CAPTURES"] ?? ".ixwasm";
  const plain = name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80);
  const file = join(where, `${plain}-${network.seed}.pcapng`);
  try {
    mkdirSync(where, { recursive: true });
    writeFileSync(file, network.pcapng());
    return file;
  } catch (error) {
    return `not written: ${String(error)}`;
  }
}

/** The error with what is needed to see it again, which is printed as well. */
function explain(error: unknown, { seed, now }: NodeSimulatedNetwork, capture: string): Error {
  const known = error instanceof Error ? error : new Error(String(error), { cause: error });
  const advice = `IXWASM_SEED=${seed} repeats it`;
  const note = `[ixwasm/sim: seed ${seed}, at ${now} ms; ${advice}; capture: ${capture}]`;
  // Where a framework has taken an error in a callback for itself, nobody looks at this one.
  console.error(note);
  // The stack was written when the error was made, and is what frameworks print.
  const stack = known.stack?.replace(known.message, () => `${known.message}\n${note}`);
  known.message += `\n${note}`;
  if (stack !== undefined) known.stack = stack;
  return known;
}
