/** Full rings, pools and arrays: back-pressure or a counted drop, never a lost event or byte. */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_NO_MEMORY,
  CNT_DROP_TCP_PRESSURE,
  CNT_FILL_STARVED,
  GAUGE_BUFFERS,
  RC_NOBUFS,
  RC_OK,
  RC_RESET,
  SYS_ABORT,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { dataOf, drain } from "./streams.ts";

describe.each(kernels)("$name kernel", (build) => {
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
      peer.takeAll();
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
});
