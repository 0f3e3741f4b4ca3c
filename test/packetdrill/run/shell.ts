/**
 * Shell commands of scripts. Nothing is executed: the few commands that suites use to prepare a host are
 * read as settings, or as questions about the stack's connections.
 */
import { Unsupported } from "../language/errors.ts";
import { applyLinuxDefaults, applySysctl } from "./sysctl.ts";
import type { Settings } from "./settings.ts";

/** One command, as words without quotes, and the commands its output is piped to. */
type Pipeline = readonly (readonly string[])[];

/** Applies what prepares the host before the stack exists. */
export function applyPreamble(settings: Settings, command: string): void {
  for (const pipeline of pipelinesOf(command)) {
    const [words] = pipeline;
    const name = words[0].replace(/.*\//, "");
    if (isHarmless(name, words) || pipeline.some(([first]) => first === "grep")) continue;
    if (/^(defaults|set_defaults)\.sh$/.test(name)) applyLinuxDefaults(settings, words[0]);
    else if (name === "sysctl" || name === "set_sysctls.py") applyAssignments(settings, words);
    else if (name === "ip") applyIp(settings, words);
    else if (name === "rm") removeFiles(settings, words);
    else if (name === "dd") makeFile(settings, words);
    else throw new Unsupported(`shell command ${name}`);
  }
}

/** `sysctl -q a=b c=d`. */
function applyAssignments(settings: Settings, words: readonly string[]): void {
  for (const word of words.slice(1)) {
    if (word.startsWith("-")) continue;
    const [key, value] = splitOnce(word, "=");
    if (value === undefined) throw new Unsupported(`sysctl ${word}`);
    applySysctl(settings, key, value);
  }
}

function removeFiles(settings: Settings, words: readonly string[]): void {
  for (const word of words.slice(1)) settings.files.delete(word);
}

/** `dd bs=N count=N if=/dev/zero of=FILE`: a file of zeros. */
function makeFile(settings: Settings, words: readonly string[]): void {
  const value = new Map(words.slice(1).map((word) => splitOnce(word, "=")));
  const [file, size] = [value.get("of"), Number(value.get("bs")) * Number(value.get("count"))];
  if (value.get("if") !== "/dev/zero" || file === undefined || !Number.isInteger(size)) {
    throw new Unsupported("shell command dd");
  }
  settings.files.set(file, size);
}

function applyIp(settings: Settings, words: readonly string[]): void {
  const number = (name: string): number | undefined => {
    const at = words.indexOf(name);
    const value = words[at + 1] === "lock" ? words[at + 2] : words[at + 1];
    return at < 0 ? undefined : Number(value);
  };
  if (words.includes("tcp_metrics")) return;
  const mtu = number("mtu");
  const advmss = number("advmss");
  const initialWindow = number("initcwnd");
  if (words.includes("route") && (advmss === undefined || advmss + 40 === mtu)) {
    if (mtu !== undefined) settings.mtu = mtu;
    if (initialWindow !== undefined) settings.tcp.initialWindow = initialWindow;
    if (mtu !== undefined || initialWindow !== undefined) return;
  }
  if (words.includes("link") && mtu !== undefined) {
    settings.mtu = mtu;
    return;
  }
  throw new Unsupported(`shell command ${words.slice(0, 3).join(" ")}`);
}

/** What an event's command asks of the stack while it runs. */
export type ShellQuestion =
  | { readonly kind: "nothing" }
  /** How many connections are in a state. */
  | { readonly kind: "states"; readonly state: string; readonly count: number }
  /**
   * By how much a counter has grown since it was asked last: by `count`, or at all. Without a name nothing is
   * asked. `keeps`: the next question counts from where this one did.
   */
  | {
      readonly kind: "counter";
      readonly name: string | undefined;
      readonly count: number | undefined;
      readonly keeps: boolean;
    }
  /** Settings that come too late. */
  | { readonly kind: "settings"; readonly command: string };

/** Commands between packets, in their order. */
export function questionsOf(command: string): ShellQuestion[] {
  return pipelinesOf(command).map((pipeline) => {
    const [words] = pipeline;
    const name = words[0].replace(/.*\//, "");
    if (name === "sockstat") return stateQuestion(pipeline);
    if (name === "nstat") return counterQuestion(pipeline);
    if (isHarmless(name, words) || name === "tcpdrop") return { kind: "nothing" };
    if (["sysctl", "set_sysctls.py", "ip"].includes(name)) {
      return { kind: "settings", command: words.join(" ") };
    }
    throw new Unsupported(`shell command ${name}`);
  });
}

/** `sockstat … | grep -c STATE | grep N`. */
function stateQuestion(pipeline: Pipeline): ShellQuestion {
  const greps = pipeline.slice(1).filter(([name]) => name === "grep");
  const state = greps.find((words) => words.includes("-c"))?.at(-1);
  const count = Number(greps.at(-1)?.at(-1));
  if (state === undefined || Number.isNaN(count)) throw new Unsupported("shell command sockstat");
  return { kind: "states", state, count };
}

/** `nstat [-n] [-s] | grep NAME [| grep -q " N "]`. */
function counterQuestion([words, ...pipes]: Pipeline): ShellQuestion {
  const patterns = pipes.map((pipe) => pipe.slice(1).filter((word) => word !== "-q"));
  const [[name] = [], [count] = []] = patterns;
  const known =
    words.slice(1).every((word) => word === "-n" || word === "-s") &&
    pipes.every(([command]) => command === "grep") &&
    patterns.length <= 2 &&
    patterns.every(({ length }) => length === 1) &&
    (count === undefined || /^ \d+ $/.test(count));
  if (!known) throw new Unsupported("shell command nstat");
  return {
    kind: "counter",
    name,
    count: count === undefined ? undefined : Number(count),
    keeps: words.includes("-s"),
  };
}

/** Changes nothing that the stack under test has. */
function isHarmless(name: string, words: readonly string[]): boolean {
  if (name.startsWith("sysctl_restore_")) return true;
  if (["nstat", "ethtool", "true", "echo", "sleep"].includes(name)) return true;
  return name === "tc" && !words.includes("limit") && !words.includes("netem");
}

/** Commands between newlines, `;` and `&&`, each with what it is piped to. */
function pipelinesOf(command: string): Pipeline[] {
  return (
    command
      .replace(/\\\r?\n/g, " ")
      .replace(/#[^\n]*/g, "")
      // Of alternatives the first one does.
      .replace(/\|\|[^\n;]*/g, "")
      .replace(/&>\s*\S+/g, "")
      .split(/\n|;|&&/)
      .map((line) => line.replace(/[12]?>+\s*\S+/g, "").trim())
      .filter((line) => line !== "")
      .map((line) => line.split("|").map(wordsOf))
  );
}

/** Words with quotes taken off and `$((…))` worked out. */
function wordsOf(text: string): string[] {
  const worked = text.replace(/\$\(\(([\d*+ ]+)\)\)/g, (_, sum: string) => {
    const terms = sum.split("+").map((term) => term.split("*").reduce((p, n) => p * Number(n), 1));
    return String(terms.reduce((total, term) => total + term, 0));
  });
  const words = worked.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.map((word) => word.replace(/["']/g, ""));
}

function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
