/** Closing a connection in every order (RFC 9293 sections 3.6, 3.10.4, 3.10.5 and 3.10.7.4). */
import { describe, expect, test } from "vitest";
import {
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_TIME_WAIT,
  RC_BADH,
  RC_CLOSED,
  RC_OK,
  RC_TIMEOUT,
  SYS_SEND,
  SYS_SHUTDOWN,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;

describe.each(kernels)("$name kernel", (build) => {
  describe("the application closes first", () => {
    test("FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT (section 3.6, case 1)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.shutdown(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "FA", seq: 1, ack: 1, length: 0 });
      peer.ack();
      k.noEvents();
      peer.send({ flags: "FA" });
      peer.expect({ flags: "A", seq: 2, ack: 2 });
      expect(k.event("recv").data).toHaveLength(0);
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_OK });
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(1);
      k.advance(59 * SECOND);
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(1);
      k.advance(2 * SECOND);
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(0);
      k.nothingSent();
    });

    test("the FIN waits for data before it and rides on the last segment", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 1460 });
      expect(k.send(peer.handle, pattern(2000))).toBe(2000);
      expect(k.shutdown(peer.handle)).toBe(RC_OK);
      peer.expect({ seq: 1, length: 1460 });
      peer.ack();
      const last = peer.expect({ flags: "FA", seq: 1461, length: 540 });
      expect(last.flags).toContain("P");
    });

    test("send and shutdown in one batch", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const data = text("bye");
      const results = k.batch([
        { op: SYS_SEND, handle: peer.handle, a: k.write(data), b: data.length },
        { op: SYS_SHUTDOWN, handle: peer.handle },
      ]);
      expect(results.map(({ result }) => result)).toEqual([3, RC_OK]);
      expect(peer.takeAll().at(-1)?.flags).toContain("F");
      expect(peer.stream()).toEqual(data);
      expect(peer.rcvNxt).toBe(5);
    });

    test("the peer goes on sending after our FIN (half-close)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.finWait2(k);
      for (let i = 0; i < 5; i++) {
        peer.send({ payload: pattern(1000, i * 1000) });
        expect(k.event("recv").data).toEqual(pattern(1000, i * 1000));
        expect(k.recvDone(peer.handle, 1000)).toBe(RC_OK);
      }
      peer.send({ flags: "FA", payload: text("end") });
      expect(k.event("recv").data).toEqual(text("end"));
      expect(k.event("recv").data).toHaveLength(0);
      expect(peer.takeAll().at(-1)).toMatchObject({ flags: "A", seq: 2, ack: 5005 });
      k.noEvents();
      expect(k.recvDone(peer.handle, 3)).toBe(RC_OK);
      expect(k.event("dead").reason).toBe(RC_OK);
    });

    test("a lost FIN is sent again", () => {
      const k = startKernel(build);
      const peer = TcpPeer.finWait1(k);
      k.advance(0.3 * SECOND);
      peer.expect({ flags: "FA", seq: 1, ack: 1 });
      peer.ack();
      k.advance(10 * SECOND);
      peer.expectNothing();
    });

    test("a FIN nobody acknowledges ends in a timeout", () => {
      const k = startKernel(build, { tcp: { dataRetries: 3 } });
      const peer = TcpPeer.finWait1(k);
      k.advance(60 * SECOND);
      expect(peer.takeAll()).toHaveLength(3);
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_TIMEOUT });
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("FINs cross: CLOSING, then TIME-WAIT (section 3.6, case 3)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.closing(k);
      k.noEvents();
      peer.send({ ack: 2 });
      peer.expectNothing();
      expect(k.event("dead").reason).toBe(RC_OK);
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(1);
    });

    test("FIN with the ACK of ours: straight to TIME-WAIT", () => {
      const k = startKernel(build);
      const peer = TcpPeer.finWait1(k);
      peer.send({ flags: "FA" });
      peer.expect({ flags: "A", seq: 2, ack: 2 });
      k.event("recv");
      expect(k.event("dead").reason).toBe(RC_OK);
      expect(k.gauge(GAUGE_TIME_WAIT)).toBe(1);
    });

    test("data and ACK of our FIN in one segment", () => {
      const k = startKernel(build);
      const peer = TcpPeer.finWait1(k);
      peer.send({ flags: "PA", payload: text("late") });
      expect(k.event("recv").data).toEqual(text("late"));
      peer.send({ flags: "FA" });
      k.event("recv");
      k.recvDone(peer.handle, 4);
      expect(k.event("dead").reason).toBe(RC_OK);
    });

    test("data and FIN cross our FIN", () => {
      const k = startKernel(build);
      const peer = TcpPeer.finWait1(k);
      peer.send({ flags: "FPA", ack: 1, payload: text("late") });
      expect(k.event("recv").data).toEqual(text("late"));
      expect(k.event("recv").data).toHaveLength(0);
      expect(peer.takeAll().at(-1)).toMatchObject({ ack: 6 });
      peer.send({ ack: 2 });
      k.noEvents();
      k.recvDone(peer.handle, 4);
      expect(k.event("dead").reason).toBe(RC_OK);
    });
  });

  describe("the peer closes first", () => {
    test("CLOSE-WAIT, LAST-ACK, CLOSED (section 3.6, case 2)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "FA" });
      peer.expect({ flags: "A", ack: 2 });
      expect(k.event("recv").data).toHaveLength(0);
      k.noEvents();
      k.advance(300 * SECOND);
      k.noEvents();
      expect(k.shutdown(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "FA", seq: 1, ack: 2 });
      k.noEvents();
      peer.ack();
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_OK });
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
      k.nothingSent();
    });

    test("we go on sending after the peer's FIN (half-close)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.closeWait(k);
      for (let i = 0; i < 5; i++) {
        expect(k.send(peer.handle, pattern(1000, i * 1000))).toBe(1000);
        peer.expect({ flags: "A", seq: 1 + i * 1000, payload: pattern(1000, i * 1000) });
        peer.ack();
        expect(k.event("sent").acked).toBe(1000);
      }
      k.close(peer.handle);
      peer.expect({ flags: "FA", seq: 5001 });
      peer.ack();
      expect(k.event("dead").reason).toBe(RC_OK);
    });

    test("FIN behind data in one segment", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "FPA", payload: text("last words") });
      expect(k.event("recv").data).toEqual(text("last words"));
      expect(k.event("recv").data).toHaveLength(0);
      peer.expect({ flags: "A", ack: 12 });
    });

    test("a repeated FIN is acknowledged again", () => {
      const k = startKernel(build);
      const peer = TcpPeer.closeWait(k);
      peer.send({ flags: "FA", seq: 1 });
      peer.expect({ flags: "A", ack: 2 });
      k.noEvents();
    });

    test("data behind the FIN is not taken", () => {
      const k = startKernel(build);
      const peer = TcpPeer.closeWait(k);
      peer.send({ seq: 2, payload: text("zombie") });
      expect(peer.take()?.ack ?? 2).toBe(2);
      k.noEvents();
    });

    test("a lost FIN of ours in LAST-ACK is sent again", () => {
      const k = startKernel(build);
      const peer = TcpPeer.lastAck(k);
      k.advance(0.3 * SECOND);
      peer.expect({ flags: "FA", seq: 1, ack: 2 });
      peer.ack();
      expect(k.event("dead").reason).toBe(RC_OK);
    });

    test("data that the application still holds delays dead, not the protocol", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "FPA", payload: pattern(500) });
      k.event("recv");
      k.event("recv");
      peer.takeAll();
      k.shutdown(peer.handle);
      peer.expect({ flags: "FA" });
      peer.ack();
      k.noEvents();
      expect(k.recvDone(peer.handle, 200)).toBe(RC_OK);
      k.noEvents();
      expect(k.recvDone(peer.handle, 300)).toBe(RC_OK);
      expect(k.event("dead").reason).toBe(RC_OK);
      expect(k.recvDone(peer.handle, 0)).toBe(RC_BADH);
    });
  });

  describe("close", () => {
    test("takes no more calls but abort", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.close(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "FA" });
      for (const refused of [
        k.send(peer.handle, text("x")),
        k.shutdown(peer.handle),
        k.close(peer.handle),
        k.recvDone(peer.handle, 1),
      ]) {
        expect(refused).toBeLessThan(0);
      }
      expect(k.abort(peer.handle)).toBe(RC_OK);
      expect(peer.expect().flags).toContain("R");
    });

    test("data accepted before it is still delivered", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 2000 });
      expect(k.send(peer.handle, pattern(5000))).toBe(5000);
      k.close(peer.handle);
      for (let i = 0; i < 10; i++) {
        peer.takeAll();
        peer.ack();
        k.advance(SECOND);
      }
      assertSameBytes(peer.stream(), pattern(5000));
      peer.send({ flags: "FA" });
      expect(k.events().at(-1)).toMatchObject({ kind: "dead", reason: RC_OK });
    });

    test("dead comes when data and FIN are acknowledged, before the peer's own FIN", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.close(peer.handle);
      peer.expect({ flags: "FA" });
      k.noEvents();
      peer.ack();
      expect(k.event("dead").reason).toBe(RC_OK);
      peer.send({ flags: "FA" });
      peer.expect({ flags: "A", ack: 2 });
      k.noEvents();
    });

    test("FIN-WAIT-2 after close does not last for ever", () => {
      const k = startKernel(build, { tcp: { finWait2: 10_000_000 } });
      const peer = TcpPeer.established(k);
      k.close(peer.handle);
      peer.expect({ flags: "FA" });
      peer.ack();
      k.event("dead");
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(1);
      k.advance(11 * SECOND);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("FIN-WAIT-2 after shutdown lasts as long as the application wishes", () => {
      const k = startKernel(build, { tcp: { finWait2: 10_000_000 } });
      const peer = TcpPeer.finWait2(k);
      k.advance(200 * SECOND);
      k.noEvents();
      peer.send({ payload: text("late") });
      expect(k.event("recv").data).toEqual(text("late"));
    });

    test("data that arrives after close is answered with RST (RFC 2525 section 2.17)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.close(peer.handle);
      peer.expect({ flags: "FA" });
      peer.send({ payload: text("who reads this?") });
      expect(peer.expect().flags).toContain("R");
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("with received data unread: the peer is not told all is well", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: pattern(1000) });
      k.event("recv");
      expect(k.close(peer.handle)).toBe(RC_OK);
      // Either RST at once (RFC 9293 section 3.10.4 allows it, Linux does it) or an orderly FIN.
      const [first] = peer.takeAll().filter(({ flags }) => /[FR]/.test(flags));
      expect(first).toBeDefined();
      peer.ack();
      k.advance(SECOND);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("in CLOSE-WAIT leads through LAST-ACK", () => {
      const k = startKernel(build);
      const peer = TcpPeer.closeWait(k);
      expect(k.close(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "FA", seq: 1, ack: 2 });
      peer.ack();
      expect(k.event("dead").reason).toBe(RC_OK);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("in SYN-SENT gives the attempt up (section 3.10.4)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      const result = k.close(peer.handle);
      expect(result).toBe(RC_OK);
      // The handle ends, whichever way, and the peer's late SYN-ACK meets a closed port.
      expect(k.events().length).toBeLessThanOrEqual(1);
      peer.sendSyn("SA");
      expect(peer.expect().flags).toContain("R");
    });
  });

  describe("after shutdown", () => {
    test("send is refused, recv_done is not", () => {
      const k = startKernel(build);
      const peer = TcpPeer.finWait2(k);
      expect(k.send(peer.handle, text("x"))).toBe(RC_CLOSED);
      expect(k.shutdown(peer.handle)).toBe(RC_CLOSED);
      peer.send({ payload: pattern(100) });
      k.event("recv");
      expect(k.recvDone(peer.handle, 100)).toBe(RC_OK);
      expect(k.close(peer.handle)).toBe(RC_OK);
    });
  });

  describe("the FIN after a timeout, and other late ends", () => {
    test("follows the ACK of the data", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(2920));
      k.shutdown(peer.handle);
      peer.takeAll();
      // The first segment and the FIN were lost.
      k.advance(250_000);
      peer.expect({ seq: 1, length: 1460 });
      peer.expectNothing();
      peer.send({ ack: 2921 });
      peer.expect({ flags: "FA", seq: 2921 });
    });

    test("queued while data is sent again, goes out when an ACK takes all of that", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(4000));
      peer.takeAll();
      // The ACK of everything was lost.
      k.advance(250_000);
      peer.expect({ seq: 1, length: 1460 });
      k.shutdown(peer.handle);
      peer.expectNothing();
      peer.send({ ack: 4001 });
      peer.expect({ flags: "FA", seq: 4001 });
    });

    test("a full backlog does not cost the TIME-WAIT", () => {
      const k = startKernel(build);
      const peer = TcpPeer.timeWait(k, { backlog: 1 });
      k.events();
      TcpPeer.synReceived(k, { backlog: 1 });
      peer.send({ flags: "S", seq: 1_000_000 });
      peer.takeAll();
      peer.send({ flags: "FA", seq: 1 });
      expect(peer.takeAll().at(-1)?.flags).toBe("A");
    });

    test("no window updates go to a peer that has sent its FIN", () => {
      const k = startKernel(build, { tcp: { receiveWindow: 8192, receiveWindowMax: 8192 } });
      const peer = TcpPeer.established(k);
      for (let at = 0; at < 8000; at += 1000) peer.send({ payload: pattern(1000, at) });
      peer.send({ flags: "FA" });
      peer.takeAll();
      k.recvDone(peer.handle, 8000);
      peer.expectNothing();
    });
  });
});
