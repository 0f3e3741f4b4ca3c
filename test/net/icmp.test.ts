/** ICMP (RFC 792, RFC 1122 section 3.2.2): echo, errors out and in, and their limits. */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_ICMP_CHECKSUM,
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_TYPE,
  CNT_ICMP_IN,
  CNT_ICMP_LIMITED,
  CNT_ICMP_OUT,
  RC_TIMEOUT,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { GATEWAY, KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  buildIcmp,
  icmpFrame,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  ipFrame,
  parseQuote,
  PROTOCOL_ICMP,
  udpFrame,
  UNREACHABLE_FRAGMENTATION,
  UNREACHABLE_HOST,
  UNREACHABLE_NET,
  UNREACHABLE_PORT,
  type Path,
} from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const path: Path = { from: PEER, to: KERNEL };
const SECOND = 1_000_000;

describe.each(kernels)("$name kernel", (build) => {
  describe("echo", () => {
    const sizes = [
      0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 56, 63, 64, 65, 255, 1000, 1471, 1472,
    ];

    test.each(sizes)("of %i bytes comes back", (size) => {
      const k = startKernel(build);
      const request = { type: ICMP_ECHO_REQUEST, id: 0x1234, sequence: 77, data: pattern(size) };
      const counts = k.counts([CNT_ICMP_IN, CNT_ICMP_OUT], () =>
        k.deliver(icmpFrame(path, request)),
      );
      expect(counts).toEqual([1, 1]);
      const [reply] = k.sent();
      expect(reply.ethernet).toMatchObject({ source: KERNEL.mac, destination: PEER.mac });
      expect(reply.ip).toMatchObject({ source: KERNEL.ip, destination: PEER.ip, ttl: 64 });
      expect(reply.icmp).toEqual({
        type: ICMP_ECHO_REPLY,
        code: 0,
        id: 0x1234,
        sequence: 77,
        data: pattern(size),
      });
    });

    test("the checksum is right for many identifiers and sequence numbers", () => {
      const k = startKernel(build);
      for (let id = 0; id < 0x10000; id += 0x0fff) {
        for (const sequence of [0, 1, 0xf7fe, 0xf7ff, 0xf800, 0xffff]) {
          k.deliver(icmpFrame(path, { type: ICMP_ECHO_REQUEST, id, sequence }));
          expect(k.sent()[0].icmp).toMatchObject({ id, sequence });
        }
      }
    });

    test("a wrong checksum is counted and dropped", () => {
      const k = startKernel(build);
      const [wrong] = k.counts([CNT_DROP_ICMP_CHECKSUM], () =>
        k.deliver(icmpFrame(path, { type: ICMP_ECHO_REQUEST, checksum: 1 })),
      );
      expect(wrong).toBe(1);
      k.nothingSent();
    });

    test("to a broadcast address is not answered (RFC 1122 section 3.2.2.6)", () => {
      const k = startKernel(build);
      for (const destination of ["255.255.255.255", "10.0.0.255"]) {
        k.deliver(icmpFrame({ ...path, ip: { destination } }, { type: ICMP_ECHO_REQUEST }));
      }
      k.nothingSent();
    });

    test("larger than the MTU of the answer is answered in fragments", () => {
      const k = startKernel(build, { mtu: 576 });
      k.deliver(icmpFrame(path, { type: ICMP_ECHO_REQUEST, data: pattern(1000) }));
      expect(k.sent().map(({ ip, payload }) => [ip!.fragmentOffset, payload.length])).toEqual([
        [0, 552],
        [552, 456],
      ]);
    });

    test("many at once", () => {
      const k = startKernel(build);
      for (let sequence = 0; sequence < 100; sequence++) {
        k.inject(icmpFrame(path, { type: ICMP_ECHO_REQUEST, sequence, data: pattern(64) }));
      }
      k.poll();
      expect(k.sent().map(({ icmp }) => icmp?.sequence)).toEqual(
        Array.from({ length: 100 }, (_, i) => i),
      );
    });
  });

  describe("refuses", () => {
    test.each([0, 1, 4, 7])("a message of %i bytes", (length) => {
      const k = startKernel(build);
      const message = buildIcmp({ type: ICMP_ECHO_REQUEST }).subarray(0, length);
      const [malformed] = k.counts([CNT_DROP_ICMP_MALFORMED], () =>
        k.deliver(ipFrame(path, { protocol: PROTOCOL_ICMP }, message)),
      );
      expect(malformed).toBe(1);
    });

    test.each([0, 4, 5, 9, 10, 13, 15, 17, 40, 255])("type %i, without an answer", (type) => {
      const k = startKernel(build);
      const [unknown] = k.counts([CNT_DROP_ICMP_TYPE], () =>
        k.deliver(icmpFrame(path, { type, data: pattern(40) })),
      );
      expect(unknown).toBe(1);
      k.nothingSent();
    });

    test.each([
      ["nothing quoted", new Uint8Array()],
      ["half a header quoted", pattern(10)],
      ["no IPv4 quoted", new Uint8Array(40).fill(0x60)],
      ["a header of nonsense quoted", new Uint8Array(40).fill(0x41)],
      ["a header that is all there is", new Uint8Array(60).fill(0x4f)],
    ])("an error with %s", (_what, data) => {
      const k = startKernel(build);
      const [malformed] = k.counts([CNT_DROP_ICMP_MALFORMED], () =>
        k.deliver(icmpFrame(path, { type: ICMP_UNREACHABLE, code: 1, data })),
      );
      expect(malformed).toBe(1);
      k.nothingSent();
    });
  });

  describe("port unreachable", () => {
    test("quotes the datagram that nobody wanted", () => {
      const k = startKernel(build);
      const frame = udpFrame(path, { sourcePort: 999, destinationPort: 54_321 }, pattern(100));
      k.deliver(frame);
      const [error] = k.sent();
      expect(error.ip).toMatchObject({ source: KERNEL.ip, destination: PEER.ip });
      expect(error.icmp).toMatchObject({ type: ICMP_UNREACHABLE, code: UNREACHABLE_PORT, id: 0 });
      const quote = parseQuote(error.icmp!);
      expect(quote.header).toMatchObject({ source: PEER.ip, destination: KERNEL.ip, protocol: 17 });
      expect(error.icmp!.data).toEqual(frame.slice(14, 14 + error.icmp!.data.length));
    });

    test("quotes no more than fits 576 bytes (RFC 1812 section 4.3.2.3)", () => {
      const k = startKernel(build);
      k.deliver(udpFrame(path, { sourcePort: 999, destinationPort: 54_321 }, pattern(1472)));
      const [error] = k.sent();
      expect(error.frame.length - 14).toBeLessThanOrEqual(576);
      expect(parseQuote(error.icmp!).payload.length).toBeGreaterThanOrEqual(8);
    });

    test("is not sent for a broadcast datagram (RFC 1122 section 3.2.2)", () => {
      const k = startKernel(build);
      const destination = "10.0.0.255";
      k.deliver(udpFrame({ ...path, ip: { destination } }, { sourcePort: 9, destinationPort: 99 }));
      k.nothingSent();
    });

    test("is limited in rate, and the limit recovers (RFC 1812 section 4.3.2.8)", () => {
      const k = startKernel(build);
      const frame = udpFrame(path, { sourcePort: 999, destinationPort: 54_321 }, text("x"));
      const [limited, out] = k.counts([CNT_ICMP_LIMITED, CNT_ICMP_OUT], () => {
        for (let i = 0; i < 400; i++) k.deliver(frame);
      });
      expect(out).toBe(k.sent().length);
      expect(limited + out).toBe(400);
      expect(out).toBeLessThan(200);
      expect(out).toBeGreaterThan(0);
      k.advance(10 * SECOND);
      k.deliver(frame);
      expect(k.sent()).toHaveLength(1);
    });

    test("the limit does not count echo replies", () => {
      const k = startKernel(build);
      const frame = udpFrame(path, { sourcePort: 999, destinationPort: 54_321 }, text("x"));
      for (let i = 0; i < 400; i++) k.deliver(frame);
      k.sent();
      for (let i = 0; i < 100; i++) k.deliver(icmpFrame(path, { type: ICMP_ECHO_REQUEST }));
      expect(k.sent()).toHaveLength(100);
    });
  });

  describe("errors about our segments", () => {
    test.each([
      ["net unreachable", ICMP_UNREACHABLE, UNREACHABLE_NET],
      ["host unreachable", ICMP_UNREACHABLE, UNREACHABLE_HOST],
      ["port unreachable", ICMP_UNREACHABLE, UNREACHABLE_PORT],
      ["time exceeded", ICMP_TIME_EXCEEDED, 0],
    ])("%s does not end an established connection (RFC 5461)", (_what, type, code) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("data"));
      const [packet] = k.outbox;
      k.deliver(
        icmpFrame({ from: GATEWAY, to: KERNEL }, { type, code, data: packet.frame.subarray(14) }),
      );
      k.noEvents();
      peer.takeAll();
      peer.ack();
      peer.send({ payload: text("alive") });
      expect(k.events().some(({ kind }) => kind === "recv")).toBe(true);
    });

    test("what they said tells why a connection timed out (RFC 1122 section 4.2.3.9)", () => {
      const k = startKernel(build, { tcp: { dataRetries: 2 } });
      const peer = TcpPeer.established(k);
      k.send(peer.handle, text("data"));
      const [packet] = k.outbox;
      k.deliver(
        icmpFrame(
          { from: GATEWAY, to: KERNEL },
          { type: ICMP_UNREACHABLE, code: UNREACHABLE_HOST, data: packet.frame.subarray(14) },
        ),
      );
      k.advance(60 * SECOND);
      const { reason } = k.event("dead");
      expect([RC_UNREACHABLE, RC_TIMEOUT]).toContain(reason);
      expect(reason).toBe(RC_UNREACHABLE);
    });

    test("an error about somebody else's packet is ignored", () => {
      const k = startKernel(build);
      const { handle } = k.connect(PEER.ip, 80);
      const frame = k.sent()[0].frame.slice();
      // Another source address in the quotation, its checksum made right again.
      frame[14 + 15] ^= 2;
      frame[14 + 11] ^= 0;
      k.deliver(
        icmpFrame(
          { from: GATEWAY, to: KERNEL },
          { type: ICMP_UNREACHABLE, code: UNREACHABLE_PORT, data: frame.subarray(14) },
        ),
      );
      k.noEvents();
      expect(k.abort(handle)).toBe(0);
    });

    test("an error that quotes our UDP datagram harms nobody", () => {
      const k = startKernel(build);
      const udp = k.udpBind(1000).handle;
      k.udpSend(udp, text("x"), { ip: PEER.ip, port: 9 });
      const [packet] = k.sent();
      k.deliver(
        icmpFrame(path, {
          type: ICMP_UNREACHABLE,
          code: UNREACHABLE_PORT,
          data: packet.frame.subarray(14),
        }),
      );
      k.noEvents();
    });

    test("an error about an error or a reply is not answered", () => {
      const k = startKernel(build);
      k.deliver(icmpFrame(path, { type: ICMP_ECHO_REQUEST, data: text("x") }));
      const [reply] = k.sent();
      k.deliver(
        icmpFrame(path, { type: ICMP_UNREACHABLE, code: 1, data: reply.frame.subarray(14) }),
      );
      k.nothingSent();
    });

    test("fragmentation needed lets the connection live on", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(4000));
      const [packet] = k.outbox;
      k.deliver(
        icmpFrame(
          { from: GATEWAY, to: KERNEL },
          {
            type: ICMP_UNREACHABLE,
            code: UNREACHABLE_FRAGMENTATION,
            sequence: 1400,
            data: packet.frame.subarray(14, 14 + 28),
          },
        ),
      );
      for (let i = 0; i < 20; i++) {
        peer.takeAll();
        peer.ack();
        k.advance(300_000);
      }
      expect(peer.stream()).toEqual(pattern(4000));
    });
  });
});
