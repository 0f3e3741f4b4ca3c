/** Opening a connection actively (RFC 9293 sections 3.5, 3.10.1 and 3.10.7.3). */
import { describe, expect, test } from "vitest";
import {
  GAUGE_CONNECTIONS,
  RC_BADH,
  RC_INUSE,
  RC_OK,
  RC_REFUSED,
  RC_TIMEOUT,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { GATEWAY, KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  ICMP_UNREACHABLE,
  PROTOCOL_TCP,
  UNREACHABLE_HOST,
  UNREACHABLE_PORT,
  buildIpv4,
  buildTcp,
  icmpFrame,
  mss,
  nop,
  sackOk,
  ts,
  ws,
} from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
/** The timing wheel rounds up to its tick of 16 µs. */
const TICK = 32;

describe.each(kernels)("$name kernel", (build) => {
  describe("active open", () => {
    test("SYN, SYN-ACK, ACK, connected", () => {
      const k = startKernel(build);
      const { result, handle } = k.connect(PEER.ip, 9000, { cookie: 11 });
      expect(result).toBe(RC_OK);
      const [syn] = k.outbox;
      expect(syn.ip).toMatchObject({ source: KERNEL.ip, destination: PEER.ip });
      expect(syn.tcp!.sourcePort).toBeGreaterThanOrEqual(32_768);
      expect(syn.tcp!.sourcePort).toBeLessThanOrEqual(60_999);
      const peer = new TcpPeer(k, { port: 9000, kernelPort: syn.tcp!.sourcePort });
      const { header } = peer.expect({ flags: "S", ack: 0, length: 0, window: 65_535 });
      const value = expect.any(Number) as number;
      expect(header.options).toEqual([mss(1460), sackOk, ts(value, 0), nop, ws(value)]);
      k.noEvents();
      peer.sendSyn("SA");
      peer.expect({ flags: "A", seq: 1, ack: 1, length: 0 });
      expect(k.event("connected")).toMatchObject({
        handle,
        cookie: 11,
        outcome: RC_OK,
        localPort: peer.kernelPort,
      });
      k.noEvents();
    });

    test("through the gateway when the destination is not attached", () => {
      const k = startKernel(build, { gateway: GATEWAY.ip });
      k.connect("192.0.2.9", 80);
      const [syn] = k.sent();
      expect(syn.ethernet.destination).toBe(GATEWAY.mac);
      expect(syn.ip!.destination).toBe("192.0.2.9");
    });

    test("the application may choose the source port", () => {
      const k = startKernel(build);
      const { result } = k.connect(PEER.ip, 9000, { sourcePort: 1234 });
      expect(result).toBe(RC_OK);
      expect(k.sent()[0].tcp!.sourcePort).toBe(1234);
      expect(k.connect(PEER.ip, 9000, { sourcePort: 1234 }).result).toBe(RC_INUSE);
      expect(k.connect(PEER.ip, 9001, { sourcePort: 1234 }).result).toBe(RC_OK);
    });

    test("source ports run out without harm", () => {
      const k = startKernel(build, { tcp: { ephemeral: [50_000, 50_003] } });
      const ports = new Set<number>();
      for (let i = 0; i < 4; i++) {
        expect(k.connect(PEER.ip, 9000).result).toBe(RC_OK);
        ports.add(k.sent()[0].tcp!.sourcePort);
      }
      expect([...ports].toSorted()).toEqual([50_000, 50_001, 50_002, 50_003]);
      expect(k.connect(PEER.ip, 9000).result).toBe(RC_INUSE);
      expect(k.connect(PEER.ip, 9001).result).toBe(RC_OK);
    });

    test("the port of a listener is nobody's source port, unless it is asked for", () => {
      const k = startKernel(build, { tcp: { ephemeral: [50_000, 50_003] } });
      k.listen(50_001);
      const ports = new Set<number>();
      for (let i = 0; i < 3; i++) {
        expect(k.connect(PEER.ip, 9000).result).toBe(RC_OK);
        ports.add(k.sent()[0].tcp!.sourcePort);
      }
      expect([...ports].toSorted()).toEqual([50_000, 50_002, 50_003]);
      expect(k.connect(PEER.ip, 9000).result).toBe(RC_INUSE);
      expect(k.connect(PEER.ip, 9000, { sourcePort: 50_001 }).result).toBe(RC_OK);
    });

    test("without scaling in the SYN-ACK neither side scales", () => {
      const k = startKernel(build);
      const peer = TcpPeer.connected(k);
      peer.send({ payload: text("x") });
      k.advance(SECOND);
      peer.expect({ flags: "A", window: (window) => window > 60_000 && window <= 65_535 });
    });

    test("the SYN is repeated with doubling intervals and ends in a timeout", () => {
      const k = startKernel(build, { tcp: { synRetries: 2 } });
      const started = k.now;
      const peer = TcpPeer.synSent(k);
      k.advance(SECOND + TICK);
      peer.expect({ flags: "S", seq: 0, at: [started + SECOND, started + SECOND + TICK] });
      k.advance(2 * SECOND + TICK);
      const { header } = peer.expect({ flags: "S", seq: 0 });
      expect(header.options).toHaveLength(5);
      k.advance(4 * SECOND + TICK);
      expect(k.event("connected")).toMatchObject({ handle: peer.handle, outcome: RC_TIMEOUT });
      peer.expectNothing();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("a late SYN-ACK still connects", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      k.advance(4 * SECOND);
      peer.takeAll();
      peer.sendSyn("SA");
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      expect(k.event("connected").outcome).toBe(RC_OK);
    });

    test("RST with the right ACK: refused", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.send({ flags: "RA", ack: 1 });
      expect(k.event("connected")).toMatchObject({ handle: peer.handle, outcome: RC_REFUSED });
      peer.expectNothing();
      expect(k.abort(peer.handle)).toBe(RC_BADH);
    });

    test.each([
      ["without ACK", { flags: "R" }],
      ["with a wrong ACK", { flags: "RA", ack: 2 }],
    ])("RST %s is ignored", (_what, segment) => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.send(segment);
      peer.expectNothing();
      k.noEvents();
      peer.sendSyn("SA");
      peer.expect({ flags: "A" });
      expect(k.event("connected").outcome).toBe(RC_OK);
    });

    test("a SYN-ACK for another SYN is answered with RST (figure 8)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.send({ flags: "SA", seq: 0, ack: 77 });
      peer.expect({ flags: "R", seq: 77 });
      k.noEvents();
      peer.send({ flags: "SA", seq: 0, ack: 1 });
      peer.expect({ flags: "A" });
      k.event("connected");
    });

    test("a half-open connection at the peer is reset and replaced (figure 9)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      // The peer still knows an older connection and answers from there.
      peer.send({ flags: "A", seq: 300, ack: 100 });
      peer.expect({ flags: "R", seq: 100 });
      // The SYN that is repeated finds nobody any more.
      k.advance(SECOND + TICK);
      peer.expect({ flags: "S", seq: 0 });
      peer.send({ flags: "SA", seq: 0, ack: 1 });
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      expect(k.event("connected").outcome).toBe(RC_OK);
    });

    test("data that comes with the SYN-ACK is not lost", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.send({ flags: "SA", payload: text("hello") });
      const { ack } = peer.expect({ flags: "A", seq: 1 });
      k.event("connected");
      // It may be taken at once, or be left to be sent again.
      if (ack === 1) peer.send({ seq: 1, payload: text("hello") });
      expect(k.event("recv").data).toEqual(text("hello"));
    });

    test("no route: the call says so", () => {
      const k = startKernel(build);
      expect(k.connect("192.0.2.9", 80).result).toBe(RC_UNREACHABLE);
      k.nothingSent();
      k.noEvents();
    });

    test("a neighbour that does not answer: unreachable after 3 s", () => {
      const k = startKernel(build, { neighbours: [] });
      const { handle } = k.connect(PEER.ip, 80);
      k.advance(2.9 * SECOND);
      k.noEvents();
      expect(k.sent().every(({ arp }) => arp !== undefined)).toBe(true);
      k.advance(0.2 * SECOND);
      expect(k.event("connected")).toMatchObject({ handle, outcome: RC_UNREACHABLE });
    });

    test.each([
      ["host unreachable", UNREACHABLE_HOST, RC_UNREACHABLE],
      ["port unreachable", UNREACHABLE_PORT, RC_REFUSED],
    ])("ICMP %s ends the attempt (RFC 1122 section 4.2.3.9)", (_what, code, outcome) => {
      const k = startKernel(build);
      const { handle } = k.connect(PEER.ip, 80);
      const [syn] = k.sent();
      const quote = { type: ICMP_UNREACHABLE, code, data: syn.frame.subarray(14) };
      k.deliver(icmpFrame({ from: GATEWAY, to: KERNEL }, quote));
      expect(k.event("connected")).toMatchObject({ handle, outcome });
    });

    test("ICMP that quotes what is not in flight is ignored (RFC 5927)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      const forged = buildIpv4(
        { source: KERNEL.ip, destination: PEER.ip, protocol: PROTOCOL_TCP },
        buildTcp(
          {
            sourcePort: peer.kernelPort,
            destinationPort: peer.port,
            seq: peer.irs! - 1,
            flags: "S",
          },
          new Uint8Array(),
          { source: KERNEL.ip, destination: PEER.ip },
        ),
      );
      k.deliver(
        icmpFrame(
          { from: GATEWAY, to: KERNEL },
          { type: ICMP_UNREACHABLE, code: UNREACHABLE_PORT, data: forged },
        ),
      );
      k.noEvents();
    });

    test("abort in SYN-SENT says nothing to the peer", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      expect(k.abort(peer.handle)).toBe(RC_OK);
      peer.expectNothing();
      k.noEvents();
      peer.sendSyn("SA");
      peer.expect({ flags: "R", seq: 1 });
    });
  });

  describe("simultaneous open (section 3.5, figure 7)", () => {
    test("SYNs cross, then the peer's SYN-ACK", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k, { windowScale: 2 });
      peer.sendSyn("S");
      peer.expect({ flags: "SA", seq: 0, ack: 1 });
      k.noEvents();
      peer.send({ flags: "SA", seq: 0, ack: 1 });
      expect(k.event("connected").outcome).toBe(RC_OK);
      peer.takeAll();
      peer.send({ payload: text("data") });
      expect(k.event("recv").data).toEqual(text("data"));
      peer.takeAll();
      expect(k.send(peer.handle, text("reply"))).toBe(5);
      peer.expect({ seq: 1, ack: 5, payload: text("reply") });
    });

    test("SYNs cross, then the peer's ACK", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.sendSyn("S");
      peer.expect({ flags: "SA", seq: 0, ack: 1 });
      peer.ack();
      expect(k.event("connected").outcome).toBe(RC_OK);
      k.send(peer.handle, text("reply"));
      peer.expect({ seq: 1, payload: text("reply") });
    });

    test("the SYN-ACK is repeated until the peer acknowledges", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.sendSyn("S");
      peer.expect({ flags: "SA" });
      k.advance(4 * SECOND);
      expect(peer.takeAll().at(-1)).toMatchObject({ flags: "SA", seq: 0, ack: 1 });
      peer.ack();
      k.event("connected");
    });

    test("RST after the SYNs crossed: refused", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      peer.sendSyn("S");
      peer.send({ flags: "R" });
      expect(k.event("connected").outcome).toBe(RC_REFUSED);
    });
  });
});
