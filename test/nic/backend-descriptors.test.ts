/** Descriptors of the sender: frames in pieces, and such as no kernel would write. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DESC_CONTINUED, QUEUE_TX, RING_PRODUCER } from "../../assembly/abi.ts";
import { ipFrame, pattern } from "./frames.ts";
import { BOTH, pair, plainFrame } from "./pair.ts";

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
