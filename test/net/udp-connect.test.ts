/** Connected UDP ports: whom they hear, and what ICMP tells them (RFC 1122 section 4.1.3.3, RFC 5927). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_QUOTE,
  CNT_DROP_UDP_PEER,
  CNT_PATH_MTU,
  FLAG_DONT_FRAGMENT,
  RC_BADH,
  RC_FAULT,
  RC_INVAL,
  RC_MSGSIZE,
  RC_OK,
  RC_REFUSED,
  RC_UNREACHABLE,
  SYS_UDP_CONNECT,
} from "../../assembly/abi.ts";
import { concat, pattern, text } from "../support/bytes.ts";
import { join } from "../support/fragments.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { STATIC_IP6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import {
  icmpFrame,
  icmpv6Frame,
  udpFrame,
  type Host,
  type Packet,
  type Path,
} from "../support/packet.ts";

const KERNEL6: Host = { mac: KERNEL.mac, ip: "2001:db8::1" };
const PEER6: Host = { mac: PEER.mac, ip: "2001:db8::2" };

const versions = [
  { version: "IPv4", path: { from: PEER, to: KERNEL } as Path, floor: 552 },
  { version: "IPv6", path: { from: PEER6, to: KERNEL6 } as Path, floor: 1280 },
] as const;

describe.each(kernels)("$name kernel", (build) => {
  function start(): KernelHarness {
    const k = startKernel(build, {
      ip6: STATIC_IP6,
      neighbours: [PEER, PEER6],
    });
    k.advance(3_000_000);
    k.sent();
    return k;
  }

  describe.each(versions)("over $version", ({ path, floor }) => {
    const there = { ip: path.from.ip, port: 9999 };

    /** An ICMP error that quotes a packet the kernel sent. */
    function error(kind: "port" | "host" | "big", packet: Packet, mtu = 1400): Uint8Array {
      const quoted = packet.frame.slice(14, 14 + 200);
      if (packet.ip) {
        const code = { port: 3, host: 1, big: 4 }[kind];
        return icmpFrame(path, { type: 3, code, sequence: kind === "big" ? mtu : 0, data: quoted });
      }
      const [type, code, word] = { port: [1, 4, 0], host: [1, 3, 0], big: [2, 0, mtu] }[kind];
      return icmpv6Frame(path, { type, code, word, data: quoted });
    }

    function datagram(sourcePort: number, from: Host = path.from): Uint8Array {
      return udpFrame({ from, to: path.to }, { sourcePort, destinationPort: 53 }, text("hello"));
    }

    test("only the peer is heard, until it is anybody again", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      expect(k.udpConnect(handle, there)).toBe(RC_OK);
      const ip = path.from.ip.replace(/2$/, "3");
      const [drops] = k.counts([CNT_DROP_UDP_PEER], () =>
        k.deliver(datagram(9998), datagram(9999, { mac: PEER.mac, ip }), datagram(9999)),
      );
      expect(drops).toBe(2);
      expect(k.event("udp_recv").remotePort).toBe(9999);
      k.noEvents();
      expect(k.udpConnect(handle)).toBe(RC_OK);
      k.deliver(datagram(9998));
      expect(k.event("udp_recv").remotePort).toBe(9998);
    });

    test.each([
      ["port", RC_REFUSED],
      ["host", RC_UNREACHABLE],
    ] as const)("a %s that is unreachable is told of", (kind, reason) => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpConnect(handle, there);
      k.udpSend(handle, text("x"), there);
      k.deliver(error(kind, k.sent()[0]));
      expect(k.event("udp_error")).toMatchObject({ handle, reason });
    });

    test("nobody is told of what is not the peer's, or not ours", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpConnect(handle, there);
      k.udpSend(handle, text("x"), { ip: there.ip, port: 9998 });
      const [other] = k.sent();
      const [drops] = k.counts([CNT_DROP_ICMP_QUOTE], () => k.deliver(error("port", other)));
      expect(drops).toBe(1);
      k.udpUnbind(handle);
      const [unbound] = k.counts([CNT_DROP_ICMP_QUOTE], () => k.deliver(error("port", other)));
      expect(unbound).toBe(1);
      const foreign = { ...other, frame: other.frame.slice() };
      foreign.frame[other.ip ? 26 : 22] ^= 1;
      const [malformed] = k.counts([CNT_DROP_ICMP_MALFORMED], () =>
        k.deliver(error("port", foreign)),
      );
      expect(malformed).toBe(1);
      k.noEvents();
    });

    test("a port that is not connected hears nothing", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpSend(handle, text("x"), there);
      k.deliver(error("port", k.sent()[0]));
      k.noEvents();
    });

    test("a path that takes less: told, believed for ten minutes, and cut to", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpConnect(handle, there);
      k.udpSend(handle, pattern(1420), there);
      k.events();
      const [first] = k.sent();
      const [lowered] = k.counts([CNT_PATH_MTU], () => k.deliver(error("big", first)));
      expect(lowered).toBe(1);
      expect(k.event("udp_error")).toMatchObject({ reason: RC_MSGSIZE, pathMtu: 1400 });
      expect(k.udpSend(handle, pattern(1420), there, { flags: FLAG_DONT_FRAGMENT })).toBe(
        RC_MSGSIZE,
      );
      expect(k.udpSend(handle, pattern(1420), there)).toBe(1420);
      const packets = k.sent();
      expect(packets).toHaveLength(2);
      expect(join(packets).slice(8)).toEqual(pattern(1420));
      for (const { frame } of packets) expect(frame.length).toBeLessThanOrEqual(1414);
      // Another destination is not concerned.
      const ip = path.from.ip.replace(/2$/, "3");
      k.udpSend(handle, pattern(1420), { ip, port: 1 });
      k.advance(600_000_000);
      k.sent();
      k.events();
      expect(k.udpSend(handle, pattern(1420), there)).toBe(1420);
      k.advance(10_000);
      expect(k.sent().filter(({ udp }) => udp?.destinationPort === 9999)).toHaveLength(1);
    });

    test("nobody makes us send less than the floor, or more than before", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpSend(handle, pattern(1400), there);
      const [first] = k.sent();
      k.deliver(error("big", first, 68));
      k.udpSend(handle, pattern(1400), there);
      const sizes = k.sent().map(({ frame }) => frame.length - 14);
      expect(Math.max(...sizes)).toBeGreaterThan(floor - 8);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(floor);
      const [raised] = k.counts([CNT_PATH_MTU], () => k.deliver(error("big", first, 1499)));
      expect(raised).toBe(0);
    });
  });

  test("a router from before RFC 1191 tells no MTU: the next lower one there was", () => {
    const k = start();
    const { handle } = k.udpBind(53);
    const there = { ip: PEER.ip, port: 9999 };
    k.udpConnect(handle, there);
    k.udpSend(handle, pattern(1472), there);
    k.events();
    const data = k.sent()[0].frame.slice(14, 44);
    k.deliver(icmpFrame({ from: PEER, to: KERNEL }, { type: 3, code: 4, data }));
    expect(k.event("udp_error")).toMatchObject({ reason: RC_MSGSIZE, pathMtu: 1492 });
  });

  test("connecting is checked like every call", () => {
    const k = start();
    const { handle } = k.udpBind(53);
    expect(k.udpConnect(handle, { ip: PEER.ip, port: 0 })).toBe(RC_INVAL);
    expect(k.udpConnect(handle + 1, { ip: PEER.ip, port: 1 })).toBe(RC_BADH);
    expect(k.call({ op: SYS_UDP_CONNECT, handle, c: 64 }).result).toBe(RC_FAULT);
    expect(k.call({ op: SYS_UDP_CONNECT, handle, c: 0xffff_fff0 }).result).toBe(RC_FAULT);
  });

  test("quotations cut anywhere are dropped, not followed", () => {
    const k = start();
    k.udpBind(53);
    for (const path of versions.map((each) => each.path)) {
      const packet = udpFrame(
        { from: path.to, to: path.from },
        { sourcePort: 53, destinationPort: 1 },
      ).slice(14);
      for (let length = 0; length < packet.length; length++) {
        const data = concat(packet.subarray(0, length));
        k.deliver(
          path.from === PEER
            ? icmpFrame(path, { type: 3, code: 3, data })
            : icmpv6Frame(path, { type: 1, code: 4, data }),
        );
      }
    }
    k.noEvents();
    k.nothingSent();
  });
});
