/** A measurement between two dataplanes on threads, which this thread only watches. */
import { setTimeout as sleep } from "node:timers/promises";
import { startThreaded } from "../../host/node/index.ts";
import type { ThreadedDataplane, ThreadedOptions } from "../../host/node/index.ts";
import type { Pair } from "./pair.ts";

/** Between two looks, ms. */
const LOOK = 10;

/** How to wait meanwhile; both reject as soon as an application throws. */
export interface Watch {
  /** Waits so many seconds. */
  sleep(seconds: number): Promise<void>;
  /**
   * Waits until something is so.
   *
   * @throws {Error} with the message `late`: it is not so after so many seconds
   */
  until(isSo: () => boolean, seconds: number, late: string): Promise<void>;
}

type ThreadApp = ThreadedDataplane["app"];

/** Runs both ends of a pair on threads while `measure` lasts. */
export async function onThreads<Result>(
  { server, client, serverWire, clientWire }: Pair,
  apps: { readonly server: ThreadApp; readonly client: ThreadApp },
  measure: (watch: Watch) => Promise<Result>,
  options: ThreadedOptions = {},
): Promise<Result> {
  const running = await startThreaded(
    [
      { dataplane: server, wire: serverWire, app: apps.server },
      { dataplane: client, wire: clientWire, app: apps.client },
    ],
    options,
  );
  const failed = running.done.then((): never => {
    throw new Error("the dataplanes stopped");
  });
  // Whoever waits hears of it; nobody has to.
  failed.catch(() => {});
  const wait = async (seconds: number): Promise<void> => {
    await Promise.race([sleep(seconds * 1000), failed]);
  };
  const until: Watch["until"] = async (isSo, seconds, late) => {
    const end = performance.now() + seconds * 1000;
    for (; !isSo(); await wait(LOOK / 1000)) {
      if (performance.now() > end) throw new Error(late);
    }
  };
  try {
    return await measure({ sleep: wait, until });
  } finally {
    await running.stop();
  }
}
