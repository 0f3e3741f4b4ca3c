/** What a core says of its load: waiting, batches, and how its time is spent. */
import { describe, expect, test } from "vitest";
import {
  METRIC_BATCH,
  METRIC_BUSY_TIME,
  METRIC_DELAY_NOW,
  METRIC_IDLE,
  METRIC_IDLE_TIME,
  METRIC_LAST_POLL,
  METRIC_LOOP,
  METRIC_PERIOD,
  METRIC_QUEUE_DELAY,
  METRIC_QUEUE_NOW,
  METRIC_QUEUE_SIZE,
  METRIC_UPDATED,
} from "../../assembly/abi.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { icmpFrame, ICMP_ECHO_REQUEST } from "../support/packet.ts";

const START = 5_000_000;

function ping(sequence: number): Uint8Array {
  return icmpFrame({ from: PEER, to: KERNEL }, { type: ICMP_ECHO_REQUEST, sequence });
}

function word(k: KernelHarness, offset: number): number {
  return k.view.getUint32(k.block + offset, true);
}

function float(k: KernelHarness, offset: number): number {
  return k.view.getFloat64(k.block + offset, true);
}

/** The three averages of a metric: fast, medium, slow. */
function averages(k: KernelHarness, offset: number): number[] {
  return [0, 8, 16].map((at) => float(k, offset + at));
}

/** One poll at `micros` after the start. */
function pollAt(k: KernelHarness, micros: number): void {
  k.now = START + micros;
  k.pollOnce();
}

/**
 * Lets `packets` arrive `waited` µs before they are polled for at `micros` after the start; a second
 * poll sends the answers.
 */
function arrive(k: KernelHarness, packets: number, waited: number, micros: number): void {
  for (let i = 0; i < packets; i++) k.inject(ping(i), { time: START + micros - waited });
  pollAt(k, micros);
  pollAt(k, micros);
}

describe.each(kernels)("$name kernel", (build) => {
  test("tells when it polled last, modulo 2^32", () => {
    const k = startKernel(build, { start: 2 ** 32 + 77.5 });
    k.pollOnce();
    expect(word(k, METRIC_LAST_POLL)).toBe(77);
    k.now += 1000;
    k.pollOnce();
    expect(word(k, METRIC_LAST_POLL)).toBe(1077);
  });

  test("counts the time after a poll that did something as busy, all other as idle", () => {
    const k = startKernel(build);
    pollAt(k, 0);
    pollAt(k, 10);
    expect([float(k, METRIC_BUSY_TIME), float(k, METRIC_IDLE_TIME)]).toEqual([0, 10]);
    arrive(k, 1, 0, 30);
    expect([float(k, METRIC_BUSY_TIME), float(k, METRIC_IDLE_TIME)]).toEqual([0, 30]);
    pollAt(k, 32.5);
    expect([float(k, METRIC_BUSY_TIME), float(k, METRIC_IDLE_TIME)]).toEqual([2.5, 30]);
  });

  test("takes polls at one instant for one: busy when any of them was", () => {
    const k = startKernel(build);
    arrive(k, 1, 0, 0);
    for (let i = 0; i < 3; i++) pollAt(k, 0);
    expect(word(k, METRIC_QUEUE_NOW)).toBe(1);
    pollAt(k, 4);
    expect([float(k, METRIC_BUSY_TIME), float(k, METRIC_IDLE_TIME)]).toEqual([4, 0]);
  });

  test("says at once how long the oldest packet waited and how many did, until none do", () => {
    const k = startKernel(build, { batch: 8 });
    k.inject(ping(0), { time: START - 70 });
    for (let i = 1; i < 20; i++) k.inject(ping(i), { time: START - 5 });
    pollAt(k, 0);
    expect([word(k, METRIC_DELAY_NOW), word(k, METRIC_QUEUE_NOW)]).toEqual([70, 20]);
    pollAt(k, 30);
    expect([word(k, METRIC_DELAY_NOW), word(k, METRIC_QUEUE_NOW)]).toEqual([35, 12]);
    pollAt(k, 40);
    expect([word(k, METRIC_DELAY_NOW), word(k, METRIC_QUEUE_NOW)]).toEqual([45, 4]);
    pollAt(k, 50);
    expect([word(k, METRIC_DELAY_NOW), word(k, METRIC_QUEUE_NOW)]).toEqual([0, 0]);
  });

  test("adds up the packets of several queues and takes the longest wait", () => {
    const k = startKernel(build, { queuesPerCore: 3, frames: 2048 });
    const [first, , third] = k.nics;
    first.receive(ping(0), { time: START - 20 });
    first.receive(ping(1), { time: START - 10 });
    third.receive(ping(2), { time: START - 33 });
    pollAt(k, 0);
    expect([word(k, METRIC_DELAY_NOW), word(k, METRIC_QUEUE_NOW)]).toEqual([33, 3]);
  });

  test("knows no delay where the NIC stamps no time, or one that is to come", () => {
    const k = startKernel(build);
    k.inject(ping(0));
    pollAt(k, 0);
    expect([word(k, METRIC_DELAY_NOW), word(k, METRIC_QUEUE_NOW)]).toEqual([0, 1]);
    k.inject(ping(1), { time: START + 12 });
    pollAt(k, 10);
    expect(word(k, METRIC_DELAY_NOW)).toBe(0);
  });

  test("renews its averages every period, by halves, quarters and eighths", () => {
    const k = startKernel(build, { batch: 8 });
    arrive(k, 8, 40, 0);
    arrive(k, 4, 2040, 2000);
    pollAt(k, 3000);
    expect(averages(k, METRIC_BATCH)).toEqual([0, 0, 0]);
    pollAt(k, METRIC_PERIOD);
    // Batches of 8 and 4, for which 40 and 2040 µs were waited.
    expect(averages(k, METRIC_BATCH)).toEqual([3, 1.5, 0.75]);
    expect(averages(k, METRIC_QUEUE_SIZE)).toEqual([3, 1.5, 0.75]);
    expect(averages(k, METRIC_QUEUE_DELAY)).toEqual([520, 260, 130]);
    // Busy from 0 to 2000 and on to 3000, then idle.
    expect(averages(k, METRIC_LOOP)).toEqual([750, 375, 187.5]);
    expect(averages(k, METRIC_IDLE)).toEqual([0.35, 0.175, 0.0875]);
    expect(float(k, METRIC_UPDATED)).toBe(START + METRIC_PERIOD);
    pollAt(k, 2 * METRIC_PERIOD);
    expect(averages(k, METRIC_BATCH)).toEqual([1.5, 1.125, 0.65625]);
    expect(averages(k, METRIC_IDLE)[0]).toBe(0.675);
  });

  test("makes up for periods in which nobody polled", () => {
    const k = startKernel(build);
    arrive(k, 4, 0, 0);
    pollAt(k, METRIC_PERIOD);
    expect(averages(k, METRIC_BATCH)).toEqual([2, 1, 0.5]);
    pollAt(k, 4 * METRIC_PERIOD);
    expect(averages(k, METRIC_BATCH)).toEqual([2 / 8, 27 / 64, (0.5 * 343) / 512]);
    expect(averages(k, METRIC_IDLE)[0]).toBe(7 / 8);
    pollAt(k, 1e9);
    expect(averages(k, METRIC_BATCH)[2]).toBeLessThan(1e-3);
    expect(averages(k, METRIC_IDLE)[2]).toBeGreaterThan(0.999);
  });

  test("makes little of times that go backwards", () => {
    const k = startKernel(build);
    pollAt(k, 100);
    pollAt(k, 50);
    pollAt(k, 110);
    expect(float(k, METRIC_IDLE_TIME)).toBe(10);
  });
});
