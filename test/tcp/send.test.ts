/** The sending side: segments, windows, Nagle, silly windows, probing (RFC 9293 section 3.8.6). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_PROBES,
  FLAG_MORE,
  FLAG_NAGLE,
  FLAG_QUIET,
  GAUGE_BUFFERS,
  RC_OK,
  RC_TIMEOUT,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern, text } from "../support/bytes.ts";
import { startKernel, type Call } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer, type Received } from "../support/peer.ts";

const SECOND = 1_000_000;

function bytesOf(segments: readonly Received[]): number {
  return segments.reduce((sum, { payload }) => sum + payload.length, 0);
}

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
      expect(k.call({ op: 5, handle: peer.handle, a: vector, b: entries.length }).result).toBe(
        offset,
      );
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

  describe("the peer's window (section 3.8.6.1)", () => {
    test("bounds what is in flight", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 4000 });
      expect(k.send(peer.handle, pattern(10_000))).toBe(10_000);
      expect(bytesOf(peer.takeAll())).toBeLessThanOrEqual(4000);
      for (let i = 0; i < 20; i++) {
        peer.ack();
        const flight = peer.takeAll();
        expect(bytesOf(flight)).toBeLessThanOrEqual(4000);
        k.advance(300_000);
        peer.takeAll();
      }
      assertSameBytes(peer.stream(), pattern(10_000));
    });

    test("when it shrinks, nothing beyond it is sent", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 20_000 });
      k.send(peer.handle, pattern(30_000));
      const before = bytesOf(peer.takeAll());
      expect(before).toBeGreaterThan(10_000);
      peer.send({ ack: 1461, window: 2000 });
      peer.expectNothing();
    });

    test("an older segment does not change it (SND.WL1)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 2920 });
      peer.send({ payload: pattern(100) });
      k.send(peer.handle, pattern(6000));
      expect(bytesOf(peer.takeAll())).toBe(2920);
      // Sent before the data, with another window, and overtaken by it.
      peer.send({ seq: 1, ack: 1, window: 60_000 });
      expect(bytesOf(peer.takeAll())).toBe(0);
    });

    test("an update lets data go on", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 1460 });
      k.send(peer.handle, pattern(4000));
      peer.expect({ length: 1460 });
      peer.send({ window: 0 });
      peer.expectNothing();
      peer.send({ window: 10_000 });
      expect(bytesOf(peer.takeAll())).toBe(2540);
    });

    test("scaling up to a gigabyte window", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { windowScale: 14, window: 65_535 * 2 ** 14 });
      k.send(peer.handle, pattern(14_600));
      expect(bytesOf(peer.takeAll())).toBe(14_600);
    });
  });

  describe("zero window (section 3.8.6.1)", () => {
    test("probes with back-off until the window opens, for ever if need be", () => {
      const k = startKernel(build, { tcp: { dataRetries: 4 } });
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      expect(k.send(peer.handle, pattern(1000))).toBe(1000);
      peer.expectNothing();
      const times: number[] = [];
      const [probes] = k.counts([CNT_TCP_PROBES], () => {
        for (let i = 0; i < 12; i++) {
          while (!k.outbox.length) k.advanceToDeadline();
          const probe = peer.take()!;
          times.push(probe.at);
          peer.expectNothing();
          // The peer lives and says so.
          peer.send({ window: 0 });
        }
      });
      expect(probes).toBe(12);
      for (let i = 1; i < times.length; i++) {
        expect(times[i] - times[i - 1]).toBeLessThanOrEqual(60 * SECOND + 64);
      }
      peer.send({ window: 65_535 });
      assertSameBytes(peer.expect({ seq: 1 }).payload, pattern(1000));
    });

    test("the intervals between probes double", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(1000));
      const times = [k.now];
      for (let i = 0; i < 6; i++) {
        while (!k.outbox.length) k.advanceToDeadline();
        times.push(peer.take()!.at);
      }
      const intervals = times.slice(1).map((at, index) => at - times[index]);
      for (let i = 2; i < intervals.length; i++) {
        expect(intervals[i] / intervals[i - 1]).toBeGreaterThan(1.8);
        expect(intervals[i] / intervals[i - 1]).toBeLessThan(2.2);
      }
    });

    test("a peer that does not answer probes is given up", () => {
      const k = startKernel(build, { tcp: { dataRetries: 4 } });
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(1000));
      k.advance(300 * SECOND);
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_TIMEOUT });
      expect(peer.takeAll().length).toBeGreaterThanOrEqual(4);
    });

    test("a probe never carries data beyond what the peer may have to drop", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(3000));
      k.advance(2 * SECOND);
      for (const { payload } of peer.takeAll()) expect(payload.length).toBeLessThanOrEqual(1);
    });

    test("the window closes over data in flight: it is sent again until acknowledged", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(2920));
      peer.takeAll();
      peer.send({ ack: 1461, window: 0 });
      k.advance(2 * SECOND);
      expect(peer.takeAll().length).toBeGreaterThan(0);
      peer.send({ ack: 1461, window: 65_535 });
      k.advance(20 * SECOND);
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(2920));
      expect(k.events().every(({ kind }) => kind === "sent")).toBe(true);
    });

    test("a FIN goes out although the window is closed, or as soon as it opens", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.shutdown(peer.handle);
      k.advance(3 * SECOND);
      peer.send({ ack: 1, window: 65_535 });
      k.advance(SECOND);
      const flags = peer.takeAll().map((segment) => segment.flags);
      expect(flags.some((text) => text.includes("F"))).toBe(true);
    });
  });

  describe("silly windows (section 3.8.6.2.1)", () => {
    test("a small window is not filled by a small segment while more waits", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(1460));
      peer.takeAll();
      peer.send({ window: 100 });
      k.send(peer.handle, pattern(5000, 1460));
      peer.expectNothing();
      peer.send({ window: 5000 });
      expect(peer.expect().payload).toHaveLength(1460);
    });

    test("but is when that is all the peer ever offers: half its largest window", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 200 });
      k.send(peer.handle, pattern(1000));
      expect(peer.expect().payload).toHaveLength(200);
    });

    test("and is after the override time", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 100 });
      k.send(peer.handle, pattern(1000));
      peer.expectNothing();
      k.advance(2 * SECOND);
      const sent = peer.takeAll().filter(({ payload }) => payload.length > 0);
      expect(sent.length).toBeGreaterThan(0);
      expect(sent[0].payload).toHaveLength(100);
      // In the end everything arrives through the keyhole.
      for (let i = 0; i < 40; i++) {
        peer.send({ window: 100 });
        k.advance(2 * SECOND);
        peer.takeAll();
      }
      assertSameBytes(peer.stream(), pattern(1000));
    });
  });

  describe("Nagle's algorithm (section 3.7.4, RFC 896)", () => {
    test("is off by default: small segments go at once", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      for (let i = 0; i < 5; i++) {
        k.send(peer.handle, pattern(10, i * 10));
        peer.expect({ payload: pattern(10, i * 10) });
      }
    });

    test("holds a small segment back while something is in flight", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      peer.expect({ payload: pattern(10) });
      for (let i = 1; i < 5; i++) k.send(peer.handle, pattern(10, i * 10));
      peer.expectNothing();
      peer.ack();
      peer.expect({ seq: 11, payload: pattern(40, 10) });
      peer.expectNothing();
    });

    test("lets a full segment go", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      peer.expect({ length: 10 });
      k.send(peer.handle, pattern(1000, 10));
      peer.expectNothing();
      k.send(peer.handle, pattern(1000, 1010));
      peer.expect({ length: 1460, seq: 11 });
      peer.expectNothing();
      peer.ack();
      peer.expect({ length: 540 });
    });

    test("lets the FIN and what is before it go", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      k.send(peer.handle, pattern(10, 10));
      peer.expect({ length: 10 });
      k.shutdown(peer.handle);
      peer.expect({ flags: "FA", payload: pattern(10, 10) });
    });

    test("works for connections opened actively", () => {
      const k = startKernel(build);
      const peer = TcpPeer.connected(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      k.send(peer.handle, pattern(10, 10));
      peer.expect({ length: 10 });
      peer.expectNothing();
    });
  });

  describe("FLAG_MORE", () => {
    test("joins small sends of one batch", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const send = (data: Uint8Array, flags: number): Call => ({
        op: SYS_SEND,
        handle: peer.handle,
        a: k.write(data),
        b: data.length,
        flags,
      });
      const results = k.batch([
        send(pattern(10), FLAG_MORE),
        send(pattern(10, 10), FLAG_MORE),
        send(pattern(10, 20), 0),
      ]);
      expect(results.map(({ result }) => result)).toEqual([10, 10, 10]);
      peer.expect({ payload: pattern(30) });
      peer.expectNothing();
    });

    test("does not hold data back for ever", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(10), { flags: FLAG_MORE });
      k.advance(SECOND);
      expect(peer.takeAll()[0].payload).toEqual(pattern(10));
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
