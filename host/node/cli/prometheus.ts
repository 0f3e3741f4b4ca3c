/**
 * A snapshot in Prometheus' text form. The registry is made anew for every scrape, since what it shows
 * is counted elsewhere.
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { CounterName, GaugeName } from "../../dataplane/counters.ts";
import type { CoreSnapshot, Snapshot } from "./snapshot.ts";

/** What is not clear from the counter's name. */
const COUNTER_HELP: Partial<Record<CounterName, string>> = {
  rxPackets: "Packets that the kernel took from its rx rings",
  rxBytes: "Bytes of the packets that the kernel took from its rx rings",
  txPackets: "Packets that the kernel put into its tx rings",
  txBytes: "Bytes of the packets that the kernel put into its tx rings",
  iterations: "Iterations of the kernel, empty ones included",
  syscalls: "Batched system calls that the kernel ran",
  events: "Event conditions that the application was told",
  eventBackpressure:
    "Iterations that took no packets because the event array could have overflowed",
  fillStarved: "Fill ring refills cut short because no frame was free",
  txRingFull: "Frames not sent because a tx ring was full; TCP sends them again",
  txNoFrame: "Packets not sent because no frame was free",
  tcpFastPath: "Segments that took the short path for the in-order established case",
  tcpConnects: "Connections opened by the application",
  tcpAccepts: "Connections opened by peers",
  tcpDeadTimeout: "Connections given up because the peer did not answer",
};

const GAUGE_HELP: Partial<Record<GaugeName, string>> = {
  buffers: "Buffer records that the application, TCP and the tx rings hold",
  connections: "TCP connections",
  timers: "Pending timers of connections and of the application",
  neighbourPending: "Frames that wait for a neighbour's MAC address",
  fill: "Frames in fill and rx rings",
  timeWait: "Connections in TIME-WAIT",
};

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

export async function metricsPage(snapshot: Snapshot): Promise<MetricsPage> {
  const page = new Page(snapshot.name);
  page.gauge("info", "What runs, in the labels", 1, {
    app: snapshot.app,
    ip: snapshot.ip,
    nic: snapshot.nic,
    version: snapshot.version,
  });
  page.gauge("uptime_seconds", "Time since the start", snapshot.uptime);
  for (const core of snapshot.cores) addCore(page, core);
  for (const [reason, value] of Object.entries(snapshot.port)) {
    page.counter("port_drops", "Frames dropped before they had a queue", value, { reason });
  }
  for (const [name, value] of Object.entries(snapshot.tap ?? {})) {
    page.counter(`tap_${snake(name)}`, `TAP: ${words(name)}`, value);
  }
  if (snapshot.load !== undefined) {
    const { messages, opened, failed, open, oldest } = snapshot.load;
    page.counter("load_messages", "Messages that came back to the load generator", messages);
    page.counter("load_opened", "Connections that the load generator opened", opened);
    page.counter("load_failed", "Connections of the load generator that failed or died", failed);
    page.gauge(
      "load_oldest_seconds",
      "Age of the message that is longest on its way",
      oldest / 1e6,
    );
    page.gauge("load_connections", "Connections that the load generator has open", open);
  }
  return page.print();
}

function addCore(page: Page, snapshot: CoreSnapshot): void {
  const { counters, gauges, nic } = snapshot;
  const core = String(snapshot.core);
  addMetrics(page, snapshot, core);
  for (const [name, value] of Object.entries(counters)) {
    const [, group, reason] = /^(drop|refused)([A-Z].*)$/.exec(name) ?? [];
    if (group === "drop") {
      page.counter("drops", "Packets that the kernel dropped", value, {
        core,
        reason: snake(reason),
      });
    } else if (group === "refused") {
      page.counter("refused_calls", "System calls refused, by what was wrong with them", value, {
        core,
        reason: snake(reason),
      });
    } else {
      const help = COUNTER_HELP[name as CounterName] ?? `Kernel: ${words(name)}`;
      page.counter(snake(name), help, value, { core });
    }
  }
  for (const [kind, value] of Object.entries(snapshot.incidents)) {
    page.counter("incidents", "What went wrong on the core", value, { core, kind });
  }
  for (const [name, value] of Object.entries(gauges)) {
    page.gauge(snake(name), GAUGE_HELP[name as GaugeName] ?? `Kernel: ${words(name)}`, value, {
      core,
    });
  }
  for (const [name, value] of Object.entries(nic)) {
    page.counter(`nic_${snake(name)}`, `NIC queues: ${words(name)}`, value, { core });
  }
}

/** The averages with the longest memory, since a scrape is seconds from the next. */
function addMetrics(page: Page, { metrics, groups, state }: CoreSnapshot, core: string): void {
  const { queueDelay, batch, queueSize, loop, busyTime, idleTime } = metrics;
  const gauge = (name: string, help: string, value: number): void =>
    page.gauge(name, help, value, { core });
  gauge("active", "1 for a core that runs, 0 for one that does not", state === "active" ? 1 : 0);
  gauge("groups", "Flow groups that the core owns", groups);
  gauge(
    "queue_delay_seconds",
    "How long the oldest packet of a batch has waited",
    queueDelay.slow / 1e6,
  );
  gauge("batch_packets", "Packets taken per non-empty iteration", batch.slow);
  gauge("queue_packets", "Packets that waited when a batch was taken", queueSize.slow);
  gauge("iteration_seconds", "Length of a busy iteration", loop.slow / 1e6);
  page.counter("busy_seconds", "Time with work", busyTime / 1e6, { core });
  page.counter("idle_seconds", "Time without work", idleTime / 1e6, { core });
}

type Labels = Readonly<Record<string, string>>;

/** Metric families by name, all beginning with ixwasm_. */
class Page {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();

  constructor(run: string) {
    this.#registry.setDefaultLabels({ run });
  }

  /** The labels of a family's first value are those of all. */
  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    let family = this.#counters.get(name);
    if (family === undefined) {
      family = new Counter(this.#family(`${name}_total`, help, labels));
      this.#counters.set(name, family);
    }
    family.inc(labels, value);
  }

  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    let family = this.#gauges.get(name);
    if (family === undefined) {
      family = new Gauge(this.#family(name, help, labels));
      this.#gauges.set(name, family);
    }
    family.set(labels, value);
  }

  async print(): Promise<MetricsPage> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #family(name: string, help: string, labels: Labels) {
    const registers = [this.#registry];
    return { name: `ixwasm_${name}`, help: `${help}.`, labelNames: Object.keys(labels), registers };
  }
}

/** rxPackets → rx_packets */
function snake(name: string): string {
  return name.replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** tcpFastPath → "tcp fast path" */
function words(name: string): string {
  return snake(name).replaceAll("_", " ");
}
