/** Protection against old segments, and which timestamp is echoed (RFC 7323 sections 4 and 5). */
import { describe, expect, test } from "vitest";
import { CNT_DROP_TCP_PAWS, CNT_TCP_TIME_WAIT_REUSED } from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { findOption, mss, ts } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const MILLISECOND = 1000;
const HOUR = 3_600_000_000;

/** What the next segment of the kernel echoes. */
function echo(k: KernelHarness, peer: TcpPeer): number | undefined {
  k.advance(50 * MILLISECOND);
  return findOption(peer.takeAll().at(-1)!.header, "ts")?.echo;
}

describe.each(kernels)("$name kernel", (build) => {
  test("a segment older than the last one is dropped and answered, in or out of the window", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 500 });
    peer.send({ payload: text("new"), tsValue: 600 });
    k.event("recv");
    const dropped = k.counts([CNT_DROP_TCP_PAWS], () => {
      peer.send({ seq: 4, payload: text("old"), tsValue: 599 });
      peer.expect({ flags: "A", ack: 4 });
    });
    expect(dropped).toEqual([1]);
    k.noEvents();
    peer.send({ seq: 4, payload: text("now"), tsValue: 600 });
    expect(k.event("recv").data).toEqual(text("now"));
  });

  test("timestamps are compared on their circle", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 0xffff_ffff });
    peer.send({ payload: text("a"), tsValue: 5 });
    expect(k.event("recv").data).toEqual(text("a"));
    peer.send({ payload: text("b"), tsValue: 0xffff_fff0 });
    k.noEvents();
  });

  test("a RST is not judged by its timestamp", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 500 });
    peer.send({ flags: "R", seq: 1, tsValue: 1 });
    k.event("dead");
  });

  test.each([
    [24, false],
    [26, true],
  ])("after %i days in silence any timestamp will do: %s", (days, taken) => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 500 });
    k.advance(days * 24 * HOUR);
    peer.send({ payload: text("hello"), tsValue: 499 });
    expect(k.events().map(({ kind }) => kind)).toEqual(taken ? ["recv"] : []);
  });

  test("of segments that one ACK covers the first one's timestamp is echoed (section 4.3)", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 500 });
    peer.sendAll([
      { payload: text("a"), tsValue: 501 },
      { payload: text("b"), tsValue: 502 },
    ]);
    expect(echo(k, peer)).toBe(501);
    peer.send({ payload: text("c"), tsValue: 503 });
    expect(echo(k, peer)).toBe(503);
  });

  test("behind a gap the timestamp before it is echoed, and that of what fills it afterwards", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 500 });
    peer.send({ seq: 101, payload: pattern(100, 100), tsValue: 510 });
    expect(echo(k, peer)).toBe(500);
    peer.send({ seq: 1, payload: pattern(100), tsValue: 520 });
    expect(echo(k, peer)).toBe(520);
  });

  test("a segment outside the window leaves the echo alone", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 500 });
    peer.send({ seq: 1_000_000, payload: text("far"), tsValue: 900 });
    expect(echo(k, peer)).toBe(500);
  });

  test("a repeated SYN's timestamp is the one its SYN-ACK echoes", () => {
    const k = startKernel(build);
    const peer = TcpPeer.synReceived(k, { timestamps: 500 });
    peer.send({ flags: "S", seq: 0, options: [mss(1460), ts(777, 0)] });
    expect(findOption(peer.expect({ flags: "SA" }).header, "ts")?.echo).toBe(777);
  });

  test.each([
    [600, 1, true],
    [400, 0x4000_0000, false],
  ])("a SYN in TIME-WAIT with timestamp %i opens anew: %s (RFC 6191)", (value, seq, opens) => {
    const k = startKernel(build);
    const peer = TcpPeer.timeWait(k, { timestamps: 500 });
    const [reused] = k.counts([CNT_TCP_TIME_WAIT_REUSED], () => {
      peer.send({ flags: "S", seq, options: [mss(1460), ts(value, 0)] });
    });
    expect(reused).toBe(opens ? 1 : 0);
    k.sent();
  });
});
