/**
 * Payload that the application sent without a copy, and gets back while the NIC has yet to read it: what it
 * writes there next must not go out.
 */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_RESETS_IN,
  DESC_ADDRESS,
  GAUGE_BUFFERS,
  PACKET_DESC_SIZE,
  RC_NOBUFS,
  RC_OK,
  RC_RESET,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { Cores, groupOf, portFor } from "../flow/cores.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { PEER6, startKernel6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
const LENGTH = 4000;

/** Sends a pattern from the application's window, without a copy; returns where it lies. */
function refer(k: KernelHarness, peer: TcpPeer, length = LENGTH): number {
  const address = k.write(pattern(length));
  expect(k.call({ op: SYS_SEND, handle: peer.handle, a: address, b: length }).result).toBe(length);
  return address;
}

/** The application has its memory back and uses it; then the NIC sends. */
function reuse(k: KernelHarness, address: number, length = LENGTH): void {
  k.bytes.fill(0xee, address, address + length);
  k.nic.stalled = false;
  k.poll();
  // The NIC's completions are taken up.
  k.poll();
}

/** All that the peer was sent. */
function streamOf(peer: TcpPeer): Uint8Array {
  peer.takeAll();
  return peer.stream();
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([
    ["IPv4", {}],
    ["IPv6", { host: PEER6 }],
    ["timestamps and SACK", { timestamps: 1, sack: true }],
  ])("an ACK of what is still to be sent does not change it: %s", (_, options) => {
    const k = startKernel6(build);
    const peer = TcpPeer.established(k, options);
    k.nic.stalled = true;
    const address = refer(k, peer);
    peer.send({ ack: 1 + LENGTH });
    expect(k.event("sent").acked).toBe(LENGTH);
    reuse(k, address);
    assertSameBytes(streamOf(peer), pattern(LENGTH));
    expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("nor does an ACK of a part of a segment", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.nic.stalled = true;
    const address = refer(k, peer);
    peer.send({ ack: 101 });
    expect(k.event("sent").acked).toBe(100);
    reuse(k, address, 100);
    assertSameBytes(streamOf(peer), pattern(LENGTH));
  });

  test.each([
    ["", {}, undefined],
    [", the last of which SACK had named", { sack: true }, [[1461, 1 + LENGTH] as const]],
  ])("nor does the ACK of first copies change second ones%s", (_, options, sack) => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, options);
    const address = refer(k, peer);
    peer.takeAll();
    if (sack) peer.send({ ack: 1, sack });
    k.nic.stalled = true;
    k.advance(SECOND);
    peer.send({ ack: 1 + LENGTH });
    expect(k.event("sent").acked).toBe(LENGTH);
    reuse(k, address);
    const repeated = peer.takeAll();
    expect(repeated.length).toBeGreaterThan(0);
    for (const { seq, payload } of repeated) {
      assertSameBytes(payload, pattern(LENGTH).subarray(seq - 1, seq - 1 + payload.length));
    }
  });

  test("nor does a RST", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.nic.stalled = true;
    const address = refer(k, peer);
    peer.send({ flags: "R" });
    expect(k.counter(CNT_TCP_RESETS_IN)).toBe(1);
    expect(k.event("dead").reason).toBe(RC_RESET);
    reuse(k, address);
    assertSameBytes(streamOf(peer), pattern(LENGTH));
    expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("nor does the application when it aborts", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.nic.stalled = true;
    const address = refer(k, peer);
    expect(k.abort(peer.handle)).toBe(RC_OK);
    reuse(k, address);
    assertSameBytes(streamOf(peer), pattern(LENGTH));
    expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("nor does an ACK to a connection that could not leave for another core, and was copied in part", () => {
    const cores = new Cores(build, 2, { frames: 256, references: 2048, ringSize: 64 });
    const k = cores.at(0);
    const options = { port: portFor(0, 2), windowScale: 8, window: 1 << 20 };
    const peer = TcpPeer.established(k, options);
    const address = refer(k, peer);
    // More than there are frames for copies, as far as it is taken.
    while (k.send(peer.handle, pattern(7300)) === 7300) peer.takeAll();
    k.nic.stalled = true;
    k.advance(SECOND);
    cores.command(0, 1, [groupOf(peer)]);
    expect(cores.finish(0)).toBe(RC_NOBUFS);
    peer.send({ ack: 1461 });
    expect(k.event("sent").acked).toBe(1460);
    peer.takeAll();
    reuse(k, address, 1460);
    const [repeated] = peer.takeAll();
    expect(repeated.seq).toBe(1);
    assertSameBytes(repeated.payload, pattern(1460));
  });

  test("what is younger stays where it is: an honest ACK makes no copy", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    refer(k, peer);
    peer.takeAll();
    k.advance(1000);
    k.nic.stalled = true;
    const address = refer(k, peer);
    peer.send({ ack: 1 + LENGTH });
    expect(k.event("sent").acked).toBe(LENGTH);
    const { tx } = k.nic;
    const payload = tx.descriptors + ((tx.consumer + 1) & tx.mask) * PACKET_DESC_SIZE;
    expect(k.view.getUint32(payload + DESC_ADDRESS, true)).toBe(address);
    peer.send({ ack: 1 + 2 * LENGTH });
    expect(k.event("sent").acked).toBe(LENGTH);
    expect(k.view.getUint32(payload + DESC_ADDRESS, true)).not.toBe(address);
    reuse(k, address);
    assertSameBytes(streamOf(peer).subarray(LENGTH), pattern(LENGTH));
  });
});
