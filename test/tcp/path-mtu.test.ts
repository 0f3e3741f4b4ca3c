/** TCP on a path that takes less than the link: ICMP believed when it can be true (RFC 1191, RFC 5927). */
import { describe, expect, test } from "vitest";
import { CNT_DROP_ICMP_QUOTE, CNT_PATH_MTU, RC_OK } from "../../assembly/abi.ts";
import { concat, pattern } from "../support/bytes.ts";
import {
  KERNEL,
  PEER,
  startKernel,
  type KernelHarness,
  type SentPacket,
} from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { icmpFrame, sackOk, type Path } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const path: Path = { from: PEER, to: KERNEL };

/** "Fragmentation needed" about a packet that the kernel sent. */
function tooBig(packet: SentPacket, mtu: number): Uint8Array {
  const data = packet.frame.slice(14, 14 + 60);
  return icmpFrame(path, { type: 3, code: 4, sequence: mtu, data });
}

/** The TCP packets that went out. */
function segments(k: KernelHarness): SentPacket[] {
  return k.sent().filter(({ tcp }) => tcp);
}

describe.each(kernels)("$name kernel", (build) => {
  describe.each([
    ["with SACK", { synOptions: [sackOk] }],
    ["without SACK", {}],
  ])("%s", (_what, options) => {
    test("what was too large goes again in smaller pieces, at once", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, options);
      k.sent();
      k.send(peer.handle, pattern(5000));
      const first = segments(k);
      expect(first.map(({ payload }) => payload.length)).toEqual([1460, 1460, 1460, 620]);
      const [lowered] = k.counts([CNT_PATH_MTU], () => k.deliver(tooBig(first[0], 1000)));
      expect(lowered).toBe(1);
      const again = segments(k);
      expect(again[0].tcp!.seq).toBe(first[0].tcp!.seq);
      expect(Math.max(...again.map(({ frame }) => frame.length - 14))).toBe(1000);
      // The other two that were too large say the same; nothing more comes of it.
      k.deliver(tooBig(first[1], 1000), tooBig(first[2], 1000));
      k.nothingSent();
      let received = concat(...again.map(({ payload }) => payload));
      for (let round = 0; round < 20 && received.length < 5000; round++) {
        peer.send({ ack: 1 + received.length });
        received = concat(received, ...segments(k).map(({ payload }) => payload));
      }
      expect(received).toEqual(pattern(5000));
      peer.send({ ack: 5001 });
    });
  });

  test("a new connection to the same host begins with what is known", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.sent();
    k.send(peer.handle, pattern(1460));
    k.deliver(tooBig(segments(k)[0], 1000));
    k.sent();
    k.events();
    const next = TcpPeer.established(k);
    k.sent();
    k.send(next.handle, pattern(1460));
    expect(segments(k).map(({ payload }) => payload.length)).toEqual([960, 500]);
    next.send({ ack: 1461 });
    peer.send({ ack: 1461 });
    // What was learned is forgotten after ten minutes.
    k.advance(601_000_000);
    k.sent();
    k.events();
    const later = TcpPeer.established(k);
    k.sent();
    k.send(later.handle, pattern(1460));
    expect(segments(k).map(({ payload }) => payload.length)).toEqual([1460]);
  });

  test.each([
    ["before what is in flight", -1],
    ["behind what was sent", 5000],
  ])("a sequence number %s is not believed", (_what, offset) => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.sent();
    k.send(peer.handle, pattern(1460));
    const [packet] = segments(k);
    const view = new DataView(packet.frame.buffer, packet.frame.byteOffset);
    view.setUint32(38, (packet.tcp!.seq + offset) >>> 0);
    const offsets = [CNT_DROP_ICMP_QUOTE, CNT_PATH_MTU];
    expect(k.counts(offsets, () => k.deliver(tooBig(packet, 1000)))).toEqual([1, 0]);
    k.nothingSent();
  });

  test("nothing is believed that would not have been too large", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.sent();
    k.send(peer.handle, pattern(500));
    const [packet] = segments(k);
    const [drops] = k.counts([CNT_DROP_ICMP_QUOTE], () => k.deliver(tooBig(packet, 540)));
    expect(drops).toBe(1);
    k.nothingSent();
  });

  test("nobody makes segments smaller than the floor", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.sent();
    expect(k.send(peer.handle, pattern(1460))).toBe(1460);
    k.deliver(tooBig(segments(k)[0], 68));
    const sizes = segments(k).map(({ frame }) => frame.length - 14);
    expect(Math.max(...sizes)).toBe(552);
    expect(k.abort(peer.handle)).toBe(RC_OK);
  });
});
