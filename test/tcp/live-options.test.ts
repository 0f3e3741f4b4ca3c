/** Options of a connection that are changed while it is open (SYS_OPTION). */
import { describe, expect, test } from "vitest";
import {
  CONTROL_BBR,
  CONTROL_END,
  CONTROL_NEWRENO,
  FLAG_NAGLE,
  OPTION_CONGESTION_CONTROL,
  OPTION_NAGLE,
  OPTION_QUIET,
  RC_AGAIN,
  RC_BADH,
  RC_INVAL,
  RC_OK,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

describe.each(kernels)("$name kernel", (build) => {
  test("Nagle's rule may be switched on, and off: then what waited goes out", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    expect(k.option(peer.handle, OPTION_NAGLE, 1)).toBe(RC_OK);
    k.send(peer.handle, pattern(10));
    peer.expect({ length: 10 });
    k.send(peer.handle, pattern(10, 10));
    peer.expectNothing();
    expect(k.option(peer.handle, OPTION_NAGLE, 0)).toBe(RC_OK);
    peer.expect({ payload: pattern(10, 10) });
    k.send(peer.handle, pattern(10, 20));
    peer.expect({ payload: pattern(10, 20) });
  });

  test("one that was accepted with Nagle's rule loses it too", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
    k.option(peer.handle, OPTION_NAGLE, 0);
    k.send(peer.handle, pattern(10));
    k.send(peer.handle, pattern(10, 10));
    expect(peer.takeAll()).toHaveLength(2);
  });

  test("a quiet connection hears only what it can act on", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    expect(k.option(peer.handle, OPTION_QUIET, 1)).toBe(RC_OK);
    k.send(peer.handle, pattern(10));
    peer.takeAll();
    peer.ack();
    k.noEvents();
  });

  test("the congestion control changes while nothing is in flight", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const choose = (control: number): number =>
      k.option(peer.handle, OPTION_CONGESTION_CONTROL, control);
    expect(choose(CONTROL_BBR)).toBe(RC_OK);
    k.send(peer.handle, pattern(10));
    expect(choose(CONTROL_NEWRENO)).toBe(RC_AGAIN);
    peer.takeAll();
    peer.ack();
    expect(choose(CONTROL_NEWRENO)).toBe(RC_OK);
    k.send(peer.handle, pattern(10 * 1460));
    expect(peer.takeAll()).toHaveLength(10);
    expect(choose(CONTROL_END)).toBe(RC_INVAL);
    expect(choose(0)).toBe(RC_INVAL);
  });

  test("nonsense, and handles that are not the application's, are refused", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    expect(k.option(peer.handle, OPTION_NAGLE, 2)).toBe(RC_INVAL);
    expect(k.option(peer.handle, 77, 0)).toBe(RC_INVAL);
    expect(k.option(peer.handle + 1, OPTION_NAGLE, 1)).toBe(RC_BADH);
    k.close(peer.handle);
    expect(k.option(peer.handle, OPTION_NAGLE, 1)).toBe(RC_BADH);
  });
});
