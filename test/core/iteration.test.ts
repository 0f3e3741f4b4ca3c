/** One iteration: its bound, its fairness, its doorbell, and what it says when there is nothing to do. */
import { describe, expect, test } from "vitest";
import {
  CNT_ITERATIONS,
  CORE_EVENT_COUNT,
  CORE_HAS_DEADLINE,
  CORE_WORK,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { icmpFrame, ICMP_ECHO_REQUEST } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

function ping(sequence: number): Uint8Array {
  return icmpFrame({ from: PEER, to: KERNEL }, { type: ICMP_ECHO_REQUEST, sequence });
}

function word(k: KernelHarness, offset: number): number {
  return k.view.getUint32(k.block + offset, true);
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([1, 2, 7, 64])("takes at most B = %i packets", (batch) => {
    const k = startKernel(build, { batch });
    for (let i = 0; i < 100; i++) k.inject(ping(i));
    for (let left = 100; left > 0; left -= batch) {
      expect(k.nic.rx.used).toBe(left);
      k.pollOnce();
    }
    expect(k.nic.rx.used).toBe(0);
    k.poll();
    expect(k.sent().map(({ icmp }) => icmp?.sequence)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
  });

  test("never waits for a batch to fill", () => {
    const k = startKernel(build);
    k.inject(ping(1));
    k.pollOnce();
    expect(word(k, CORE_WORK)).toBeGreaterThan(0);
    k.pollOnce();
    expect(k.sent()).toHaveLength(1);
  });

  test("takes from several queues in turn, so that none starves another", () => {
    const k = startKernel(build, { queuesPerCore: 3, batch: 9, frames: 2048 });
    const [, second, third] = k.nics;
    for (let i = 0; i < 60; i++) k.inject(ping(i));
    for (let i = 0; i < 5; i++) second.receive(ping(1000 + i));
    third.receive(ping(2000));
    k.pollOnce();
    // Nine packets: one of the last, which has no more, and four of each other.
    expect(k.nics.map(({ rx }) => rx.used)).toEqual([56, 1, 0]);
    k.pollOnce();
    expect(k.nics.map(({ rx }) => rx.used)).toEqual([48, 0, 0]);
    for (const nic of k.nics) nic.receive(ping(3000));
    k.poll();
    expect(k.sent()).toHaveLength(69);
  });

  test("shows the NIC what is to be sent once, at its end", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const data = k.write(pattern(500));
    k.dispatch([
      { op: SYS_SEND, handle: peer.handle, a: data, b: 100 },
      { op: SYS_SEND, handle: peer.handle, a: data + 100, b: 100 },
    ]);
    expect(k.nic.tx.used).toBe(0);
    k.pollOnce();
    expect(peer.takeAll()).toHaveLength(2);
  });

  test("gives the NIC frames back in lots, not one by one", () => {
    const k = startKernel(build);
    const filled = k.nic.fill.producer;
    const steps: number[] = [];
    for (let i = 0; i < 200; i++) {
      const before = k.nic.fill.producer;
      k.deliver(ping(i));
      if (k.nic.fill.producer !== before) steps.push(k.nic.fill.producer - before);
    }
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(16);
    expect(k.nic.fill.producer - filled).toBeGreaterThan(100);
  });

  test("that finds nothing writes to no ring and says so", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.deliver(ping(1));
    k.poll();
    const rings = [k.nic.fill, k.nic.rx, k.nic.tx, k.nic.completion];
    const before = rings.map(({ producer, consumer }) => [producer, consumer]);
    const [iterations] = k.counts([CNT_ITERATIONS], () => {
      for (let i = 0; i < 10; i++) {
        k.now += 100;
        k.pollOnce();
        expect(word(k, CORE_WORK)).toBe(0);
        expect(word(k, CORE_EVENT_COUNT)).toBe(0);
      }
    });
    expect(iterations).toBe(10);
    expect(rings.map(({ producer, consumer }) => [producer, consumer])).toEqual(before);
    peer.send({ payload: text("still here") });
    expect(k.events().at(-1)).toMatchObject({ data: text("still here") });
  });

  test("says when it must run again, and not a moment too late", () => {
    const k = startKernel(build);
    expect(word(k, CORE_HAS_DEADLINE)).toBe(0);
    for (const delay of [5, 100, 5000, 100_000, 3_000_000, 100_000_000]) {
      const due = k.now + delay;
      k.timerSet(delay);
      for (let polls = 0; k.inbox.length === 0; polls++) {
        expect(polls).toBeLessThan(20);
        const deadline = k.deadline()!;
        expect(deadline).toBeGreaterThan(k.now);
        expect(deadline).toBeLessThanOrEqual(due + 16);
        k.now = deadline;
        k.poll();
      }
      expect(k.event("timer").at).toBeGreaterThanOrEqual(due);
    }
    expect(word(k, CORE_HAS_DEADLINE)).toBe(0);
  });

  test("may be run part by part", () => {
    const k = startKernel(build, { tcp: { quickAcks: 0 } });
    const peer = TcpPeer.established(k);
    const { kernel } = k.dataplane.cores[0];
    k.inject(peer.frame({ payload: text("in parts") }));
    k.inject(ping(5));
    for (let part = 0; part < 5; part++) kernel.stage(part, k.now);
    expect(word(k, CORE_EVENT_COUNT)).toBe(1);
    k.poll();
    expect(k.sent().some(({ icmp }) => icmp?.sequence === 5)).toBe(true);
    k.advance(100_000);
    expect(peer.takeAll().at(-1)?.ack).toBe(9);
  });

  test("that comes late runs every timer, in the order of their times", () => {
    const k = startKernel(build);
    for (const delay of [300, 100, 70_000, 200, 5_000_000]) k.timerSet(delay, { cookie: delay });
    k.now += 60_000_000;
    k.poll();
    expect(k.events().map(({ cookie }) => cookie)).toEqual([100, 200, 300, 70_000, 5_000_000]);
  });

  test("whose time stands still, or goes back a little, harms nothing", () => {
    const k = startKernel(build);
    k.timerSet(1000);
    k.now -= 500;
    k.poll();
    k.noEvents();
    k.advance(500 + 999);
    k.noEvents();
    k.advance(40);
    k.event("timer");
  });
});
