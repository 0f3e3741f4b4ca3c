/** `ixwasm migrate`: moves flow groups, and the connections in them, to another core. */
import type { Command } from "commander";
import type { MigrationResult } from "../../../dataplane/core-manager.ts";
import { flowGroups, integer } from "../arguments.ts";
import { withRun } from "../control-client.ts";
import { write } from "../output.ts";
import { grouped, tableLines } from "../table.ts";
import { clientCommand, targetOf, type TargetOptions } from "./target.ts";

const EXAMPLES = `  ixwasm migrate --groups 0-63 --to 1        half of all flow groups to core 1
  ixwasm migrate --groups 5,70-79 --to 0     some of them to core 0
`;

interface MigrateOptions extends TargetOptions {
  readonly groups: number[];
  readonly to: number;
}

export function migrateCommand(): Command {
  return clientCommand("migrate", EXAMPLES)
    .description("Moves flow groups to a core, with their connections; nothing is lost.")
    .requiredOption("-g, --groups <list>", "flow groups, 0 to 127, such as 0-63,70", flowGroups)
    .requiredOption("-t, --to <core>", "core that gets them", integer(0, 63))
    .action(migrate);
}

async function migrate(options: MigrateOptions): Promise<void> {
  await withRun(targetOf(options), async (run) => {
    const { groups, to } = options;
    const request = { groups, to };
    const { moves } = await run.request<{ moves: MigrationResult[] }>("migrate", request);
    if (moves.length === 0) {
      await write(`core ${to} owns them already\n`);
      return;
    }
    const rows = moves.map((move) => [
      `${move.from} → ${move.to}`,
      grouped(move.groups),
      grouped(move.connections),
      grouped(move.packets),
      grouped(move.micros),
    ]);
    const head = ["cores", "groups", "conns", "packets", "µs"];
    await write(`${tableLines(head, rows).join("\n")}\n`);
  });
}
