import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DESC_CONTINUED,
  FRAME_HEADROOM,
  FRAME_SIZE,
  OFFLOAD_RX_HASH,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_PRODUCER,
  RX_META_LOOPBACK,
  RX_META_CHECKSUM_OK,
  RX_META_HAS_HASH,
} from "../../assembly/abi.ts";
import { connectPorts, createBackend, createSwitch } from "../../host/nic/index.ts";
import { hashIpv4, hashIpv6, STANDARD_TABLES } from "../../host/nic/rss.ts";
import { ipFrame, onesComplementSum, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import type { FakeKernelOptions } from "./kernel.ts";

const BOTH = RX_META_HAS_HASH | RX_META_CHECKSUM_OK;
const TCP = { start: 34, offset: 16 };
const UDP = { start: 34, offset: 6 };
const MAX_FRAME = FRAME_SIZE - FRAME_HEADROOM;

/** Two ports on a perfect cable, and the engine of a's first queue. */
function pair(ofA: FakeKernelOptions = {}, ofB: FakeKernelOptions = {}) {
  const a = new FakeKernel("a", ofA);
  const b = new FakeKernel("b", ofB);
  const [fromA] = connectPorts(a.handle, b.handle);
  const backend = createBackend(a.handle, 0, fromA);
  return { a, b, backend };
}

/** A frame of no protocol the NIC knows, for b. */
function plainFrame(length: number, seed = 0): number[] {
  const frame = pattern(length, seed);
  frame.splice(0, 14, 2, 0, 0, 0, 0, 98, 2, 0, 0, 0, 0, 97, 0x88, 0xb5);
  return frame;
}

describe("a perfect wire", () => {
  it.each([14, 15, 42, 60, 61, 118, 255, 1000, 1513, 1514, MAX_FRAME - 8])(
    "carries %i bytes unchanged, and nothing of what lies behind them",
    (length) => {
      const { a, b, backend } = pair();
      const frame = plainFrame(length);
      const address = a.send(frame);
      a.bytes.fill(0x77, address + length, address + length + 8);
      b.bytes.fill(0xee, b.txFrames - 256 * FRAME_SIZE, b.txFrames);
      expect(backend.pump(0)).toBe(1);
      const [got] = b.receive(0, true);
      expect(Array.from(got.bytes)).toEqual(frame);
      expect(got.flags).toBe(0);
      expect(got.address % FRAME_SIZE).toBe(FRAME_HEADROOM);
      // The last word is written whole, with zeros; what lies behind the sender's frame stays
      // there.
      const end = Math.ceil(length / 4) * 4;
      const behind = b.bytes.slice(got.address + length, got.address + end + 1);
      behind.forEach((byte, i) => expect(byte).toBe(i === behind.length - 1 ? 0xee : 0));
      expect(a.completions()).toEqual([address]);
      expect(backend.nextDeadline()).toBe(Infinity);
    },
  );

  it("keeps order over many batches and wraps its rings", () => {
    const { a, b, backend } = pair();
    let sent = 0;
    let got = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 200; i++) a.send(ipFrame({ payload: [sent & 255, sent++ >> 8] }));
      expect(backend.pump(round)).toBe(200);
      for (const { bytes } of b.receive()) {
        expect(bytes[54] | (bytes[55] << 8)).toBe(got++);
      }
      expect(a.completions().length).toBe(200);
    }
    expect(got).toBe(4000);
    expect(b.counters.queues[0]).toMatchObject({ received: 4000, receivedBytes: 4000 * 56 });
    expect(a.counters.queues[0]).toMatchObject({ sent: 4000, sentBytes: 4000 * 56 });
  });

  it("goes on when the ring words pass 2^32 and 2^31", () => {
    for (const start of [-3, 0x7ffffffd]) {
      const a = new FakeKernel("a");
      const b = new FakeKernel("b", { fill: 0 });
      for (const ring of [QUEUE_TX, QUEUE_COMPLETION, QUEUE_RX, QUEUE_FILL]) {
        for (const kernel of [a, b]) {
          kernel.setWord(0, ring, RING_PRODUCER, start);
          kernel.setWord(0, ring, RING_CONSUMER, start);
        }
      }
      for (let i = 0; i < 8; i++) b.giveFrame(0, b.txFrames + i * FRAME_SIZE);
      const backend = createBackend(a.handle, 0, connectPorts(a.handle, b.handle)[0]);
      for (let i = 0; i < 8; i++) {
        a.send(plainFrame(60, i));
        expect(backend.pump(0)).toBe(1);
        expect(Array.from(b.receive()[0].bytes)).toEqual(plainFrame(60, i));
        expect(a.completions().length).toBe(1);
      }
    }
  });

  it("reaches frames above 2 GiB", () => {
    const pages = 0x9000;
    const { a, b, backend } = pair({ pages }, { pages, fill: 0 });
    const high = 0x8800_0000;
    const frame = ipFrame({ payload: pattern(300) });
    for (const skew of [0, 1, 4, 6]) {
      b.giveFrame(0, high);
      a.bytes.set(frame, high + 128 + skew);
      a.descriptor(0, high + 128 + skew, 60, DESC_CONTINUED);
      a.descriptor(0, high + 128 + skew + 60, frame.length - 60);
      backend.pump(0);
      const [got] = b.receive(0, true);
      expect(got.address).toBe(high + FRAME_HEADROOM);
      expect(got.flags).toBe(BOTH);
      expect(got.bytes).toEqual(frame);
      expect(a.completions()).toEqual([high + 128 + skew, high + 128 + skew + 60]);
    }
  });

  it.each([
    ["a cable", (a: FakeKernel, b: FakeKernel) => connectPorts(a.handle, b.handle)[0]],
    [
      "a cable that loses everything",
      (a: FakeKernel, b: FakeKernel) => connectPorts(a.handle, b.handle, { loss: 1, delay: 50 })[0],
    ],
    ["a switch", (a: FakeKernel, b: FakeKernel) => createSwitch([a.handle, b.handle])[0]],
  ])("brings back what the port sends to itself, on %s", (_, wire) => {
    const a = new FakeKernel("a");
    const b = new FakeKernel("b");
    const backend = createBackend(a.handle, 0, wire(a, b));
    const toItself = ipFrame({ to: [...a.handle.mac], payload: pattern(100) });
    const toOthers = ipFrame({ payload: pattern(100) });
    for (const frame of [toItself, toOthers, toItself]) a.send(frame);
    expect(backend.pump(0)).toBe(3);
    const came = a.receive();
    expect(came.map(({ bytes }) => bytes)).toEqual([toItself, toItself]);
    for (const { flags } of came) expect(flags & RX_META_LOOPBACK).toBe(RX_META_LOOPBACK);
    for (const { flags } of b.receive()) expect(flags & RX_META_LOOPBACK).toBe(0);
    expect(a.completions().length).toBe(3);
  });

  it("wakes a core that sleeps, and only then", () => {
    const { a, b, backend } = pair();
    a.send(plainFrame(60));
    backend.pump(0);
    expect(b.doorbell).toBe(0);
    b.parked = true;
    backend.pump(0);
    expect(b.doorbell).toBe(0);
    a.send(plainFrame(60));
    a.send(plainFrame(60));
    backend.pump(0);
    expect(b.doorbell).toBe(1);
  });

  it("refuses a queue that the port does not have", () => {
    const { a, b } = pair();
    const [wire] = connectPorts(a.handle, b.handle);
    for (const queue of [-1, 1, 0.5]) {
      expect(() => createBackend(a.handle, queue, wire)).toThrow(RangeError);
    }
  });
});

describe("metadata of received frames", () => {
  const deliver = (frame: Uint8Array, ofB: FakeKernelOptions = {}) => {
    const { a, b, backend } = pair({}, ofB);
    a.send(frame);
    backend.pump(0);
    return { got: b.receive()[0], counters: b.counters.queues[0] };
  };

  it("has the hash of addresses and ports for TCP and UDP", () => {
    for (const protocol of [6, 17]) {
      const frame = ipFrame({ protocol, payload: pattern(64) });
      const { got } = deliver(frame);
      expect(got.flags).toBe(BOTH);
      expect(got.hash).toBe(hashIpv4(STANDARD_TABLES, frame, 26, 34) >>> 0);
    }
  });

  it("follows IP options to the ports", () => {
    const frame = ipFrame({ optionWords: 3, payload: pattern(10) });
    const { got } = deliver(frame);
    expect(got.flags).toBe(BOTH);
    expect(got.hash).toBe(hashIpv4(STANDARD_TABLES, frame, 26, 46) >>> 0);
  });

  it("has the hash of the addresses alone for fragments and other protocols", () => {
    for (const options of [{ fragment: 0x2000 }, { fragment: 7 }, { protocol: 132 }]) {
      const frame = ipFrame({ payload: pattern(64), ...options });
      const { got } = deliver(frame);
      expect(got.flags).toBe(RX_META_HAS_HASH);
      expect(got.hash).toBe(hashIpv4(STANDARD_TABLES, frame, 26, 0) >>> 0);
    }
  });

  it("takes DF for no fragment", () => {
    expect(deliver(ipFrame({ fragment: 0x4000 })).got.flags).toBe(BOTH);
  });

  it("covers IPv6", () => {
    const addresses = { source: pattern(16, 1), destination: pattern(16, 2) };
    for (const protocol of [6, 17]) {
      const frame = ipFrame({ ...addresses, protocol, payload: pattern(33) });
      const { got } = deliver(frame);
      expect(got.flags).toBe(BOTH);
      expect(got.hash).toBe(hashIpv6(STANDARD_TABLES, frame, 22, 54) >>> 0);
      frame[60] ^= 1;
      expect(deliver(frame).got.flags).toBe(RX_META_HAS_HASH);
    }
    const other = ipFrame({ ...addresses, protocol: 58 });
    expect(deliver(other).got.hash).toBe(hashIpv6(STANDARD_TABLES, other, 22, 0) >>> 0);
  });

  it("says nothing for the offloads that the port does not have", () => {
    expect(deliver(ipFrame(), { offloads: 0 }).got.flags).toBe(0);
    expect(deliver(ipFrame(), { offloads: OFFLOAD_RX_HASH }).got.flags).toBe(RX_META_HAS_HASH);
  });

  it("does not vouch for a damaged packet, wherever the damage is", () => {
    const frame = ipFrame({ payload: pattern(101) });
    for (let at = 14; at < frame.length; at++) {
      const damaged = frame.slice();
      damaged[at] ^= 0x10;
      expect(deliver(damaged).got.flags & RX_META_CHECKSUM_OK, `byte ${at}`).toBe(0);
    }
    frame[80] ^= 1;
    expect(deliver(frame).counters.badChecksum).toBe(1);
  });

  it("verifies only the packet, not Ethernet's padding", () => {
    const padded = new Uint8Array(60).fill(0x5a);
    padded.set(ipFrame({ protocol: 17, payload: [1] }));
    expect(deliver(padded).got.flags).toBe(BOTH);
  });

  it("takes a UDP packet without a checksum over IPv4, not over IPv6", () => {
    const frame = ipFrame({ protocol: 17, payload: [1, 2, 3] });
    frame[40] = frame[41] = 0;
    expect(deliver(frame).got.flags).toBe(BOTH);
    const addresses = { source: pattern(16, 1), destination: pattern(16, 2) };
    const six = ipFrame({ protocol: 17, ...addresses });
    six[60] = six[61] = 0;
    expect(deliver(six).got.flags).toBe(RX_META_HAS_HASH);
  });

  it("believes no length that the frame does not have", () => {
    for (const [at, value] of [
      [17, 200],
      [14, 0x4f],
      [14, 0x44],
      [14, 0x65],
      [17, 30],
    ]) {
      const frame = ipFrame();
      frame[at] = value;
      const header = frame.slice(14, 34);
      header[10] = header[11] = 0;
      const sum = ~onesComplementSum(header) & 0xffff;
      frame[24] = sum >> 8;
      frame[25] = sum;
      expect(deliver(frame).got.flags & RX_META_CHECKSUM_OK).toBe(0);
    }
  });
});

describe("checksum requests", () => {
  const send = (
    frame: Uint8Array,
    checksum: { start: number; offset: number },
    ofA: FakeKernelOptions = {},
    ofB: FakeKernelOptions = {},
  ) => {
    const { a, b, backend } = pair(ofA, ofB);
    const address = a.send(frame, { checksum });
    backend.pump(0);
    expect(a.bytes.slice(address, address + frame.length)).toEqual(frame);
    return { got: b.receive()[0], a, b };
  };

  it("are vouched for unseen when the receiving port verifies", () => {
    for (const [protocol, request] of [
      [6, TCP],
      [17, UDP],
    ] as const) {
      const frame = ipFrame({ protocol, payload: pattern(99), checksum: "pseudo" });
      const { got } = send(frame, request);
      expect(got.flags).toBe(BOTH);
      expect(got.bytes).toEqual(frame);
    }
  });

  it("are fulfilled when the receiver has to look itself", () => {
    for (const [protocol, request] of [
      [6, TCP],
      [17, UDP],
    ] as const) {
      for (const length of [0, 1, 2, 3, 64, 1459]) {
        const options = { protocol, payload: pattern(length) };
        const frame = ipFrame({ ...options, checksum: "pseudo" });
        const { got } = send(frame, request, {}, { offloads: 0 });
        expect(got.flags).toBe(0);
        expect(got.bytes).toEqual(ipFrame(options));
      }
    }
  });

  it("of scattered frames are fulfilled over all of them", () => {
    const { a, b, backend } = pair({}, { offloads: 0 });
    const payload = pattern(777);
    const frame = ipFrame({ payload, checksum: "pseudo" });
    const header = a.send(frame.slice(0, 54), { checksum: TCP });
    const head = a.word(0, QUEUE_TX, RING_PRODUCER) - 1;
    a.words[(a.descriptors(0, QUEUE_TX) + head * 16 + 12) >> 2] |= DESC_CONTINUED;
    const rest = a.place(payload, 3);
    a.descriptor(0, rest, payload.length);
    backend.pump(0);
    expect(b.receive()[0].bytes).toEqual(ipFrame({ payload }));
    expect(a.completions()).toEqual([header, rest]);
  });

  it("do not make up for a bad IP header", () => {
    const frame = ipFrame({ payload: pattern(40), checksum: "pseudo" });
    frame[24] ^= 1;
    expect(send(frame, TCP).got.flags).toBe(RX_META_HAS_HASH);
  });

  it("are not the port's business without the offload", () => {
    const frame = ipFrame({ payload: pattern(40), checksum: "pseudo" });
    const { got } = send(frame, TCP, { offloads: 0 });
    expect(got.flags).toBe(RX_META_HAS_HASH);
    expect(got.bytes).toEqual(frame);
  });

  it("for unusual places are done, then verified like any other packet", () => {
    const frame = ipFrame({ payload: [0, 0, 7, 9], checksum: "full" });
    const { got } = send(frame, { start: 56, offset: 0 });
    expect(got.flags).toBe(RX_META_HAS_HASH);
    expect(got.bytes[54] | got.bytes[55]).toBe(0);
    expect((got.bytes[56] << 8) | got.bytes[57]).toBe(~0x0709 & 0xffff);
  });

  it("that point outside the frame are counted and left", () => {
    const frame = ipFrame({ payload: pattern(40) });
    for (const request of [
      { start: 0, offset: 60 },
      { start: 13, offset: 2 },
      { start: 34, offset: 0xffff },
      { start: 34, offset: frame.length - 35 },
      { start: 0xffff, offset: 0 },
    ]) {
      const { got, a } = send(frame, request);
      expect(got.bytes).toEqual(frame);
      expect(got.flags).toBe(BOTH);
      expect(a.counters.queues[0].badChecksumRequest).toBe(1);
    }
  });
});

describe("scattered frames", () => {
  it("are put together, wherever they were cut and however they lie", () => {
    const whole = fc.record({
      length: fc.integer({ min: 14, max: 400 }),
      cuts: fc.array(fc.nat(399), { maxLength: 8 }),
      skews: fc.array(fc.nat(7), { minLength: 10, maxLength: 10 }),
    });
    const { a, b, backend } = pair();
    fc.assert(
      fc.property(whole, ({ length, cuts, skews }) => {
        const frame =
          length >= 60
            ? Array.from(ipFrame({ payload: pattern(length - 54) }))
            : plainFrame(length);
        const inside = cuts.filter((cut) => cut > 0 && cut < length).sort((x, y) => x - y);
        const edges = [0, ...new Set(inside), length];
        const addresses: number[] = [];
        for (let i = 0; i + 1 < edges.length; i++) {
          const address = a.place(frame.slice(edges[i], edges[i + 1]), skews[i]);
          addresses.push(address);
          const more = i + 2 < edges.length ? DESC_CONTINUED : 0;
          a.descriptor(0, address, edges[i + 1] - edges[i], more);
        }
        expect(backend.pump(0)).toBe(1);
        const [got] = b.receive();
        expect(Array.from(got.bytes)).toEqual(frame);
        expect(got.flags).toBe(length >= 60 ? BOTH : 0);
        expect(a.completions()).toEqual(addresses);
      }),
      { numRuns: 300 },
    );
  });

  it("wait for their end to be published", () => {
    const { a, b, backend } = pair();
    const frame = plainFrame(100);
    a.send(plainFrame(60));
    a.descriptor(0, a.place(frame.slice(0, 50)), 50, DESC_CONTINUED);
    expect(backend.pump(0)).toBe(1);
    expect(backend.pump(0)).toBe(0);
    expect(a.completions().length).toBe(1);
    a.descriptor(0, a.place(frame.slice(50)), 50);
    expect(backend.pump(0)).toBe(1);
    expect(b.receive().map(({ bytes }) => Array.from(bytes))).toEqual([plainFrame(60), frame]);
    expect(a.completions().length).toBe(2);
  });

  it("may be many in one batch", () => {
    const { a, b, backend } = pair({ ringSize: 2048, fill: 0 });
    const frame = plainFrame(60);
    const address = a.place(frame);
    for (let i = 0; i < 40; i++) {
      for (let k = 0; k < 46; k++) a.descriptor(0, address + k, 1, DESC_CONTINUED);
      a.descriptor(0, address + 46, 14);
    }
    expect(backend.pump(0)).toBe(40);
    const got = b.receive();
    expect(got.length).toBe(40);
    for (const { bytes } of got) expect(Array.from(bytes)).toEqual(frame);
    expect(a.completions().length).toBe(40 * 47);
  });
});

describe("hostile descriptors", () => {
  const size = 64 * 65536;

  it.each([
    ["an address outside the memory", size, 60, 0, 0, "badDescriptor"],
    ["an end outside the memory", size - 59, 60, 0, 0, "badDescriptor"],
    ["an address that wraps", -16, 60, 0, 0, "badDescriptor"],
    ["an address above 4 GiB", 0x20000, 60, 0, 1, "badDescriptor"],
    ["no length", 0x20000, 0, 0, 0, "badDescriptor"],
    ["a negative length", 0x20000, -1, 0, 0, "badDescriptor"],
    ["a length above 65536", 0x20000, 65537, 0, 0, "badDescriptor"],
    ["less than an Ethernet header", 0x20000, 13, 0, 0, "tooShort"],
  ] as const)("with %s are dropped and completed", (_, address, length, options, high, counter) => {
    const { a, b, backend } = pair();
    a.descriptor(0, address, length, options, high);
    a.send(plainFrame(60));
    expect(backend.pump(0)).toBe(1);
    expect(b.receive().length).toBe(1);
    expect(a.completions()[0]).toBe(address >>> 0);
    expect(a.counters.queues[0][counter]).toBe(1);
  });

  it("in a chain condemn all of it and nothing else", () => {
    const { a, b, backend } = pair();
    for (const bad of [size, -1]) {
      a.descriptor(0, a.place(plainFrame(60)), 60, DESC_CONTINUED);
      a.descriptor(0, bad, 60, DESC_CONTINUED);
      a.descriptor(0, a.place(plainFrame(60)), 60);
    }
    a.descriptor(0, a.place([1]), 1, DESC_CONTINUED);
    a.descriptor(0, a.place([1]), 1);
    a.send(plainFrame(60));
    expect(backend.pump(0)).toBe(1);
    expect(b.receive().length).toBe(1);
    expect(a.completions().length).toBe(9);
    expect(a.counters.queues[0]).toMatchObject({ badChain: 2, tooShort: 1 });
  });

  it("without an end are thrown away to their end, and counted once", () => {
    const { a, b, backend } = pair();
    const address = a.place(plainFrame(60));
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 200; i++) a.descriptor(0, address, 1, DESC_CONTINUED);
      backend.pump(0);
      expect(a.completions().length).toBe(200);
    }
    a.descriptor(0, address, 1);
    a.send(plainFrame(60));
    expect(backend.pump(0)).toBe(1);
    expect(b.receive().length).toBe(1);
    expect(a.counters.queues[0].badChain).toBe(1);
  });

  it("without an end do not clog a small ring", () => {
    const { a, b, backend } = pair({ ringSize: 16 });
    const address = a.place(plainFrame(60));
    for (let i = 0; i < 16; i++) a.descriptor(0, address, 1, DESC_CONTINUED);
    backend.pump(0);
    expect(a.completions().length).toBe(16);
    a.descriptor(0, address, 1);
    a.send(plainFrame(60));
    expect(backend.pump(0)).toBe(1);
    expect(b.receive().length).toBe(1);
  });

  it("are only as many as the ring has, whatever the producer word says", () => {
    const { a, b, backend } = pair();
    const address = a.place(plainFrame(60));
    for (let i = 0; i < 256; i++) a.descriptor(0, address, 60);
    a.setWord(0, QUEUE_TX, RING_PRODUCER, -5);
    expect(backend.pump(0)).toBe(256);
    expect(b.receive().length).toBe(256);
  });

  it("never throw, are all completed, and touch only frames of the fill ring", () => {
    const descriptor = fc.record({
      address: fc.oneof(
        fc.integer({ min: 0x20000, max: 0x3fffff }),
        fc.integer(),
        fc.constant(0x30000),
      ),
      high: fc.oneof(
        { weight: 9, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer() },
      ),
      length: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer()),
      options: fc.oneof(fc.nat(3), fc.integer()),
    });
    fc.assert(
      fc.property(fc.array(descriptor, { maxLength: 200 }), (descriptors) => {
        const { a, b, backend } = pair({ promiscuous: true }, { promiscuous: true });
        b.bytes.fill(0x5a, b.txFrames);
        for (let i = 0x20000; i < 0x40000; i++) a.bytes[i] = (i * 7) & 0xff;
        for (const { address, high, length, options } of descriptors) {
          a.descriptor(0, address, length, options, high);
        }
        a.descriptor(0, 0x30000, 1);
        backend.pump(0);
        backend.pump(1);
        expect(a.completions()).toEqual([...descriptors.map((d) => d.address >>> 0), 0x30000]);
        expect(b.bytes.subarray(b.txFrames).every((byte) => byte === 0x5a)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe("a receiver that cannot take a frame", () => {
  it("has no fill descriptor: drops and counts", () => {
    const { a, b, backend } = pair({}, { fill: 3 });
    for (let i = 0; i < 5; i++) a.send(plainFrame(60, i));
    expect(backend.pump(0)).toBe(5);
    expect(a.completions().length).toBe(5);
    expect(b.counters.queues[0]).toMatchObject({ received: 3, noFillDescriptor: 2 });
    b.receive();
    a.send(plainFrame(60));
    backend.pump(0);
    expect(b.receive().length).toBe(1);
  });

  it("has a full rx ring: drops and counts, and keeps the fill descriptors", () => {
    const { a, b, backend } = pair({}, { ringSize: 16 });
    for (let i = 0; i < 16; i++) a.send(plainFrame(60));
    backend.pump(0);
    for (let i = 0; i < 4; i++) b.giveFrame(0, b.txFrames + i * FRAME_SIZE);
    for (let i = 0; i < 3; i++) a.send(plainFrame(60));
    backend.pump(0);
    expect(b.counters.queues[0]).toMatchObject({ received: 16, rxRingFull: 3 });
    expect(b.word(0, QUEUE_FILL, RING_CONSUMER)).toBe(16);
  });

  it("gave frames that are none: uses the next", () => {
    const { a, b, backend } = pair({}, { fill: 0 });
    b.giveFrame(0, 64 * 65536);
    b.giveFrame(0, 0);
    b.giveFrame(0, b.txFrames, 1);
    b.giveFrame(0, -FRAME_SIZE);
    b.giveFrame(0, b.txFrames + 77);
    a.send(plainFrame(60));
    backend.pump(0);
    expect(b.receive(0, true)[0].address).toBe(b.txFrames + FRAME_HEADROOM);
    expect(b.counters.queues[0]).toMatchObject({ received: 1, badFillDescriptor: 4 });
  });

  it("has shorter frames than that: drops and counts", () => {
    const { a, b, backend } = pair();
    const address = a.place(plainFrame(3000));
    a.descriptor(0, address, MAX_FRAME);
    a.descriptor(0, address, MAX_FRAME + 1);
    a.descriptor(0, address, 10, DESC_CONTINUED);
    a.descriptor(0, address + 10, MAX_FRAME);
    backend.pump(0);
    expect(b.receive().map(({ bytes }) => bytes.length)).toEqual([MAX_FRAME]);
    expect(b.counters.tooLong).toBe(2);
    expect(a.completions().length).toBe(4);
  });
});

describe("a sender that does not reclaim", () => {
  it("stops until its completion ring has room", () => {
    const { a, b, backend } = pair({ ringSize: 16 });
    for (let i = 0; i < 16; i++) a.send(plainFrame(60, i));
    expect(backend.pump(0)).toBe(16);
    a.send(plainFrame(60, 16));
    expect(backend.pump(0)).toBe(0);
    expect(a.completions().length).toBe(16);
    expect(backend.pump(0)).toBe(1);
    expect(b.receive().length).toBe(17);
  });
});
