/**
 * `npm run fuzz`: runs the fuzz tests again and again, each time with other seeds, for as long as it is
 * told to. Stops at the first finding, which names the seed that brings it back.
 */
import { Command, InvalidArgumentError } from "commander";
import { spawnSync } from "node:child_process";
import process from "node:process";

/** Each run uses a few seeds from the first on. */
const SEEDS_PER_RUN = 10;

interface Flags {
  readonly seconds: number;
  readonly seed: number;
  readonly steps: number;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** 32) {
    throw new InvalidArgumentError("Give a whole number below 2^32.");
  }
  return value;
}

/** Runs the fuzz tests once. True when they found nothing. */
function run(seed: number, steps: number): boolean {
  const env = { ...process.env, FUZZ_SEED: String(seed), FUZZ_RUNS: String(steps) };
  const command = ["vitest", "run", "test/fuzz", "--reporter=dot", "--testTimeout=600000"];
  const { status, error, stdout, stderr } = spawnSync("npx", command, { env, encoding: "utf8" });
  if (error) throw error;
  if (status === 0) return true;
  console.error(stdout, stderr);
  return false;
}

function fuzz({ seconds, seed, steps }: Flags): void {
  const end = Date.now() + seconds * 1000;
  let runs = 0;
  for (let next = seed; runs === 0 || Date.now() < end; next = (next + SEEDS_PER_RUN) >>> 0) {
    if (!run(next, steps)) {
      console.error(`Found with --seed ${next} --steps ${steps}.`);
      process.exitCode = 1;
      return;
    }
    runs++;
    console.log(`seed ${next}: nothing found`);
  }
}

new Command("fuzz")
  .description("Sends mutated frames and descriptors at the kernel until something breaks.")
  .option("--seconds <n>", "how long to go on", whole, 60)
  .option("--seed <n>", "where to begin", whole, Math.floor(Math.random() * 2 ** 32))
  .option("--steps <n>", "frames for each seed, twice the number of call batches", whole, 4000)
  .showHelpAfterError("Add --help for the options.")
  .action(fuzz)
  .parse();
