/** The engine of a queue: frames arrive as they were sent, or are dropped where a ring is full and counted. */
import { describe, expect, it } from "vitest";
import {
  DESC_CONTINUED,
  FRAME_HEADROOM,
  FRAME_SIZE,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_PRODUCER,
  RX_META_LOOPBACK,
} from "../../assembly/abi.ts";
import { connectPorts, createBackend, createSwitch } from "../../host/nic/index.ts";
import { ipFrame, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import { BOTH, pair, plainFrame } from "./pair.ts";

const MAX_FRAME = FRAME_SIZE - FRAME_HEADROOM;

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
