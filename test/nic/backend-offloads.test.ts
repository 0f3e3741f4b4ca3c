/** What the engine says of received frames, and the checksums that it fills in for the sender. */
import { describe, expect, it } from "vitest";
import {
  DESC_CONTINUED,
  OFFLOAD_RX_HASH,
  QUEUE_TX,
  RING_PRODUCER,
  RX_META_CHECKSUM_OK,
  RX_META_HAS_HASH,
} from "../../assembly/abi.ts";
import { hashIpv4, hashIpv6, STANDARD_TABLES } from "../../host/nic/rss.ts";
import { ipFrame, onesComplementSum, pattern } from "./frames.ts";
import type { FakeKernelOptions } from "./kernel.ts";
import { BOTH, pair } from "./pair.ts";

const TCP = { start: 34, offset: 16 };
const UDP = { start: 34, offset: 6 };

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

  it.each([
    ["UDP", 6, 0xffff],
    ["TCP", 16, 0],
  ])("that come out as zero: in the field of %s", (_, offset, expected) => {
    // The field holds the pseudo header's sum: with it, all ones.
    const payload = new Uint8Array(20);
    payload.fill(0xff, offset, offset + 2);
    const { got } = send(ipFrame({ payload, checksum: "full" }), { start: 54, offset });
    expect((got.bytes[54 + offset] << 8) | got.bytes[55 + offset]).toBe(expected);
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
