/** Fragments in and out over both IP versions: order, bounds, and attacks (RFC 791, RFC 8200, RFC 5722). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_FRAGMENT_LIMIT,
  CNT_DROP_FRAGMENT_OVERLAP,
  CNT_DROP_FRAGMENT_SIZE,
  CNT_DROP_FRAGMENT_TIMEOUT,
  CNT_DROP_IP_FRAGMENT,
  CNT_DROP_NEIGHBOUR_PENDING,
  CNT_FRAGMENTS_OUT,
  CNT_REASSEMBLED,
  GAUGE_BUFFERS,
  GAUGE_NEIGHBOUR_PENDING,
  RC_AGAIN,
} from "../../assembly/abi.ts";
import { concat, pattern, text } from "../support/bytes.ts";
import { cut, join, pieceFrame, udpPieces } from "../support/fragments.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { STATIC_IP6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import {
  buildIcmp,
  buildIcmpv6,
  buildTcp,
  buildUdp,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  parseIcmp,
  parseIcmpv6,
  parseUdp,
  type Host,
  type Path,
} from "../support/packet.ts";

const KERNEL6: Host = { mac: KERNEL.mac, ip: "2001:db8::1" };
const PEER6: Host = { mac: PEER.mac, ip: "2001:db8::2" };
const ports = { from: 9999, to: 53 };
const DATA_MAX = 65_507;

const versions = [
  { version: "IPv4", path: { from: PEER, to: KERNEL } as Path },
  { version: "IPv6", path: { from: PEER6, to: KERNEL6 } as Path },
] as const;

describe.each(kernels)("$name kernel", (build) => {
  /** Speaks both versions, and knows the peer in both. */
  function start(options: Parameters<typeof startKernel>[1] = {}): KernelHarness {
    const k = startKernel(build, {
      ip6: STATIC_IP6,
      neighbours: [PEER, PEER6],
      applicationWindow: 1 << 20,
      ...options,
    });
    k.advance(3_000_000);
    k.sent();
    return k;
  }

  describe.each(versions)("over $version", ({ path }) => {
    /** Takes the one datagram that has come, and gives it back. */
    function received(k: KernelHarness, handle: number): Uint8Array {
      const event = k.event("udp_recv");
      expect([event.remoteIp, event.remotePort]).toEqual([path.from.ip, ports.from]);
      expect(k.udpRecvDone(handle, event.token)).toBe(0);
      return event.data;
    }

    test.each([1481, 2960, 8000, 65_507])("%i bytes in order", (size) => {
      const k = start();
      const { handle } = k.udpBind(53);
      const [whole] = k.counts([CNT_REASSEMBLED], () =>
        k.deliver(...udpPieces(path, ports, pattern(size))),
      );
      expect(whole).toBe(1);
      expect(received(k, handle)).toEqual(pattern(size));
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("in any order, with duplicates", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      const frames = udpPieces(path, ports, pattern(10_000), { size: 1000 });
      fc.assert(
        fc.property(
          fc.shuffledSubarray(frames, { minLength: frames.length }),
          fc.nat(frames.length - 1),
          (order, twice) => {
            k.deliver(order[twice], ...order);
            expect(received(k, handle)).toEqual(pattern(10_000));
            // What is left of the duplicate waits for its time.
            k.advance(61_000_000);
            k.sent();
          },
        ),
        { seed: 5, numRuns: 40 },
      );
    });

    test("two datagrams at once do not mix", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      const one = udpPieces(path, ports, pattern(3000, 0, 1), { id: 1 });
      const other = udpPieces(path, ports, pattern(3000, 0, 2), { id: 2 });
      k.deliver(one[0], other[0], other[2], one[1], one[2], other[1]);
      expect(received(k, handle)).toEqual(pattern(3000, 0, 1));
      expect(received(k, handle)).toEqual(pattern(3000, 0, 2));
    });

    test("a checksum over the whole is still held", () => {
      const k = start();
      k.udpBind(53);
      const frames = udpPieces(path, ports, pattern(3000));
      frames[1][100] ^= 1;
      k.deliver(...frames);
      k.noEvents();
    });

    test("overlaps are dropped, with all that comes afterwards (RFC 5722)", () => {
      const k = start();
      k.udpBind(53);
      const frames = udpPieces(path, ports, pattern(4000), { size: 1000 });
      const evil = pieceFrame(path, 17, 77, { offset: 992, data: new Uint8Array(16), more: true });
      const [drops, whole] = k.counts([CNT_DROP_FRAGMENT_OVERLAP, CNT_REASSEMBLED], () =>
        k.deliver(frames[0], frames[1], evil, ...frames.slice(2)),
      );
      expect([drops, whole]).toEqual([4, 0]);
      k.noEvents();
      // When its time is over the same identification is good again.
      k.advance(61_000_000);
      k.sent();
      k.deliver(...frames);
      expect(k.event("udp_recv").data).toEqual(pattern(4000));
    });

    test("a second version of the same bytes is an overlap too", () => {
      const k = start();
      k.udpBind(53);
      const frames = udpPieces(path, ports, pattern(4000), { size: 1000 });
      const evil = pieceFrame(path, 17, 77, { offset: 0, data: pattern(1000, 5), more: true });
      const [drops] = k.counts([CNT_DROP_FRAGMENT_OVERLAP], () => k.deliver(frames[0], evil));
      expect(drops).toBe(1);
    });

    test("two different ends, and data behind the end, are refused", () => {
      for (const last of [
        { offset: 2000, data: new Uint8Array(8), more: false },
        { offset: 4000, data: new Uint8Array(8), more: true },
        { offset: 800, data: new Uint8Array(8), more: false },
      ]) {
        const k = start();
        k.udpBind(53);
        const frames = udpPieces(path, ports, pattern(2992), { size: 1000 });
        const [drops] = k.counts([CNT_DROP_FRAGMENT_OVERLAP], () =>
          k.deliver(frames[0], frames[2], pieceFrame(path, 17, 77, last), frames[1]),
        );
        expect(drops).toBe(2);
        k.noEvents();
      }
    });

    test("beyond 64 KiB there is nothing (the ping of death)", () => {
      const k = start();
      const [drops] = k.counts([CNT_DROP_IP_FRAGMENT], () =>
        k.deliver(
          pieceFrame(path, 17, 9, { offset: 65_528, data: new Uint8Array(100), more: false }),
          pieceFrame(path, 17, 9, { offset: 65_000, data: new Uint8Array(1400), more: true }),
        ),
      );
      expect(drops).toBe(2);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("lengths that no sender cuts are dropped", () => {
      const k = start();
      const [drops] = k.counts([CNT_DROP_IP_FRAGMENT], () =>
        k.deliver(
          pieceFrame(path, 17, 9, { offset: 8, data: new Uint8Array(9), more: true }),
          pieceFrame(path, 17, 9, { offset: 8, data: new Uint8Array(), more: true }),
        ),
      );
      expect(drops).toBe(2);
    });

    test("tiny ones make no difference: headers are judged when all is there", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.deliver(...udpPieces(path, ports, pattern(200), { size: 8 }));
      expect(received(k, handle)).toEqual(pattern(200));
    });

    test("what is missing something after a minute is given up, and its sender told", () => {
      const k = start();
      const frames = udpPieces(path, ports, pattern(3000));
      k.deliver(frames[0], frames[1]);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(1);
      const [drops] = k.counts([CNT_DROP_FRAGMENT_TIMEOUT], () => k.advance(60_100_000));
      expect(drops).toBe(1);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
      const [error] = k.sent();
      const told = error.icmp ?? error.icmp6;
      expect([told?.type, told?.code]).toEqual(error.icmp ? [11, 1] : [3, 1]);
    });

    test("without its beginning it goes without a word", () => {
      const k = start();
      k.deliver(udpPieces(path, ports, pattern(3000))[1]);
      k.advance(61_000_000);
      k.nothingSent();
    });

    test("a flood keeps within its bounds, and lets others through", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      const flood = Array.from(
        { length: 200 },
        (_, id) => udpPieces(path, ports, pattern(3000), { id })[0],
      );
      const [given] = k.counts([CNT_DROP_FRAGMENT_LIMIT], () => k.deliver(...flood));
      expect(given).toBe(196);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(4);
      // Another sender still has room, and its datagram outlives the next flood.
      const ip = path.from.ip.includes(":") ? "2001:db8::3" : "10.0.0.3";
      const other: Path = { from: { mac: PEER.mac, ip }, to: path.to };
      const frames = udpPieces(other, ports, pattern(3000));
      k.deliver(frames[0], ...flood, frames[1], frames[2]);
      const event = k.event("udp_recv");
      expect(event.data).toEqual(pattern(3000));
      k.udpRecvDone(handle, event.token);
    });

    test("slots that the application holds are not taken from it", () => {
      const k = start({ tables: { reassembly: 2 } });
      const { handle } = k.udpBind(53);
      for (let id = 0; id < 2; id++) k.deliver(...udpPieces(path, ports, pattern(2000), { id }));
      const [drops] = k.counts([CNT_DROP_FRAGMENT_LIMIT], () =>
        k.deliver(...udpPieces(path, ports, pattern(2000), { id: 9 })),
      );
      expect(drops).toBe(2);
      const [first, second] = k.events();
      for (const event of [first, second]) {
        if (event.kind === "udp_recv") k.udpRecvDone(handle, event.token);
      }
      k.deliver(...udpPieces(path, ports, pattern(2000), { id: 10 }));
      expect(k.event("udp_recv").data).toEqual(pattern(2000));
    });

    test("an echo of 8000 bytes goes back as it came", () => {
      const k = start();
      const data = pattern(8000);
      const addresses = { source: path.from.ip, destination: path.to.ip };
      const ipv4 = path.from === PEER;
      const request = ipv4
        ? buildIcmp({ type: ICMP_ECHO_REQUEST, id: 3, sequence: 4, data })
        : buildIcmpv6({ type: ICMPV6_ECHO_REQUEST, word: 0x0003_0004, data }, addresses);
      const protocol = ipv4 ? 1 : 58;
      k.deliver(...cut(request, 1480).map((piece) => pieceFrame(path, protocol, 5, piece)));
      const whole = join(k.sent());
      if (ipv4) {
        expect(parseIcmp(whole)).toMatchObject({ type: ICMP_ECHO_REPLY, id: 3, sequence: 4, data });
      } else {
        const swapped = { source: path.to.ip, destination: path.from.ip };
        const reply = parseIcmpv6(whole, swapped);
        expect(reply).toMatchObject({ type: ICMPV6_ECHO_REPLY, word: 0x0003_0004, data });
      }
    });

    test("a segment that fits a frame is taken as one, a larger one dropped", () => {
      const k = start();
      const segment = (length: number): Uint8Array =>
        buildTcp({ sourcePort: 5, destinationPort: 6, flags: "A", ack: 7 }, pattern(length), {
          source: path.from.ip,
          destination: path.to.ip,
        });
      k.deliver(...cut(segment(200), 80).map((piece) => pieceFrame(path, 6, 1, piece)));
      expect(k.sent()[0].tcp).toMatchObject({ flags: "R", seq: 7 });
      const [drops] = k.counts([CNT_DROP_FRAGMENT_SIZE], () =>
        k.deliver(...cut(segment(3000), 1480).map((piece) => pieceFrame(path, 6, 2, piece))),
      );
      expect(drops).toBe(1);
      k.nothingSent();
    });

    test("nothing is kept of any frames whatever", () => {
      const k = start();
      k.udpBind(53);
      fc.assert(
        fc.property(
          fc.array(
            fc.record({
              offset: fc.nat(300).map((units) => units * 8),
              length: fc.nat(60),
              more: fc.boolean(),
              id: fc.nat(12),
              protocol: fc.constantFrom(17, 6, 1, 58, 0, 44, 60),
            }),
            { maxLength: 60 },
          ),
          (pieces) => {
            k.deliver(
              ...pieces.map(({ offset, length, more, id, protocol }) =>
                pieceFrame(path, protocol, id, { offset, data: pattern(length, offset), more }),
              ),
            );
            k.sent();
            for (const event of k.events()) {
              if (event.kind === "udp_recv") k.udpRecvDone(event.handle, event.token);
            }
            expect(k.gauge(GAUGE_BUFFERS)).toBeLessThanOrEqual(8);
          },
        ),
        { seed: 6, numRuns: 100 },
      );
      k.advance(61_000_000);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    describe("sending", () => {
      const there = { ip: path.from.ip, port: 9999 };
      const addresses = { source: path.to.ip, destination: path.from.ip };

      test.each([1473, 1481, 4000, DATA_MAX])("%i bytes", (size) => {
        const k = start();
        const { handle } = k.udpBind(53);
        const [count] = k.counts([CNT_FRAGMENTS_OUT], () => {
          expect(k.udpSend(handle, pattern(size), there)).toBe(size);
        });
        const packets = k.sent();
        expect(packets).toHaveLength(count);
        const { header, payload } = parseUdp(join(packets), addresses);
        expect(header).toEqual({ sourcePort: 53, destinationPort: 9999, checksummed: true });
        expect(payload).toEqual(pattern(size));
      });

      test("in parts of odd lengths", () => {
        const k = start();
        const { handle } = k.udpBind(53);
        const parts = [1, 1023, 0, 2001, 7, 3000].map((length, index) => pattern(length, index));
        expect(k.udpSendv(handle, parts, there)).toBe(6032);
        expect(parseUdp(join(k.sent()), addresses).payload).toEqual(concat(...parts));
      });

      test("tells by udp_sent that the memory is free", () => {
        const k = start();
        const { handle } = k.udpBind(53);
        k.udpSend(handle, pattern(5000), there, { cookie: 8 });
        expect(k.events()).toEqual([
          expect.objectContaining({ kind: "udp_sent", cookie: 8, bytes: 5000 }),
        ]);
      });

      test("all or nothing: a full TX ring takes no half of a datagram", () => {
        const k = start({ txRingSize: 64 });
        const { handle } = k.udpBind(53);
        k.nic.stalled = true;
        const results = Array.from({ length: 5 }, () => k.udpSend(handle, pattern(30_000), there));
        expect(results.filter((result) => result === 30_000).length).toBeGreaterThan(1);
        expect(results.at(-1)).toBe(RC_AGAIN);
        k.nic.stalled = false;
        k.poll();
        expect(k.sent().length % 21).toBe(0);
      });

      test("the longest datagram waits for a neighbour that is being asked for", () => {
        const k = start({ neighbours: [] });
        const { handle } = k.udpBind(53);
        const [count, dropped] = k.counts([CNT_FRAGMENTS_OUT, CNT_DROP_NEIGHBOUR_PENDING], () => {
          expect(k.udpSend(handle, pattern(DATA_MAX), there)).toBe(DATA_MAX);
        });
        k.advance(1000);
        expect(k.gauge(GAUGE_NEIGHBOUR_PENDING)).toBe(count);
        expect(dropped).toBe(0);
        k.sent();
      });

      test("each datagram has its own identification", () => {
        const k = start();
        const { handle } = k.udpBind(53);
        const ids = Array.from({ length: 50 }, () => {
          k.udpSend(handle, pattern(2000), there);
          const [first] = k.sent();
          return first.ip?.id ?? first.ip6!.fragment!.id;
        });
        expect(new Set(ids).size).toBe(50);
      });
    });
  });

  test("an IPv4 header with options in front of fragments is as long as it says", () => {
    const k = start();
    k.udpBind(53);
    const path: Path = { from: PEER, to: KERNEL, ip: { options: text("\x01\x01\x01\x01") } };
    k.deliver(...udpPieces(path, ports, pattern(3000), { size: 1400 }));
    expect(k.event("udp_recv").data).toEqual(pattern(3000));
  });

  test("a port that nobody has bound is unreachable, quoted from the first fragment", () => {
    const k = start();
    k.deliver(...udpPieces({ from: PEER, to: KERNEL }, ports, pattern(3000)));
    const [error] = k.sent();
    expect(error.icmp).toMatchObject({ type: 3, code: 3 });
    const datagram = buildUdp({ sourcePort: 9999, destinationPort: 53 }, pattern(3000), {
      source: PEER.ip,
      destination: KERNEL.ip,
    });
    expect(error.icmp!.data.slice(20, 120)).toEqual(datagram.slice(0, 100));
  });
});
