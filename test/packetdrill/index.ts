/** `npm run packetdrill`: runs scripts against the stack and says which pass. */
import { Command, Option } from "commander";
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { loadKernelSync, type KernelBuild } from "../../host/node/kernel.ts";
import { conformanceSection } from "./conformance.ts";
import { scriptsOf } from "./files.ts";
import { formatSummary, formatVerdict, toJson } from "./report.ts";
import { LEVELS, type Level } from "./run/match.ts";
import { DEFAULT_DEFINITIONS, judgeFile, type Verdict } from "./verdict.ts";

interface Flags {
  readonly level: Level;
  readonly json?: string;
  readonly list?: string;
  readonly kernel: KernelBuild;
  readonly strict: boolean;
  readonly quiet: boolean;
  readonly define: ReadonlyMap<string, string>;
}

function define(text: string, before: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const [name, ...value] = text.split("=");
  return new Map([...before, [name, value.length === 0 ? "1" : value.join("=")]]);
}

function run(paths: readonly string[], flags: Flags): void {
  const kernel = loadKernelSync(flags.kernel);
  const verdicts: Verdict[] = [];
  for (const path of scriptsOf(paths)) {
    const { level, strict } = flags;
    const verdict = judgeFile(path, { level, strict, kernel, definitions: flags.define });
    verdicts.push(verdict);
    if (!flags.quiet || verdict.verdict === "FAIL") console.log(formatVerdict(verdict));
  }
  console.log(formatSummary(verdicts, flags.level));
  if (flags.json !== undefined) writeFileSync(flags.json, toJson(verdicts));
  if (flags.list !== undefined) {
    const title = `${paths.map((path) => basename(path)).join(", ")}, level ${flags.level}`;
    writeFileSync(flags.list, conformanceSection(title, paths[0], verdicts));
  }
  if (verdicts.some(({ verdict }) => verdict === "FAIL")) process.exitCode = 1;
}

const program = new Command("packetdrill")
  .description("Runs packetdrill scripts against the stack, in virtual time.")
  .argument("<path...>", "scripts, or directories of .pkt files")
  .addOption(new Option("--level <level>", "how much must agree").choices(LEVELS).default("exact"))
  .option("--json <file>", "write the verdicts as JSON")
  .option("--list <file>", "write what does not pass, by reason, as Markdown")
  .addOption(
    new Option("--kernel <build>", "build of the kernel")
      .choices(["release", "debug"])
      .default("release"),
  )
  .option("--strict", "also fail on packets left at the end and on wrong timestamp echoes", false)
  .option("-q, --quiet", "print failures and the summary only", false)
  .option("-D, --define <name=value>", "define a word of the scripts", define, DEFAULT_DEFINITIONS)
  .showHelpAfterError("Add --help for the options.")
  .action(run);

try {
  program.parse();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
