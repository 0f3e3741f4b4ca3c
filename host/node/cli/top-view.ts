/**
 * What `ixwasm top` shows: the difference of two snapshots, as rates per core, and that as a table.
 */
import type { CoreMetrics } from "../../control/metrics.ts";
import type { CoreState } from "../../dataplane/core-manager.ts";
import { dropsOf, type CoreSnapshot, type LoadSnapshot, type Snapshot } from "./snapshot.ts";
import { compact, tableLines } from "./table.ts";

/** One core between two snapshots. Rates are per second. */
export interface CoreRates {
  readonly core: number;
  readonly state: CoreState;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBits: number;
  readonly txBits: number;
  readonly drops: number;
  /** Packets taken per non-empty iteration, packets that waited then, and how long the oldest had, µs. */
  readonly batch: number;
  readonly queue: number;
  readonly delay: number;
  /** Share of the time, 0 to 1. */
  readonly idle: number;
  /** Flow groups that the core owns. */
  readonly groups: number;
  /** Open connections now. */
  readonly connections: number;
}

/** The load between two snapshots. */
export interface LoadRates {
  readonly messages: number;
  readonly open: number;
  readonly failed: number;
  /** Percentiles of the round-trip time, µs; 0 when no message came back. */
  readonly p50: number;
  readonly p99: number;
}

/** One refresh of `top`, as `top --json` prints it. */
export interface TopFrame {
  readonly name: string;
  readonly app: string;
  readonly nic: string;
  readonly ip: string;
  /** Who decides on the cores. */
  readonly policy: string;
  readonly uptime: number;
  /** Seconds that the rates are of. */
  readonly seconds: number;
  readonly cores: readonly CoreRates[];
  readonly load?: LoadRates;
}

export function topFrame(before: Snapshot, now: Snapshot): TopFrame {
  const seconds = Math.max((now.time - before.time) / 1e6, 1e-6);
  const { name, app, nic, ip, uptime } = now;
  const { policy } = now.policy;
  const cores = now.cores.map((core, i) => coreRates(before.cores[i], core, seconds));
  const load = now.load && before.load ? loadRates(before.load, now.load, seconds) : undefined;
  return { name, app, nic, ip, policy, uptime, seconds, cores, load };
}

function coreRates(before: CoreSnapshot, now: CoreSnapshot, seconds: number): CoreRates {
  const rate = (name: "rxPackets" | "txPackets" | "rxBytes" | "txBytes"): number =>
    (now.counters[name] - before.counters[name]) / seconds;
  return {
    core: now.core,
    state: now.state,
    rxPackets: rate("rxPackets"),
    txPackets: rate("txPackets"),
    rxBits: rate("rxBytes") * 8,
    txBits: rate("txBytes") * 8,
    drops: (dropsOf(now) - dropsOf(before)) / seconds,
    batch: now.metrics.batch.slow,
    queue: now.metrics.queueSize.slow,
    delay: now.metrics.queueDelay.slow,
    idle: idleShare(before.metrics, now.metrics),
    groups: now.groups,
    connections: now.gauges.connections,
  };
}

function idleShare(before: CoreMetrics, now: CoreMetrics): number {
  const idle = Math.max(now.idleTime - before.idleTime, 0);
  const busy = Math.max(now.busyTime - before.busyTime, 0);
  return idle + busy > 0 ? idle / (idle + busy) : 1;
}

function loadRates(before: LoadSnapshot, now: LoadSnapshot, seconds: number): LoadRates {
  const earlier = new Map(before.roundTrips);
  const buckets = now.roundTrips.map(
    ([micros, count]) => [micros, count - (earlier.get(micros) ?? 0)] as const,
  );
  return {
    messages: (now.messages - before.messages) / seconds,
    open: now.open,
    failed: now.failed - before.failed,
    p50: percentile(buckets, 0.5),
    p99: percentile(buckets, 0.99),
  };
}

function percentile(buckets: readonly (readonly [number, number])[], share: number): number {
  let left = buckets.reduce((sum, [, count]) => sum + count, 0) * share;
  for (const [micros, count] of buckets) {
    left -= count;
    if (count > 0 && left <= 0) return micros;
  }
  return 0;
}

/** With these names a table of usual values is 80 columns wide. */
const HEAD = [
  "core",
  "rx/s",
  "tx/s",
  "bit/s",
  "batch",
  "queue",
  "wait µs",
  "idle%",
  "groups",
  "conns",
  "drop/s",
];

export function topLines(frame: TopFrame): string[] {
  const rows = frame.cores.map((core) => [
    core.state === "active" ? String(core.core) : `${core.core} ${core.state}`,
    compact(core.rxPackets),
    compact(core.txPackets),
    compact(core.rxBits + core.txBits),
    compact(core.batch),
    compact(core.queue),
    compact(core.delay),
    compact(core.idle * 100),
    String(core.groups),
    compact(core.connections),
    compact(core.drops),
  ]);
  const title = `${frame.name}: ${frame.app} at ${frame.ip}, ${frame.nic}, up ${duration(frame.uptime)}`;
  const lines = [title, "", ...tableLines(HEAD, rows)];
  if (frame.policy !== "off") lines[0] += `, policy ${frame.policy}`;
  if (frame.load) lines.push("", loadLine(frame.load));
  return lines;
}

function loadLine({ messages, open, failed, p50, p99 }: LoadRates): string {
  const trips = `round trip p50 ${compact(p50)} µs, p99 ${compact(p99)} µs`;
  const failures = failed > 0 ? `, ${failed} connections failed` : "";
  return `load: ${compact(messages)} messages/s on ${open} connections, ${trips}${failures}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** 3723 → 1:02:03 */
function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
