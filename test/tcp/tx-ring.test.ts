/** A TX ring that is full, and a NIC that is slow to complete. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_RETRANSMITS,
  CNT_TCP_TAIL_PROBES,
  CNT_TX_RING_FULL,
  RC_OK,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { drain } from "./streams.ts";

describe.each(kernels)("$name kernel", (build) => {
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

    test.each([false, true])(
      "data behind which nothing is in flight is tried again by the timer (SACK: %s)",
      (sack) => {
        const k = startKernel(build, RING);
        const peer = TcpPeer.established(k, { sack });
        k.send(peer.handle, pattern(100));
        k.advance(10_000);
        peer.takeAll();
        peer.ack();
        k.nic.stalled = true;
        const noise = new TcpPeer(k);
        for (let i = 0; i < 80; i++) noise.send({ flags: "A" });
        const counts = k.counts([CNT_TCP_RETRANSMITS, CNT_TCP_TAIL_PROBES], () => {
          expect(k.send(peer.handle, pattern(3000, 100))).toBe(3000);
          k.advance(3_000_000);
        });
        k.nic.stalled = false;
        drain(k, peer, 3100);
        assertSameBytes(peer.stream(), pattern(3100));
        expect(counts).toEqual([0, 0]);
      },
    );

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
});
