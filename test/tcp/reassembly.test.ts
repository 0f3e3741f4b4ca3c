/** Segments out of order, overlapping, repeated (RFC 9293 sections 3.4, 3.10.7.4 seventh step). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_TCP_REASSEMBLY,
  CNT_TCP_FAST_PATH,
  CNT_TCP_OUT_OF_ORDER,
  GAUGE_BUFFERS,
  RC_OK,
} from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

/** All data received so far, in the order of the events. */
function received(k: KernelHarness): Uint8Array {
  return concat(
    ...k.events().map((event) => (event.kind === "recv" ? event.data : new Uint8Array())),
  );
}

/** Every order of the numbers below `count`. */
function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => order.toSpliced(at, 0, count - 1)),
  );
}

describe.each(kernels)("$name kernel", (build) => {
  test("a gap is kept until it fills, and every early segment is answered at once", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const [early] = k.counts([CNT_TCP_OUT_OF_ORDER], () => {
      peer.send({ seq: 1001, payload: pattern(1000, 1000) });
      peer.expect({ flags: "A", ack: 1, length: 0 });
      peer.send({ seq: 2001, payload: pattern(1000, 2000) });
      peer.expect({ flags: "A", ack: 1, length: 0 });
    });
    expect(early).toBe(2);
    k.noEvents();
    peer.send({ seq: 1, payload: pattern(1000) });
    assertSameBytes(received(k), pattern(3000));
    // What fills a gap is acknowledged at once (RFC 5681 section 4.2).
    peer.expect({ flags: "A", ack: 3001 });
  });

  test("a part of the gap fills: acknowledged at once, the rest stays", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    peer.send({ seq: 2001, payload: pattern(1000, 2000) });
    peer.expect({ ack: 1 });
    peer.send({ seq: 1, payload: pattern(1000) });
    peer.expect({ flags: "A", ack: 1001 });
    peer.send({ seq: 1001, payload: pattern(1000, 1000) });
    peer.expect({ flags: "A", ack: 3001 });
    assertSameBytes(received(k), pattern(3000));
  });

  test.each(permutations(4).map((order) => ({ order })))(
    "four segments in the order $order",
    ({ order }) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      for (const index of order) {
        peer.send({ seq: 1 + index * 500, payload: pattern(500, index * 500) });
      }
      assertSameBytes(received(k), pattern(2000));
      k.advance(1_000_000);
      expect(peer.takeAll().at(-1)?.ack).toBe(2001);
      expect(k.recvDone(peer.handle, 2000)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    },
  );

  describe("overlaps deliver every byte once", () => {
    // [from, to) of segments in the order of arrival; together they cover [0, 1000).
    const cases: readonly (readonly [string, readonly (readonly [number, number])[]])[] = [
      [
        "the same early segment twice",
        [
          [500, 1000],
          [500, 1000],
          [0, 500],
        ],
      ],
      [
        "an early one inside another",
        [
          [400, 1000],
          [500, 800],
          [0, 400],
        ],
      ],
      [
        "an early one around another",
        [
          [500, 800],
          [400, 1000],
          [0, 400],
        ],
      ],
      [
        "around two others",
        [
          [500, 600],
          [700, 800],
          [400, 1000],
          [0, 400],
        ],
      ],
      [
        "reaching into the one before",
        [
          [400, 700],
          [600, 1000],
          [0, 400],
        ],
      ],
      [
        "reaching into the one behind",
        [
          [600, 1000],
          [400, 700],
          [0, 400],
        ],
      ],
      [
        "between two, reaching into both",
        [
          [400, 600],
          [800, 1000],
          [500, 900],
          [0, 400],
        ],
      ],
      [
        "the same start, longer",
        [
          [400, 600],
          [400, 1000],
          [0, 400],
        ],
      ],
      [
        "the same start, shorter",
        [
          [400, 1000],
          [400, 600],
          [0, 400],
        ],
      ],
      [
        "the same end, longer",
        [
          [800, 1000],
          [400, 1000],
          [0, 400],
        ],
      ],
      [
        "in order over a gap's edge",
        [
          [500, 1000],
          [0, 700],
        ],
      ],
      [
        "in order over everything kept",
        [
          [500, 600],
          [700, 800],
          [0, 1000],
        ],
      ],
      [
        "old data at the front",
        [
          [0, 500],
          [200, 1000],
        ],
      ],
      [
        "old data at the front, kept ones behind",
        [
          [0, 500],
          [800, 1000],
          [200, 900],
        ],
      ],
      [
        "one byte at a time at the seams",
        [
          [501, 1000],
          [500, 501],
          [0, 499],
          [499, 500],
        ],
      ],
    ];

    test.each(cases)("%s", (_what, segments) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      for (const [from, to] of segments) {
        peer.send({ seq: 1 + from, payload: pattern(to - from, from) });
      }
      assertSameBytes(received(k), pattern(1000));
      k.advance(1_000_000);
      expect(peer.takeAll().at(-1)?.ack).toBe(1001);
      expect(k.recvDone(peer.handle, 1000)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test.each(cases)("%s, with a FIN at the end", (_what, segments) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      for (const [from, to] of segments) {
        peer.send({
          flags: to === 1000 ? "FA" : "A",
          seq: 1 + from,
          payload: pattern(to - from, from),
        });
      }
      const events = k.events();
      expect(events.at(-1)).toMatchObject({ kind: "recv", data: new Uint8Array() });
      const data = events.map((event) => (event.kind === "recv" ? event.data : new Uint8Array()));
      assertSameBytes(concat(...data), pattern(1000));
      expect(peer.takeAll().at(-1)?.ack).toBe(1002);
      expect(k.recvDone(peer.handle, 1000)).toBe(RC_OK);
    });
  });

  test("an early FIN without data waits for its turn", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    peer.send({ flags: "FA", seq: 501 });
    peer.expect({ flags: "A", ack: 1 });
    k.noEvents();
    peer.send({ seq: 1, payload: pattern(500) });
    expect(k.event("recv").data).toEqual(pattern(500));
    expect(k.event("recv").data).toHaveLength(0);
    peer.expect({ flags: "A", ack: 502 });
  });

  test("data behind an early FIN is never delivered", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    peer.send({ flags: "FA", seq: 101, payload: pattern(100, 100) });
    peer.send({ seq: 201, payload: pattern(100, 200) });
    peer.send({ seq: 1, payload: pattern(100) });
    const events = k.events();
    expect(events.at(-1)).toMatchObject({ kind: "recv", data: new Uint8Array() });
    const data = events.map((event) => (event.kind === "recv" ? event.data : new Uint8Array()));
    assertSameBytes(concat(...data), pattern(200));
    expect(peer.takeAll().at(-1)?.ack).toBe(202);
    k.recvDone(peer.handle, 200);
    k.advance(1_000_000);
    expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("what was received before is dropped and acknowledged again", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    peer.send({ payload: pattern(1000) });
    k.events();
    peer.takeAll();
    const [drops] = k.counts([CNT_DROP_TCP_DUPLICATE], () =>
      peer.send({ seq: 201, payload: pattern(500, 200) }),
    );
    expect(drops).toBe(1);
    peer.expect({ flags: "A", ack: 1001, length: 0 });
    k.noEvents();
  });

  test("a segment that reaches behind the window is cut at its edge", () => {
    const k = startKernel(build, { tcp: { receiveWindow: 4096, receiveWindowMax: 4096 } });
    const peer = TcpPeer.established(k);
    peer.send({ seq: 1, payload: pattern(1400) });
    peer.send({ seq: 1401, payload: pattern(1400, 1400) });
    peer.send({ seq: 2801, payload: pattern(1400, 2800) });
    assertSameBytes(received(k), pattern(4096));
    k.advance(1_000_000);
    expect(peer.takeAll().at(-1)).toMatchObject({ ack: 4097, window: 0 });
    // And so is an early one.
    expect(k.recvDone(peer.handle, 4096)).toBe(RC_OK);
    expect(peer.takeAll().at(-1)).toMatchObject({ ack: 4097, window: 4096 });
    peer.send({ seq: 4097 + 3000, payload: pattern(1400, 4096 + 3000) });
    for (let at = 4096; at < 4096 + 3000; at += 1000) {
      peer.send({ seq: 1 + at, payload: pattern(1000, at) });
    }
    assertSameBytes(received(k), pattern(4096, 4096));
  });

  test("the number of early segments is bounded", () => {
    const k = startKernel(build, { tcp: { reassemblyMax: 8 } });
    const peer = TcpPeer.established(k);
    const [drops] = k.counts([CNT_DROP_TCP_REASSEMBLY], () => {
      for (let i = 1; i <= 12; i++) peer.send({ seq: 1 + i * 100, payload: pattern(100, i * 100) });
    });
    expect(drops).toBe(4);
    expect(k.gauge(GAUGE_BUFFERS)).toBeLessThanOrEqual(8);
    peer.takeAll();
    peer.send({ seq: 1, payload: pattern(100) });
    peer.expect({ flags: "A", ack: 901 });
    peer.send({ seq: 901, payload: pattern(400, 900) });
    assertSameBytes(received(k), pattern(1300));
  });

  test("early segments do not use up the frames that progress needs", () => {
    const k = startKernel(build, { frames: 192, ringSize: 64, receiveReserve: 32 });
    const peer = TcpPeer.established(k);
    for (let i = 1; i <= 400; i++) {
      peer.send({ seq: 1 + i * 100, payload: pattern(100, i * 100) });
      peer.takeAll();
    }
    let ack = 1;
    for (let round = 0; ack < 40_101 && round < 1000; round++) {
      peer.send({ seq: ack, payload: pattern(100, ack - 1) });
      k.advance(100_000);
      ack = peer.takeAll().at(-1)?.ack ?? ack;
      k.events();
      const held = k.contract.heldBytes(peer.handle);
      if (held > 0) expect(k.recvDone(peer.handle, held)).toBe(RC_OK);
    }
    expect(ack).toBe(40_101);
  });

  test("once the gap is filled, segments take the short path again", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    peer.send({ seq: 1001, payload: pattern(1000, 1000) });
    peer.send({ seq: 1, payload: pattern(1000) });
    const [fast] = k.counts([CNT_TCP_FAST_PATH], () => {
      for (let i = 2; i < 6; i++) {
        peer.send({ seq: 1 + i * 1000, payload: pattern(1000, i * 1000) });
      }
    });
    expect(fast).toBe(4);
    assertSameBytes(received(k), pattern(6000));
  });

  test("many segments, shuffled by a fixed seed", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const order = Array.from({ length: 120 }, (_, index) => index);
    let seed = 42;
    for (let i = order.length - 1; i > 0; i--) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      const j = (seed >>> 8) % (i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (const index of order) {
      peer.send({ seq: 1 + index * 333, payload: pattern(333, index * 333) });
    }
    assertSameBytes(received(k), pattern(120 * 333));
  });

  test("a FIN that comes early again and again takes one frame", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const before = k.gauge(GAUGE_BUFFERS);
    for (let i = 0; i < 10; i++) peer.send({ flags: "FA", seq: 101 });
    for (let i = 0; i < 10; i++) peer.send({ flags: "FA", seq: 91, payload: pattern(10) });
    expect(k.gauge(GAUGE_BUFFERS) - before).toBeLessThanOrEqual(2);
  });
});
