/** The receiving side: acknowledgments, windows, flow control by recv_done (RFC 9293 section 3.8.6). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_DELAYED_ACKS,
  CNT_TCP_FAST_PATH,
  GAUGE_BUFFERS,
  RC_INVAL,
  RC_OK,
} from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern, text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const MILLISECOND = 1000;
const TICK = 32;

describe.each(kernels)("$name kernel", (build) => {
  describe("delayed acknowledgments (section 3.8.6.3, RFC 1122 section 4.2.3.2)", () => {
    test("a single segment is acknowledged after the delay, not before", () => {
      const k = startKernel(build, { tcp: { quickAcks: 0 } });
      const peer = TcpPeer.established(k);
      const at = k.now;
      peer.send({ payload: text("hello") });
      peer.expectNothing();
      const [delayed] = k.counts([CNT_TCP_DELAYED_ACKS], () => k.advance(41 * MILLISECOND));
      expect(delayed).toBe(1);
      const due = at + 40 * MILLISECOND;
      peer.expect({ flags: "A", seq: 1, ack: 6, length: 0, at: [due, due + TICK] });
      k.advance(1_000_000);
      peer.expectNothing();
    });

    test("every second full segment is acknowledged at once", () => {
      const k = startKernel(build, { tcp: { quickAcks: 0 } });
      const peer = TcpPeer.established(k);
      for (let i = 0; i < 6; i++) {
        peer.send({ payload: pattern(1460, i * 1460) });
        if (i % 2 === 1) peer.expect({ flags: "A", ack: 1 + (i + 1) * 1460 });
        peer.expectNothing();
      }
    });

    test("a batch of segments is acknowledged once", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.sendAll(Array.from({ length: 10 }, (_, i) => ({ payload: pattern(1460, i * 1460) })));
      expect(peer.takeAll().filter(({ ack }) => ack === 14_601)).toHaveLength(1);
    });

    test("data in the other direction carries the acknowledgment", () => {
      const k = startKernel(build, { tcp: { quickAcks: 0 } });
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("ping") });
      k.advance(10 * MILLISECOND);
      k.send(peer.handle, text("pong"));
      peer.expect({ flags: "A", ack: 5, payload: text("pong") });
      peer.ack();
      k.advance(1_000_000);
      peer.expectNothing();
    });

    test("a FIN is acknowledged at once", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "FA" });
      peer.expect({ flags: "A", ack: 2 });
    });

    test("zero means never to wait", () => {
      const k = startKernel(build, { tcp: { delayedAck: 0 } });
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("x") });
      k.advance(TICK);
      peer.expect({ flags: "A", ack: 2 });
    });

    test("the delay counts from the first segment, not from the last", () => {
      const k = startKernel(build, { tcp: { quickAcks: 0 } });
      const peer = TcpPeer.established(k);
      const at = k.now;
      peer.send({ payload: text("a") });
      k.advance(30 * MILLISECOND);
      peer.send({ payload: text("b") });
      k.advance(11 * MILLISECOND);
      const [first] = peer.takeAll();
      expect(first.at).toBeLessThanOrEqual(at + 40 * MILLISECOND + TICK);
    });
  });

  describe("quick acknowledgments", () => {
    test("the first segments are acknowledged at once, later ones wait for company", () => {
      const k = startKernel(build, { tcp: { quickAcks: 3 } });
      const peer = TcpPeer.established(k);
      for (let i = 1; i <= 3; i++) {
        peer.send({ payload: text("x") });
        peer.expect({ flags: "A", ack: 1 + i });
      }
      peer.send({ payload: text("x") });
      peer.expectNothing();
    });

    test("an answer ends them: from then on data carries the ACK", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("ping") });
      peer.expect({ flags: "A", ack: 5, length: 0 });
      k.advance(10 * MILLISECOND);
      k.send(peer.handle, text("pong"));
      peer.expect({ ack: 5, payload: text("pong") });
      peer.send({ payload: text("ping") });
      peer.expectNothing();
      k.send(peer.handle, text("pong"));
      peer.expect({ ack: 9, payload: text("pong") });
    });

    test("data that comes long after what was received is no answer", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("ping") });
      peer.expect({ flags: "A", ack: 5 });
      k.advance(100 * MILLISECOND);
      k.send(peer.handle, text("pong"));
      peer.take();
      peer.send({ payload: text("ping") });
      peer.expect({ flags: "A", ack: 9, length: 0 });
    });

    test("a gap brings them back", () => {
      const k = startKernel(build, { tcp: { quickAcks: 1 } });
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("a") });
      peer.expect({ ack: 2 });
      peer.send({ seq: 3, payload: text("c") });
      peer.expect({ ack: 2 });
      peer.send({ seq: 2, payload: text("b") });
      peer.expect({ ack: 4 });
      peer.send({ seq: 4, payload: text("d") });
      peer.expect({ ack: 5, length: 0 });
      peer.send({ seq: 5, payload: text("e") });
      peer.expectNothing();
    });
  });

  describe("events", () => {
    test("in-order segments take the short path and arrive one event each", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [fast] = k.counts([CNT_TCP_FAST_PATH], () => {
        peer.sendAll([{ payload: pattern(100) }, { payload: pattern(200, 100) }]);
      });
      expect(fast).toBe(2);
      const events = k.events();
      expect(events).toHaveLength(2);
      assertSameBytes(
        concat(...events.map((event) => (event.kind === "recv" ? event.data : new Uint8Array()))),
        pattern(300),
      );
    });

    test.each([1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 128, 255, 1459, 1460])(
      "%i bytes arrive exactly",
      (length) => {
        const k = startKernel(build);
        const peer = TcpPeer.established(k);
        peer.send({ payload: pattern(length) });
        expect(k.event("recv").data).toEqual(pattern(length));
      },
    );

    test("many small segments do not hold a frame each while the application lags", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [before] = [k.gauge(GAUGE_BUFFERS)];
      for (let i = 0; i < 400; i++) peer.send({ payload: pattern(10, i * 10) });
      expect(k.gauge(GAUGE_BUFFERS) - before).toBeLessThan(100);
      const data = k
        .events()
        .map((event) => (event.kind === "recv" ? event.data : new Uint8Array()));
      assertSameBytes(concat(...data), pattern(4000));
      k.contract.checkHeld();
      for (let i = 0; i < 40; i++) expect(k.recvDone(peer.handle, 100)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });
  });

  describe("recv_done", () => {
    test("is byte-exact: parts of a segment, and several at once", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: pattern(1000) });
      peer.send({ payload: pattern(1000, 1000) });
      expect(k.gauge(GAUGE_BUFFERS)).toBe(2);
      expect(k.recvDone(peer.handle, 500)).toBe(RC_OK);
      k.contract.checkHeld();
      expect(k.gauge(GAUGE_BUFFERS)).toBe(2);
      expect(k.recvDone(peer.handle, 700)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(1);
      k.contract.checkHeld();
      expect(k.recvDone(peer.handle, 800)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("of more than was announced is refused and does nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.recvDone(peer.handle, 1)).toBe(RC_INVAL);
      peer.send({ payload: pattern(100) });
      expect(k.recvDone(peer.handle, 101)).toBe(RC_INVAL);
      expect(k.recvDone(peer.handle, 0xffff_ffff)).toBe(RC_INVAL);
      expect(k.recvDone(peer.handle, 0x8000_0000)).toBe(RC_INVAL);
      k.contract.checkHeld();
      expect(k.recvDone(peer.handle, 100)).toBe(RC_OK);
      expect(k.recvDone(peer.handle, 1)).toBe(RC_INVAL);
    });

    test("of out-of-order data is refused", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ seq: 101, payload: pattern(100, 100) });
      expect(k.recvDone(peer.handle, 1)).toBe(RC_INVAL);
    });

    test("of zero bytes is nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.recvDone(peer.handle, 0)).toBe(RC_OK);
    });
  });

  describe("the receive window", () => {
    const small = { tcp: { receiveWindow: 8192, receiveWindowMax: 8192 } };

    test("shrinks by what the application has not given back", () => {
      const k = startKernel(build, small);
      const peer = TcpPeer.established(k);
      let window = 8192;
      for (let i = 0; i < 4; i++) {
        peer.send({ payload: pattern(1000, i * 1000) });
        k.advance(50 * MILLISECOND);
        const received = peer.takeAll().at(-1)!;
        window -= 1000;
        expect(received.window).toBe(window);
      }
    });

    test("closes, and opens by recv_done with an update at once", () => {
      const k = startKernel(build, small);
      const peer = TcpPeer.established(k);
      for (let at = 0; at < 8192; at += 1024) peer.send({ payload: pattern(1024, at) });
      k.advance(50 * MILLISECOND);
      expect(peer.takeAll().at(-1)).toMatchObject({ ack: 8193, window: 0 });
      expect(k.recvDone(peer.handle, 8192)).toBe(RC_OK);
      peer.expect({ flags: "A", ack: 8193, window: 8192, length: 0 });
      peer.expectNothing();
    });

    test("takes nothing while it is closed, and answers probes", () => {
      const k = startKernel(build, small);
      const peer = TcpPeer.established(k);
      for (let at = 0; at < 8192; at += 1024) peer.send({ payload: pattern(1024, at) });
      k.advance(50 * MILLISECOND);
      k.events();
      peer.takeAll();
      // One byte beyond the window, as most stacks probe …
      peer.send({ seq: 8193, payload: pattern(1, 8192) });
      peer.expect({ flags: "A", ack: 8193, window: 0 });
      // … and an old byte, as others do.
      peer.send({ seq: 8192 });
      peer.expect({ flags: "A", ack: 8193, window: 0 });
      k.noEvents();
      expect(k.recvDone(peer.handle, 4096)).toBe(RC_OK);
      peer.expect({ ack: 8193, window: 4096 });
      peer.send({ seq: 8193, payload: pattern(1024, 8192) });
      expect(k.event("recv").data).toEqual(pattern(1024, 8192));
    });

    test("an ACK is taken while the window is closed", () => {
      const k = startKernel(build, small);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("hello"));
      peer.takeAll();
      for (let at = 0; at < 8192; at += 1024) peer.send({ ack: 1, payload: pattern(1024, at) });
      k.events();
      peer.send({ ack: 6, payload: pattern(100, 8192) });
      expect(k.event("sent").acked).toBe(5);
    });

    test("a FIN is taken once the window that was closed has opened", () => {
      const k = startKernel(build, small);
      const peer = TcpPeer.established(k);
      for (let at = 0; at < 8192; at += 1024) peer.send({ payload: pattern(1024, at) });
      k.advance(50 * MILLISECOND);
      k.events();
      peer.send({ flags: "FA" });
      const early = k.events();
      k.recvDone(peer.handle, 8192);
      peer.takeAll();
      peer.send({ flags: "FA", seq: 8193 });
      const ends = [...early, ...k.events()].filter((event) => event.kind === "recv");
      expect(ends).toHaveLength(1);
      expect(peer.takeAll().at(-1)?.ack).toBe(8194);
    });

    test("does not open by dribs and drabs (section 3.8.6.2.2)", () => {
      const k = startKernel(build, small);
      const peer = TcpPeer.established(k);
      for (let at = 0; at < 8192; at += 1024) peer.send({ payload: pattern(1024, at) });
      k.advance(50 * MILLISECOND);
      peer.takeAll();
      let given = 0;
      while (given < 1024) {
        k.recvDone(peer.handle, 64);
        given += 64;
        // Whatever makes the kernel speak meanwhile, it offers nothing yet.
        peer.send({ seq: 8192 });
        expect(peer.takeAll().every(({ window }) => window === 0)).toBe(true);
      }
      k.recvDone(peer.handle, 8192 - given);
      expect(peer.takeAll().at(-1)?.window).toBe(8192);
    });

    test("its right edge never moves left", () => {
      const k = startKernel(build, { tcp: { receiveWindow: 65_536, receiveWindowMax: 1 << 20 } });
      const peer = TcpPeer.established(k, { windowScale: 7 });
      const unit = 2 ** peer.receiveScale;
      let edge = 0;
      let sent = 0;
      for (let i = 0; i < 300; i++) {
        const length = 1 + ((i * 977) % 1460);
        peer.send({ payload: pattern(length, sent) });
        sent += length;
        if (i % 3 === 0) {
          const held = k.contract.heldBytes(peer.handle);
          k.recvDone(peer.handle, Math.floor(held / 2));
        }
        k.advance(20 * MILLISECOND);
        for (const { ack, window } of peer.takeAll()) {
          // Scaling rounds the window down to a multiple of its unit.
          expect(ack + window + unit).toBeGreaterThan(edge);
          edge = Math.max(edge, ack + window);
        }
      }
    });

    test("grows to a mebibyte and more for a peer that fills it and an application that reads", () => {
      const k = startKernel(build, {
        frames: 4096,
        tcp: { receiveWindow: 65_536, receiveWindowMax: 4 << 20 },
      });
      const peer = TcpPeer.established(k, { windowScale: 7 });
      let sent = 0;
      let acked = 0;
      let window = 65_535;
      let largest = window;
      for (let round = 0; round < 60 && largest < 1 << 20; round++) {
        // A round trip of 10 ms: a window's worth of data, then its acknowledgments.
        k.advance(10 * MILLISECOND);
        const end = acked + window;
        while (sent < end) {
          const length = Math.min(1460, end - sent);
          k.inject(peer.frame({ seq: 1 + sent, payload: pattern(length, sent) }));
          sent += length;
          if (k.nic.rx.free < 8) {
            k.poll();
            k.recvDone(peer.handle, k.contract.heldBytes(peer.handle));
          }
        }
        k.poll();
        k.recvDone(peer.handle, k.contract.heldBytes(peer.handle));
        k.events();
        for (const received of peer.takeAll()) {
          acked = Math.max(acked, received.ack - 1);
          window = received.window;
        }
        largest = Math.max(largest, window);
      }
      expect(largest).toBeGreaterThanOrEqual(1 << 20);
    });

    test("does not grow for an application that does not read", () => {
      const k = startKernel(build, {
        frames: 4096,
        tcp: { receiveWindow: 65_536, receiveWindowMax: 4 << 20 },
      });
      const peer = TcpPeer.established(k, { windowScale: 7 });
      let sent = 0;
      while (sent < 60_000) {
        peer.send({ payload: pattern(1000, sent) });
        sent += 1000;
        k.advance(MILLISECOND);
      }
      expect(peer.takeAll().at(-1)?.window).toBeLessThanOrEqual(65_536 - 59_000);
    });
  });
});
