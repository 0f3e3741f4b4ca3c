/**
 * Where the time of measuring processes goes, from the CPU profiles that they leave: the functions that
 * the most of it was spent in itself. The files open in the developer tools of Chrome and in editors.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

/** What of V8's format is read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** µs before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface Hot {
  readonly name: string;
  /** Of the time that all profiles cover, but for what was idle. */
  readonly share: number;
}

const EXTENSION = ".cpuprofile";
const IDLE = new Set(["(idle)", "(program)", "(root)"]);

/** Has processes forked from now on write a profile each into a folder; they inherit these options. */
export function writeProfiles(directory: string): void {
  process.execArgv.push("--cpu-prof", `--cpu-prof-dir=${path.resolve(directory)}`);
}

/** Profiles in a folder. */
export function profilesIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => name.endsWith(EXTENSION));
  return names.toSorted().map((name) => path.join(directory, name));
}

/** The functions with most self time over all profiles, `count` of them. */
export function hottest(files: readonly string[], count: number): Hot[] {
  const micros = new Map<string, number>();
  for (const file of files) {
    const profile = JSON.parse(readFileSync(file, "utf8")) as CpuProfile;
    const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
    for (const [i, id] of profile.samples.entries()) {
      const name = names.get(id)!;
      if (!IDLE.has(name)) micros.set(name, (micros.get(name) ?? 0) + profile.timeDeltas[i]);
    }
  }
  const total = [...micros.values()].reduce((sum, time) => sum + time, 0);
  const sorted = [...micros].toSorted(([, a], [, b]) => b - a);
  return sorted.slice(0, count).map(([name, time]) => ({ name, share: time / total }));
}

function nameOf({
  functionName,
  url,
  lineNumber,
}: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (url === "") return name;
  return `${name} ${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`;
}
