/** Deferred accept: the SYN knocks, the application answers (RFC 9293 section 3.10.7.2). */
import { describe, expect, test } from "vitest";
import { FLAG_DEFER, GAUGE_CONNECTIONS, RC_BADH, RC_OK, RC_TIMEOUT } from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { mss } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
describe.each(kernels)("$name kernel", (build) => {
  describe("deferred accept", () => {
    test("the SYN knocks and is answered after accept", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      peer.expectNothing();
      const { handle, remotePort } = k.event("knock");
      expect(remotePort).toBe(peer.port);
      expect(k.accept(handle, { cookie: 5 })).toBe(RC_OK);
      peer.expect({ flags: "SA", seq: 0, ack: 1, options: [mss(1460)] });
      k.noEvents();
      peer.ack();
      expect(k.event("connected")).toMatchObject({ handle, cookie: 5, outcome: RC_OK });
      peer.send({ payload: text("data") });
      expect(k.event("recv").data).toEqual(text("data"));
    });

    test("reject refuses the SYN with RST", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      expect(k.reject(handle)).toBe(RC_OK);
      peer.expect({ flags: "RA", ack: 1 });
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("a repeated SYN does not knock twice, and is not answered before accept", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      k.advance(SECOND);
      peer.send({ flags: "S", seq: 0, options: [mss(1460)] });
      k.noEvents();
      peer.expectNothing();
      k.accept(handle);
      peer.expect({ flags: "SA", seq: 0, ack: 1 });
    });

    test("the accepted SYN-ACK is repeated, and its failure is reported", () => {
      const k = startKernel(build, { tcp: { synRetries: 2 } });
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      k.accept(handle);
      k.advance(20 * SECOND);
      expect(peer.takeAll().map(({ flags }) => flags)).toEqual(["SA", "SA", "SA"]);
      const [event] = k.events();
      const code =
        event.kind === "connected" ? event.outcome : event.kind === "dead" && event.reason;
      expect(code).toBe(RC_TIMEOUT);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("RST while the application decides ends it with dead", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      peer.send({ flags: "R" });
      expect(k.event("dead")).toMatchObject({ handle });
      expect(k.accept(handle)).toBe(RC_BADH);
    });
  });

  describe("deferred accept, in time and order", () => {
    test("the time an application takes to accept is no round-trip time", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      k.advance(10 * SECOND);
      k.accept(handle);
      peer.expect({ flags: "SA" });
      k.advance(1000);
      peer.ack();
      k.event("connected");
      k.send(handle, text("x"));
      peer.takeAll();
      k.advance(SECOND);
      expect(peer.takeAll().length).toBeGreaterThan(0);
    });

    test("a SYN-ACK does not establish what knocked on its SYN", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const first = k.event("knock").handle;
      k.accept(first);
      peer.expect({ flags: "SA" });
      k.abort(first);
      peer.takeAll();
      // The same ports at the same instant: the same initial sequence number, which the peer knows now.
      peer.send({ flags: "S", seq: 0 });
      k.event("knock");
      peer.send({ flags: "SA", seq: 0, ack: 1 });
      k.noEvents();
    });
  });
});
