/** `ixwasm top`: rates per core, again and again. */
import type { Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { integer } from "../arguments.ts";
import { withRun } from "../control-client.ts";
import { write } from "../output.ts";
import { interruption } from "../signals.ts";
import type { Snapshot } from "../snapshot.ts";
import { topFrame, topLines, type TopFrame } from "../top-view.ts";
import { clientCommand, targetOf, type TargetOptions } from "./target.ts";

const EXAMPLES = `  ixwasm top                        a table that renews itself; Ctrl-C ends it
  ixwasm top --interval 200         five times a second
  ixwasm top --count 3 | cat        three tables, one below the other
  ixwasm top --json --count 1       one line of JSON
`;

interface TopOptions extends TargetOptions {
  readonly interval: number;
  readonly count: number;
  readonly json?: boolean;
}

export function topCommand(): Command {
  return clientCommand("top", EXAMPLES)
    .description(
      "Shows what each core of a run does: rate, batch, queue, idle, flow groups, drops.",
    )
    .option("-i, --interval <ms>", "time between two refreshes", integer(10, 3_600_000), 1000)
    .option("-c, --count <n>", "end after so many refreshes", integer(1, 1e9), Infinity)
    .option("--json", "print one JSON object for each refresh, on a line of its own")
    .action(top);
}

async function top(options: TopOptions): Promise<void> {
  const { signal, release } = interruption();
  try {
    await withRun(targetOf(options), async (run) => {
      const show = options.json ? showJson : process.stdout.isTTY ? redraw() : append();
      let before = await run.request<Snapshot>("stats");
      for (let shown = 0; shown < options.count && !signal.aborted; shown++) {
        await sleep(options.interval, undefined, { signal }).catch(() => {});
        if (signal.aborted) break;
        const now = await run.request<Snapshot>("stats");
        await show(topFrame(before, now));
        before = now;
      }
    });
  } finally {
    release();
  }
}

type Show = (frame: TopFrame) => Promise<void>;

const showJson: Show = (frame) => write(`${JSON.stringify(frame)}\n`);

/** One table below the other, with an empty line between. */
function append(): Show {
  let separator = "";
  return async (frame) => {
    await write(`${separator}${topLines(frame).join("\n")}\n`);
    separator = "\n";
  };
}

/** In place: the cursor goes back up over the last table; the rest of each line is erased. */
function redraw(): Show {
  let up = "";
  return async (frame) => {
    const columns = process.stdout.columns || 80;
    const lines = topLines(frame).map((line) => `${line.slice(0, columns)}\x1b[K\n`);
    await write(`${up}${lines.join("")}\x1b[J`);
    up = `\x1b[${lines.length}A`;
  };
}
