/** Establishing a connection (RFC 9293 sections 3.5, 3.10.1 and 3.10.7.1 to 3.10.7.3). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_BACKLOG,
  GAUGE_CONNECTIONS,
  RC_BADH,
  RC_INUSE,
  RC_OK,
  RC_RESET,
} from "../../assembly/abi.ts";
import { assertSameBytes, hex, pattern, text } from "../support/bytes.ts";
import { PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { mss, nop, rawOption, sackOk, unknownOption, ws } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
/** The timing wheel rounds up to its tick of 16 µs. */
const TICK = 32;

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

    test("options that are unknown are skipped, in any order of the others", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, {
        mss: null,
        synOptions: [unknownOption(253, hex("0102030405")), sackOk, nop, mss(1000), ws(3)],
      });
      peer.sendSyn();
      const { header } = peer.expect({ flags: "SA" });
      const shift = ws(expect.any(Number) as number);
      expect(header.options).toEqual([mss(1460), nop, nop, sackOk, nop, shift]);
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
      const k = startKernel(build, { tcp: { synCookies: false } });
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
});
