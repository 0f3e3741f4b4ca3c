/** The example's HTTP responder on a TAP in a namespace of its own, for Linux's programs to talk to. */
import httpResponder from "../../examples/http-responder-app.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import {
  createDataplane,
  loadKernelSync,
  type KernelBuild,
  openTap,
  startThreaded,
  type Tap,
} from "../../host/node/index.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { packageFile } from "../../host/node/kernel.ts";
import { type CaptureOptions, startCapture, type TapCapture } from "./capture.ts";
import { Namespace } from "./namespace.ts";
import { createRepeater } from "../../bench/lib/repeater.ts";

export const LINUX = "10.9.0.1";
export const DATAPLANE = "10.9.0.2";
export const LINUX6 = "fd00:9::1";
export const DATAPLANE6 = "fd00:9::2";

/** Three at once: ping waits for the last answer only as long as for the longest before it, or an interval. */
export const THREE_PINGS = ["-c", "3", "-l", "3", "-i", "10"];

/** Tries of a ping until the dataplane has found that nobody else has its addresses. */
const TRIES = 30;

export interface ResponderOptions {
  readonly build?: KernelBuild;
  /** On worker threads, or inline on this thread's event loop. Default threaded. */
  readonly run?: "threaded" | "inline";
  readonly cores?: number;
  readonly checksumOffload?: boolean;
  /** The wire between dataplane and TAP, for a responder of one core that runs inline. */
  readonly link?: LinkOptions | readonly [fromDataplane: LinkOptions, fromLinux: LinkOptions];
  readonly dataplane?: Partial<DataplaneOptions>;
  readonly capture?: CaptureOptions;
}

export interface Responder {
  readonly namespace: Namespace;
  readonly tap: Tap;
  readonly dataplane: Dataplane;
  /** Of all that passes the TAP. */
  readonly capture: TapCapture;
  /** Waits until no connection is left, and demands that nothing else is. */
  settle(): Promise<void>;
  /** Stops it and removes the namespace. */
  stop(): Promise<void>;
}

export async function startResponder(options: ResponderOptions = {}): Promise<Responder> {
  const { build = "release", run = "threaded", cores = 1, checksumOffload } = options;
  const namespace = new Namespace();
  let tap: Tap | undefined;
  let capture: TapCapture | undefined;
  try {
    tap = openTap({
      name: "tap0",
      namespace: namespace.name,
      address: `${LINUX}/24`,
      queues: cores,
      checksumOffload,
    });
    const started = await startCapture(namespace, options.capture);
    capture = started;
    const dataplane = createDataplane({
      kernel: loadKernelSync(build),
      ip: `${DATAPLANE}/24`,
      cores,
      maxConnections: 4096,
      applicationWindow: 16 << 20,
      offloads: tap.offloads,
      tcp: { timeWait: 200_000 },
      ...options.dataplane,
    });
    const { link } = options;
    const stop =
      run === "inline" || link
        ? runInline(dataplane, tap, link)
        : await runThreaded(dataplane, tap);
    const opened = tap;
    return {
      namespace,
      tap,
      dataplane,
      capture: started,
      settle: () => settle(dataplane),
      stop: async () => {
        await stop();
        await started.delete();
        opened.close();
        await namespace.delete();
      },
    };
  } catch (error) {
    await capture?.delete();
    tap?.close();
    await namespace.delete();
    throw error;
  }
}

/** A responder with IPv6 on both sides, which answers there. */
export async function startResponder6(options: ResponderOptions = {}): Promise<Responder> {
  const ip6 = { addresses: [`${DATAPLANE6}/64`], autoconfigured: false };
  const responder = await startResponder({ ...options, dataplane: { ...options.dataplane, ip6 } });
  try {
    await enableIpv6(responder.namespace);
    return responder;
  } catch (error) {
    await responder.stop();
    throw error;
  }
}

/** Gives Linux's end of the TAP its IPv6 address, and waits until the dataplane's answers. */
export async function enableIpv6(namespace: Namespace): Promise<void> {
  const enable = "echo 0 > /proc/sys/net/ipv6/conf/tap0/disable_ipv6";
  const { stderr } = await namespace.run("sh", ["-c", enable]);
  if (stderr !== "") throw new Error(stderr);
  namespace.ip("-6", "addr", "add", `${LINUX6}/64`, "dev", "tap0", "nodad");
  const ping = ["-6", "-c", "1", "-W", "1", DATAPLANE6];
  for (let tried = 0; tried < TRIES; tried++) {
    if ((await namespace.run("ping", ping)).code === 0) return;
  }
  throw new Error(`${DATAPLANE6} does not answer`);
}

function runInline(
  dataplane: Dataplane,
  tap: Tap,
  link: ResponderOptions["link"],
): () => Promise<void> {
  const runner = new InlineRunner({ clock: "real" });
  runner.add(dataplane, {
    backend: (port, queue) => (link ? createRepeater(port, tap, link) : tap.backend(port, queue)),
    app: httpResponder,
  });
  const ended = runner.start();
  // A failure is reported by `stop`; until then the tests' own complaints tell more.
  ended.catch(() => {});
  return async () => {
    await runner.stop();
    runner.close();
    await ended;
  };
}

async function runThreaded(dataplane: Dataplane, tap: Tap): Promise<() => Promise<void>> {
  const module = packageFile("dist/examples/http-responder-app.js");
  const running = await startThreaded([{ dataplane, wire: tap.wire, app: { module } }]);
  running.done.catch(() => {});
  return async () => {
    await running.stop();
    await running.done;
  };
}

/** Longest time that closing handshakes, TIME-WAIT and delayed acknowledgments may take, ms. */
const SETTLE = 20_000;

async function settle(dataplane: Dataplane): Promise<void> {
  const deadline = Date.now() + SETTLE;
  const busy = (): boolean => {
    const { fill: _, ...inUse } = dataplane.gauges();
    return Object.values(inUse).some((value) => value !== 0);
  };
  while (busy() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  dataplane.assertNoLeaks();
}
