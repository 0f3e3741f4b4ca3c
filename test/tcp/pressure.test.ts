/** Full rings, pools and arrays: back-pressure or a counted drop, never a lost event or byte. */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_NO_MEMORY,
  CNT_DROP_TCP_PRESSURE,
  CNT_EVENT_BACKPRESSURE,
  CNT_FILL_STARVED,
  CNT_TX_RING_FULL,
  CORE_EVENT_CAPACITY,
  CORE_EVENT_COUNT,
  GAUGE_BUFFERS,
  RC_NOBUFS,
  RC_OK,
  RC_RESET,
  SYS_ABORT,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern, text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

/** The least event array that the options allow: eight events, one packet a batch. */
const TINY_EVENTS = { batch: 1, events: 8 };

function dataOf(k: KernelHarness, handle: number): Uint8Array {
  return concat(
    ...k.inbox.map((event) =>
      event.kind === "recv" && event.handle === handle ? event.data : new Uint8Array(),
    ),
  );
}

/** Lets both sides work until the kernel's stream of `length` bytes has arrived. */
function drain(k: KernelHarness, peer: TcpPeer, length: number, rounds = 400): void {
  for (let i = 0; i < rounds && peer.stream().length < length; i++) {
    peer.takeAll();
    peer.ack();
    k.advance(50_000);
  }
}

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

  describe("no frames", () => {
    const POOL = { frames: 256, ringSize: 64, receiveReserve: 32 };

    test("held by an application that lags behind: its data is dropped, others go on", () => {
      const k = startKernel(build, {
        ...POOL,
        tcp: { receiveWindow: 1 << 20, receiveWindowMax: 1 << 20 },
      });
      const peer = TcpPeer.established(k, { windowScale: 7 });
      const other = TcpPeer.established(k);
      const [dropped] = k.counts([CNT_DROP_TCP_PRESSURE], () => {
        for (let sent = 0; sent < 400_000; sent += 1000) {
          const frame = peer.frame({ seq: 1 + sent, payload: pattern(1000, sent) });
          expect(k.nic.receive(frame)).toBe(true);
          k.poll();
        }
      });
      expect(dropped).toBeGreaterThan(0);
      k.contract.checkHeld();
      const received = dataOf(k, peer.handle).length;
      expect(received).toBeGreaterThan(100_000);
      other.send({ payload: text("me too") });
      expect(k.events().at(-1)).toMatchObject({ handle: other.handle, data: text("me too") });
      expect(k.recvDone(other.handle, 6)).toBe(RC_OK);
      expect(k.recvDone(peer.handle, received)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBeLessThan(8);
      peer.sndNxt = 1 + received;
      peer.send({ payload: text("back to work") });
      expect(k.events().at(-1)).toMatchObject({ data: text("back to work") });
      k.advance(1_000_000);
      expect(peer.takeAll().at(-1)?.ack).toBe(1 + received + 12);
    });

    test("held by applications, a frame of each: the NIC drops, and all goes on when they come back", () => {
      const k = startKernel(build, { ...POOL, maxConnections: 512 });
      const peers = Array.from({ length: 300 }, () => TcpPeer.established(k));
      const [starved] = k.counts([CNT_FILL_STARVED], () => {
        for (const peer of peers) {
          if (!k.nic.receive(peer.frame({ payload: pattern(1000) }))) break;
          k.poll();
        }
      });
      expect(starved).toBeGreaterThan(0);
      expect(k.nic.receive(peers[0].frame())).toBe(false);
      for (const event of k.events()) {
        if (event.kind === "recv") k.recvDone(event.handle, event.data.length);
      }
      k.poll();
      expect(k.nic.receive(peers[299].frame({ payload: text("back to work") }))).toBe(true);
      k.poll();
      expect(k.events().at(-1)).toMatchObject({ data: text("back to work") });
    });

    test("held by what is not acknowledged: send takes less, and sent says when to go on", () => {
      const k = startKernel(build, POOL);
      const peers = Array.from({ length: 8 }, () =>
        TcpPeer.established(k, { windowScale: 7, window: 1 << 20 }),
      );
      const accepted = peers.map(() => 0);
      let refused = 0;
      for (let round = 0; round < 60; round++) {
        peers.forEach((peer, index) => {
          const taken = k.send(peer.handle, pattern(900, accepted[index]));
          if (taken > 0) accepted[index] += taken;
          if (taken < 900) refused++;
        });
      }
      expect(refused).toBeGreaterThan(0);
      // Receiving has its reserve.
      peers[0].send({ payload: text("still listening") });
      expect(k.events().some(({ kind }) => kind === "recv")).toBe(true);
      peers.forEach((peer, index) => {
        drain(k, peer, accepted[index]);
        assertSameBytes(peer.stream(), pattern(accepted[index]));
      });
      for (const peer of peers) expect(k.send(peer.handle, text("x"))).toBe(1);
    });

    test("a connection with nothing in flight is told when frames are back", () => {
      const k = startKernel(build, POOL);
      const hoarder = TcpPeer.established(k, { windowScale: 7, window: 1 << 20 });
      const second = TcpPeer.established(k, { windowScale: 7, window: 1 << 20 });
      const starving = TcpPeer.established(k);
      const taken = [hoarder, second].map((peer) => {
        let accepted = 0;
        for (let i = 0; i < 400; i++) {
          const more = k.send(peer.handle, pattern(1000, accepted));
          if (more <= 0) break;
          accepted += more;
        }
        return accepted;
      });
      let result = RC_OK;
      for (let i = 0; i < 400 && result !== RC_NOBUFS; i++) {
        result = k.send(starving.handle, pattern(1000, i * 1000));
        starving.takeAll();
        starving.ack();
      }
      k.events();
      if (result === RC_NOBUFS) {
        drain(k, hoarder, taken[0]);
        drain(k, second, taken[1]);
        const relief = k.events().find(({ handle }) => handle === starving.handle);
        expect(relief).toMatchObject({ kind: "sent" });
      }
      expect(k.send(starving.handle, text("x"))).toBe(1);
    });

    test("a SYN finds none and is dropped; the next one is answered", () => {
      const k = startKernel(build, POOL);
      const hoarders = Array.from({ length: 6 }, () =>
        TcpPeer.established(k, { windowScale: 7, window: 1 << 20 }),
      );
      const accepted = hoarders.map(() => 0);
      for (let i = 0; i < 60; i++) {
        hoarders.forEach((peer, index) => {
          accepted[index] += Math.max(k.send(peer.handle, pattern(1000, accepted[index])), 0);
        });
      }
      const late = new TcpPeer(k);
      late.sendSyn();
      late.takeAll();
      hoarders.forEach((peer, index) => drain(k, peer, accepted[index]));
      k.advance(3_000_000);
      if (late.irs === undefined) late.send({ flags: "S", seq: 0 });
      late.takeAll();
      expect(late.irs).toBeDefined();
    });
  });

  describe("no reference records", () => {
    test("a large send takes what there is room for", () => {
      const k = startKernel(build, { references: 64 });
      const peer = TcpPeer.established(k, { windowScale: 7, window: 1 << 20 });
      const total = 300_000;
      let accepted = 0;
      for (let i = 0; i < 500 && accepted < total; i++) {
        const address = k.alloc(total - accepted);
        k.bytes.set(pattern(total - accepted, accepted), address);
        const { result } = k.call({
          op: SYS_SEND,
          handle: peer.handle,
          a: address,
          b: total - accepted,
        });
        expect(result === RC_NOBUFS || result >= 0).toBe(true);
        accepted += Math.max(result, 0);
        drain(k, peer, accepted);
      }
      expect(accepted).toBe(total);
      assertSameBytes(peer.stream(), pattern(total));
    });
  });

  describe("a full TX ring", () => {
    const RING = { txRingSize: 64 };

    test("data waits for it and goes on by itself", () => {
      const k = startKernel(build, RING);
      const peer = TcpPeer.established(k, { windowScale: 7, window: 1 << 20, mss: 100 });
      k.nic.stalled = true;
      expect(k.send(peer.handle, pattern(20_000))).toBe(20_000);
      const others = Array.from({ length: 12 }, () => new TcpPeer(k));
      const [full] = k.counts([CNT_TX_RING_FULL], () => {
        for (const other of others) for (let i = 0; i < 6; i++) other.send({ flags: "A" });
      });
      expect(full).toBeGreaterThan(0);
      k.nic.stalled = false;
      drain(k, peer, 20_000);
      assertSameBytes(peer.stream(), pattern(20_000));
    });

    test("acknowledgments are not forgotten", () => {
      const k = startKernel(build, RING);
      const peer = TcpPeer.established(k);
      k.nic.stalled = true;
      const noise = new TcpPeer(k);
      for (let i = 0; i < 80; i++) noise.send({ flags: "A" });
      peer.send({ payload: pattern(1460) });
      peer.send({ payload: pattern(1460, 1460) });
      peer.send({ flags: "FA" });
      k.nic.stalled = false;
      k.advance(200_000);
      expect(peer.takeAll().at(-1)?.ack).toBe(2922);
    });

    test("a FIN is not forgotten", () => {
      const k = startKernel(build, RING);
      const peer = TcpPeer.established(k);
      k.nic.stalled = true;
      const noise = new TcpPeer(k);
      for (let i = 0; i < 80; i++) noise.send({ flags: "A" });
      expect(k.shutdown(peer.handle)).toBe(RC_OK);
      k.nic.stalled = false;
      k.advance(2_000_000);
      expect(peer.takeAll().some(({ flags }) => flags.includes("F"))).toBe(true);
    });

    test("a SYN-ACK is sent again by its timer", () => {
      const k = startKernel(build, RING);
      const peer = TcpPeer.listening(k);
      k.nic.stalled = true;
      const noise = new TcpPeer(k);
      for (let i = 0; i < 80; i++) noise.send({ flags: "A" });
      peer.sendSyn();
      k.nic.stalled = false;
      k.advance(3_500_000);
      expect(peer.takeAll().at(-1)?.flags).toBe("SA");
    });

    test("a NIC that stands still for ever ends in a timeout and leaks nothing", () => {
      const k = startKernel(build, { ...RING, tcp: { dataRetries: 3 } });
      const peers = Array.from({ length: 10 }, () => TcpPeer.established(k));
      k.nic.stalled = true;
      for (const { handle } of peers) k.send(handle, pattern(5000));
      k.advance(120_000_000);
      expect(k.events().filter(({ kind }) => kind === "dead")).toHaveLength(10);
    });
  });

  describe("a NIC that is slow to complete", () => {
    test("no memory that it still reads is written: short sends, acknowledged and repeated", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.nic.holdCompletions = true;
      for (let i = 0; i < 20; i++) {
        k.send(peer.handle, pattern(300, i * 300));
        peer.send({ payload: pattern(50, i * 50) });
        if (i % 3 === 0) k.advance(250_000);
        peer.takeAll();
        peer.ack();
      }
      k.advance(3_000_000);
      k.nic.complete();
      k.nic.holdCompletions = false;
      drain(k, peer, 6000);
      assertSameBytes(peer.stream(), pattern(6000));
    });

    test("no memory that it still reads is written: long sends", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.nic.holdCompletions = true;
      k.send(peer.handle, pattern(10_000));
      k.advance(1_000_000);
      peer.takeAll();
      peer.ack();
      k.advance(1_000_000);
      k.nic.complete(5);
      k.nic.holdCompletions = false;
      drain(k, peer, 10_000);
      assertSameBytes(peer.stream(), pattern(10_000));
    });

    test("abort with packets in the NIC", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.nic.holdCompletions = true;
      k.send(peer.handle, pattern(900));
      k.send(peer.handle, pattern(900, 900));
      expect(k.abort(peer.handle)).toBe(RC_OK);
      const next = TcpPeer.established(k);
      for (let i = 0; i < 20; i++) {
        next.send({ payload: pattern(1000, i * 1000) });
        k.recvDone(next.handle, 1000);
      }
      k.nic.complete();
    });
  });

  describe("control blocks", () => {
    test("a SYN that finds none is dropped and counted", () => {
      const k = startKernel(build, { maxConnections: 2 });
      TcpPeer.established(k);
      const second = TcpPeer.established(k);
      const [dropped] = k.counts([CNT_DROP_TCP_NO_MEMORY], () => {
        for (let i = 0; i < 5; i++) new TcpPeer(k).sendSyn();
      });
      expect(dropped).toBe(5);
      k.nothingSent();
      expect(k.call({ op: SYS_ABORT, handle: second.handle }).result).toBe(RC_OK);
      TcpPeer.established(k);
    });

    test("a flood of SYNs does not keep established connections from working", () => {
      const k = startKernel(build, { maxConnections: 32 });
      const peer = TcpPeer.established(k, { backlog: 8 });
      for (let i = 0; i < 200; i++) {
        const flood = new TcpPeer(k);
        flood.sendSyn();
        flood.takeAll();
      }
      peer.send({ payload: text("hello") });
      expect(k.event("recv").data).toEqual(text("hello"));
      k.send(peer.handle, text("world"));
      peer.expect({ payload: text("world") });
    });

    test("connections come and go a thousand times", () => {
      const k = startKernel(build, { maxConnections: 4, tcp: { timeWait: 1000 } });
      for (let i = 0; i < 1000; i++) {
        const peer = TcpPeer.established(k, { port: 1024 + i });
        peer.send({ payload: text("x") });
        expect(k.event("recv").data).toEqual(text("x"));
        k.recvDone(peer.handle, 1);
        peer.takeAll();
        if (i % 3 === 0) {
          peer.send({ flags: "R" });
          expect(k.event("dead").reason).toBe(RC_RESET);
        } else if (i % 3 === 1) {
          k.abort(peer.handle);
        } else {
          k.close(peer.handle);
          peer.takeAll();
          peer.send({ flags: "FA" });
          expect(k.event("dead").reason).toBe(RC_OK);
        }
        k.sent();
      }
    });
  });

  describe("the event array and the pools, between connections", () => {
    test("a filled gap leaves room for the knocks behind it", () => {
      const k = startKernel(build, {
        batch: 64,
        events: 512,
        ringSize: 256,
        frames: 2048,
        maxConnections: 256,
        tcp: { receiveWindow: 1 << 20, receiveWindowMax: 1 << 20 },
      });
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
      const k = startKernel(build, {
        batch: 64,
        events: 512,
        ringSize: 256,
        frames: 2048,
        maxConnections: 256,
        tcp: { receiveWindow: 1 << 20, receiveWindowMax: 1 << 20 },
      });
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
