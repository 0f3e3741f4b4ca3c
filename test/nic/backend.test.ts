import { describe, expect, it } from "vitest";
import {
  DESC_CONTINUED,
  FRAME_HEADROOM,
  FRAME_SIZE,
  QUEUE_COMPLETION,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_PRODUCER,
  RX_META_CHECKSUM_OK,
  RX_META_HAS_HASH,
} from "../../assembly/abi.ts";
import { connectPorts, createBackend } from "../../host/nic/index.ts";
import { hashIpv4, STANDARD_TABLES } from "../../host/nic/rss.ts";
import { ipFrame, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import type { FakeKernelOptions } from "./kernel.ts";

const BOTH = RX_META_HAS_HASH | RX_META_CHECKSUM_OK;
const TCP = { start: 34, offset: 16 };

/** Two ports on a perfect cable, and the engine of a's first queue. */
function pair(ofA: FakeKernelOptions = {}, ofB: FakeKernelOptions = {}) {
  const a = new FakeKernel("a", ofA);
  const b = new FakeKernel("b", ofB);
  const [fromA] = connectPorts(a.handle, b.handle);
  const backend = createBackend(a.handle, 0, fromA);
  return { a, b, backend };
}

describe("a perfect wire", () => {
  it.each([14, 15, 42, 60, 61, 118, 255, 1000, 1513, 1514, FRAME_SIZE - FRAME_HEADROOM - 8])(
    "carries %i bytes unchanged, and nothing of what lies behind them",
    (length) => {
      const { a, b, backend } = pair();
      const frame = pattern(length);
      frame.splice(0, 14, 2, 0, 0, 0, 0, 98, 2, 0, 0, 0, 0, 97, 0x88, 0xb5);
      const address = a.send(frame);
      a.bytes.fill(0x77, address + length, address + length + 8);
      b.bytes.fill(0xee, b.txFrames - 256 * FRAME_SIZE, b.txFrames);
      expect(backend.pump(0)).toBe(1);
      const [got] = b.receive(0, true);
      expect(Array.from(got.bytes)).toEqual(frame);
      expect(got.flags).toBe(0);
      expect(got.address % FRAME_SIZE).toBe(FRAME_HEADROOM);
      // The last word is written whole, with zeros; what lies behind the sender's frame stays there.
      const behind = b.bytes.slice(got.address + length, got.address + Math.ceil(length / 4) * 4 + 1);
      behind.forEach((byte, i) => expect(byte).toBe(i === behind.length - 1 ? 0xee : 0));
      expect(a.completions()).toEqual([address]);
      expect(backend.nextDeadline()).toBe(Infinity);
    },
  );

  it("hashes a TCP packet and vouches for its checksum", () => {
    const { a, b, backend } = pair();
    const frame = ipFrame({ payload: pattern(64) });
    a.send(frame);
    backend.pump(0);
    const [got] = b.receive();
    expect(got.flags).toBe(BOTH);
    expect(got.hash).toBe(hashIpv4(STANDARD_TABLES, frame, 26, 34) >>> 0);
  });

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
});
