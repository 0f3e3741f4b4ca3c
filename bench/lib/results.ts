/**
 * Results: one line of JSON for each system and set of parameters that an experiment has measured. A
 * line says all that is needed to judge it: the machine, the versions, the commit, the seed, and every
 * single measurement beside its statistics.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { spread } from "./statistics.ts";
import type { Spread } from "./statistics.ts";

/** A figure that was measured once or several times: its statistics, and the values in their order. */
export interface Figure extends Spread {
  readonly values: readonly number[];
}

export type Params = Readonly<Record<string, string | number | boolean>>;

/** Where and of what a run was. */
export interface RunInfo {
  /** When it began, ISO 8601. */
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Commit of the sources, with "+" when they were changed since; null outside a repository. */
  readonly commit: string | null;
  /** Of the random numbers; null where there are none. */
  readonly seed: number | null;
}

export interface ResultLine {
  readonly experiment: string;
  /** The paper's figure or table that it is the counterpart of. */
  readonly figure?: string;
  readonly system: string;
  readonly params: Params;
  readonly metrics: Readonly<Record<string, Figure>>;
  /** In simulated time, by a cost model: says nothing about this machine. */
  readonly simulated: boolean;
  /** Columns of equal length, for what went on over time or over a distribution. */
  readonly series?: Readonly<Record<string, readonly number[]>>;
  readonly run: RunInfo;
}

const EXTENSION = ".jsonl";

/** Median, least and greatest of the values, and the values. */
export function figure(values: readonly number[]): Figure {
  return { ...spread(values), values };
}

/** Figures that were measured together, several times. */
export function figuresOf(
  samples: readonly Readonly<Record<string, number>>[],
): Record<string, Figure> {
  return Object.fromEntries(
    Object.keys(samples[0]).map((name) => [name, figure(samples.map((sample) => sample[name]))]),
  );
}

/** Figures that were measured once. */
export function single(metrics: Readonly<Record<string, number>>): Record<string, Figure> {
  return figuresOf([metrics]);
}

/** Writes an experiment's lines to its file in the folder, in place of those of an earlier run. */
export function writeResults(
  directory: string,
  experiment: string,
  lines: readonly ResultLine[],
): string {
  mkdirSync(directory, { recursive: true });
  const file = path.join(directory, experiment + EXTENSION);
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return file;
}

/**
 * The lines of a file, or of all result files of a folder.
 *
 * @throws {Error} there are none, or a line is no result
 */
export function readResults(location: string): ResultLine[] {
  if (!existsSync(location)) throw new Error(`${location}: there is no such file or folder`);
  const files = statSync(location).isDirectory()
    ? readdirSync(location)
        .filter((name) => name.endsWith(EXTENSION))
        .toSorted()
        .map((name) => path.join(location, name))
    : [location];
  const lines = files.flatMap(readFile);
  if (lines.length === 0) throw new Error(`${location}: holds no results (*${EXTENSION})`);
  return lines;
}

function readFile(file: string): ResultLine[] {
  const texts = readFileSync(file, "utf8").split("\n");
  return texts.flatMap((text, index) => (text === "" ? [] : [parseLine(text, file, index + 1)]));
}

function parseLine(text: string, file: string, number: number): ResultLine {
  try {
    const line = JSON.parse(text) as ResultLine;
    if (typeof line.experiment === "string" && typeof line.metrics === "object") return line;
  } catch {
    // Said below, as of lines that are JSON but no result.
  }
  throw new Error(`${file}:${number}: is no line of results`);
}
