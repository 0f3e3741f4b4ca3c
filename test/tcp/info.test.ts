/** What a connection says of itself when it is asked (SYS_TCP_INFO). */
import { describe, expect, test } from "vitest";
import {
  RC_BADH,
  RC_FAULT,
  RC_OK,
  SYS_TCP_INFO,
  TCP_INFO_CWND,
  TCP_INFO_IN_FLIGHT,
  TCP_INFO_MSS,
  TCP_INFO_RECOVERY,
  TCP_INFO_RETRANSMITS,
  TCP_INFO_SIZE,
  TCP_INFO_SRTT,
  TCP_INFO_STATE,
  TCP_RECOVERY_DISORDER,
  TCP_RECOVERY_FAST,
  TCP_RECOVERY_NONE,
  TCP_RECOVERY_TIMEOUT,
  TCP_STATE_CLOSE_WAIT,
  TCP_STATE_ESTABLISHED,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

/** Asks, and returns a reader of the record. */
function ask(k: KernelHarness, handle: number): (offset: number) => number {
  const record = k.alloc(TCP_INFO_SIZE);
  expect(k.call({ op: SYS_TCP_INFO, handle, a: record }).result).toBe(RC_OK);
  const words = new Uint32Array(k.bytes.buffer, record, TCP_INFO_SIZE / 4);
  return (offset) => words[offset / 4];
}

describe.each(kernels)("$name kernel", (build) => {
  test("tells the state, the round trip, windows and what is in flight", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.send(peer.handle, pattern(100));
    const info = ask(k, peer.handle);
    expect(info(TCP_INFO_STATE)).toBe(TCP_STATE_ESTABLISHED);
    expect(info(TCP_INFO_IN_FLIGHT)).toBe(100);
    expect(info(TCP_INFO_CWND)).toBeGreaterThanOrEqual(info(TCP_INFO_MSS));
    expect(info(TCP_INFO_RETRANSMITS)).toBe(0);
    peer.takeAll();
    k.advance(5000);
    peer.ack();
    expect(ask(k, peer.handle)(TCP_INFO_IN_FLIGHT)).toBe(0);
    expect(ask(k, peer.handle)(TCP_INFO_SRTT)).toBeGreaterThan(0);
  });

  test("counts what was sent again, and follows the state", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.send(peer.handle, pattern(100));
    k.advance(1_500_000);
    expect(ask(k, peer.handle)(TCP_INFO_RETRANSMITS)).toBeGreaterThan(0);
    peer.takeAll();
    peer.send({ flags: "FA" });
    expect(ask(k, peer.handle)(TCP_INFO_STATE)).toBe(TCP_STATE_CLOSE_WAIT);
  });

  test("says how it recovers from what was lost", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { mss: 1000, sack: true });
    const recovery = (): number => ask(k, peer.handle)(TCP_INFO_RECOVERY);
    expect(recovery()).toBe(TCP_RECOVERY_NONE);
    k.send(peer.handle, pattern(8000));
    peer.takeAll();
    peer.send({ flags: "A", ack: 1, sack: [[1001, 5001]] });
    expect(recovery()).toBe(TCP_RECOVERY_DISORDER);
    // As long as it may be reordering and no more.
    k.advance(20_000);
    expect(recovery()).toBe(TCP_RECOVERY_FAST);
    k.advance(2_000_000);
    expect(recovery()).toBe(TCP_RECOVERY_TIMEOUT);
  });

  test("refuses a handle that names nothing, and a record outside the window", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const record = k.alloc(TCP_INFO_SIZE);
    const call = (handle: number, a: number): number =>
      k.call({ op: SYS_TCP_INFO, handle, a }).result;
    expect(call(peer.handle + 1, record)).toBe(RC_BADH);
    for (const address of [0, 65_536, k.bytes.buffer.byteLength - 8, 0xffff_fff0]) {
      expect(call(peer.handle, address)).toBe(RC_FAULT);
    }
  });
});
