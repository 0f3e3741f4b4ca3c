/** Establishing a connection (RFC 9293 sections 3.5, 3.10.1 and 3.10.7.1 to 3.10.7.3). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_BACKLOG,
  CNT_DROP_TCP_NO_CONNECTION,
  FLAG_DEFER,
  GAUGE_CONNECTIONS,
  RC_BADH,
  RC_INUSE,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  RC_TIMEOUT,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { assertSameBytes, hex, pattern, text } from "../support/bytes.ts";
import { GATEWAY, KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import {
  buildIpv4,
  buildTcp,
  icmpFrame,
  ICMP_UNREACHABLE,
  mss,
  nop,
  PROTOCOL_TCP,
  rawOption,
  sackOk,
  ts,
  unknownOption,
  UNREACHABLE_HOST,
  UNREACHABLE_PORT,
  ws,
} from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
/** The timing wheel rounds up to its tick of 16 µs. */
const TICK = 32;

/** The kernel's initial sequence number for a connection from that port at that time. */
function isn(build: KernelBuild, secret: number, sourcePort: number, start: number): number {
  const k = startKernel(build, { secret: new Uint8Array(16).fill(secret), start });
  k.connect(PEER.ip, 80, { sourcePort });
  return k.sent()[0].tcp!.seq;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("passive open", () => {
    test("SYN, SYN-ACK, ACK, knock, accept", () => {
      const k = startKernel(build);
      const listener = k.listen(80, { cookie: 7 });
      expect(listener.result).toBe(RC_OK);
      const peer = new TcpPeer(k);
      peer.sendSyn();
      peer.expect({ flags: "SA", seq: 0, ack: 1, options: [mss(1460)], length: 0 });
      k.noEvents();
      peer.ack();
      peer.expectNothing();
      expect(k.event("knock")).toMatchObject({
        cookie: 7,
        remoteIp: PEER.ip,
        remotePort: peer.port,
        localPort: 80,
      });
      const [handle] = k.contract.connections.keys();
      expect(k.accept(handle, { cookie: 8 })).toBe(RC_OK);
      peer.expectNothing();
      k.noEvents();
      peer.send({ payload: text("hello") });
      expect(k.event("recv")).toMatchObject({ cookie: 8, data: text("hello") });
    });

    test("window scaling is agreed to only when it was offered", () => {
      const k = startKernel(build);
      const plain = TcpPeer.listening(k);
      plain.sendSyn();
      plain.expect({ flags: "SA", options: [mss(1460)] });
      const scaled = TcpPeer.listening(k, { windowScale: 7 });
      scaled.sendSyn();
      const { header, window } = scaled.expect({ flags: "SA" });
      expect(header.options).toEqual([mss(1460), nop, ws(scaled.receiveScale)]);
      // 4 MiB, the most that the window may grow to, must be expressible.
      expect(65_535 * 2 ** scaled.receiveScale).toBeGreaterThanOrEqual(4 << 20);
      expect(window).toBe(65_535);
    });

    test("options that are unknown or not supported are skipped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, {
        mss: null,
        synOptions: [
          unknownOption(253, hex("0102030405")),
          sackOk,
          ts(1, 0),
          nop,
          mss(1000),
          ws(3),
        ],
      });
      peer.sendSyn();
      const { header } = peer.expect({ flags: "SA" });
      expect(header.options).toEqual([mss(1460), nop, ws(expect.any(Number) as number)]);
      peer.ack();
      const { handle } = k.event("knock");
      k.accept(handle);
      k.send(handle, pattern(2000));
      peer.expect({ length: 1000 });
    });

    test.each([
      ["a length of zero", "02000000"],
      ["a length of one", "0201"],
      ["an option that ends behind the header", "0206"],
      ["nothing behind the kind", "010102"],
      ["an MSS option of a wrong length", "0203ff"],
    ])("malformed options, %s, do not prevent the handshake", (_what, bytes) => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { mss: null, synOptions: [rawOption(hex(bytes))] });
      peer.sendSyn();
      peer.expect({ flags: "SA", ack: 1, options: [mss(1460)] });
    });

    test("a SYN without MSS option means segments of 536 bytes (section 3.7.1)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { mss: null });
      k.send(peer.handle, pattern(2000));
      peer.expect({ length: 536 });
    });

    test("the SYN-ACK is repeated with doubling intervals and given up", () => {
      const k = startKernel(build, { tcp: { synRetries: 3 } });
      const peer = TcpPeer.synReceived(k);
      let at = k.now;
      for (const interval of [1, 2, 4]) {
        k.advance(interval * SECOND + TICK);
        at += interval * SECOND;
        peer.expect({ flags: "SA", seq: 0, ack: 1, at: [at, at + 4 * TICK] });
      }
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(1);
      k.advance(9 * SECOND);
      peer.expectNothing();
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("a repeated SYN gets the SYN-ACK again", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.send({ flags: "S", seq: 0, options: [mss(1460)] });
      peer.expect({ flags: "SA", seq: 0, ack: 1 });
      peer.ack();
      expect(k.events()).toHaveLength(1);
    });

    test("an ACK of what was never sent is answered with RST, and the handshake goes on", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.send({ ack: 2 });
      const { header } = peer.expect({ flags: "R", seq: 2, length: 0 });
      expect(header.ack).toBe(0);
      peer.ack();
      k.event("knock");
    });

    test("RST in SYN-RECEIVED returns to LISTEN without a word (section 3.10.7.4)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.send({ flags: "R" });
      k.noEvents();
      peer.expectNothing();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
      TcpPeer.established(k, { port: peer.port });
    });

    test("data that comes with the ACK of the handshake is not lost", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.send({ flags: "PA", payload: text("early") });
      const { handle } = k.event("knock");
      k.noEvents();
      k.accept(handle);
      expect(k.event("recv").data).toEqual(text("early"));
      k.advance(SECOND);
      expect(peer.takeAll().at(-1)).toMatchObject({ flags: "A", ack: 6 });
    });

    test("data and FIN before accept are announced by it, in order", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.ack();
      const { handle } = k.event("knock");
      peer.send({ payload: pattern(100) });
      peer.send({ payload: pattern(100, 100) });
      peer.send({ flags: "FA" });
      k.noEvents();
      k.accept(handle);
      const data = k.events().map((event) => (event.kind === "recv" ? event.data : undefined));
      expect(data.at(-1)).toEqual(new Uint8Array());
      assertSameBytes(Uint8Array.from(data.flatMap((part) => [...part!])), pattern(200));
      expect(k.recvDone(handle, 200)).toBe(RC_OK);
    });

    test("a SYN-ACK that was lost is made up for by data", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      // The peer's ACK was lost; its first data says as much.
      peer.send({ flags: "PA", payload: text("x") });
      k.event("knock");
    });

    test("window in the SYN is not scaled, the window in the ACK is", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { windowScale: 4, window: 16_000 });
      k.send(peer.handle, pattern(20_000));
      const sent = peer.takeAll().reduce((sum, { payload }) => sum + payload.length, 0);
      expect(sent).toBeLessThanOrEqual(16_000);
      expect(sent).toBeGreaterThan(10_000);
    });
  });

  describe("listeners", () => {
    test("a port can be listened on once", () => {
      const k = startKernel(build);
      const first = k.listen(80);
      expect(k.listen(80).result).toBe(RC_INUSE);
      expect(k.unlisten(first.handle)).toBe(RC_OK);
      expect(k.unlisten(first.handle)).toBe(RC_BADH);
      expect(k.listen(80).result).toBe(RC_OK);
    });

    test("connections outlive their listener, half-open ones too", () => {
      const k = startKernel(build);
      const open = TcpPeer.established(k);
      const halfOpen = TcpPeer.synReceived(k);
      expect(k.unlisten(open.listener)).toBe(RC_OK);
      open.send({ payload: text("still here") });
      expect(k.event("recv").data).toEqual(text("still here"));
      halfOpen.ack();
      k.event("knock");
      const late = new TcpPeer(k);
      late.sendSyn();
      late.expect({ flags: "RA", seq: 0, ack: 1 });
    });

    test("the backlog counts half-open connections and those not accepted", () => {
      const k = startKernel(build);
      const halfOpen = TcpPeer.synReceived(k, { backlog: 2 });
      const waiting = TcpPeer.synReceived(k);
      waiting.ack();
      const { handle } = k.event("knock");
      const refused = new TcpPeer(k);
      const [drops] = k.counts([CNT_DROP_TCP_BACKLOG], () => refused.sendSyn());
      expect(drops).toBe(1);
      refused.expectNothing();
      k.accept(handle);
      refused.send({ flags: "S", seq: 0 });
      refused.expect({ flags: "SA" });
      halfOpen.expectNothing();
    });

    test("reject resets a connection that knocked", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.ack();
      const { handle } = k.event("knock");
      expect(k.reject(handle)).toBe(RC_OK);
      expect(peer.expect({ seq: 1 }).flags).toContain("R");
      k.noEvents();
      expect(k.accept(handle)).toBe(RC_BADH);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("a connection that is reset before accept dies", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.ack();
      const { handle } = k.event("knock");
      peer.send({ flags: "R" });
      expect(k.event("dead")).toMatchObject({ handle, reason: RC_RESET });
      expect(k.accept(handle)).toBe(RC_BADH);
    });
  });

  describe("deferred accept", () => {
    test("the SYN knocks and is answered after accept", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      peer.expectNothing();
      const { handle, remotePort } = k.event("knock");
      expect(remotePort).toBe(peer.port);
      expect(k.accept(handle, { cookie: 5 })).toBe(RC_OK);
      peer.expect({ flags: "SA", seq: 0, ack: 1, options: [mss(1460)] });
      k.noEvents();
      peer.ack();
      expect(k.event("connected")).toMatchObject({ handle, cookie: 5, outcome: RC_OK });
      peer.send({ payload: text("data") });
      expect(k.event("recv").data).toEqual(text("data"));
    });

    test("reject refuses the SYN with RST", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      expect(k.reject(handle)).toBe(RC_OK);
      peer.expect({ flags: "RA", ack: 1 });
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("a repeated SYN does not knock twice, and is not answered before accept", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      k.advance(SECOND);
      peer.send({ flags: "S", seq: 0, options: [mss(1460)] });
      k.noEvents();
      peer.expectNothing();
      k.accept(handle);
      peer.expect({ flags: "SA", seq: 0, ack: 1 });
    });

    test("the accepted SYN-ACK is repeated, and its failure is reported", () => {
      const k = startKernel(build, { tcp: { synRetries: 2 } });
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      k.accept(handle);
      k.advance(20 * SECOND);
      expect(peer.takeAll().map(({ flags }) => flags)).toEqual(["SA", "SA", "SA"]);
      const [event] = k.events();
      const code =
        event.kind === "connected" ? event.outcome : event.kind === "dead" && event.reason;
      expect(code).toBe(RC_TIMEOUT);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("RST while the application decides ends it with dead", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      peer.send({ flags: "R" });
      expect(k.event("dead")).toMatchObject({ handle });
      expect(k.accept(handle)).toBe(RC_BADH);
    });
  });

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
      expect(header.options).toEqual([mss(1460), nop, ws(expect.any(Number) as number)]);
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
      expect(header.options).toHaveLength(3);
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

  describe("segments for no connection (section 3.10.7.1)", () => {
    test.each([
      ["SYN", { flags: "S", seq: 100 }, { flags: "RA", seq: 0, ack: 101 }],
      ["ACK", { flags: "A", seq: 100, ack: 500 }, { flags: "R", seq: 500 }],
      ["SYN-ACK", { flags: "SA", seq: 100, ack: 500 }, { flags: "R", seq: 500 }],
      ["FIN PSH URG", { flags: "FPU", seq: 100 }, { flags: "RA", seq: 0, ack: 101 }],
      [
        "data without ACK",
        { flags: "", seq: 100, payload: text("abc") },
        { flags: "RA", ack: 103 },
      ],
      [
        "data with FIN",
        { flags: "FA", seq: 1, ack: 9, payload: text("abc") },
        { flags: "R", seq: 9 },
      ],
    ])("%s to a closed port is answered with RST", (_what, segment, expected) => {
      const k = startKernel(build);
      const peer = new TcpPeer(k);
      const [drops] = k.counts([CNT_DROP_TCP_NO_CONNECTION], () => peer.send(segment));
      expect(drops).toBe(1);
      const { header } = peer.expect({ ...expected, length: 0 });
      expect(header.window).toBe(0);
      peer.expectNothing();
    });

    test.each(["R", "RA"])("%s is not answered", (flags) => {
      const k = startKernel(build);
      const peer = new TcpPeer(k);
      peer.send({ flags });
      peer.expectNothing();
    });

    test("an ACK for a listening port is answered with RST (section 3.10.7.2)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.send({ flags: "A", seq: 1, ack: 500 });
      peer.expect({ flags: "R", seq: 500 });
    });

    test.each(["", "F", "FPU", "SF"])("flags '%s' to a listening port: silence", (flags) => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.send({ flags });
      peer.expectNothing();
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("RST for a listening port is ignored", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.send({ flags: "R" });
      peer.expectNothing();
    });
  });

  describe("initial sequence numbers (RFC 6528)", () => {
    test("advance by 1 every 4 µs for the same ports", () => {
      const first = isn(build, 1, 5000, 1_000_000);
      const second = isn(build, 1, 5000, 1_000_000 + 4_000);
      expect((second - first) | 0).toBe(1000);
    });

    test("differ with the ports and with the secret beyond guessing", () => {
      const numbers = [5000, 5001, 5002, 5003].map((port) => isn(build, 1, port, 1_000_000));
      numbers.push(isn(build, 2, 5000, 1_000_000));
      for (let i = 0; i < numbers.length; i++) {
        for (let j = 0; j < i; j++) {
          expect(Math.abs((numbers[i] - numbers[j]) | 0)).toBeGreaterThan(4096);
        }
      }
    });

    test("of passive opens depend on the peer's port", () => {
      const k = startKernel(build);
      const first = TcpPeer.synReceived(k);
      const second = TcpPeer.synReceived(k);
      expect(Math.abs((first.irs! - second.irs!) | 0)).toBeGreaterThan(4096);
    });
  });

  describe("deferred accept, in time and order", () => {
    test("the time an application takes to accept is no round-trip time", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const { handle } = k.event("knock");
      k.advance(10 * SECOND);
      k.accept(handle);
      peer.expect({ flags: "SA" });
      k.advance(1000);
      peer.ack();
      k.event("connected");
      k.send(handle, text("x"));
      peer.takeAll();
      k.advance(SECOND);
      expect(peer.takeAll().length).toBeGreaterThan(0);
    });

    test("a SYN-ACK does not establish what knocked on its SYN", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { listenFlags: FLAG_DEFER });
      peer.sendSyn();
      const first = k.event("knock").handle;
      k.accept(first);
      peer.expect({ flags: "SA" });
      k.abort(first);
      peer.takeAll();
      // The same ports at the same instant: the same initial sequence number, which the peer knows now.
      peer.send({ flags: "S", seq: 0 });
      k.event("knock");
      peer.send({ flags: "SA", seq: 0, ack: 1 });
      k.noEvents();
    });
  });
});
