/** TIME-WAIT: its length, its end by a new SYN, its end for want of room (RFC 9293 section 3.6.1). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_TIME_WAIT_RECYCLED,
  CNT_TCP_TIME_WAIT_REUSED,
  GAUGE_TIME_WAIT,
  RC_BADH,
} from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;

describe.each(kernels)("$name kernel", (build) => {
  describe("TIME-WAIT (section 3.6.1)", () => {
    test("a repeated FIN is acknowledged and restarts the wait", () => {
      const k = startKernel(build, { tcp: { timeWait: 10_000_000 } });
      const peer = TcpPeer.timeWait(k);
      k.advance(8 * SECOND);
      peer.send({ flags: "FA", seq: 1 });
      peer.expect({ flags: "A", seq: 2, ack: 2 });
      k.advance(8 * SECOND);
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(1);
      k.advance(3 * SECOND);
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(0);
    });

    test("a new SYN beyond the old sequence numbers opens a new connection (MAY-2)", () => {
      const k = startKernel(build);
      const old = TcpPeer.timeWait(k);
      k.events();
      const next = new TcpPeer(k, { port: old.port, iss: old.iss + 1000 });
      const [reused] = k.counts([CNT_TCP_TIME_WAIT_REUSED], () => next.sendSyn());
      expect(reused).toBe(1);
      next.expect({ flags: "SA", seq: 0, ack: 1 });
      // The new initial sequence number lies beyond what the old connection used.
      expect((next.irs! - old.irs!) | 0).toBeGreaterThan(2);
      next.ack();
      k.event("knock");
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(0);
    });

    test("an old SYN does not", () => {
      const k = startKernel(build);
      const old = TcpPeer.timeWait(k);
      k.events();
      const duplicate = new TcpPeer(k, { port: old.port, iss: old.iss - 1000 });
      duplicate.sendSyn();
      k.noEvents();
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(1);
      expect(old.expect().flags).toBe("A");
    });

    test("an old segment is answered with an ACK", () => {
      const k = startKernel(build);
      const peer = TcpPeer.timeWait(k);
      peer.send({ seq: 1, payload: text("old") });
      peer.expect({ flags: "A", seq: 2, ack: 2 });
    });

    test("a pure ACK is not answered", () => {
      const k = startKernel(build);
      const peer = TcpPeer.timeWait(k);
      peer.ack();
      peer.expectNothing();
    });

    test("when control blocks run out the oldest makes room", () => {
      const k = startKernel(build, { maxConnections: 4 });
      for (let i = 0; i < 4; i++) {
        TcpPeer.timeWait(k);
        k.events();
      }
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(4);
      const peer = new TcpPeer(k);
      const [recycled] = k.counts([CNT_TCP_TIME_WAIT_RECYCLED], () => peer.sendSyn());
      expect(recycled).toBe(1);
      peer.expect({ flags: "SA" });
      peer.ack();
      k.event("knock");
    });

    test("the application's handle is gone", () => {
      const k = startKernel(build);
      const peer = TcpPeer.timeWait(k);
      k.events();
      expect(k.abort(peer.handle)).toBe(RC_BADH);
      expect(k.send(peer.handle, text("x"))).toBe(RC_BADH);
    });
  });
});
