/** A tiny event array: the kernel stops taking packets, it never loses an event. */
import { describe, expect, test } from "vitest";
import {
  CNT_EVENT_BACKPRESSURE,
  CORE_EVENT_CAPACITY,
  CORE_EVENT_COUNT,
  RC_NOBUFS,
  RC_OK,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { dataOf, drain } from "./streams.ts";

/** The least event array that the options allow: eight events, one packet a batch. */
const TINY_EVENTS = { batch: 1, events: 8 };

/** A segment that fills a gap brings as many events at once as there is room for. */
const FILLED_GAP = {
  batch: 64,
  events: 512,
  ringSize: 256,
  frames: 2048,
  maxConnections: 256,
  tcp: { receiveWindow: 1 << 20, receiveWindowMax: 1 << 20 },
};

describe.each(kernels)("$name kernel", (build) => {
  describe("a tiny event array", () => {
    test("segments of many connections in one go: nothing is lost", () => {
      const k = startKernel(build, { ...TINY_EVENTS, ringSize: 256 });
      const peers = Array.from({ length: 20 }, () => TcpPeer.established(k));
      for (let round = 0; round < 10; round++) {
        for (const peer of peers) {
          k.inject(peer.frame({ seq: 1 + round * 50, payload: pattern(50, round * 50) }));
        }
      }
      k.poll();
      for (const peer of peers) assertSameBytes(dataOf(k, peer.handle), pattern(500));
    });

    test("all connections reset in one go: every end is told", () => {
      const k = startKernel(build, { ...TINY_EVENTS, ringSize: 256 });
      const peers = Array.from({ length: 60 }, () => TcpPeer.established(k));
      for (const peer of peers) k.inject(peer.frame({ flags: "R" }));
      k.poll();
      const dead = k.events().filter(({ kind }) => kind === "dead");
      expect(dead.map(({ handle }) => handle).toSorted()).toEqual(
        peers.map(({ handle }) => handle).toSorted(),
      );
    });

    test("all connections time out at one instant: every end is told", () => {
      const k = startKernel(build, { ...TINY_EVENTS, tcp: { dataRetries: 1 } });
      const peers = Array.from({ length: 40 }, () => TcpPeer.established(k));
      k.batch(peers.map(({ handle }) => ({ op: SYS_SEND, handle, a: k.write(text("x")), b: 1 })));
      k.advance(10_000_000);
      expect(k.events().filter(({ kind }) => kind === "dead")).toHaveLength(40);
    });

    test("all timers at one instant: every one fires", () => {
      const k = startKernel(build, TINY_EVENTS);
      for (let i = 0; i < 64; i++) k.timerSet(1000);
      k.advance(1100);
      expect(k.events()).toHaveLength(64);
    });

    test("a segment that fills a gap before many others", () => {
      const k = startKernel(build, TINY_EVENTS);
      const peer = TcpPeer.established(k);
      for (let i = 40; i > 0; i--) peer.send({ seq: 1 + i * 100, payload: pattern(100, i * 100) });
      peer.send({ seq: 1, payload: pattern(100) });
      assertSameBytes(dataOf(k, peer.handle), pattern(4100));
      expect(k.recvDone(peer.handle, 4100)).toBe(RC_OK);
    });

    test("data and FIN held back before accept", () => {
      const k = startKernel(build, TINY_EVENTS);
      const peer = TcpPeer.synReceived(k);
      peer.ack();
      const { handle } = k.event("knock");
      for (let i = 0; i < 30; i++) peer.send({ payload: pattern(600, i * 600) });
      peer.send({ flags: "FA" });
      k.noEvents();
      k.accept(handle);
      assertSameBytes(dataOf(k, handle), pattern(18_000));
      expect(k.events().at(-1)).toMatchObject({ kind: "recv", data: new Uint8Array() });
    });

    test("back-pressure stops receiving and is counted", () => {
      const k = startKernel(build, { ...TINY_EVENTS, ringSize: 256 });
      const peer = TcpPeer.synReceived(k);
      peer.ack();
      const { handle } = k.event("knock");
      for (let i = 0; i < 60; i++) peer.send({ payload: pattern(600, i * 600) });
      for (let i = 60; i < 100; i++)
        k.inject(peer.frame({ seq: 1 + i * 600, payload: pattern(600, i * 600) }));
      const [pressed] = k.counts([CNT_EVENT_BACKPRESSURE], () => k.accept(handle));
      expect(pressed).toBeGreaterThan(0);
      assertSameBytes(dataOf(k, handle), pattern(60_000));
    });

    test("ACKs of many sends", () => {
      const k = startKernel(build, { ...TINY_EVENTS, ringSize: 256 });
      const peers = Array.from({ length: 30 }, () => TcpPeer.established(k));
      for (const peer of peers) k.send(peer.handle, pattern(200));
      for (const peer of peers) {
        peer.takeAll();
        k.inject(peer.frame());
      }
      k.poll();
      const acked = k.events().map((event) => (event.kind === "sent" ? event.acked : -1));
      expect(acked).toEqual(peers.map(() => 200));
    });
  });

  describe("the event array and the pools, between connections", () => {
    test("a filled gap leaves room for the knocks behind it", () => {
      const k = startKernel(build, FILLED_GAP);
      const filler = TcpPeer.established(k, { windowScale: 7, backlog: 200 });
      for (let i = 520; i > 0; i--) filler.send({ seq: 1 + i * 10, payload: pattern(10, i * 10) });
      const peers = Array.from({ length: 60 }, () => TcpPeer.synReceived(k, { backlog: 200 }));
      k.inject(filler.frame({ seq: 1, payload: pattern(10) }));
      for (const peer of peers) k.inject(peer.frame());
      k.pollOnce();
      const count = k.view.getUint32(k.block + CORE_EVENT_COUNT, true);
      expect(count).toBeLessThanOrEqual(k.view.getUint32(k.block + CORE_EVENT_CAPACITY, true));
      k.poll();
      const knocks = k.events().filter(({ kind }) => kind === "knock");
      expect(knocks).toHaveLength(60);
    });

    test("a filled gap delays the sent events behind it, and loses none", () => {
      const k = startKernel(build, FILLED_GAP);
      const filler = TcpPeer.established(k, { windowScale: 7 });
      const others = Array.from({ length: 20 }, () => TcpPeer.established(k));
      for (const other of others) {
        k.send(other.handle, text("hello"));
        other.takeAll();
      }
      for (let i = 520; i > 0; i--) filler.send({ seq: 1 + i * 10, payload: pattern(10, i * 10) });
      k.inject(filler.frame({ seq: 1, payload: pattern(10) }));
      for (const other of others) k.inject(other.frame());
      k.poll();
      const sent = k.events().filter((e) => e.kind === "sent");
      expect(sent.map((e) => e.handle)).toEqual(others.map((o) => o.handle));
    });

    test("a large send is copied when no reference record is free", () => {
      const k = startKernel(build, { references: 8 });
      const hoarder = TcpPeer.established(k, { windowScale: 7, window: 1 << 20 });
      k.send(hoarder.handle, pattern(60_000));
      const starving = TcpPeer.established(k);
      expect(k.send(starving.handle, pattern(5000))).toBe(5000);
      starving.takeAll();
      starving.ack();
      for (let i = 0; i < 20; i++) {
        hoarder.takeAll();
        hoarder.ack();
      }
    });

    test("a starving connection is told when frames are back, records or no records", () => {
      const k = startKernel(build, {
        frames: 256,
        ringSize: 64,
        receiveReserve: 32,
        references: 4,
      });
      const [records, starving, ...hoarders] = Array.from({ length: 6 }, () =>
        TcpPeer.established(k, { windowScale: 7, window: 1 << 20 }),
      );
      expect(k.send(records.handle, pattern(5840))).toBe(5840);
      const accepted = hoarders.map((peer) => {
        let taken = 0;
        for (let more = 1; more > 0; taken += Math.max(more, 0)) {
          more = k.send(peer.handle, pattern(1000, taken));
        }
        return taken;
      });
      expect(k.send(starving.handle, text("x"))).toBe(RC_NOBUFS);
      k.events();
      drain(k, hoarders[0], accepted[0]);
      expect(k.events().find(({ handle }) => handle === starving.handle)).toMatchObject({
        kind: "sent",
      });
      drain(k, records, 5840);
    });
  });
});
