/** SACK blocks far into a flight of thousands of segments (landmarks.ts), and what is cut for such flights. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_SACK_IGNORED,
  CNT_TCP_TIMEOUTS,
  GAUGE_BUFFERS,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { Bulk } from "../support/bulk.ts";
import { pattern } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const MSS = 100;
const SCOREBOARD = [
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_SACK_IGNORED,
  CNT_TCP_TIMEOUTS,
];

/** A connection whose window has opened to thousands of small segments, all acknowledged so far. */
function wide(build: KernelBuild): Bulk {
  const options = {
    references: 24_000,
    tcp: { initialWindow: 1024, sendBufferMax: 4 << 20, quickAcks: 0 },
  };
  const bulk = Bulk.start(build, options, { mss: MSS, sack: true, window: 8 << 20 });
  for (let round = 0; round < 3; round++) {
    bulk.flight();
    bulk.ackEach();
  }
  return bulk;
}

/** One flight of hundreds of segments, up to `end`. */
function inFlight(build: KernelBuild): Bulk & { end: number } {
  const bulk = Bulk.start(build, { tcp: { initialWindow: 300 } }, { mss: MSS, sack: true });
  bulk.flight();
  return Object.assign(bulk, { end: bulk.peer.stream().length + 1 });
}

describe.each(kernels)("$name kernel", (build) => {
  test("a block thousands of segments behind the gap is found, within a few ACKs", () => {
    const bulk = wide(build);
    const { k, peer, una } = bulk;
    bulk.flight();
    const end = peer.stream().length + 1;
    const segments = Math.floor((end - una) / MSS);
    expect(segments).toBeGreaterThan(7000);
    // Only the last segments arrive, one after the other; all before them are lost.
    const from = end - 12 * MSS;
    k.advance(1000);
    const [recoveries, resent, ignored, timeouts] = k.counts(SCOREBOARD, () => {
      for (let i = 1; i <= 12; i++) peer.send({ ack: una, sack: [[from, from + i * MSS]] });
    });
    expect(recoveries).toBe(1);
    expect(timeouts).toBe(0);
    expect(resent).toBeGreaterThan(0);
    // The first ones end on the way, and the next ones go on from there.
    expect(ignored).toBeGreaterThan(0);
    expect(ignored).toBeLessThan(4);
  });

  test("blocks in turn far apart cost no new walk", () => {
    const bulk = wide(build);
    const { k, peer, una } = bulk;
    bulk.flight();
    const end = peer.stream().length + 1;
    const far = end - 200 * MSS;
    const middle = una + 3000 * MSS;
    for (let i = 1; i <= 5; i++) peer.send({ ack: una, sack: [[far, far + i * MSS]] });
    const [, , ignored] = k.counts(SCOREBOARD, () => {
      for (let i = 1; i <= 40; i++) {
        const first: [number, number] = [middle, middle + i * MSS];
        const second: [number, number] = [far, far + (5 + i) * MSS];
        peer.send({ ack: una, sack: i % 2 === 0 ? [first, second] : [second, first] });
      }
    });
    expect(ignored).toBeLessThanOrEqual(1);
    peer.takeAll();
    peer.send({ ack: end });
    k.events();
    peer.takeAll();
  });

  test("they are forgotten with the segments: all is acknowledged, and nothing is held", () => {
    const bulk = wide(build);
    const { k, peer, una } = bulk;
    bulk.flight();
    const end = peer.stream().length + 1;
    peer.send({ ack: una, sack: [[end - 5 * MSS, end]] });
    peer.send({ ack: una + 2000 * MSS, sack: [[end - 5 * MSS, end]] });
    peer.takeAll();
    k.abort(peer.handle);
    peer.takeAll();
    k.events();
    k.poll();
    expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("early data of the peer takes their words: each direction is told of its own gaps", () => {
    const { k, peer, una, end } = inFlight(build);
    const blocks = (): string[] => {
      const acks = peer.takeAll().filter(({ payload }) => payload.length === 0);
      return acks.flatMap(({ sack }) => sack.map(([left, right]) => `${left}:${right}`));
    };
    peer.send({ ack: una, sack: [[end - 5 * MSS, end]] });
    peer.takeAll();
    // With landmarks there: the early runs are reported, and nothing else.
    peer.send({ seq: 101, ack: una, payload: pattern(100, 100) });
    expect(blocks()).toEqual(["101:201"]);
    peer.send({ seq: 301, ack: una, payload: pattern(100, 300) });
    expect(blocks()).toEqual(["301:401", "101:201"]);
    // With early runs there: blocks are taken as before, and leave the runs alone.
    peer.send({ seq: 1, ack: una, sack: [[end - 9 * MSS, end]] });
    peer.takeAll();
    peer.send({ seq: 501, ack: una, payload: pattern(100, 500) });
    expect(blocks()).toEqual(["501:601", "301:401", "101:201"]);
    for (const seq of [201, 401, 1]) peer.send({ seq, ack: una, payload: pattern(100, seq - 1) });
    expect(peer.takeAll().at(-1)).toMatchObject({ ack: 601, sack: [] });
    // Landmarks again, in words that have named runs.
    peer.send({ seq: 601, ack: una, sack: [[end - 12 * MSS, end]] });
    peer.send({ seq: 601, ack: end - 12 * MSS });
    peer.takeAll();
    peer.send({ seq: 601, ack: end });
    peer.takeAll();
    k.abort(peer.handle);
    k.events();
    k.poll();
    expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("a send that is cut short is cut to whole segments, and refused for less than one", () => {
    const k = startKernel(build, { tcp: { sendBufferMax: 5500 } });
    const peer = TcpPeer.established(k, { mss: 1000, window: 1 << 20, windowScale: 7 });
    const address = k.alloc(20_000);
    const send = (length: number): number => {
      return k.call({ op: SYS_SEND, handle: peer.handle, a: address, b: length }).result;
    };
    expect(send(20_000)).toBe(5000);
    expect(send(20_000)).toBe(0);
    expect(send(10)).toBe(0);
    expect(peer.takeAll().map(({ payload }) => payload.length)).toEqual(Array(5).fill(1000));
    peer.send({ ack: 1 + 1000 });
    expect(k.event("sent")).toMatchObject({ window: 1500 });
    expect(send(20_000)).toBe(1000);
    expect(send(20)).toBe(0);
  });
});
