/** Multicast groups: joining, reports and leaving by IGMP and MLD, and who receives (RFC 3376, RFC 3810). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_GROUP_MALFORMED,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_UDP_NO_PORT,
  CORE_MULTICAST,
  RC_INUSE,
  RC_INVAL,
  RC_NOMEM,
  RC_OK,
} from "../../assembly/abi.ts";
import { concat, hex, text, u16 } from "../support/bytes.ts";
import {
  KERNEL,
  PEER,
  startKernel,
  type KernelHarness,
  type SentPacket,
} from "../support/kernel.ts";
import { STATIC_IP6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import {
  checksum,
  groupMac,
  icmpv6Frame,
  ip6Frame,
  ipBytes,
  ipFrame,
  ipv4Text,
  linkLocal,
  macBytes,
  MLD1_REPORT,
  MLD2_REPORT,
  MLD_DONE,
  MLD_QUERY,
  onesSum,
  optionsExtension,
  parseMld2Report,
  buildIcmpv6,
  udpFrame,
  type Host,
  type Path,
} from "../support/packet.ts";

const GROUP = "239.1.2.3";
const GROUP6 = "ff05::1:3";
const ROUTER6: Host = { mac: "02:00:0a:00:00:fe", ip: "fe80::fe" };

function toGroup(from: Host, group: string): Path {
  return { from, to: { mac: groupMac(group), ip: group } };
}

/** An IGMP message with its checksum, in an IPv4 packet as IGMP wants it. */
function igmp(group: string, message: Uint8Array, ttl = 1): Uint8Array {
  const sealed = message.slice();
  sealed.set(u16(checksum(sealed)), 2);
  const fields = { protocol: 2, ttl, options: hex("94040000"), dontFragment: false };
  return ipFrame(toGroup(PEER, group), fields, sealed);
}

/** Type, group and, of version 3, the kind of record of the IGMP messages among packets. */
function igmpIn(packets: readonly SentPacket[]): unknown[] {
  return packets
    .filter(({ ip }) => ip?.protocol === 2)
    .map(({ ethernet, ip, payload }) => {
      expect(onesSum(payload)).toBe(0xffff);
      expect(ip).toMatchObject({ ttl: 1, options: hex("94040000") });
      expect(ethernet.destination).toBe(groupMac(ip!.destination));
      return payload[0] === 0x22
        ? [ip!.destination, 0x22, payload[8], ipv4Text(payload.subarray(12))]
        : [ip!.destination, payload[0], ipv4Text(payload.subarray(4))];
    });
}

describe.each(kernels)("$name kernel", (build) => {
  function start(): KernelHarness {
    const k = startKernel(build, {
      ip6: STATIC_IP6,
    });
    k.advance(3_000_000);
    k.sent();
    return k;
  }

  const datagram = (group: string, port = 53): Uint8Array =>
    udpFrame(
      toGroup(group.includes(":") ? { mac: PEER.mac, ip: "2001:db8::2" } : PEER, group),
      { sourcePort: 9999, destinationPort: port },
      text("to all"),
    );

  test.each([GROUP, GROUP6])("what is sent to %s comes to the port that joined it", (group) => {
    const k = start();
    const { handle } = k.udpBind(53);
    const other = k.udpBind(54).handle;
    const [strange] = k.counts([CNT_DROP_IP_ADDRESS], () => k.deliver(datagram(group)));
    expect(strange).toBe(1);
    expect(k.udpJoin(handle, group)).toBe(RC_OK);
    k.deliver(datagram(group));
    expect(k.event("udp_recv")).toMatchObject({ handle, data: text("to all") });
    const [unwanted] = k.counts([CNT_DROP_UDP_NO_PORT], () => k.deliver(datagram(group, 54)));
    expect(unwanted).toBe(1);
    expect(k.udpJoin(other, group)).toBe(RC_OK);
    k.deliver(datagram(group, 54));
    expect(k.event("udp_recv")).toMatchObject({ handle: other });
    expect(k.udpLeave(handle, group)).toBe(RC_OK);
    k.deliver(datagram(group));
    k.noEvents();
  });

  test("joining and leaving are checked", () => {
    const k = start();
    const { handle } = k.udpBind(53);
    for (const group of ["10.0.0.2", "224.0.0.1", "2001:db8::2", "ff02::1"]) {
      expect(k.udpJoin(handle, group)).toBe(RC_INVAL);
    }
    expect(k.udpJoin(handle, GROUP)).toBe(RC_OK);
    expect(k.udpJoin(handle, GROUP)).toBe(RC_INUSE);
    expect(k.udpLeave(handle, "239.9.9.9")).toBe(RC_INVAL);
    expect(k.udpLeave(handle, GROUP)).toBe(RC_OK);
    expect(k.udpLeave(handle, GROUP)).toBe(RC_INVAL);
    const results = Array.from({ length: 70 }, (_, i) => k.udpJoin(handle, `239.1.1.${i}`));
    expect(results.filter((result) => result === RC_OK).length).toBeGreaterThan(50);
    expect(results.at(-1)).toBe(RC_NOMEM);
  });

  test("the NIC's filter has the group's bit while somebody wants it", () => {
    const k = start();
    const { handle } = k.udpBind(53);
    const [, , , a, b, c] = macBytes(groupMac(GROUP));
    const bit = (a ^ b ^ c) & 63;
    const isSet = (): boolean =>
      ((k.view.getBigUint64(k.block + CORE_MULTICAST, true) >> BigInt(bit)) & 1n) === 1n;
    expect(isSet()).toBe(false);
    k.udpJoin(handle, GROUP);
    expect(isSet()).toBe(true);
    k.udpUnbind(handle);
    expect(isSet()).toBe(false);
  });

  describe("IGMP", () => {
    test("joining is said twice by version 3, leaving at once", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP);
      expect(igmpIn(k.sent())).toEqual([["224.0.0.22", 0x22, 4, GROUP]]);
      k.advance(1_100_000);
      expect(igmpIn(k.sent())).toEqual([["224.0.0.22", 0x22, 4, GROUP]]);
      k.advance(60_000_000);
      k.nothingSent();
      k.udpLeave(handle, GROUP);
      expect(igmpIn(k.sent())).toEqual([["224.0.0.22", 0x22, 3, GROUP]]);
    });

    test("the port's end is the end of its groups", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP);
      k.advance(2_000_000);
      k.sent();
      k.udpUnbind(handle);
      expect(igmpIn(k.sent())).toEqual([["224.0.0.22", 0x22, 3, GROUP]]);
    });

    test.each([
      ["all groups, version 3", "11640000 00000000 027d0000", ["224.0.0.22", 0x22, 2, GROUP]],
      ["the group, version 3", "11640000 ef010203 027d0000", ["224.0.0.22", 0x22, 2, GROUP]],
      ["all groups, version 2", "11640000 00000000", [GROUP, 0x16, GROUP]],
      ["all groups, version 1", "11000000 00000000", [GROUP, 0x12, GROUP]],
    ])("a query about %s is answered within its time", (_what, message, answer) => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP);
      k.advance(2_000_000);
      k.sent();
      k.deliver(igmp("224.0.0.1", hex(message)));
      k.advance(10_100_000);
      expect(igmpIn(k.sent())).toEqual([answer]);
    });

    test("version 2: another's report spares us ours, leaving goes to all routers", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP);
      k.advance(2_000_000);
      k.sent();
      k.deliver(igmp("224.0.0.1", hex("11640000 00000000")));
      k.deliver(igmp(GROUP, hex("16000000 ef010203")));
      k.advance(11_000_000);
      k.nothingSent();
      k.udpLeave(handle, GROUP);
      expect(igmpIn(k.sent())).toEqual([["224.0.0.2", 0x17, GROUP]]);
      // Four minutes later the router may have learned version 3.
      k.advance(261_000_000);
      k.udpJoin(handle, GROUP);
      expect(igmpIn(k.sent())).toEqual([["224.0.0.22", 0x22, 4, GROUP]]);
    });

    test("a query about another group is not ours to answer", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP);
      k.advance(2_000_000);
      k.sent();
      k.deliver(igmp("224.0.0.1", hex("11640000 ef010204 027d0000")));
      k.advance(11_000_000);
      k.nothingSent();
    });

    test("what does not come from the link, or is damaged, is dropped", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP);
      k.advance(2_000_000);
      k.sent();
      const damaged = igmp("224.0.0.1", hex("11640000 00000000"));
      damaged[damaged.length - 1] ^= 1;
      const [drops] = k.counts([CNT_DROP_GROUP_MALFORMED], () =>
        k.deliver(
          igmp("224.0.0.1", hex("11640000 00000000"), 2),
          igmp("224.0.0.1", hex("1164 0000")),
          damaged,
        ),
      );
      expect(drops).toBe(3);
      k.advance(11_000_000);
      k.nothingSent();
    });
  });

  describe("MLD", () => {
    const own = linkLocal(KERNEL.mac);

    /** A listener query, behind the router alert that it must have. */
    function query(group: string, tail: string, hopLimit = 1, from = ROUTER6): Uint8Array {
      const to = group === "::" ? "ff02::1" : group;
      const path = toGroup(from, to);
      const data = concat(ipBytes(group), hex(tail));
      const message = buildIcmpv6(
        { type: MLD_QUERY, word: 0x03e8_0000, data },
        { source: from.ip, destination: to },
      );
      const extensions = [optionsExtension(0, hex("05020000"))];
      return ip6Frame(path, { protocol: 58, hopLimit, extensions }, message);
    }

    test("joining is said twice by version 2, leaving at once", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP6);
      const [report] = k.sent();
      expect(report.ip6).toMatchObject({
        source: own,
        destination: "ff02::16",
        hopLimit: 1,
        extensions: [0],
      });
      expect(parseMld2Report(report.icmp6!)).toEqual({ kind: 4, group: GROUP6 });
      k.advance(1_100_000);
      expect(parseMld2Report(k.sent()[0].icmp6!)).toEqual({ kind: 4, group: GROUP6 });
      k.udpLeave(handle, GROUP6);
      expect(parseMld2Report(k.sent()[0].icmp6!)).toEqual({ kind: 3, group: GROUP6 });
    });

    test("a query about all is answered for every group, our addresses' own included", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP6);
      k.advance(2_000_000);
      k.sent();
      k.deliver(query("::", "027d0000"));
      k.advance(1_100_000);
      const groups = k.sent().map(({ icmp6 }) => parseMld2Report(icmp6!));
      expect(groups.every(({ kind }) => kind === 2)).toBe(true);
      expect(groups.map(({ group }) => group).toSorted()).toEqual(
        ["ff02::1:ff00:1", GROUP6].toSorted(),
      );
    });

    test("version 1 is answered in its own words", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpJoin(handle, GROUP6);
      k.advance(2_000_000);
      k.sent();
      k.deliver(query(GROUP6, ""));
      k.advance(1_100_000);
      const [report] = k.sent();
      expect(report.ip6!.destination).toBe(GROUP6);
      expect(report.icmp6).toMatchObject({ type: MLD1_REPORT, data: ipBytes(GROUP6) });
      k.udpLeave(handle, GROUP6);
      const [done] = k.sent();
      expect(done.ip6!.destination).toBe("ff02::2");
      expect(done.icmp6).toMatchObject({ type: MLD_DONE, data: ipBytes(GROUP6) });
    });

    test("from beyond the link nobody asks", () => {
      const k = start();
      const global: Host = { mac: ROUTER6.mac, ip: "2001:db8::fe" };
      const [drops] = k.counts([CNT_DROP_GROUP_MALFORMED], () =>
        k.deliver(query("::", "", 64), query("::", "", 1, global)),
      );
      expect(drops).toBe(2);
      k.advance(2_000_000);
      k.nothingSent();
    });

    test("reports of version 2 are the routers' business", () => {
      const k = start();
      const path = toGroup(ROUTER6, GROUP6);
      k.deliver(icmpv6Frame(path, { type: MLD2_REPORT }));
      k.nothingSent();
    });
  });
});
