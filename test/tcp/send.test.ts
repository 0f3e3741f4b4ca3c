/** The sending side: segments, windows, Nagle, silly windows, probing (RFC 9293 section 3.8.6). */
import { describe, expect, test } from "vitest";
import { FLAG_QUIET, GAUGE_BUFFERS, RC_OK, SYS_SEND, SYS_SENDV } from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern, text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;

describe.each(kernels)("$name kernel", (build) => {
  describe("segments", () => {
    test.each([1, 2, 3, 5, 8, 15, 16, 17, 255, 256, 257, 1023, 1024, 1025, 1459, 1460])(
      "%i bytes go out at once in one segment with PSH",
      (length) => {
        const k = startKernel(build);
        const peer = TcpPeer.established(k);
        expect(k.send(peer.handle, pattern(length))).toBe(length);
        peer.expect({ flags: "A", psh: true, seq: 1, ack: 1, payload: pattern(length) });
        peer.expectNothing();
      },
    );

    test.each([
      [1461, [1460, 1]],
      [2920, [1460, 1460]],
      [5000, [1460, 1460, 1460, 620]],
    ])("%i bytes are cut at the MSS", (length, lengths) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.send(peer.handle, pattern(length))).toBe(length);
      const segments = peer.takeAll();
      expect(segments.map(({ payload }) => payload.length)).toEqual(lengths);
      // Only the last says that the data should be handed on.
      expect(segments.map(({ flags }) => flags.includes("P"))).toEqual(
        lengths.map((_, index) => index === lengths.length - 1),
      );
      assertSameBytes(peer.stream(), pattern(length));
    });

    test.each([
      [88, 88],
      [536, 536],
      [1460, 1460],
      [9000, 1460],
    ])("a peer with MSS %i gets segments of %i", (mss, length) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { mss });
      k.send(peer.handle, pattern(3000));
      expect(peer.expect().payload).toHaveLength(length);
    });

    test("a ridiculous MSS is not obeyed to the letter", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { mss: 1 });
      k.send(peer.handle, pattern(100));
      expect(peer.expect().payload.length).toBeGreaterThanOrEqual(48);
    });

    test("an MSS of zero does not stop the stream", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { mss: 0 });
      k.send(peer.handle, pattern(100));
      expect(peer.expect().payload.length).toBeGreaterThan(0);
    });

    test("a smaller MTU means smaller segments and a smaller MSS of ours", () => {
      const k = startKernel(build, { mtu: 576 });
      const peer = TcpPeer.listening(k);
      peer.sendSyn();
      const { header } = peer.expect({ flags: "SA" });
      expect(header.options[0]).toEqual({ kind: "mss", value: 536 });
      peer.ack();
      const { handle } = k.event("knock");
      k.accept(handle);
      k.send(handle, pattern(1000));
      peer.expect({ length: 536 });
      peer.expect({ length: 464 });
    });

    test("DF is set and TTL is what was configured", () => {
      const k = startKernel(build, { ttl: 33 });
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("x"));
      const [packet] = k.sent();
      expect(packet.ip).toMatchObject({ dontFragment: true, ttl: 33 });
      expect(peer.port).toBe(packet.tcp!.destinationPort);
    });
  });

  describe("sendv", () => {
    test("joins its parts in order, empty ones too", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const parts = [text("a"), new Uint8Array(), text("bcd"), text("e".repeat(20))];
      expect(k.sendv(peer.handle, parts)).toBe(24);
      peer.takeAll();
      assertSameBytes(peer.stream(), concat(...parts));
    });

    test("of large and small parts at odd addresses and lengths", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const lengths = [1025, 7, 3001, 1, 1023, 2047, 333];
      const entries: [number, number][] = [];
      let offset = 0;
      for (const length of lengths) {
        const address = k.alloc(length + 8) + (offset % 7);
        k.bytes.set(pattern(length, offset), address);
        entries.push([address, length]);
        offset += length;
      }
      const vector = k.writeEntries(entries);
      expect(
        k.call({ op: SYS_SENDV, handle: peer.handle, a: vector, b: entries.length }).result,
      ).toBe(offset);
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(offset));
    });

    test("of nothing is nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.sendv(peer.handle, [])).toBe(0);
      expect(k.send(peer.handle, new Uint8Array())).toBe(0);
      peer.expectNothing();
    });

    test("64 parts", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const parts = Array.from({ length: 64 }, (_, index) => pattern(20, index * 20));
      expect(k.sendv(peer.handle, parts)).toBe(1280);
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(1280));
    });
  });

  describe("memory", () => {
    test("of a short send is free when the call has run", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 100 });
      const data = pattern(500);
      const address = k.write(data);
      expect(k.call({ op: SYS_SEND, handle: peer.handle, a: address, b: 500 }).result).toBe(500);
      k.bytes.fill(0xee, address, address + 500);
      for (let i = 0; i < 10; i++) {
        peer.takeAll();
        peer.ack();
        k.advance(SECOND);
      }
      assertSameBytes(peer.stream(), data);
    });

    test("of a long send is referenced: it goes out as it is, again and again", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.send(peer.handle, pattern(4000))).toBe(4000);
      k.advance(10 * SECOND);
      peer.takeAll();
      peer.rcvNxt = 4001;
      peer.ack();
      expect(
        k.events().reduce((sum, event) => sum + (event.kind === "sent" ? event.acked : 0), 0),
      ).toBe(4000);
      assertSameBytes(peer.stream(), pattern(4000));
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("is not told to be free before the peer has acknowledged it", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(2000));
      peer.takeAll();
      k.noEvents();
      peer.send({ ack: 1461 });
      expect(k.event("sent").acked).toBe(1460);
      peer.send({ ack: 2001 });
      expect(k.event("sent").acked).toBe(540);
    });

    test("a part of a segment can be acknowledged", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(2000));
      peer.takeAll();
      peer.send({ ack: 101 });
      expect(k.event("sent").acked).toBe(100);
      k.advance(SECOND);
      const again = peer.take()!;
      expect(again.seq).toBe(101);
      assertSameBytes(again.payload.slice(0, 100), pattern(100, 100));
    });

    test.each([
      [1023, "copied", 0],
      [1024, "referenced", 1],
      [1025, "referenced", 1],
    ])("%i bytes are %s: a quiet connection hears of %i", (length, _how, events) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_QUIET });
      expect(k.send(peer.handle, pattern(length))).toBe(length);
      peer.takeAll();
      peer.ack();
      expect(k.events()).toHaveLength(events);
    });

    test("a quiet connection hears only what it can act on", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_QUIET });
      k.send(peer.handle, text("short"));
      peer.takeAll();
      peer.ack();
      k.noEvents();
      k.send(peer.handle, pattern(4000));
      peer.takeAll();
      peer.ack();
      expect(k.event("sent").acked).toBe(4005);
    });
  });

  describe("acceptance", () => {
    test("send takes no more than it says, and sent says when to go on", () => {
      const k = startKernel(build, { references: 4096, tcp: { sendBufferMax: 65_536 } });
      const peer = TcpPeer.established(k);
      let accepted = 0;
      for (;;) {
        const taken = k.send(peer.handle, pattern(20_000, accepted));
        expect(taken).toBeGreaterThanOrEqual(0);
        accepted += taken;
        if (taken < 20_000) break;
      }
      expect(accepted).toBeLessThanOrEqual(65_536);
      expect(accepted).toBeGreaterThan(20_000);
      let room = 0;
      for (let i = 0; i < 100 && room === 0; i++) {
        peer.takeAll();
        peer.ack();
        for (const event of k.events()) if (event.kind === "sent") room = event.window;
      }
      expect(room).toBeGreaterThan(0);
      const taken = k.send(peer.handle, pattern(room, accepted));
      expect(taken).toBe(room);
      accepted += taken;
      for (let i = 0; i < 200; i++) {
        peer.takeAll();
        peer.ack();
      }
      assertSameBytes(peer.stream(), pattern(accepted));
      expect(k.send(peer.handle, text("x"))).toBe(1);
      expect(k.shutdown(peer.handle)).toBe(RC_OK);
    });
  });

  describe("what a frame holds", () => {
    test("a partly acknowledged tail takes no more than its frame has room for", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(1000));
      peer.takeAll();
      peer.send({ ack: 1, window: 0 });
      k.advance(2 * SECOND);
      peer.takeAll();
      peer.send({ ack: 901, window: 10 });
      // Below the copy break each, so copied.
      expect(k.send(peer.handle, pattern(1000, 1000))).toBe(1000);
      expect(k.send(peer.handle, pattern(1000, 2000))).toBe(1000);
      peer.send({ ack: 901, window: 65535 });
      for (let i = 0; i < 10; i++) {
        k.advance(SECOND);
        peer.takeAll();
        peer.ack();
      }
      assertSameBytes(peer.stream(), pattern(3000));
    });

    test("full segments of copied data at the largest MTU", () => {
      const k = startKernel(build, { mtu: 1906, tcp: { copyBreak: 65536 } });
      const peer = TcpPeer.established(k, { mss: 1866 });
      expect(k.send(peer.handle, pattern(1866 * 3))).toBe(1866 * 3);
      peer.takeAll();
      peer.ack();
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(1866 * 3));
    });
  });

  describe("news of the peer", () => {
    test("a quiet connection that was cut short is told when there is room, and not before", () => {
      const k = startKernel(build, { tcp: { copyBreak: 65536, initialWindow: 400 } });
      const peer = TcpPeer.established(k, { flags: FLAG_QUIET, windowScale: 7, window: 200_000 });
      let accepted = 0;
      for (;;) {
        const taken = k.send(peer.handle, pattern(60_000, accepted));
        if (taken > 0) accepted += taken;
        if (taken < 60_000) break;
      }
      peer.takeAll();
      // The peer's application does not read: its window shrinks by what arrives.
      peer.send({ ack: 100_001, window: 100_000 });
      peer.send({ ack: 150_001, window: 50_000 });
      const told = k.events();
      expect(told.filter((e) => e.kind === "sent" && e.window === 0)).toHaveLength(0);
      // Now it reads all.
      for (let i = 0; i < 10; i++) {
        peer.takeAll();
        peer.send({ window: 200_000 });
      }
      const room = k.events().filter((e) => e.kind === "sent" && e.window > 0);
      expect(room.length + told.length).toBeGreaterThan(0);
      expect(room.length).toBeGreaterThan(0);
    });

    test("a window that closed over data in flight may stay closed for ever", () => {
      const k = startKernel(build, { tcp: { dataRetries: 4 } });
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(2920));
      peer.takeAll();
      peer.send({ ack: 1461, window: 0 });
      for (let i = 0; i < 12; i++) {
        while (!k.outbox.length) k.advanceToDeadline();
        peer.takeAll();
        peer.send({ ack: 1461, window: 0 });
      }
      peer.send({ ack: 1461, window: 65_535 });
      for (let i = 0; i < 3; i++) {
        peer.takeAll();
        peer.ack();
      }
      assertSameBytes(peer.stream(), pattern(2920));
      expect(k.events().every(({ kind }) => kind === "sent")).toBe(true);
    });
  });
});
