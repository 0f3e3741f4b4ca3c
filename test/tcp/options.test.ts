/** What is offered and agreed to in SYNs, in Linux's layout (RFC 2018 section 2, RFC 7323 section 3.2). */
import { describe, expect, test } from "vitest";
import { CNT_TCP_FAST_PATH, CNT_TCP_NO_TIMESTAMP } from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  findOption,
  formatOption,
  isTcp,
  nop,
  sack,
  ts,
  type TcpOption,
} from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

/** Options in one line, without the numbers that are the kernel's own. */
function layout(options: readonly TcpOption[]): string {
  return options
    .map(formatOption)
    .join(",")
    .replace(/TS val \d+/, "TS val *");
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([
    [true, true, "mss 1460,sackOK,TS val * ecr 0,nop,wscale 7"],
    [true, false, "mss 1460,nop,nop,sackOK,nop,wscale 7"],
    [false, true, "mss 1460,nop,nop,TS val * ecr 0,nop,wscale 7"],
    [false, false, "mss 1460,nop,wscale 7"],
  ])("a SYN with sack %s and timestamps %s", (sackOn, timestamps, expected) => {
    const k = startKernel(build, { tcp: { sack: sackOn, timestamps } });
    k.connect("10.0.0.2", 9000);
    const [syn] = k.outbox;
    expect(layout(isTcp(syn) ? syn.tcp.options : [])).toBe(expected);
  });

  test.each([
    [
      { sack: true, timestamps: 700, windowScale: 2 },
      "mss 1460,sackOK,TS val * ecr 700,nop,wscale 7",
    ],
    [{ timestamps: 700, windowScale: 2 }, "mss 1460,nop,nop,TS val * ecr 700,nop,wscale 7"],
    [{ sack: true, timestamps: 700 }, "mss 1460,sackOK,TS val * ecr 700"],
    [{ sack: true, windowScale: 2 }, "mss 1460,nop,nop,sackOK,nop,wscale 7"],
    [{ sack: true }, "mss 1460,nop,nop,sackOK"],
    [{ windowScale: 2 }, "mss 1460,nop,wscale 7"],
    [{}, "mss 1460"],
  ])("a SYN-ACK agrees to what was offered: %j", (offers, expected) => {
    const k = startKernel(build);
    const peer = TcpPeer.listening(k, offers);
    peer.sendSyn();
    expect(layout(peer.expect({ flags: "SA" }).header.options)).toBe(expected);
  });

  test("a SYN-ACK does not agree to what is turned off", () => {
    const k = startKernel(build, { tcp: { sack: false, timestamps: false } });
    const peer = TcpPeer.listening(k, { sack: true, timestamps: 1, windowScale: 1 });
    peer.sendSyn();
    expect(layout(peer.expect({ flags: "SA" }).header.options)).toBe("mss 1460,nop,wscale 7");
  });

  test("every segment carries the timestamps agreed on, and the MSS leaves room for them", () => {
    const k = startKernel(build, { tcp: { quickAcks: 0 } });
    const peer = TcpPeer.established(k, { timestamps: 1000 });
    k.send(peer.handle, pattern(3000));
    const first = peer.expect({ length: 1448 });
    const { value } = findOption(first.header, "ts")!;
    expect(first.header.options).toEqual([nop, nop, ts(value, 1000)]);
    k.advance(5000);
    peer.send({ ack: 1449, payload: text("x") });
    k.advance(50_000);
    const last = peer.takeAll().at(-1)!;
    // A clock of milliseconds; the echo is that of the segment acknowledged.
    expect(findOption(last.header, "ts")).toMatchObject({ value: value + 45, echo: 1005 });
  });

  test.each([true, false])("a full segment of copied data fits the MTU (SACK too: %s)", (gap) => {
    const k = startKernel(build, { tcp: { copyBreak: 65_536 } });
    const peer = TcpPeer.established(k, { timestamps: 1, sack: true });
    if (gap) {
      peer.send({ seq: 5, payload: text("later") });
      const { header } = peer.expect({ flags: "A", sack: [[5, 10]] });
      expect(header.options).toHaveLength(6);
    }
    k.send(peer.handle, pattern(2000));
    const [full, rest] = peer.takeAll();
    expect(full).toMatchObject({ payload: { length: 1448 }, sack: [] });
    expect(full.header.options).toHaveLength(3);
    // A short one has room for the report.
    expect(rest.sack).toEqual(gap ? [[5, 10]] : []);
  });

  test("segments with a timestamp take the short path, those with more or none do not", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 1, sack: true });
    const fast = (action: () => void): number => k.counts([CNT_TCP_FAST_PATH], action)[0];
    const plain = TcpPeer.established(k);
    expect(fast(() => peer.send({ payload: text("a") }))).toBe(1);
    expect(fast(() => peer.send({ payload: text("b"), options: [nop, nop, nop, nop] }))).toBe(0);
    expect(fast(() => peer.send({ payload: text("c"), options: [nop, nop, sack([1, 2])] }))).toBe(
      0,
    );
    expect(fast(() => plain.send({ payload: text("a") }))).toBe(1);
    expect(fast(() => plain.send({ payload: text("b"), options: [nop, nop, ts(1, 1)] }))).toBe(0);
    expect(k.events().filter(({ kind }) => kind === "recv")).toHaveLength(5);
  });

  test("a segment without the timestamp agreed on is taken all the same, and counted", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { timestamps: 1 });
    const counted = k.counts([CNT_TCP_NO_TIMESTAMP], () => {
      peer.send({ payload: text("stripped"), options: null });
    });
    expect(counted).toEqual([1]);
    expect(k.event("recv").handle).toBe(peer.handle);
    peer.send({ flags: "R", options: null });
    expect(k.event("dead").handle).toBe(peer.handle);
  });

  test("connections to one host share a clock, those to another have their own", () => {
    const third = { mac: "02:00:0a:00:00:03", ip: "10.0.0.3" };
    const k = startKernel(build, { neighbours: [PEER, third] });
    const clock = (remote: string): number => {
      k.connect(remote, 9000);
      const syn = k.sent().find(isTcp)!;
      return findOption(syn.tcp!, "ts")!.value;
    };
    expect(clock(PEER.ip)).toBe(clock(PEER.ip));
    expect(clock(third.ip)).not.toBe(clock(PEER.ip));
  });
});
