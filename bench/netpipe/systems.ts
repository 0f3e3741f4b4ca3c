/** What the ping-pong is measured on. */
import { cProgram, runClient, script, whyAbsent, withServer } from "../lib/programs.ts";
import type { Program } from "../lib/programs.ts";
import { runTask } from "../lib/task.ts";
import type { PipeTask } from "./task.ts";

export interface PipeSystem {
  readonly name: string;
  /** Why it cannot be measured here; null: it can. */
  absence(): string | null;
  /** For each size the mean time one way, µs; each size for so many seconds. */
  measure(sizes: readonly number[], seconds: number): Promise<number[]>;
}

const TASK = new URL("task.js", import.meta.url);
const NET_SERVER = new URL("../baseline/net-pipe-server.js", import.meta.url);
const NET_CLIENT = new URL("../baseline/net-pipe-client.js", import.meta.url);

export const PIPE_SYSTEMS: Readonly<Record<string, PipeSystem>> = {
  inline: ixwasm("inline"),
  threaded: ixwasm("threaded"),
  net: {
    name: "node:net",
    absence: () => null,
    measure: (sizes, seconds) =>
      overLoopback(script(NET_SERVER), script(NET_CLIENT), sizes, seconds),
  },
  c: {
    name: "C, blocking",
    absence: () => whyAbsent("pipe-server", "pipe-client"),
    measure: (sizes, seconds) =>
      overLoopback(cProgram("pipe-server"), cProgram("pipe-client"), sizes, seconds),
  },
};

function ixwasm(system: PipeTask["system"]): PipeSystem {
  return {
    name: `ixwasm ${system}`,
    absence: () => null,
    measure: (sizes, seconds) =>
      runTask<number[]>(
        TASK,
        { system, sizes, seconds } satisfies PipeTask,
        12 * seconds * sizes.length + 60,
      ),
  };
}

/** A server and a client for each size. */
async function overLoopback(
  server: Program,
  client: Program,
  sizes: readonly number[],
  seconds: number,
): Promise<number[]> {
  const times: number[] = [];
  for (const size of sizes) {
    const { one_way_us } = await withServer(server, { lifetime: seconds + 30 }, (port) =>
      runClient<{ one_way_us: number }>(client, { port, size, seconds }),
    );
    times.push(one_way_us);
  }
  return times;
}
