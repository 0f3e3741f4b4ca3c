/** Reading a core's metrics from outside. */
import { describe, expect, it } from "vitest";
import {
  CORE_PARKED,
  FLOW_GROUPS,
  GROUP_PACKETS,
  GROUP_SIZE,
  METRIC_PERIOD,
} from "../../assembly/abi.ts";
import { MetricsReader } from "../../host/control/metrics.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { releaseKernel } from "../support/kernels.ts";
import { icmpFrame, ICMP_ECHO_REQUEST } from "../support/packet.ts";

const START = 5_000_000;
const PING = icmpFrame({ from: PEER, to: KERNEL }, { type: ICMP_ECHO_REQUEST });

/** Lets `packets` arrive at `micros` after the start. */
function arrive(k: KernelHarness, packets: number, micros: number): void {
  for (let i = 0; i < packets; i++) k.inject(PING, { time: START + micros });
}

function pollAt(k: KernelHarness, micros: number): void {
  k.now = START + micros;
  k.pollOnce();
}

function park(k: KernelHarness): void {
  k.view.setUint32(k.block + CORE_PARKED, 1, true);
}

describe("a reading", () => {
  it("has the kernel's averages and times", () => {
    const k = startKernel(releaseKernel);
    const reader = new MetricsReader(k.dataplane);
    arrive(k, 6, 0);
    pollAt(k, 20);
    pollAt(k, 20);
    pollAt(k, 50);
    pollAt(k, METRIC_PERIOD + 20);
    const metrics = reader.read(0, k.now);
    expect(metrics.batch).toEqual({ fast: 3, medium: 1.5, slow: 0.75 });
    expect(metrics.queueSize).toEqual(metrics.batch);
    expect(metrics.queueDelay).toEqual({ fast: 10, medium: 5, slow: 2.5 });
    expect(metrics.loop.fast).toBe(15);
    expect(metrics.busyTime).toBe(30);
    expect(metrics.idleTime).toBe(METRIC_PERIOD - 30);
    expect(metrics.idle.fast).toBeCloseTo((1 - 30 / METRIC_PERIOD) / 2);
    expect(metrics.lastPoll).toBe(k.now);
  });

  it("is the same object every time, so that reading allocates nothing", () => {
    const k = startKernel(releaseKernel);
    const reader = new MetricsReader(k.dataplane);
    expect(reader.read(0, START)).toBe(reader.read(0, START + 1));
  });

  it("sees what waits in the ring and for how long, whatever the core is busy with", () => {
    const k = startKernel(releaseKernel);
    const reader = new MetricsReader(k.dataplane);
    pollAt(k, 0);
    expect(reader.read(0, START + 500)).toMatchObject({ waiting: 0, waited: 0 });
    arrive(k, 1, 100);
    arrive(k, 4, 300);
    expect(reader.read(0, START + 500)).toMatchObject({ waiting: 5, waited: 400, queueNow: 0 });
    pollAt(k, 600);
    expect(reader.read(0, START + 600)).toMatchObject({
      waiting: 0,
      waited: 0,
      queueNow: 5,
      delayNow: 500,
    });
  });

  it("adds up a core's queues, and knows no wait where the NIC stamps none", () => {
    const k = startKernel(releaseKernel, { queuesPerCore: 2 });
    const reader = new MetricsReader(k.dataplane);
    k.nics[0].receive(PING);
    k.nics[1].receive(PING, { time: START - 70 });
    expect(reader.read(0, START)).toMatchObject({ waiting: 2, waited: 70 });
    k.poll();
  });

  it("counts the sleep of a parked core as idle, and lets its averages fade", () => {
    const k = startKernel(releaseKernel);
    const reader = new MetricsReader(k.dataplane);
    arrive(k, 4, 0);
    pollAt(k, 0);
    pollAt(k, 0);
    pollAt(k, METRIC_PERIOD);
    const awake = reader.read(0, START + 4 * METRIC_PERIOD);
    expect(awake).toMatchObject({ batch: { fast: 2 }, idle: { fast: 0 }, idleTime: 0 });
    park(k);
    const asleep = reader.read(0, START + 4 * METRIC_PERIOD);
    expect(asleep.batch).toEqual({ fast: 0.25, medium: 27 / 64, slow: (0.5 * 343) / 512 });
    expect(asleep.idle.fast).toBe(7 / 8);
    expect(asleep.idleTime).toBe(3 * METRIC_PERIOD);
    expect(asleep.busyTime).toBe(METRIC_PERIOD);
  });

  it("of a core that is not there is refused", () => {
    const reader = new MetricsReader(startKernel(releaseKernel).dataplane);
    expect(() => reader.read(1, 0)).toThrow(RangeError);
  });
});

it("packets of flow groups are counted beyond 2^32", () => {
  const k = startKernel(releaseKernel);
  const at = (group: number): number =>
    k.dataplane.map.groups.address + group * GROUP_SIZE + GROUP_PACKETS;
  k.view.setBigUint64(at(3), 2n ** 32n + 5n, true);
  k.view.setBigUint64(at(127), 7n, true);
  const packets = new MetricsReader(k.dataplane).groupPackets(new Float64Array(FLOW_GROUPS));
  expect([packets[3], packets[127], packets[4]]).toEqual([2 ** 32 + 5, 7, 0]);
});
