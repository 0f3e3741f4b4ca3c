/** The bulk measurement: inline or threaded in real time, or over a link in virtual time. */
import { InlineRunner } from "../../host/node/index.ts";
import type { LinkOptions } from "../../host/node/index.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { createPair, SERVER_IP } from "../lib/pair.ts";
import type { Pair } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";
import { onThreads } from "../lib/threads.ts";
import { BulkReceiver, BulkSender } from "./apps.ts";
import type { BulkOptions } from "./apps.ts";

export interface BulkTask {
  readonly system: "inline" | "threaded" | "link";
  readonly chunk: number;
  readonly mtu: number;
  readonly seconds: number;
  readonly profile: "default" | "lan";
  readonly control: CongestionControl;
  /** Of the link, when that is the system. */
  readonly link?: LinkOptions;
}

export interface BulkSample {
  readonly bytes: number;
  readonly seconds: number;
  /** Segments that the sender sent again, and how often after a timeout. */
  readonly retransmits: number;
  readonly timeouts: number;
}

const RECEIVER = new URL("receiver.js", import.meta.url);
const SENDER = new URL("sender.js", import.meta.url);
/** Time to warm up, or for the congestion window to open, s. */
const WARMUP = 0.7;

serveTask(async (task: BulkTask): Promise<BulkSample> => {
  const { mtu, profile, control, link } = task;
  const pair = createPair({ mtu, tcp: { profile, congestionControl: control } }, link);
  const options: BulkOptions = {
    server: SERVER_IP,
    port: 9000,
    chunk: task.chunk,
    limit: 0,
    received: new SharedArrayBuffer(4),
  };
  const received = new Uint32Array(options.received);
  const kib = (): number => Atomics.load(received, 0);
  const measured =
    task.system === "threaded"
      ? await runThreaded(pair, options, task.seconds, kib)
      : runInline(pair, options, task, kib);
  const { tcpRetransmits, tcpTimeouts } = pair.client.counters();
  return { ...measured, retransmits: tcpRetransmits, timeouts: tcpTimeouts };
});

type Measured = Pick<BulkSample, "bytes" | "seconds">;

/** In virtual time the seconds are the link's. */
function runInline(
  pair: Pair,
  options: BulkOptions,
  { system, seconds }: BulkTask,
  kib: () => number,
): Measured {
  const isVirtual = system === "link";
  const runner = new InlineRunner({ clock: isVirtual ? "virtual" : "real" });
  runner.add(pair.server, { wire: pair.serverWire, app: () => new BulkReceiver(options) });
  runner.add(pair.client, { wire: pair.clientWire, app: () => new BulkSender(options) });
  if (!isVirtual) runner.run({ forMicros: WARMUP * 1e6 });
  const before = kib();
  const begin = runner.now;
  runner.run({ forMicros: seconds * 1e6 });
  return { bytes: ((kib() - before) >>> 0) * 1024, seconds: (runner.now - begin) / 1e6 };
}

function runThreaded(
  pair: Pair,
  options: BulkOptions,
  seconds: number,
  kib: () => number,
): Promise<Measured> {
  const apps = { server: { module: RECEIVER, options }, client: { module: SENDER, options } };
  return onThreads(pair, apps, async ({ sleep }) => {
    await sleep(WARMUP);
    const before = kib();
    const begin = performance.now();
    await sleep(seconds);
    const bytes = ((kib() - before) >>> 0) * 1024;
    return { bytes, seconds: (performance.now() - begin) / 1000 };
  });
}
