/** What the NIC may do for the kernel: checksums both ways and the RSS hash, each alone and together. */
import { describe, expect, test } from "vitest";
import { CNT_DROP_TCP_CHECKSUM, RC_OK } from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel, type HarnessOptions } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { icmpFrame, ICMP_ECHO_REQUEST, udpFrame, type Path } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const path: Path = { from: PEER, to: KERNEL };

const combinations = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  rxChecksum: (bits & 1) !== 0,
  txChecksum: (bits & 2) !== 0,
  rxHash: (bits & 4) !== 0,
}));

function withOffloads(offloads: Partial<(typeof combinations)[number]>): HarnessOptions {
  return { offloads: { rxChecksum: false, txChecksum: false, rxHash: false, ...offloads } };
}

describe.each(kernels)("$name kernel", (build) => {
  test.each(combinations)("TCP, UDP and ICMP with %j", (offloads) => {
    const k = startKernel(build, { offloads });
    const peer = TcpPeer.established(k);
    const active = TcpPeer.connected(k);
    for (const connection of [peer, active]) {
      for (const length of [1, 2, 3, 100, 1023, 1460, 5001]) {
        const from = connection.rcvNxt - 1;
        expect(k.send(connection.handle, pattern(length, from))).toBe(length);
        connection.takeAll();
        connection.ack();
        connection.send({ payload: pattern(length % 1460, 7) });
      }
      assertSameBytes(connection.stream(), pattern(connection.rcvNxt - 1));
      expect(k.recvDone(connection.handle, k.contract.heldBytes(connection.handle))).toBe(RC_OK);
    }
    const udp = k.udpBind(53).handle;
    k.events();
    for (const length of [0, 1, 2, 1023, 1024, 1472]) {
      k.sent();
      expect(k.udpSend(udp, pattern(length), { ip: PEER.ip, port: 9 })).toBe(length);
      expect(k.sent()[0].payload).toEqual(pattern(length));
      k.deliver(udpFrame(path, { sourcePort: 9, destinationPort: 53 }, pattern(length)));
    }
    expect(k.udpSendv(udp, [pattern(3), pattern(1029)], { ip: PEER.ip, port: 9 })).toBe(1032);
    expect(k.sent()[0].udp?.checksummed).toBe(true);
    k.deliver(icmpFrame(path, { type: ICMP_ECHO_REQUEST, data: pattern(77) }));
    expect(k.sent()[0].icmp?.data).toEqual(pattern(77));
    expect(k.shutdown(peer.handle)).toBe(RC_OK);
    peer.expect({ flags: "FA" });
  });

  test("what the NIC did not verify the kernel verifies", () => {
    const k = startKernel(build, withOffloads({ rxChecksum: true }));
    const peer = TcpPeer.established(k);
    const good = peer.frame({ payload: text("good") });
    k.inject(good, { checksumOk: false });
    k.poll();
    expect(k.event("recv").data).toEqual(text("good"));
    peer.sndNxt += 4;
    const bad = peer.frame({ payload: text("evil") });
    bad[bad.length - 1] ^= 1;
    k.inject(bad, { checksumOk: false });
    const [wrong] = k.counts([CNT_DROP_TCP_CHECKSUM], () => k.poll());
    expect(wrong).toBe(1);
    k.noEvents();
  });

  test("what the NIC verified the kernel believes", () => {
    const k = startKernel(build, withOffloads({ rxChecksum: true }));
    const peer = TcpPeer.established(k);
    const frame = peer.frame({ payload: text("data"), raw: { checksum: 0xdead } });
    k.inject(frame, { checksumOk: true });
    k.poll();
    expect(k.event("recv").data).toEqual(text("data"));
  });

  test("a NIC that was not asked is not believed", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const frame = peer.frame({ payload: text("data"), raw: { checksum: 0xdead } });
    k.inject(frame, { metadataFlags: 0xffff_ffff, hash: 12345 });
    const [wrong] = k.counts([CNT_DROP_TCP_CHECKSUM], () => k.poll());
    expect(wrong).toBe(1);
    k.inject(peer.frame({ payload: text("data") }), { metadataFlags: 0xffff_ffff, hash: 12345 });
    k.poll();
    expect(k.event("recv").data).toEqual(text("data"));
  });

  test("the NIC's hash and the kernel's own lead to the same connection", () => {
    const k = startKernel(build, withOffloads({ rxHash: true }));
    for (let i = 0; i < 20; i++) {
      const peer = i % 2 === 0 ? TcpPeer.established(k) : TcpPeer.connected(k);
      k.inject(peer.frame({ payload: text("no hash") }), { hash: undefined });
      k.poll();
      expect(k.event("recv").data).toEqual(text("no hash"));
      peer.sndNxt += 7;
      peer.send({ payload: text("hash") });
      expect(k.event("recv").data).toEqual(text("hash"));
    }
  });

  test("a malformed segment that the NIC called right is still refused", () => {
    const k = startKernel(build, {
      offloads: { rxChecksum: true, rxHash: true, txChecksum: true },
    });
    const peer = TcpPeer.established(k);
    for (const dataOffset of [0, 1, 4, 6, 15]) {
      k.deliver(peer.frame({ raw: { dataOffset } }));
    }
    for (const length of [14, 20, 33, 34, 40, 53]) k.deliver(peer.frame().subarray(0, length));
    k.nothingSent();
    k.noEvents();
    peer.send({ payload: text("alive") });
    expect(k.event("recv").data).toEqual(text("alive"));
  });
});
