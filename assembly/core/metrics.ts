/**
 * What the control plane decides by: how long packets wait, how many at a time are taken, how much of
 * the time is spent idle. They are IX's metrics (ixcp; Prekas et al., SoCC 2015, section 4.2): sums over
 * METRIC_PERIOD, smoothed three times. Kept in the core's control block, where whoever wants reads them;
 * a poll costs a few stores, a packet nothing.
 *
 *   poll … app … | poll … app … | poll | poll |
 *      busy            busy       idle   idle      the time until the next poll, by what the poll did
 */
import {
  METRIC_BATCH,
  METRIC_END,
  METRIC_IDLE_TIME,
  METRIC_PERIOD,
  METRIC_PRIVATE,
  METRIC_QUEUE_DELAY,
} from "../abi";
import { coreBlock } from "./config";

/** One metric: moving averages with alpha 1/2, 1/4 and 1/8. */
@final
@unmanaged
class Average {
  fast: f64;
  medium: f64;
  slow: f64;
}

/** Lies at METRIC_QUEUE_DELAY of the control block, behind the five averages. */
@final
@unmanaged
class Metrics {
  updated: f64;
  delayNow: u32;
  queueNow: u32;
  lastPoll: u32;
  unused: u32;
  busyTime: f64;
  idleTime: f64;

  /** METRIC_PRIVATE: when the last poll was, and whether it, or one at the same instant, did anything. */
  polledAt: f64;
  busy: u32;
  /** 1 once there was a poll. */
  started: u32;
  /** Since the averages were renewed: non-empty iterations, and sums over them. */
  batches: u32;
  packets: u32;
  waiting: u64;
  delay: u64;
  /** Intervals that were busy, and `busyTime` and `idleTime` at the last renewal. */
  busyIntervals: u32;
  unused2: u32;
  busyBefore: f64;
  idleBefore: f64;
}

const AVERAGE_SIZE: u32 = METRIC_BATCH - METRIC_QUEUE_DELAY;
const AVERAGES: u32 = 5;
const PERIOD: f64 = f64(METRIC_PERIOD);
/** After so many periods without a poll nothing is left of what was before, not even in the slow average. */
const PERIODS_MAX: u32 = 64;

let metrics = changetype<Metrics>(0);

/** Binds this instance to the core's metrics. */
export function bindMetrics(): void {
  assert(METRIC_PRIVATE - METRIC_IDLE_TIME == sizeof<f64>());
  assert(AVERAGES * AVERAGE_SIZE + offsetof<Metrics>() <= METRIC_END - METRIC_QUEUE_DELAY);
  metrics = changetype<Metrics>(coreBlock + METRIC_QUEUE_DELAY + AVERAGES * AVERAGE_SIZE);
}

/** Clears the metrics of a core that has not polled yet. */
export function prepareMetrics(): void {
  memory.fill(coreBlock + METRIC_QUEUE_DELAY, 0, METRIC_END - METRIC_QUEUE_DELAY);
}

/** A poll begins, at `micros`: settles the time since the last one. */
export function beginMetrics(micros: f64): void {
  const passed = micros - metrics.polledAt;
  metrics.lastPoll = u32(u64(micros));
  if (passed <= 0 && metrics.started) return;
  if (!metrics.started) {
    metrics.started = 1;
    metrics.updated = micros;
  } else if (metrics.busy) {
    metrics.busyTime += passed;
    metrics.busyIntervals++;
  } else {
    metrics.idleTime += passed;
  }
  metrics.polledAt = micros;
  metrics.busy = 0;
  metrics.delayNow = 0;
  metrics.queueNow = 0;
  if (micros - metrics.updated >= PERIOD) renew(micros);
}

/**
 * A batch was taken.
 *
 * @param taken, waiting packets taken, and packets that waited at that moment
 * @param delay how long the oldest of them had waited, µs
 */
export function noteBatch(taken: u32, waiting: u32, delay: u32): void {
  metrics.batches++;
  metrics.packets += taken;
  metrics.waiting += u64(waiting);
  metrics.delay += u64(delay);
  metrics.delayNow = max(metrics.delayNow, delay);
  metrics.queueNow = max(metrics.queueNow, waiting);
}

/** A poll ends that did `work`. */
export function endMetrics(work: u32): void {
  if (work != 0) metrics.busy = 1;
}

/** Renews the averages by what happened since the last renewal, which may be several periods ago. */
function renew(micros: f64): void {
  const periods = min<u32>(u32((micros - metrics.updated) / PERIOD), PERIODS_MAX);
  const batches = metrics.batches;
  const busy = metrics.busyTime - metrics.busyBefore;
  const idle = metrics.idleTime - metrics.idleBefore;
  average(0, ratio(f64(metrics.delay), f64(batches)), periods);
  average(1, ratio(f64(metrics.packets), f64(batches)), periods);
  average(2, ratio(f64(metrics.waiting), f64(batches)), periods);
  average(3, ratio(busy, f64(metrics.busyIntervals)), periods);
  average(4, ratio(idle, busy + idle), periods);
  metrics.updated = micros;
  metrics.batches = 0;
  metrics.packets = 0;
  metrics.waiting = 0;
  metrics.delay = 0;
  metrics.busyIntervals = 0;
  metrics.busyBefore = metrics.busyTime;
  metrics.idleBefore = metrics.idleTime;
}

/** Moves the averages of one metric towards `sample`, once for each of `periods`. */
function average(index: u32, sample: f64, periods: u32): void {
  const at = coreBlock + METRIC_QUEUE_DELAY + index * AVERAGE_SIZE;
  const value = changetype<Average>(at);
  for (let i: u32 = 0; i < periods; i++) {
    value.fast += (sample - value.fast) / 2;
    value.medium += (sample - value.medium) / 4;
    value.slow += (sample - value.slow) / 8;
  }
}

/** 0 where nothing was counted. */
function ratio(sum: f64, count: f64): f64 {
  return count > 0 ? sum / count : 0;
}
