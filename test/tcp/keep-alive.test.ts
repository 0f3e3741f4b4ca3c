/** Keep-alives and the user timeout (RFC 9293 sections 3.8.4 and 3.9.1). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_KEEP_ALIVES,
  KEEP_ALIVE_IDLE_MAX,
  OPTION_KEEP_ALIVE,
  OPTION_USER_TIMEOUT,
  RC_AGAIN,
  RC_INVAL,
  RC_OK,
  RC_TIMEOUT,
} from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
const SLACK = 10_000;

/** A connection that is asked for signs of life after 100 s, every 10 s, 3 times. */
function watched(build: KernelBuild): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build);
  const peer = TcpPeer.established(k);
  expect(k.option(peer.handle, OPTION_KEEP_ALIVE, 1, 100, 10 | (3 << 16))).toBe(RC_OK);
  return { k, peer };
}

describe.each(kernels)("$name kernel", (build) => {
  describe("keep-alive", () => {
    test("a silent peer is probed, and the connection reset when nothing answers", () => {
      const { k, peer } = watched(build);
      k.advance(100 * SECOND - SLACK);
      peer.expectNothing();
      for (let i = 0; i < 3; i++) {
        k.advance(i === 0 ? 2 * SLACK : 10 * SECOND);
        peer.expect({ flags: "A", seq: 0, ack: 1, length: 0 });
        peer.expectNothing();
      }
      k.advance(10 * SECOND);
      peer.expect({ flags: "RA", seq: 1 });
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_TIMEOUT });
    });

    test("an answer begins the wait anew", () => {
      const { k, peer } = watched(build);
      const [probes] = k.counts([CNT_TCP_KEEP_ALIVES], () => {
        for (let i = 0; i < 5; i++) {
          k.advance(100 * SECOND + SLACK);
          peer.expect({ flags: "A", seq: 0 });
          peer.ack();
        }
      });
      expect(probes).toBe(5);
      k.noEvents();
    });

    test("data, in both directions, is a sign of life", () => {
      const { k, peer } = watched(build);
      for (let i = 0; i < 4; i++) {
        k.advance(60 * SECOND);
        peer.send({ payload: text("x") });
        k.advance(60 * SECOND);
        k.send(peer.handle, text("y"));
        peer.takeAll();
        peer.ack();
      }
      expect(k.counter(CNT_TCP_KEEP_ALIVES)).toBe(0);
    });

    test("waits longer than timers reach", () => {
      const { k, peer } = watched(build);
      k.option(peer.handle, OPTION_KEEP_ALIVE, 1, 7200);
      k.advance(7199 * SECOND);
      peer.expectNothing();
      k.advance(2 * SECOND);
      peer.expect({ flags: "A", seq: 0 });
    });

    test("is off by default, and may be switched off", () => {
      const { k, peer } = watched(build);
      expect(k.option(peer.handle, OPTION_KEEP_ALIVE, 0)).toBe(RC_OK);
      TcpPeer.established(k, { port: 4000 });
      k.advance(10_000 * SECOND);
      expect(k.counter(CNT_TCP_KEEP_ALIVES)).toBe(0);
    });

    test("times come from the configuration unless they are given", () => {
      const k = startKernel(build, { tcp: { keepAliveIdle: 5, keepAliveProbes: 1 } });
      const peer = TcpPeer.established(k);
      k.option(peer.handle, OPTION_KEEP_ALIVE, 1);
      k.advance(5 * SECOND + SLACK);
      peer.expect({ flags: "A", seq: 0 });
      k.advance(75 * SECOND);
      peer.expect({ flags: "RA" });
    });

    test("ends with the connection", () => {
      const { k, peer } = watched(build);
      k.close(peer.handle);
      peer.takeAll();
      peer.send({ flags: "FA" });
      peer.take();
      k.advance(1000 * SECOND);
      expect(k.counter(CNT_TCP_KEEP_ALIVES)).toBe(0);
    });

    test("what makes no sense is refused", () => {
      const { k, peer } = watched(build);
      const set = (b: number, c = 0, d = 0): number =>
        k.option(peer.handle, OPTION_KEEP_ALIVE, b, c, d);
      expect(set(2)).toBe(RC_INVAL);
      expect(set(1, KEEP_ALIVE_IDLE_MAX + 1)).toBe(RC_INVAL);
      expect(set(1, 1, 256)).toBe(RC_INVAL);
      expect(set(1, 1, 128 << 16)).toBe(RC_INVAL);
      expect(k.option(peer.handle, 0, 1)).toBe(RC_INVAL);
      const dialing = TcpPeer.synSent(k);
      expect(k.option(dialing.handle, OPTION_KEEP_ALIVE, 1)).toBe(RC_AGAIN);
      expect(k.option(dialing.handle, OPTION_USER_TIMEOUT, 1)).toBe(RC_AGAIN);
    });
  });

  describe("user timeout", () => {
    test("data that stays unacknowledged for so long ends the connection", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.option(peer.handle, OPTION_USER_TIMEOUT, 3)).toBe(RC_OK);
      const at = k.now;
      k.send(peer.handle, text("lost"));
      k.advance(60 * SECOND);
      const dead = k.event("dead");
      expect(dead.reason).toBe(RC_TIMEOUT);
      expect(dead.at - at).toBeGreaterThan(2.5 * SECOND);
      expect(dead.at - at).toBeLessThan(3.5 * SECOND);
    });

    test("may be longer than the retransmissions that are configured", () => {
      const k = startKernel(build, { tcp: { dataRetries: 1 } });
      const peer = TcpPeer.established(k);
      k.option(peer.handle, OPTION_USER_TIMEOUT, 100);
      k.send(peer.handle, text("lost"));
      k.advance(90 * SECOND);
      k.noEvents();
      k.advance(20 * SECOND);
      expect(k.event("dead").reason).toBe(RC_TIMEOUT);
    });

    test("a peer that answers with a shut window lives on", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 0 });
      k.option(peer.handle, OPTION_USER_TIMEOUT, 5);
      k.send(peer.handle, text("waiting"));
      for (let i = 0; i < 60; i++) {
        k.advance(SECOND);
        if (peer.takeAll().length > 0) peer.send({ window: 0 });
      }
      k.noEvents();
      k.advance(30 * SECOND);
      expect(k.event("dead").reason).toBe(RC_TIMEOUT);
    });
  });
});
