/** What latency under an open loop is measured on. Linux's servers are loaded by the same C client. */
import { cProgram, runClient, script, whyAbsent, withServer } from "../lib/programs.ts";
import type { Program } from "../lib/programs.ts";
import { runTask } from "../lib/task.ts";
import type { LatencyTask } from "./task.ts";

/** Requests at random moments, whatever comes back. */
export interface OpenLoad {
  readonly conns: number;
  readonly size: number;
  /** Requests a second over all connections. */
  readonly rate: number;
  /** Seconds before measuring, and requests a second then. */
  readonly warmup: number;
  readonly warmupRate: number;
  readonly seconds: number;
  readonly seed: number;
}

export interface OpenLoadSample {
  /** Requests that were due in `seconds`, and how many of them were answered. */
  readonly sent: number;
  readonly answered: number;
  readonly seconds: number;
  /** From when a request was due until its answer was there. */
  readonly p50_us: number;
  readonly p99_us: number;
}

export interface OpenLoadSystem {
  readonly name: string;
  /** Why it cannot be measured here; null: it can. */
  absence(): string | null;
  measure(load: OpenLoad): Promise<OpenLoadSample>;
}

const TASK = new URL("task.js", import.meta.url);
const NET_SERVER = new URL("../baseline/net-server.js", import.meta.url);
const CLIENT = "open-loop-client";
/** What a measurement takes besides its seconds, s. */
const OVERHEAD = 30;

export const OPEN_LOAD_SYSTEMS: Readonly<Record<string, OpenLoadSystem>> = {
  inline: ixwasm("inline"),
  threaded: ixwasm("threaded"),
  net: {
    name: "node:net",
    absence: () => whyAbsent(CLIENT),
    measure: (load) => overLoopback(script(NET_SERVER), load),
  },
  epoll: {
    name: "epoll",
    absence: () => whyAbsent("epoll-server", CLIENT),
    measure: (load) => overLoopback(cProgram("epoll-server"), load),
  },
};

function ixwasm(system: LatencyTask["system"]): OpenLoadSystem {
  return {
    name: `ixwasm ${system}`,
    absence: () => null,
    measure: (load) => {
      const task: LatencyTask = { ...load, system };
      return runTask<OpenLoadSample>(TASK, task, load.warmup + load.seconds + OVERHEAD);
    },
  };
}

function overLoopback(server: Program, load: OpenLoad): Promise<OpenLoadSample> {
  const { warmupRate, ...rest } = load;
  const lifetime = load.warmup + load.seconds + OVERHEAD;
  return withServer(server, { lifetime }, (port) =>
    runClient<OpenLoadSample>(cProgram(CLIENT), { ...rest, "warmup-rate": warmupRate, port }),
  );
}
