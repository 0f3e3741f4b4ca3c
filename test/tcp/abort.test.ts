/** Ending a connection at once, and why connections die (RFC 9293 sections 3.10.5 and 3.10.8). */
import { describe, expect, test } from "vitest";
import {
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  RC_BADH,
  RC_OK,
  RC_RESET,
  RC_TIMEOUT,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;

function simultaneous(k: ReturnType<typeof startKernel>): TcpPeer {
  const peer = TcpPeer.synSent(k);
  peer.sendSyn("S");
  return peer;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("abort", () => {
    test.each([
      ["SYN-RECEIVED by simultaneous open", simultaneous],
      ["ESTABLISHED", TcpPeer.established],
      ["FIN-WAIT-1", TcpPeer.finWait1],
      ["FIN-WAIT-2", TcpPeer.finWait2],
      ["CLOSE-WAIT", TcpPeer.closeWait],
    ] as const)("in %s sends RST and ends at once", (_state, reach) => {
      const k = startKernel(build);
      const peer = reach(k);
      peer.takeAll();
      k.events();
      expect(k.abort(peer.handle)).toBe(RC_OK);
      const { seq } = peer.expect();
      expect(seq).toBeGreaterThanOrEqual(1);
      peer.expectNothing();
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
      expect(k.abort(peer.handle)).toBe(RC_BADH);
      peer.ack();
      expect(peer.expect().flags).toBe("R");
    });

    test("the RST has the sequence number that the peer expects", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("hello"));
      peer.expect({ payload: text("hello") });
      k.abort(peer.handle);
      const { flags, seq } = peer.expect();
      expect(flags).toContain("R");
      expect(seq).toBe(6);
    });

    test("with data queued, in flight, received and out of order leaks nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 3000 });
      k.send(peer.handle, pattern(20_000));
      peer.send({ payload: pattern(1000) });
      peer.send({ seq: 3000, payload: pattern(500) });
      expect(k.abort(peer.handle)).toBe(RC_OK);
      k.advance(1);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });
  });

  describe("dead tells why", () => {
    test("reset by the peer, with what was acknowledged before", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("hello"));
      peer.takeAll();
      peer.send({ flags: "R", seq: 1 });
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_RESET });
    });

    test("timeout when the peer falls silent", () => {
      const k = startKernel(build, { tcp: { dataRetries: 4 } });
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("hello?"));
      k.advance(120 * SECOND);
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_TIMEOUT });
      expect(peer.takeAll()).toHaveLength(5);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });
  });
});
