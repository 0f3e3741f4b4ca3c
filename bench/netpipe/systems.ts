/** What the ping-pong is measured on. */
import process from "node:process";
import { createDataplane, openTap, startThreaded } from "../../host/node/index.ts";
import { cProgram, runClient, script, whyAbsent, withServer } from "../lib/programs.ts";
import type { Program } from "../lib/programs.ts";
import { runTask } from "../lib/task.ts";
import type { PipeOptions } from "./apps.ts";
import type { PipeTask } from "./task.ts";

export interface PipeSystem {
  readonly name: string;
  /** Why it cannot be measured here; null: it can. */
  absence(): string | null;
  /** For each size the mean time one way, µs; each size for so many seconds. */
  measure(sizes: readonly number[], seconds: number): Promise<number[]>;
}

/** A network that no other run has at the same time; Linux's end has the first address. */
const NETWORK = `10.213.${process.pid % 256}`;
const TAP = { address: `${NETWORK}.1/24` };
const TAP_IP = `${NETWORK}.2`;
const TAP_PORT = 9001;

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
  tap: {
    name: "C to ixwasm over TAP",
    absence: () => tapAbsence() ?? whyAbsent("pipe-client"),
    measure: overTap,
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

function tapAbsence(): string | null {
  try {
    openTap(TAP).close();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Linux's own TCP at one end, ixwasm on a thread at the other, and Linux's TAP device between them. */
async function overTap(sizes: readonly number[], seconds: number): Promise<number[]> {
  const tap = openTap({ ...TAP, checksumOffload: true });
  const options: PipeOptions = {
    server: TAP_IP,
    port: TAP_PORT,
    sizes,
    seconds,
    times: new SharedArrayBuffer(8),
    done: new SharedArrayBuffer(4),
  };
  const dataplane = createDataplane({
    ip: `${TAP_IP}/24`,
    applicationWindow: 1 << 22,
    offloads: tap.offloads,
    tcp: { profile: "lan" },
  });
  const app = { module: new URL("server.js", import.meta.url), options };
  const running = await startThreaded([{ dataplane, wire: tap.wire, app }]);
  try {
    const times: number[] = [];
    for (const size of sizes) {
      const load = { address: TAP_IP, port: TAP_PORT, size, seconds };
      const client = runClient<{ one_way_us: number }>(cProgram("pipe-client"), load);
      times.push((await client).one_way_us);
    }
    return times;
  } finally {
    await running.stop();
    tap.close();
  }
}
