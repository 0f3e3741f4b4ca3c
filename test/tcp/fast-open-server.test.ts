/** Fast Open as server (RFC 7413): data that comes with a SYN and a cookie. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_FAST_OPENS_BACKUP_KEY,
  CNT_TCP_FAST_OPENS_IN,
  CNT_TCP_FAST_OPEN_COOKIES_BAD,
  CNT_TCP_FAST_OPEN_LIMITED,
  CNT_TCP_FAST_OPEN_REQUESTS,
  FLAG_DEFER,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  OPTION_FAST_OPEN,
  OPTION_FAST_OPEN_KEYS,
  OPTION_KEEP_ALIVE,
  OPTION_USER_TIMEOUT,
  RC_AGAIN,
  RC_BADH,
  RC_FAULT,
  RC_INVAL,
  RC_OK,
  RC_RESET,
  RC_TIMEOUT,
  RC_UNREACHABLE,
  SYS_OPTION,
  SYS_TCP_INFO,
  TCP_INFO_SIZE,
  TCP_INFO_STATE,
  TCP_STATE_ESTABLISHED,
  TCP_STATE_SYN_RECEIVED,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { GATEWAY, KERNEL, PEER, startKernel, type HarnessOptions } from "../support/kernel.ts";
import type { KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import {
  fastOpen,
  fastOpenTrial,
  buildIpv4,
  buildTcp,
  ICMP_UNREACHABLE,
  icmpFrame,
  nop,
  PROTOCOL_TCP,
  ts,
  UNREACHABLE_HOST,
  type TcpOption,
} from "../support/packet.ts";
import { TcpPeer, type PeerOptions, type Received } from "../support/peer.ts";

const SECOND = 1_000_000;
const HELLO = text("hello");

/** The cookie in a SYN-ACK, by kind of option. */
function cookieIn(received: Received, code = 34): Uint8Array | undefined {
  for (const option of received.header.options) {
    if (option.kind === "unknown" && option.code === code) {
      return code === 34 ? option.data : option.data.subarray(2);
    }
  }
  return undefined;
}

interface Listening extends HarnessOptions {
  /** Of listen. */
  readonly fastOpen?: number;
  readonly flags?: number;
}

function start(
  build: KernelBuild,
  { fastOpen: limit = 4, flags = 0, ...options }: Listening = {},
): { k: KernelHarness; listener: number } {
  const k = startKernel(build, options);
  const { handle } = k.listen(80, { fastOpen: limit, flags });
  return { k, listener: handle };
}

/** Asks for a cookie as clients do, and leaves. */
function cookieOf(
  k: KernelHarness,
  make: (cookie?: Uint8Array) => TcpOption = fastOpen,
): Uint8Array {
  const peer = new TcpPeer(k);
  peer.sendSyn("S", { options: [make(), nop, nop] });
  const answer = peer.expect({ flags: "SA", ack: 1 });
  const cookie = cookieIn(answer, make === fastOpen ? 34 : 254);
  peer.send({ flags: "R", seq: 1 });
  expect(cookie).toHaveLength(8);
  return cookie!;
}

/** A client whose SYN opens its connection. */
function opened(
  k: KernelHarness,
  { payload = HELLO, cookie = cookieOf(k) }: { payload?: Uint8Array; cookie?: Uint8Array } = {},
  options: PeerOptions = {},
): TcpPeer {
  const peer = new TcpPeer(k, options);
  peer.sendSyn("S", { payload, options: [fastOpen(cookie), nop, nop] });
  peer.expect({ flags: "SA", seq: 0, ack: 1 + payload.length, length: 0 });
  peer.handle = k.event("knock").handle;
  return peer;
}

function option(k: KernelHarness, handle: number, a: number, b: number, c = 0): number {
  return k.call({ op: SYS_OPTION, handle, a, b, c }).result;
}

function stateOf(k: KernelHarness, handle: number): number {
  const record = k.alloc(TCP_INFO_SIZE);
  expect(k.call({ op: SYS_TCP_INFO, handle, a: record }).result).toBe(RC_OK);
  return k.view.getUint32(record + TCP_INFO_STATE, true);
}

describe.each(kernels)("$name kernel", (build) => {
  test("gives a cookie to who asks, and takes data of who shows it before the handshake is over", () => {
    const { k } = start(build);
    const peer = opened(k);
    k.noEvents();
    expect(k.accept(peer.handle)).toBe(RC_OK);
    expect(k.event("recv").data).toEqual(HELLO);
    // The answer need not wait for the client's ACK.
    k.send(peer.handle, text("world"));
    peer.expect({ seq: 1, ack: 6, payload: text("world") });
    peer.ack();
    expect(k.event("sent").acked).toBe(5);
    expect(k.counter(CNT_TCP_FAST_OPEN_REQUESTS)).toBe(1);
    expect(k.counter(CNT_TCP_FAST_OPENS_IN)).toBe(1);
  });

  test("the option of the experiment is answered in kind", () => {
    const { k } = start(build);
    const cookie = cookieOf(k, fastOpenTrial);
    const peer = new TcpPeer(k);
    peer.sendSyn("S", { payload: HELLO, options: [fastOpenTrial(cookie)] });
    const answer = peer.expect({ flags: "SA", ack: 6 });
    expect(cookieIn(answer, 254)).toBeUndefined();
    expect(cookieOf(k)).toEqual(cookie);
  });

  test.each<[string, TcpOption[]]>([
    ["none", []],
    ["a wrong one", [fastOpen(new Uint8Array(8)), nop, nop]],
    ["one of another length", [fastOpen(new Uint8Array(16)), nop, nop]],
    ["one that is too short", [fastOpen(new Uint8Array(2))]],
    ["one that is too long", [fastOpen(new Uint8Array(18))]],
    ["one of an odd length", [fastOpen(new Uint8Array(7)), nop, nop, nop]],
  ])("without a cookie of ours it is the ordinary handshake: %s", (name, options) => {
    const { k } = start(build);
    const peer = new TcpPeer(k);
    const before = k.gauge(GAUGE_BUFFERS);
    peer.sendSyn("S", { payload: HELLO, options });
    const answer = peer.expect({ flags: "SA", ack: 1 });
    k.noEvents();
    expect(k.gauge(GAUGE_BUFFERS)).toBe(before);
    const given = name === "a wrong one" || name === "one of another length";
    expect(cookieIn(answer)?.length).toBe(given ? 8 : undefined);
    expect(k.counter(CNT_TCP_FAST_OPEN_COOKIES_BAD)).toBe(given ? 1 : 0);
    peer.send({ seq: 1, payload: HELLO });
    expect(k.accept(k.event("knock").handle)).toBe(RC_OK);
    expect(k.event("recv").data).toEqual(HELLO);
  });

  test("a cookie is good for one address only", () => {
    const other = { mac: "02:00:0a:00:00:03", ip: "10.0.0.3" };
    const { k } = start(build, { neighbours: [PEER, GATEWAY, other] });
    const cookie = cookieOf(k);
    const peer = new TcpPeer(k, { host: other });
    peer.sendSyn("S", { payload: HELLO, options: [fastOpen(cookie), nop, nop] });
    const answer = peer.expect({ flags: "SA", ack: 1 });
    expect(cookieIn(answer)).not.toEqual(cookie);
  });

  test("a SYN with a cookie and no data opens the connection too", () => {
    const { k } = start(build);
    const peer = opened(k, { payload: new Uint8Array() });
    k.accept(peer.handle);
    k.noEvents();
    k.send(peer.handle, text("banner"));
    peer.expect({ seq: 1, ack: 1, payload: text("banner") });
  });

  test("who does not listen for it answers as ever", () => {
    const { k } = start(build, { fastOpen: 0 });
    const peer = new TcpPeer(k);
    peer.sendSyn("S", { payload: HELLO, options: [fastOpen(), nop, nop] });
    expect(cookieIn(peer.expect({ flags: "SA", ack: 1 }))).toBeUndefined();
  });

  test("nor does a dataplane where it is switched off, or a listener that defers", () => {
    for (const options of [{ tcp: { fastOpen: { server: false } } }, { flags: FLAG_DEFER }]) {
      const { k } = start(build, options);
      const peer = new TcpPeer(k);
      peer.sendSyn("S", { payload: HELLO, options: [fastOpen(), nop, nop] });
      if ("flags" in options) k.accept(k.event("knock").handle);
      expect(cookieIn(peer.expect({ flags: "SA", ack: 1 }))).toBeUndefined();
    }
  });

  test("where clients are trusted data needs no cookie", () => {
    const { k } = start(build, { tcp: { fastOpen: { serverWithoutCookie: true } } });
    const peer = new TcpPeer(k);
    peer.sendSyn("S", { payload: HELLO });
    expect(cookieIn(peer.expect({ flags: "SA", ack: 6 }))).toBeUndefined();
    k.accept(k.event("knock").handle);
    expect(k.event("recv").data).toEqual(HELLO);
  });

  describe("keys", () => {
    const OLD = new Uint8Array(16).fill(1);
    const NEW = new Uint8Array(16).fill(2);

    test("a cookie of the backup key opens, and is replaced", () => {
      const old = cookieOf(start(build, { tcp: { fastOpen: { keys: [OLD] } } }).k);
      const { k } = start(build, { tcp: { fastOpen: { keys: [NEW, OLD] } } });
      const peer = new TcpPeer(k);
      peer.sendSyn("S", { payload: HELLO, options: [fastOpen(old), nop, nop] });
      const fresh = cookieIn(peer.expect({ flags: "SA", ack: 6 }));
      expect(fresh).not.toEqual(old);
      expect(fresh).toEqual(cookieOf(k));
      expect(k.counter(CNT_TCP_FAST_OPENS_BACKUP_KEY)).toBe(1);
    });

    test("a listener may have its own, and give them up", () => {
      const { k, listener } = start(build);
      const common = cookieOf(k);
      const keys = k.write(new Uint8Array([...NEW, ...OLD]));
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, keys, 2)).toBe(RC_OK);
      const own = cookieOf(k);
      expect(own).not.toEqual(common);
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, keys + 16, 1)).toBe(RC_OK);
      expect(cookieOf(k)).not.toEqual(own);
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, 0, 0)).toBe(RC_OK);
      expect(cookieOf(k)).toEqual(common);
    });

    test("what is no key, no listener or not the application's memory is refused", () => {
      const { k, listener } = start(build);
      const keys = k.write(NEW);
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, keys, 3)).toBe(RC_INVAL);
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, 0xffff_fff0, 2)).toBe(RC_FAULT);
      expect(option(k, listener + (1 << 20), OPTION_FAST_OPEN, 1)).toBe(RC_BADH);
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, keys, 1)).toBe(RC_OK);
      const own = cookieOf(k);
      expect(option(k, listener, OPTION_FAST_OPEN_KEYS, 0xffff_fff0, 1)).toBe(RC_FAULT);
      expect(cookieOf(k)).toEqual(own);
    });
  });

  describe("the limit", () => {
    test("sends what is beyond it through the ordinary handshake", () => {
      const { k } = start(build, { fastOpen: 2 });
      const cookie = cookieOf(k);
      const first = opened(k, { cookie });
      opened(k, { cookie });
      const late = new TcpPeer(k);
      late.sendSyn("S", { payload: HELLO, options: [fastOpen(cookie), nop, nop] });
      late.expect({ flags: "SA", ack: 1 });
      expect(k.counter(CNT_TCP_FAST_OPEN_LIMITED)).toBe(1);
      // Accepted or not, what counts is the handshake.
      first.ack();
      opened(k, { cookie });
    });

    test("may be set while listening", () => {
      const { k, listener } = start(build, { fastOpen: 0 });
      expect(option(k, listener, OPTION_FAST_OPEN, 1)).toBe(RC_OK);
      const cookie = cookieOf(k);
      opened(k, { cookie });
      expect(option(k, listener, OPTION_FAST_OPEN, 0)).toBe(RC_OK);
      const peer = new TcpPeer(k);
      peer.sendSyn("S", { payload: HELLO, options: [fastOpen(cookie), nop, nop] });
      peer.expect({ flags: "SA", ack: 1 });
    });

    test("goes on counting those that were reset, for a minute", () => {
      const { k } = start(build, { fastOpen: 2 });
      const cookie = cookieOf(k);
      for (let i = 0; i < 2; i++) {
        const peer = opened(k, { cookie });
        peer.send({ flags: "R", seq: 6 });
        expect(k.event("dead").reason).toBe(RC_RESET);
      }
      const late = new TcpPeer(k);
      late.sendSyn("S", { payload: HELLO, options: [fastOpen(cookie), nop, nop] });
      late.expect({ flags: "SA", ack: 1 });
      late.send({ flags: "R", seq: 1 });
      k.advance(61 * SECOND);
      opened(k, { cookie });
    });

    test("does not count what the application has aborted, or a time-out has ended", () => {
      const { k } = start(build, { fastOpen: 1, tcp: { synRetries: 1 } });
      const cookie = cookieOf(k);
      const peer = opened(k, { cookie });
      expect(k.abort(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "RA", seq: 1, ack: 6 });
      opened(k, { cookie });
      k.advance(10 * SECOND);
      expect(k.event("dead").reason).toBe(RC_TIMEOUT);
      opened(k, { cookie });
    });
  });

  describe("half open", () => {
    test("the SYN-ACK is repeated without data, which waits for the handshake", () => {
      const { k } = start(build);
      const peer = opened(k);
      k.accept(peer.handle);
      k.send(peer.handle, text("world"));
      peer.expect({ seq: 1, length: 5 });
      k.advance(SECOND);
      peer.expect({ flags: "SA", seq: 0, ack: 6, length: 0 });
      peer.expectNothing();
      // The ACK of the SYN-ACK alone: the data was lost.
      peer.send({ ack: 1 });
      k.advance(4 * SECOND);
      peer.expect({ seq: 1, payload: text("world") });
    });

    test("the SYN again gets the SYN-ACK again", () => {
      const { k } = start(build);
      const cookie = cookieOf(k);
      const peer = opened(k, { cookie });
      peer.send({ flags: "S", seq: 0, payload: HELLO, options: [fastOpen(cookie), nop, nop] });
      peer.expect({ flags: "SA", seq: 0, ack: 6 });
      peer.send({ flags: "S", seq: 0 });
      peer.expect({ flags: "SA", seq: 0, ack: 6 });
      k.accept(peer.handle);
      expect(k.event("recv").data).toEqual(HELLO);
      k.noEvents();
    });

    test("the answer to a repeated SYN echoes the timestamp of that", () => {
      const { k } = start(build);
      const peer = opened(k, {}, { timestamps: 1000 });
      const later = [ts(2000, 0), nop, nop];
      peer.send({ flags: "S", seq: 0, options: later });
      const { options } = peer.expect({ flags: "SA", ack: 6 }).header;
      expect(options).toContainEqual(expect.objectContaining({ kind: "ts", echo: 2000 }));
    });

    test("counts as SYN-RECEIVED until the handshake is over", () => {
      const { k } = start(build);
      const peer = opened(k);
      k.accept(peer.handle);
      expect(stateOf(k, peer.handle)).toBe(TCP_STATE_SYN_RECEIVED);
      peer.ack();
      expect(stateOf(k, peer.handle)).toBe(TCP_STATE_ESTABLISHED);
    });

    test("a FIN does not put the SYN-ACK off", () => {
      const { k } = start(build);
      const peer = opened(k, {}, { sack: true });
      k.accept(peer.handle);
      k.advance(0.9 * SECOND);
      k.shutdown(peer.handle);
      peer.expect({ flags: "FA", seq: 1, ack: 6 });
      k.advance(0.15 * SECOND);
      peer.expect({ flags: "SA", seq: 0, ack: 6 });
    });

    test("an ACK of what was never sent is refused, and changes nothing", () => {
      const { k } = start(build);
      const peer = opened(k);
      for (const ack of [0, 2]) {
        peer.send({ ack });
        peer.expect({ flags: "R" });
      }
      k.accept(peer.handle);
      expect(k.event("recv").data).toEqual(HELLO);
      peer.send({ seq: 6, payload: text(", too") });
      expect(k.event("recv").data).toEqual(text(", too"));
    });

    test("close sends a FIN, which the handshake's ACK may cover", () => {
      const { k } = start(build);
      const peer = opened(k);
      k.accept(peer.handle);
      k.event("recv");
      expect(k.shutdown(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "FA", seq: 1, ack: 6 });
      k.advance(SECOND);
      peer.expect({ flags: "SA", seq: 0, ack: 6 });
      peer.send({ flags: "FA", seq: 6, ack: 2 });
      peer.expect({ flags: "A", seq: 2, ack: 7 });
    });

    test("keep-alive and user timeout have to wait", () => {
      const { k } = start(build);
      const peer = opened(k);
      k.accept(peer.handle);
      expect(option(k, peer.handle, OPTION_KEEP_ALIVE, 1)).toBe(RC_AGAIN);
      expect(option(k, peer.handle, OPTION_USER_TIMEOUT, 1)).toBe(RC_AGAIN);
      peer.ack();
      expect(option(k, peer.handle, OPTION_KEEP_ALIVE, 1)).toBe(RC_OK);
      expect(option(k, peer.handle, OPTION_USER_TIMEOUT, 1)).toBe(RC_OK);
    });

    test("an ICMP error ends it before accept, not after", () => {
      const { k } = start(build);
      const cookie = cookieOf(k);
      const unreachable = (peer: TcpPeer): void => {
        const addresses = { source: KERNEL.ip, destination: PEER.ip };
        const fields = { sourcePort: 80, destinationPort: peer.port, seq: peer.irs!, flags: "SA" };
        const data = buildIpv4(
          { ...addresses, protocol: PROTOCOL_TCP },
          buildTcp(fields, new Uint8Array(), addresses),
        );
        const quote = { type: ICMP_UNREACHABLE, code: UNREACHABLE_HOST, data };
        k.deliver(icmpFrame({ from: GATEWAY, to: KERNEL }, quote));
      };
      unreachable(opened(k, { cookie }));
      expect(k.event("dead").reason).toBe(RC_UNREACHABLE);
      const accepted = opened(k, { cookie });
      k.accept(accepted.handle);
      unreachable(accepted);
      expect(k.event("recv").data).toEqual(HELLO);
      k.noEvents();
    });

    test("a quiet end leaves nothing behind", () => {
      const { k } = start(build);
      const before = k.gauge(GAUGE_CONNECTIONS);
      const peer = opened(k, { payload: pattern(1400) });
      expect(k.reject(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "RA", seq: 1, ack: 1401 });
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(before);
    });
  });
});
