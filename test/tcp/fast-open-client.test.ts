/** Fast Open as client (RFC 7413): data in the SYN for servers whose cookie is known. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_FAST_OPENS_OUT,
  CNT_TCP_FAST_OPENS_OUT_FAILED,
  CNT_TCP_FAST_OPEN_BLACK_HOLES,
  GAUGE_BUFFERS,
  RC_FAULT,
  RC_INVAL,
  RC_NOTSUP,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  RC_TIMEOUT,
  SYS_CONNECT_SEND,
  SYS_TCP_INFO,
  TCP_INFO_RETRANSMITS,
  TCP_INFO_SIZE,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { STATIC_IP6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import { fastOpen, fastOpenTrial, nop, type TcpOption } from "../support/packet.ts";
import { TcpPeer, type PeerOptions, type Received } from "../support/peer.ts";

const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;
const COOKIE = text("c00kie");
const REQUEST = text("GET / HTTP/1.1\r\n\r\n");

/** The Fast Open options of a SYN, as kind and bytes. */
function cookiesIn(syn: Received): string[] {
  return syn.header.options.flatMap((option) =>
    option.kind === "unknown"
      ? [`${option.code}:${Buffer.from(option.data).toString("latin1")}`]
      : [],
  );
}

interface Dialing {
  readonly peer: TcpPeer;
  readonly syn: Received;
  /** Bytes that went with the SYN. */
  readonly taken: number;
}

/** The kernel connects with data to a server, which takes its SYN. */
function dial(k: KernelHarness, data = REQUEST, options: PeerOptions = {}): Dialing {
  const peer = new TcpPeer(k, options);
  const { result, handle } = k.connectSend(peer.host.ip, peer.port, data);
  peer.handle = handle;
  const packet = k.outbox.find(({ tcp }) => tcp?.destinationPort === peer.port);
  peer.kernelPort = packet!.tcp!.sourcePort;
  return { peer, syn: peer.expect({ flags: "S", seq: 0 }), taken: result };
}

/** Answers the SYN, with an ACK of that many bytes of its data. */
function answer(peer: TcpPeer, acked: number, options: readonly TcpOption[] = []): void {
  peer.sendSyn("SA", { ack: 1 + acked, options });
}

/** A first connection that brings the cookie home. */
function warm(k: KernelHarness, options: PeerOptions = {}): void {
  const { peer } = dial(k, REQUEST, options);
  answer(peer, 0, [fastOpen(COOKIE)]);
  expect(k.event("connected").outcome).toBe(RC_OK);
  k.abort(peer.handle);
  k.sent();
}

describe.each(kernels)("$name kernel", (build) => {
  test("asks for a cookie first, and sends data with the next SYN", () => {
    const k = startKernel(build);
    const first = dial(k);
    expect(first.taken).toBe(0);
    expect(cookiesIn(first.syn)).toEqual(["34:"]);
    answer(first.peer, 0, [fastOpen(COOKIE)]);
    first.peer.expect({ flags: "A", seq: 1, length: 0 });
    k.event("connected");
    expect(k.send(first.peer.handle, REQUEST)).toBe(REQUEST.length);
    first.peer.expect({ seq: 1, payload: REQUEST });

    const second = dial(k);
    expect(second.taken).toBe(REQUEST.length);
    expect(cookiesIn(second.syn)).toEqual(["34:c00kie"]);
    expect(second.syn.payload).toEqual(REQUEST);
    answer(second.peer, REQUEST.length);
    expect(k.event("connected")).toMatchObject({ outcome: RC_OK, handle: second.peer.handle });
    expect(k.event("sent").acked).toBe(REQUEST.length);
    second.peer.expect({ flags: "A", seq: 1 + REQUEST.length, length: 0 });
    expect(k.counter(CNT_TCP_FAST_OPENS_OUT)).toBe(1);
  });

  test("the server's answer may come before, and with, the SYN-ACK's ACK", () => {
    const k = startKernel(build);
    warm(k);
    const { peer } = dial(k);
    peer.sendSyn("SA", { ack: 1 + REQUEST.length, payload: text("200") });
    k.event("connected");
    k.event("sent");
    expect(k.event("recv").data).toEqual(text("200"));
    peer.expect({ flags: "A", ack: 4 });
    peer.send({ seq: 4, payload: text(" OK") });
    expect(k.event("recv").data).toEqual(text(" OK"));
  });

  test("what the server leaves is sent at once, with the rest", () => {
    const k = startKernel(build);
    warm(k);
    const { peer } = dial(k, pattern(1000));
    answer(peer, 300);
    peer.expect({ seq: 301, payload: pattern(700, 300) });
    const record = k.alloc(TCP_INFO_SIZE);
    k.call({ op: SYS_TCP_INFO, handle: peer.handle, a: record });
    expect(k.view.getUint32(record + TCP_INFO_RETRANSMITS, true)).toBe(1);
    peer.expectNothing();
    k.event("connected");
    expect(k.event("sent").acked).toBe(300);
    k.send(peer.handle, pattern(100, 1000));
    expect(peer.takeAll()).toHaveLength(1);
    peer.ack();
    expect(peer.stream().subarray(0, 1100)).toEqual(pattern(1100));
    expect(k.counter(CNT_TCP_FAST_OPENS_OUT_FAILED)).toBe(1);
  });

  test("none of it taken, and a smaller MSS: sent at once, in pieces", () => {
    const k = startKernel(build);
    warm(k);
    const { peer } = dial(k, pattern(1000), { mss: 400 });
    answer(peer, 0);
    const sizes = peer.takeAll().map(({ payload }) => payload.length);
    expect(sizes).toEqual([400, 400, 200]);
    peer.ack();
    expect(k.event("connected").outcome).toBe(RC_OK);
    expect(k.event("sent").acked).toBe(1000);
  });

  test("an ACK beyond the data is refused, and the true one still taken", () => {
    const k = startKernel(build);
    warm(k);
    const { peer } = dial(k);
    answer(peer, REQUEST.length + 1);
    peer.expect({ flags: "R", seq: REQUEST.length + 2 });
    k.noEvents();
    answer(peer, REQUEST.length);
    expect(k.event("connected").outcome).toBe(RC_OK);
  });

  test("as much goes along as the server's MSS allows, less room for options", () => {
    const k = startKernel(build);
    warm(k, { mss: 900 });
    const { taken, syn, peer } = dial(k, pattern(5000));
    expect(taken).toBe(860);
    expect(syn.payload).toEqual(pattern(860));
    answer(peer, 860);
    k.event("connected");
    k.send(peer.handle, pattern(4140, 860));
    for (let turn = 0; turn < 8; turn++) {
      peer.takeAll();
      peer.ack();
    }
    expect(peer.stream().subarray(0, 4000)).toEqual(pattern(4000));
  });

  test("without data the SYN shows the cookie all the same", () => {
    const k = startKernel(build);
    warm(k);
    const { taken, syn, peer } = dial(k, new Uint8Array());
    expect(taken).toBe(0);
    expect(cookiesIn(syn)).toEqual(["34:c00kie"]);
    answer(peer, 0);
    expect(k.event("connected").outcome).toBe(RC_OK);
  });

  describe("cookies", () => {
    test.each<[string, TcpOption[], string]>([
      ["a new one", [fastOpen(text("newer!!!"))], "34:newer!!!"],
      ["one in the other option", [fastOpenTrial(text("trial1"))], "254:\u00f9\u0089trial1"],
      ["the longest", [fastOpen(text("0123456789abcdef"))], "34:0123456789abcdef"],
      ["none", [], "34:c00kie"],
      ["one too long", [fastOpen(text("0123456789abcdefgh"))], "34:c00kie"],
      ["one too short", [fastOpen(text("ab")), nop, nop], "34:c00kie"],
      ["one of an odd length", [fastOpen(text("abcde"))], "34:c00kie"],
    ])("the SYN-ACK brings %s", (_name, options, expected) => {
      const k = startKernel(build);
      warm(k);
      const { peer } = dial(k);
      answer(peer, REQUEST.length, options);
      expect(cookiesIn(dial(k).syn)).toEqual([expected]);
    });

    test("who gives none is asked once by the option of the experiment, then as usual", () => {
      const k = startKernel(build);
      const asked: string[][] = [];
      for (let i = 0; i < 4; i++) {
        const { peer, syn } = dial(k);
        asked.push(cookiesIn(syn));
        answer(peer, 0);
      }
      expect(asked).toEqual([["34:"], ["254:\u00f9\u0089"], ["34:"], ["34:"]]);
    });

    test("one that nobody asked for is ignored", () => {
      const k = startKernel(build);
      const plain = TcpPeer.synSent(k);
      plain.sendSyn("SA", { options: [fastOpen(COOKIE)] });
      expect(cookiesIn(dial(k).syn)).toEqual(["34:"]);
    });

    test("more servers than are remembered: the latest still are", () => {
      const hosts = Array.from({ length: 6 }, (_, i) => ({
        mac: PEER.mac,
        ip: `10.0.0.${20 + i}`,
      }));
      const k = startKernel(build, { tcp: { fastOpen: { servers: 4 } }, neighbours: hosts });
      for (const host of hosts) {
        warm(k, { host });
        k.advance(2 * SECOND);
      }
      expect(cookiesIn(dial(k, REQUEST, { host: hosts[5] }).syn)).toEqual(["34:c00kie"]);
      expect(cookiesIn(dial(k, REQUEST, { host: hosts[0] }).syn)).toEqual(["34:"]);
    });
  });

  describe("a SYN that is lost", () => {
    test("is repeated without data and cookie; the data follows the SYN-ACK", () => {
      const k = startKernel(build);
      warm(k);
      const { peer } = dial(k);
      k.advance(SECOND);
      const again = peer.expect({ flags: "S", seq: 0, length: 0 });
      expect(cookiesIn(again)).toEqual([]);
      answer(peer, 0);
      peer.expect({ seq: 1, payload: REQUEST });
      expect(k.event("connected").outcome).toBe(RC_OK);
    });

    test("twice in a row ends it for that server, for a while", () => {
      const k = startKernel(build);
      warm(k);
      for (let i = 0; i < 2; i++) {
        const { peer, taken } = dial(k);
        expect(taken).toBe(REQUEST.length);
        k.advance(SECOND);
        peer.takeAll();
        answer(peer, 0);
        k.event("connected");
        k.abort(peer.handle);
      }
      const plain = dial(k);
      expect(plain.taken).toBe(0);
      expect(cookiesIn(plain.syn)).toEqual([]);
      expect(k.counter(CNT_TCP_FAST_OPEN_BLACK_HOLES)).toBe(1);
      k.abort(plain.peer.handle);
      k.advance(5 * MINUTE);
      expect(dial(k).taken).toBe(REQUEST.length);
    });

    test("for good: times out, and frees the data", () => {
      const k = startKernel(build, { tcp: { synRetries: 1 } });
      warm(k);
      const before = k.gauge(GAUGE_BUFFERS);
      dial(k);
      k.advance(10 * SECOND);
      expect(k.event("connected").outcome).toBe(RC_TIMEOUT);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(before);
    });
  });

  test("a RST ends the attempt, as does close, and both free the data", () => {
    const k = startKernel(build);
    warm(k);
    const before = k.gauge(GAUGE_BUFFERS);
    const refused = dial(k);
    refused.peer.send({ flags: "RA", seq: 0, ack: 1 });
    expect(k.event("connected").outcome).toBe(RC_REFUSED);
    const given = dial(k);
    expect(k.close(given.peer.handle)).toBe(RC_OK);
    expect(k.event("dead").reason).toBe(RC_RESET);
    expect(k.gauge(GAUGE_BUFFERS)).toBe(before);
  });

  test("SYNs that cross: data waits until the peer's is answered", () => {
    const k = startKernel(build);
    warm(k);
    const { peer } = dial(k);
    peer.sendSyn("S");
    peer.expect({ flags: "SA", seq: 0, ack: 1, length: 0 });
    peer.send({ seq: 1, ack: 1 });
    expect(k.event("connected").outcome).toBe(RC_OK);
    peer.expect({ seq: 1, payload: REQUEST });
  });

  test("IPv6", () => {
    const host = { mac: PEER.mac, ip: "2001:db8::2" };
    const k = startKernel(build, {
      ip6: STATIC_IP6,
      neighbours: [PEER, host],
    });
    warm(k, { host, mss: 1440 });
    const { peer, taken, syn } = dial(k, pattern(5000), { host, mss: 1440 });
    expect(taken).toBe(1400);
    expect(syn.payload).toEqual(pattern(1400));
    answer(peer, 1400);
    expect(k.event("connected").outcome).toBe(RC_OK);
  });

  test("where servers are trusted data needs no cookie", () => {
    const k = startKernel(build, { tcp: { fastOpen: { clientWithoutCookie: true } } });
    const { taken, syn, peer } = dial(k);
    expect(taken).toBe(REQUEST.length);
    expect(cookiesIn(syn)).toEqual([]);
    answer(peer, REQUEST.length);
    expect(k.event("connected").outcome).toBe(RC_OK);
    expect(k.event("sent").acked).toBe(REQUEST.length);
  });

  describe("the call", () => {
    test("is refused where it is switched off", () => {
      const k = startKernel(build, { tcp: { fastOpen: { client: false } } });
      expect(k.connectSend(PEER.ip, 80, REQUEST).result).toBe(RC_NOTSUP);
    });

    test("is refused with what is not the application's, or nobody's address", () => {
      const k = startKernel(build);
      const endpoint = k.writeEndpoint(PEER.ip, 80);
      const call = { op: SYS_CONNECT_SEND, cookie: 1, handle: 0, a: endpoint, b: 4, c: endpoint };
      expect(k.call({ ...call, a: 16 }).result).toBe(RC_FAULT);
      expect(k.call({ ...call, b: 0xffff_ffff }).result).toBe(RC_FAULT);
      expect(k.call({ ...call, c: 0xffff_fff0 }).result).toBe(RC_FAULT);
      expect(k.call({ ...call, handle: 65_536 }).result).toBe(RC_INVAL);
      expect(k.call({ ...call, flags: 7 << 4 }).result).toBe(RC_INVAL);
      expect(k.call({ ...call, c: k.writeEndpoint(PEER.ip, 0) }).result).toBe(RC_INVAL);
      expect(k.call({ ...call, c: k.writeEndpoint("224.0.0.1", 80) }).result).toBe(RC_INVAL);
    });
  });
});
