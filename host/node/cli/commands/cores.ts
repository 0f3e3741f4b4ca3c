/** `ixwasm cores`: how many cores a run uses. */
import { Argument, type Command } from "commander";
import { integer } from "../arguments.ts";
import { withRun } from "../control-client.ts";
import { write } from "../output.ts";
import type { Snapshot } from "../snapshot.ts";
import { tableLines } from "../table.ts";
import { clientCommand, targetOf, type TargetOptions } from "./target.ts";

const EXAMPLES = `  ixwasm cores                      which there are, and what they own
  ixwasm cores 2                    use the first two; connections move along
`;

export function coresCommand(): Command {
  const count = new Argument("[n]", "how many cores are to be active, of those the run has");
  return clientCommand("cores", EXAMPLES)
    .description("Shows the cores of a run, or makes so many of them the active ones.")
    .addArgument(count.argParser(integer(1, 64)))
    .action(cores);
}

async function cores(active: number | undefined, options: TargetOptions): Promise<void> {
  await withRun(targetOf(options), async (run) => {
    if (active !== undefined) await run.request("cores", { active });
    const snapshot = await run.request<Snapshot>("stats");
    const rows = snapshot.cores.map(({ core, state, groups, gauges }) => [
      String(core),
      state,
      String(groups),
      String(gauges.connections),
    ]);
    await write(`${tableLines(["core", "state", "groups", "conns"], rows).join("\n")}\n`);
  });
}
