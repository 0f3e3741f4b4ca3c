/**
 * What a run says of itself at one moment: every counter and gauge of every core and NIC queue, as
 * plain data. Counters only grow, so two snapshots give rates.
 */
import type { CoreMetrics, MetricsReader } from "../../control/metrics.ts";
import { sum, type Counters, type Gauges } from "../../dataplane/counters.ts";
import type { CoreManager, CoreState } from "../../dataplane/core-manager.ts";
import type { Dataplane } from "../../dataplane/dataplane.ts";
import { queuesOf } from "../../dataplane/queues.ts";
import type { PolicyStatus } from "./director.ts";
import type { IncidentCounts, IncidentLog } from "./incidents.ts";
import { Port, type PortCounters } from "../../nic/port.ts";
import type { TapCounters } from "../tap.ts";

export interface Snapshot {
  readonly name: string;
  readonly pid: number;
  readonly version: string;
  /** When it was taken, µs since the Unix epoch, and how long the run has run, s. */
  readonly time: number;
  readonly uptime: number;
  /** What runs, and what its NIC is connected to. */
  readonly app: string;
  readonly nic: string;
  readonly ip: string;
  /** Who decides on the cores. */
  readonly policy: PolicyStatus;
  readonly cores: readonly CoreSnapshot[];
  /** Frames dropped before they had a queue. */
  readonly port: Omit<PortCounters, "queues">;
  readonly tap?: TapCounters;
  readonly load?: LoadSnapshot;
}

export type QueueCounters = PortCounters["queues"][number];

export interface CoreSnapshot {
  readonly core: number;
  readonly state: CoreState;
  /** Flow groups that it owns, of FLOW_GROUPS. */
  readonly groups: number;
  readonly metrics: CoreMetrics;
  /** What went wrong on it, and how often. */
  readonly incidents: IncidentCounts;
  readonly counters: Counters;
  readonly gauges: Gauges;
  /** Of the core's NIC queues together. */
  readonly nic: QueueCounters;
}

/** What the load has done, and its round trips: [at most so many µs, how many]. */
export interface LoadSnapshot {
  readonly messages: number;
  readonly opened: number;
  readonly failed: number;
  readonly open: number;
  /** How long the message that is longest on its way has been, µs: what is lost is seen here. */
  readonly oldest: number;
  readonly roundTrips: readonly (readonly [micros: number, count: number])[];
}

/** Where a snapshot of a dataplane's cores comes from. */
export interface CoreSources {
  readonly dataplane: Dataplane;
  readonly reader: MetricsReader;
  readonly manager: CoreManager;
  readonly incidents: IncidentLog;
}

/** The cores of a dataplane at `now` (µs), and what its port dropped. */
export function snapshotCores(
  { dataplane, reader, manager, incidents }: CoreSources,
  now: number,
): Pick<Snapshot, "cores" | "port"> {
  const { queues, ...port } = new Port(dataplane.port).counters();
  const states = manager.cores;
  const owners = manager.owners();
  const count = dataplane.cores.length;
  const cores = dataplane.cores.map(({ id }) => ({
    core: id,
    state: states[id],
    groups: owners.filter((owner) => owner === id).length,
    metrics: structuredClone(reader.read(id, now)),
    incidents: incidents.of(id),
    counters: dataplane.counters(id),
    gauges: dataplane.gauges(id),
    nic: sum(queuesOf(dataplane.port, count, id).map((queue) => queues[queue])),
  }));
  return { cores, port };
}

/** NIC counters of a core that mean a frame did not arrive. */
const NIC_DROPS = ["noFillDescriptor", "badFillDescriptor", "rxRingFull", "badChecksum"] as const;

/** Packets that a core's NIC queues and its kernel have dropped, for whatever reason. */
export function dropsOf({ counters, nic }: CoreSnapshot): number {
  let drops = 0;
  for (const [name, value] of Object.entries(counters)) {
    if (name.startsWith("drop")) drops += value;
  }
  for (const name of NIC_DROPS) drops += nic[name];
  return drops;
}
