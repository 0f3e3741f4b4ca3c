/** SYN cookies (RFC 4987 section 3.6): a full backlog keeps nobody out. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_COOKIES_BAD,
  CNT_TCP_COOKIES_IN,
  CNT_TCP_COOKIES_OUT,
  GAUGE_CONNECTIONS,
  RC_OK,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { startKernel, type HarnessOptions, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer, type PeerOptions } from "../support/peer.ts";

const SECOND = 1_000_000;

/** A kernel whose backlog on port 80 is full of half-open connections. */
function flooded(build: KernelBuild, options: HarnessOptions = {}): KernelHarness {
  const k = startKernel(build, options);
  k.listen(80, { backlog: 4 });
  for (let i = 0; i < 4; i++) {
    const half = new TcpPeer(k, { port: 20_000 + i });
    half.sendSyn();
    half.take();
  }
  return k;
}

/** A client's SYN, and what it was answered. */
function knocking(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
  const peer = new TcpPeer(k, { port: 5000, ...options });
  peer.sendSyn();
  peer.expect({ flags: "SA", ack: 1 });
  return peer;
}

function accept(k: KernelHarness, peer: TcpPeer): void {
  peer.handle = k.event("knock").handle;
  expect(k.accept(peer.handle)).toBe(RC_OK);
}

describe.each(kernels)("$name kernel", (build) => {
  test("a client gets through a full backlog, and costs nothing before its ACK", () => {
    const k = flooded(build);
    const before = k.gauge(GAUGE_CONNECTIONS);
    const peer = knocking(k);
    expect(k.gauge(GAUGE_CONNECTIONS)).toBe(before);
    peer.ack();
    accept(k, peer);
    peer.send({ payload: text("hello") });
    expect(k.event("recv").data).toEqual(text("hello"));
    peer.takeAll();
    k.send(peer.handle, text("world"));
    peer.expect({ seq: 1, ack: 6, payload: text("world") });
    expect(k.counter(CNT_TCP_COOKIES_OUT)).toBe(1);
    expect(k.counter(CNT_TCP_COOKIES_IN)).toBe(1);
  });

  test("data may come with the ACK, or without it having come", () => {
    const k = flooded(build);
    const peer = knocking(k);
    peer.send({ payload: text("at once") });
    accept(k, peer);
    expect(k.event("recv").data).toEqual(text("at once"));
  });

  test("timestamps carry window scaling and SACK across", () => {
    const k = flooded(build);
    const peer = knocking(k, { timestamps: 1000, sack: true, windowScale: 5, window: 1 << 20 });
    peer.ack();
    accept(k, peer);
    k.send(peer.handle, pattern(30_000));
    // Ten segments: the window is scaled, 65535 >> 5 would not let them go.
    expect(peer.takeAll()).toHaveLength(10);
    peer.ack();
    peer.send({ seq: 100, payload: text("later") });
    expect(peer.takeAll().at(-1)).toMatchObject({ sack: [[100, 105]] });
  });

  test.each([
    [1460, 1460],
    [1450, 1440],
    [1400, 1300],
    [1000, 536],
    [null, 536],
  ])("an MSS of %s becomes the next lower one of the table, %i", (mss, taken) => {
    const k = flooded(build);
    const peer = knocking(k, { mss });
    peer.ack();
    accept(k, peer);
    k.send(peer.handle, pattern(3000));
    peer.expect({ length: taken });
  });

  test("a cookie lasts a minute, not three", () => {
    const k = flooded(build);
    const early = knocking(k);
    const late = knocking(k, { port: 5001 });
    k.advance(59 * SECOND);
    k.sent();
    early.ack();
    accept(k, early);
    k.advance(121 * SECOND);
    k.sent();
    late.ack();
    expect(late.takeAll().at(-1)?.flags).toBe("R");
  });

  test("a number that is no cookie of this connection opens nothing", () => {
    const k = flooded(build);
    const peer = knocking(k);
    peer.send({ ack: 2 });
    peer.expect({ flags: "R" });
    peer.send({ ack: 0x0100_0001 });
    peer.expect({ flags: "R" });
    const other = new TcpPeer(k, { port: 5001 });
    other.irs = peer.irs;
    other.rcvNxt = 1;
    other.send({ seq: 1, ack: 1 });
    k.noEvents();
    expect(k.counter(CNT_TCP_COOKIES_BAD)).toBeGreaterThanOrEqual(2);
    expect(k.counter(CNT_TCP_COOKIES_IN)).toBe(0);
  });

  test("none are sent while there is room, or connections that nobody accepts fill the backlog", () => {
    const k = startKernel(build);
    k.listen(80, { backlog: 2 });
    for (let i = 0; i < 2; i++) knocking(k, { port: 5000 + i }).ack();
    const third = new TcpPeer(k, { port: 5002 });
    third.sendSyn();
    third.expectNothing();
    expect(k.counter(CNT_TCP_COOKIES_OUT)).toBe(0);
    const { handle } = k.event("knock");
    k.accept(handle);
    knocking(k, { port: 5003 });
    expect(k.counter(CNT_TCP_COOKIES_OUT)).toBe(0);
  });

  test("without them a full backlog is silent", () => {
    const k = flooded(build, { tcp: { synCookies: false } });
    const peer = new TcpPeer(k, { port: 5000 });
    peer.sendSyn();
    peer.expectNothing();
  });

  test("under a flood of SYNs new clients connect and established connections go on", () => {
    const k = startKernel(build, { maxConnections: 64 });
    const old = TcpPeer.established(k, { backlog: 8, port: 4999 });
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 50; j++) {
        const flood = new TcpPeer(k, { port: 10_000 + i * 50 + j });
        flood.sendSyn();
        flood.takeAll();
      }
      old.send({ payload: text("still here") });
      expect(k.event("recv").data).toEqual(text("still here"));
      k.recvDone(old.handle, 10);
      old.takeAll();
      const peer = knocking(k, { port: 5000 + i });
      peer.ack();
      accept(k, peer);
      peer.send({ payload: text("new") });
      expect(k.event("recv").data).toEqual(text("new"));
      k.abort(peer.handle);
      peer.takeAll();
    }
    expect(k.counter(CNT_TCP_COOKIES_IN)).toBe(20);
  });
});
