/** Which congestion control a connection has: by configuration, or by flags of connect, accept, listen. */
import { describe, expect, test } from "vitest";
import {
  CONTROL_BBR,
  CONTROL_CUBIC,
  CONTROL_END,
  CONTROL_MASK,
  CONTROL_NEWRENO,
  CONTROL_SHIFT,
  RC_INVAL,
  RC_OK,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer, type PeerOptions } from "../support/peer.ts";

const MSS = 1000;
const WINDOW: PeerOptions = { mss: MSS, windowScale: 7, window: 4 << 20 };

const flagsOf = (control: number): number => control << CONTROL_SHIFT;

/** A connection whose handshake took 40 ms, so that there is a rate to pace at. */
function established(k: KernelHarness, options: PeerOptions): TcpPeer {
  const peer = TcpPeer.synReceived(k, options);
  k.advance(40_000);
  peer.ack();
  peer.handle = k.event("knock").handle;
  expect(k.accept(peer.handle, { flags: options.flags ?? 0 })).toBe(RC_OK);
  return peer;
}

/** Segments of the initial window that go out at once: all ten, unless the control paces. */
function atOnce(k: KernelHarness, peer: TcpPeer): number {
  k.send(peer.handle, pattern(10 * MSS));
  return peer.takeAll().length;
}

describe.each(kernels)("$name kernel", (build) => {
  test("is the configured one, cubic without a word", () => {
    const k = startKernel(build);
    expect(atOnce(k, established(k, WINDOW))).toBe(10);
    const paced = startKernel(build, { tcp: { congestionControl: "bbr" } });
    expect(atOnce(paced, established(paced, WINDOW))).toBeLessThan(10);
  });

  test("may be chosen by connect", () => {
    const k = startKernel(build);
    const peer = TcpPeer.synSent(k, { ...WINDOW, flags: flagsOf(CONTROL_BBR) });
    k.advance(40_000);
    peer.sendSyn("SA");
    peer.take();
    expect(atOnce(k, peer)).toBeLessThan(10);
  });

  test("may be chosen by accept, also against the configuration", () => {
    const k = startKernel(build, { tcp: { congestionControl: "bbr" } });
    const peer = established(k, { ...WINDOW, flags: flagsOf(CONTROL_CUBIC) });
    expect(atOnce(k, peer)).toBe(10);
  });

  test("may be chosen by listen for what it brings forth, and accept has the last word", () => {
    const k = startKernel(build);
    const options = { ...WINDOW, listenFlags: flagsOf(CONTROL_BBR) };
    expect(atOnce(k, established(k, options))).toBeLessThan(10);
    const overruled = { ...options, flags: flagsOf(CONTROL_NEWRENO) };
    expect(atOnce(k, established(k, overruled))).toBe(10);
  });

  test("that does not exist is refused by all three", () => {
    const k = startKernel(build);
    for (let control = CONTROL_END; control <= CONTROL_MASK; control++) {
      const flags = flagsOf(control);
      expect(k.connect("10.0.0.2", 9, { flags }).result).toBe(RC_INVAL);
      expect(k.listen(81, { backlog: 1, flags }).result).toBe(RC_INVAL);
    }
    const peer = TcpPeer.synReceived(k, WINDOW);
    peer.ack();
    const { handle } = k.event("knock");
    expect(k.accept(handle, { flags: flagsOf(CONTROL_END) })).toBe(RC_INVAL);
    expect(k.accept(handle, { flags: flagsOf(CONTROL_BBR) })).toBe(RC_OK);
  });
});
