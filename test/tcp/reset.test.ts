/** RST, SYN and ACK that do not fit, in synchronized states (RFC 9293 section 3.10.7.4, RFC 5961). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_BAD_ACK,
  CNT_DROP_TCP_BAD_RST,
  CNT_DROP_TCP_CHECKSUM,
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_TCP_MALFORMED,
  CNT_DROP_TCP_SYN_IN_WINDOW,
  CNT_DROP_TCP_WINDOW,
  CNT_TCP_CHALLENGE_ACKS,
  CNT_TCP_RESETS_IN,
  CNT_TCP_RESETS_OUT,
  GAUGE_CONNECTIONS,
  RC_OK,
  RC_RESET,
} from "../../assembly/abi.ts";
import { hex, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { buildTcp, ipFrame, mss, PROTOCOL_TCP, rawOption } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

describe.each(kernels)("$name kernel", (build) => {
  describe("RST (RFC 5961 section 3.2)", () => {
    test("at exactly rcv.nxt resets", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [resets] = k.counts([CNT_TCP_RESETS_IN], () => peer.send({ flags: "R" }));
      expect(resets).toBe(1);
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_RESET });
      peer.expectNothing();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("elsewhere in the window is challenged", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const counts = k.counts([CNT_DROP_TCP_BAD_RST, CNT_TCP_CHALLENGE_ACKS], () =>
        peer.send({ flags: "R", seq: 2 }),
      );
      expect(counts).toEqual([1, 1]);
      peer.expect({ flags: "A", seq: 1, ack: 1, length: 0 });
      k.noEvents();
      // A peer that meant it answers the challenge with the right number.
      peer.send({ flags: "R", seq: 1 });
      expect(k.event("dead").reason).toBe(RC_RESET);
    });

    test.each([
      ["before", -1],
      ["behind", 70_000],
    ])("%s the window is ignored", (_where, seq) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "R", seq });
      peer.expectNothing();
      k.noEvents();
    });

    test("with any ACK number at rcv.nxt resets", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "RA", ack: 12_345 });
      expect(k.event("dead").reason).toBe(RC_RESET);
    });

    test("together with FIN and data at rcv.nxt resets", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "FRPA", payload: text("no") });
      expect(k.event("dead").reason).toBe(RC_RESET);
      k.noEvents();
    });

    test("makes received data that was not announced unreachable, and leaks none", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      peer.ack();
      const { handle } = k.event("knock");
      peer.send({ payload: pattern(1000) });
      peer.send({ flags: "R" });
      expect(k.event("dead")).toMatchObject({ handle });
      k.noEvents();
    });

    test.each([
      ["FIN-WAIT-1", TcpPeer.finWait1],
      ["FIN-WAIT-2", TcpPeer.finWait2],
      ["CLOSE-WAIT", TcpPeer.closeWait],
      ["CLOSING", TcpPeer.closing],
      ["LAST-ACK", TcpPeer.lastAck],
    ] as const)("in %s ends the connection and tells the application once", (_state, reach) => {
      const k = startKernel(build);
      const peer = reach(k);
      k.events();
      peer.send({ flags: "R" });
      expect(k.event("dead").handle).toBe(peer.handle);
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });
  });

  describe("SYN on an established connection (RFC 5961 section 4.2)", () => {
    test.each([
      ["at rcv.nxt", 1],
      ["in the window", 1000],
      ["before the window", -5000],
      ["behind the window", 100_000],
      ["at the old place", 0],
    ])("%s is challenged, never obeyed", (_where, seq) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [syns] = k.counts([CNT_DROP_TCP_SYN_IN_WINDOW], () =>
        peer.send({ flags: "S", seq, options: [mss(1460)] }),
      );
      expect(syns).toBe(1);
      peer.expect({ flags: "A", seq: 1, ack: 1, length: 0 });
      peer.sndNxt = 1;
      peer.send({ payload: text("alive") });
      expect(k.event("recv").data).toEqual(text("alive"));
    });
  });

  describe("ACK (section 3.10.7.4, fifth step; RFC 5961 section 5.2)", () => {
    test("beyond snd.nxt is challenged and its data is dropped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [bad] = k.counts([CNT_DROP_TCP_BAD_ACK], () =>
        peer.send({ ack: 2, payload: text("evil") }),
      );
      expect(bad).toBe(1);
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      k.noEvents();
    });

    test("too old to be honest is challenged and its data is dropped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 1000 });
      peer.send({ ack: 1 - 5000, payload: text("evil") });
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      k.noEvents();
    });

    test("a little old is fine", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(100));
      peer.takeAll();
      peer.ack();
      k.events();
      peer.send({ ack: 50, payload: text("good") });
      expect(k.event("recv").data).toEqual(text("good"));
    });

    test("data without ACK is dropped in silence", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "P", payload: text("evil") });
      peer.expectNothing();
      k.noEvents();
    });

    test("no flags at all: silence", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "" });
      peer.expectNothing();
    });
  });

  describe("sequence number (section 3.4, table 6)", () => {
    test("a segment behind the window is answered with an ACK and dropped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [drops] = k.counts([CNT_DROP_TCP_WINDOW], () =>
        peer.send({ seq: 70_000, payload: text("far") }),
      );
      expect(drops).toBe(1);
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      k.noEvents();
    });

    test("a segment before the window is answered with an ACK and dropped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: pattern(100) });
      k.event("recv");
      const [drops] = k.counts([CNT_DROP_TCP_DUPLICATE], () =>
        peer.send({ seq: 1, payload: pattern(100) }),
      );
      expect(drops).toBe(1);
      peer.expect({ flags: "A", seq: 1, ack: 101 });
      k.noEvents();
    });

    test("a keep-alive probe is answered with an ACK (RFC 1122 section 4.2.3.6)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ seq: 0 });
      peer.expect({ flags: "A", seq: 1, ack: 1, length: 0 });
    });

    test("a FIN outside the window is answered with an ACK and dropped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "FA", seq: 100_000 });
      peer.expect({ flags: "A", ack: 1 });
      k.noEvents();
    });

    test("two stations that answer each other's ACKs come to rest", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ seq: 1, ack: 1 });
      peer.expectNothing();
    });

    test("sequence numbers may wrap around", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { iss: 0xffff_fc00 });
      for (let i = 0; i < 5; i++) {
        peer.send({ payload: pattern(700, i * 700) });
        expect(k.event("recv").data).toEqual(pattern(700, i * 700));
        expect(k.recvDone(peer.handle, 700)).toBe(RC_OK);
      }
      k.advance(1_000_000);
      expect(peer.takeAll().at(-1)?.ack).toBe(3501);
    });
  });

  describe("malformed segments", () => {
    const path = { from: PEER, to: KERNEL };

    test.each([
      ["a header shorter than 20 bytes", { dataOffset: 4 }],
      ["a header longer than the segment", { dataOffset: 15 }],
    ])("%s is counted and dropped", (_what, fields) => {
      const k = startKernel(build);
      const segment = { sourcePort: 1000, destinationPort: 80, flags: "A", ...fields };
      const frame = ipFrame(
        path,
        { protocol: PROTOCOL_TCP },
        buildTcp(segment, new Uint8Array(), { source: PEER.ip, destination: KERNEL.ip }),
      );
      const [malformed] = k.counts([CNT_DROP_TCP_MALFORMED], () => k.deliver(frame));
      expect(malformed).toBe(1);
      k.nothingSent();
    });

    test("a segment shorter than a header is counted and dropped", () => {
      const k = startKernel(build);
      const [malformed] = k.counts([CNT_DROP_TCP_MALFORMED], () =>
        k.deliver(ipFrame(path, { protocol: PROTOCOL_TCP }, new Uint8Array(19))),
      );
      expect(malformed).toBe(1);
    });

    test("a wrong checksum is counted and dropped", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const frame = peer.frame({ payload: text("corrupt") });
      frame[frame.length - 1] ^= 0x40;
      const [wrong] = k.counts([CNT_DROP_TCP_CHECKSUM], () => k.deliver(frame));
      expect(wrong).toBe(1);
      k.noEvents();
      peer.expectNothing();
    });

    test("malformed options of a data segment do not keep its data out", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("data"), options: [rawOption(hex("05ff0000"))] });
      expect(k.event("recv").data).toEqual(text("data"));
    });

    test("options of the greatest length", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const options = [rawOption(new Uint8Array(40).fill(1))];
      peer.send({ payload: text("data"), options });
      expect(k.event("recv").data).toEqual(text("data"));
    });

    test("the urgent pointer is no reason to lose data", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ flags: "UA", payload: text("urgent"), raw: { urgent: 3 } });
      expect(k.event("recv").data).toEqual(text("urgent"));
    });

    test("Ethernet padding behind a short segment is not data", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const frame = new Uint8Array(60);
      const short = peer.frame({ payload: text("x") });
      frame.set(short);
      frame.fill(0x77, short.length);
      k.deliver(frame);
      expect(k.event("recv").data).toEqual(text("x"));
    });
  });

  describe("numbers at their limits", () => {
    test("resets of connections are counted", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [resets] = k.counts([CNT_TCP_RESETS_OUT], () => k.abort(peer.handle));
      expect(resets).toBe(1);
    });

    test("an ACK is old only against the largest window ever offered", () => {
      const k = startKernel(build, { tcp: { initialWindow: 400 } });
      const peer = TcpPeer.connected(k, { windowScale: 7, window: 10_000 });
      k.send(peer.handle, text("x"));
      peer.takeAll();
      peer.send({ window: 400_000 });
      k.send(peer.handle, pattern(100_000, 1));
      k.send(peer.handle, pattern(100_000, 100_001));
      peer.takeAll();
      peer.send({ window: 400_000 });
      k.events();
      // Sent before those ACKs, overtaken by them.
      peer.send({ ack: 2, payload: text("late") });
      expect(k.events().find((e) => e.kind === "recv")).toMatchObject({ data: text("late") });
    });

    test("an ACK at the right edge of the window is heard", () => {
      const k = startKernel(build, { tcp: { receiveWindow: 8192, receiveWindowMax: 8192 } });
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("hello"));
      peer.takeAll();
      peer.send({ seq: 8193, ack: 6 });
      expect(k.event("sent").acked).toBe(5);
    });
  });
});
