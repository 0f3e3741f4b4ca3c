/**
 * What `ixwasm run` starts: a dataplane on threads, a TAP or an emulated cable with a second dataplane
 * at its other end, and the servers that the other commands and Prometheus talk to.
 */
import type { Incident } from "../../control/watchdog.ts";
import { MetricsReader } from "../../control/metrics.ts";
import { realClock } from "../../dataplane/clock.ts";
import type { Dataplane } from "../../dataplane/dataplane.ts";
import type { DataplaneOptions } from "../../dataplane/options.ts";
import { LiveCapture } from "../../nic/live-capture.ts";
import type { LinkOptions } from "../../nic/types.ts";
import { connectPorts } from "../../nic/wiring.ts";
import { createDataplane } from "../index.ts";
import { openTap, type Tap, type TapOptions } from "../tap.ts";
import {
  startThreaded,
  type Threaded,
  type ThreadedDataplane,
  type ThreadedOptions,
} from "../threaded.ts";
import type { HostPort } from "./arguments.ts";
import { CaptureSession } from "./capture-session.ts";
import { ControlServer, type Handler } from "./control-server.ts";
import { IncidentLog } from "./incidents.ts";
import { readLoad } from "./load-state.ts";
import { Director } from "./director.ts";
import { MetricsServer } from "./metrics-server.ts";
import { metricsPage } from "./prometheus.ts";
import { snapshotCores, type CoreSources, type Snapshot } from "./snapshot.ts";

/** An application module and what it is handed. */
export interface AppModule {
  /** Shown to people. */
  readonly name: string;
  readonly module: string;
  readonly options: unknown;
}

/** The other end of an emulated cable. */
export interface Peer {
  readonly app: AppModule;
  readonly dataplane: DataplaneOptions;
  readonly link: LinkOptions;
  /** Where the load counts, when the peer is the load generator. */
  readonly load?: SharedArrayBuffer;
}

export interface RunOptions {
  readonly name: string;
  readonly version: string;
  readonly socket: string;
  readonly app: AppModule;
  readonly dataplane: DataplaneOptions;
  readonly threads: ThreadedOptions;
  /** What the NIC is connected to. */
  readonly network: { readonly tap: TapOptions } | { readonly peer: Peer };
  readonly metrics?: HostPort;
  /** Hears what goes wrong on cores. */
  readonly onIncident: (incident: Incident) => void;
  /** Takes what applications post. */
  readonly onMessage: (message: unknown, core: number) => void;
  /** Name of the policy that decides on cores. */
  readonly policy?: string;
}

export class Run {
  /** Fulfilled when all cores have stopped; rejected when one has died. */
  readonly done: Promise<void>;
  readonly captures: CaptureSession;
  readonly director: Director;
  readonly #options: RunOptions;
  readonly #sources: CoreSources;
  readonly #threads: Threaded;
  readonly #tap: Tap | undefined;
  readonly #clock = realClock();
  readonly #startedAt = this.#clock();
  #control: ControlServer | undefined;
  #metrics: MetricsServer | undefined;

  private constructor(options: RunOptions, parts: Parts, threads: Threaded) {
    this.#options = options;
    const { dataplane, incidents } = parts;
    const manager = threads.manager(dataplane);
    this.#sources = { dataplane, incidents, manager, reader: new MetricsReader(dataplane) };
    this.#tap = parts.tap;
    this.captures = new CaptureSession(parts.capture, this.#clock);
    this.director = new Director(dataplane, manager, this.#clock);
    this.#threads = threads;
    this.done = threads.done;
  }

  /** Starts everything, or nothing. */
  static async start(options: RunOptions): Promise<Run> {
    // First what another run may have taken: its socket. Clients wait until the run is ready.
    let ready!: (run: Run) => void;
    const run = new Promise<Run>((resolve) => (ready = resolve));
    const control = await ControlServer.listen(options.socket, handlersOf(run));
    let parts: Parts | undefined;
    try {
      parts = connect(options);
      const started = new Run(options, parts, await startThreads(parts, options));
      started.#control = control;
      await started.#serveMetrics();
      if (options.policy !== undefined) started.director.decideBy(options.policy);
      ready(started);
      return started;
    } catch (error) {
      await control.close();
      parts?.tap?.close();
      throw error;
    }
  }

  /** Path of the control socket. */
  get socket(): string {
    return this.#options.socket;
  }

  /** Where metrics are served. */
  get metricsUrl(): string | undefined {
    return this.#metrics?.url;
  }

  snapshot(): Snapshot {
    const { name, version, app, dataplane, network } = this.#options;
    const load = "peer" in network ? network.peer.load : undefined;
    const time = this.#clock();
    return {
      name,
      pid: process.pid,
      version,
      time,
      uptime: (time - this.#startedAt) / 1e6,
      app: app.name,
      nic: "tap" in network ? `tap ${this.#tap!.name}` : `emulated, to ${network.peer.app.name}`,
      ip: dataplane.ip,
      policy: this.director.status,
      ...snapshotCores(this.#sources, time),
      tap: this.#tap?.counters(),
      load: load && readLoad(load),
    };
  }

  /** Stops the cores and lets go of the socket, the TAP and the port for metrics. */
  async stop(): Promise<void> {
    this.captures.end();
    this.director.end();
    await this.#metrics?.close();
    await this.#threads.stop();
    await this.#control?.close();
    this.#tap?.close();
  }

  async #serveMetrics(): Promise<void> {
    const { metrics } = this.#options;
    if (metrics === undefined) return;
    try {
      this.#metrics = await MetricsServer.listen(metrics, () => metricsPage(this.snapshot()));
    } catch (error) {
      await this.#threads.stop();
      throw error;
    }
  }
}

/** What clients may ask for; see protocol.ts. They wait until the run has started. */
function handlersOf(started: Promise<Run>): Map<string, Handler> {
  const on =
    (carryOut: (run: Run, ...call: Parameters<Handler>) => unknown): Handler =>
    async (request, caller) =>
      carryOut(await started, request, caller);
  return new Map<string, Handler>([
    ["stats", on((run) => run.snapshot())],
    ["metrics", on((run) => metricsPage(run.snapshot()))],
    ["capture", on((run, request, caller) => run.captures.capture(request, caller))],
    ["cores", on((run, request) => run.director.cores(request))],
    ["migrate", on((run, request) => run.director.migrate(request))],
    ["policy", on((run, request) => run.director.policy(request))],
    ["endCapture", on((run, _, caller) => run.captures.endCapture(caller))],
  ]);
}

function startThreads({ dataplane, ends, incidents }: Parts, options: RunOptions) {
  const onIncident = (incident: Incident): void => {
    if (incident.dataplane === dataplane.name) incidents.add(incident);
    options.onIncident(incident);
  };
  return startThreaded(ends, { ...options.threads, onIncident });
}

interface Parts {
  readonly dataplane: Dataplane;
  readonly incidents: IncidentLog;
  readonly tap: Tap | undefined;
  readonly capture: LiveCapture;
  readonly ends: readonly ThreadedDataplane[];
}

function connect({ dataplane: options, app, network, onMessage }: RunOptions): Parts {
  if ("tap" in network) {
    const tap = openTap(network.tap);
    try {
      const dataplane = createDataplane({ ...options, offloads: tap.offloads });
      const capture = new LiveCapture([dataplane.port]);
      const end = { dataplane, wire: tap.wire, app, capture, onMessage };
      const incidents = new IncidentLog(dataplane.cores.length);
      return { dataplane, incidents, tap, capture, ends: [end] };
    } catch (error) {
      tap.close();
      throw error;
    }
  }
  const { peer } = network;
  const dataplane = createDataplane(options);
  const other = createDataplane(peer.dataplane);
  const [wire, back] = connectPorts(dataplane.port, other.port, peer.link);
  const capture = new LiveCapture([dataplane.port]);
  const ends = [
    { dataplane, wire, app, capture, onMessage },
    { dataplane: other, wire: back, app: peer.app, capture, onMessage },
  ];
  const incidents = new IncidentLog(dataplane.cores.length);
  return { dataplane, incidents, tap: undefined, capture, ends };
}
