/** Neighbour discovery, duplicate addresses, routers and autoconfiguration (RFC 4861, RFC 4862). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_ND_MALFORMED,
  CNT_DUPLICATE_ADDRESS,
  RC_OK,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { concat, text } from "../support/bytes.ts";
import {
  KERNEL,
  PEER,
  startKernel,
  type HarnessOptions,
  type KernelHarness,
  type SentPacket,
} from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  buildNdOptions,
  groupMac,
  icmpv6Frame,
  ICMPV6_ECHO_REQUEST,
  ipBytes,
  linkLocal,
  macOption,
  mtuOption,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  parseNeighbourhood,
  prefixOption,
  ROUTER_SOLICITATION,
  routerAdvertisement,
  solicitedGroup,
  type Host,
  type NdOption,
  type RouterFields,
} from "../support/packet.ts";

const OWN = "2001:db8::1";
const KERNEL6: Host = { mac: KERNEL.mac, ip: OWN };
const PEER6: Host = { mac: PEER.mac, ip: "2001:db8::2" };
const ROUTER: Host = { mac: "02:00:0a:00:00:fe", ip: "fe80::fe" };
const MOVED = "02:00:0a:00:00:99";

interface Nd {
  readonly hopLimit?: number;
  readonly code?: number;
  readonly options?: readonly NdOption[];
  readonly source?: string;
  readonly destination?: string;
}

function solicitation(target: string, nd: Nd = {}): Uint8Array {
  const destination = nd.destination ?? solicitedGroup(target);
  const to = { mac: groupMac(destination), ip: destination };
  const ip6 = { hopLimit: nd.hopLimit ?? 255, source: nd.source ?? PEER6.ip };
  const options = buildNdOptions(nd.options ?? [macOption(1, PEER6.mac)]);
  return icmpv6Frame(
    { from: { mac: PEER6.mac, ip: ip6.source }, to, ip6 },
    { type: NEIGHBOUR_SOLICITATION, code: nd.code ?? 0, data: concat(ipBytes(target), options) },
  );
}

/** R, S, O as the top three bits. */
function advertisement(target: string, flags: string, nd: Nd & { to?: Host } = {}): Uint8Array {
  const bits =
    (flags.includes("R") ? 4 : 0) | (flags.includes("S") ? 2 : 0) | (flags.includes("O") ? 1 : 0);
  const options = buildNdOptions(nd.options ?? [macOption(2, PEER6.mac)]);
  const to = nd.to ?? KERNEL6;
  return icmpv6Frame(
    { from: { mac: PEER6.mac, ip: target }, to, ip6: { hopLimit: nd.hopLimit ?? 255 } },
    {
      type: NEIGHBOUR_ADVERTISEMENT,
      word: (bits << 29) >>> 0,
      data: concat(ipBytes(target), options),
    },
  );
}

function announcement(fields: RouterFields, nd: Nd = {}): Uint8Array {
  const from = { mac: ROUTER.mac, ip: nd.source ?? ROUTER.ip };
  const to = { mac: groupMac("ff02::1"), ip: "ff02::1" };
  return icmpv6Frame(
    { from, to, ip6: { hopLimit: nd.hopLimit ?? 255 } },
    routerAdvertisement({
      ...fields,
      options: [macOption(1, ROUTER.mac), ...(fields.options ?? [])],
    }),
  );
}

/** Discovery messages of one type among packets. */
function messages(packets: readonly SentPacket[], type: number): SentPacket[] {
  const found = packets.filter(({ icmp6 }) => icmp6?.type === type);
  for (const { ip6 } of found) expect(ip6!.hopLimit).toBe(255);
  return found;
}

describe.each(kernels)("$name kernel", (build) => {
  const fixed = { addresses: [`${OWN}/64`], autoconfigured: false, detectDuplicates: false };

  /** With addresses that are ours already. */
  function start(options: HarnessOptions = {}): KernelHarness {
    const k = startKernel(build, { ip6: fixed, neighbours: [], ...options });
    k.advance(3_000_000);
    k.sent();
    return k;
  }

  describe("our own addresses", () => {
    test.each([OWN, linkLocal(KERNEL.mac)])("who asks for %s is answered", (target) => {
      const k = start();
      k.deliver(solicitation(target));
      const [answer] = k.sent();
      expect(answer.ethernet.destination).toBe(PEER6.mac);
      expect(answer.ip6).toMatchObject({ source: target, destination: PEER6.ip, hopLimit: 255 });
      expect(answer.icmp6?.type).toBe(NEIGHBOUR_ADVERTISEMENT);
      expect(parseNeighbourhood(answer.icmp6!)).toEqual({
        target,
        router: false,
        solicited: true,
        override: true,
        mac: KERNEL.mac,
      });
      // Whoever asks will be answered: no question goes back first.
      k.deliver(icmpv6Frame({ from: PEER6, to: KERNEL6 }, { type: ICMPV6_ECHO_REQUEST }));
      expect(k.sent()[0].ethernet.destination).toBe(PEER6.mac);
    });

    test("a probe for an address of ours is answered to all nodes", () => {
      const k = start();
      k.deliver(solicitation(OWN, { source: "::", options: [] }));
      const [answer] = k.sent();
      expect(answer.ip6!.destination).toBe("ff02::1");
      expect(parseNeighbourhood(answer.icmp6!)).toMatchObject({ solicited: false, override: true });
    });

    test.each([
      ["from beyond the link", { hopLimit: 254 }],
      ["with a code", { code: 1 }],
      ["with an option of no length", { options: [{ ...macOption(1, PEER6.mac), units: 0 }] }],
      ["with an option beyond its end", { options: [{ ...macOption(1, PEER6.mac), units: 2 }] }],
      ["with a MAC but no address", { source: "::" }],
      ["with a group's MAC", { options: [macOption(1, "33:33:00:00:00:01")] }],
    ] as const)("a question %s is dropped", (_what, nd) => {
      const k = start();
      const [drops] = k.counts([CNT_DROP_ND_MALFORMED], () => k.deliver(solicitation(OWN, nd)));
      expect(drops).toBe(1);
      k.nothingSent();
    });

    test("questions about others are not ours", () => {
      const k = start();
      k.deliver(solicitation("2001:db8:0:1::1"));
      k.nothingSent();
    });
  });

  describe("duplicate addresses", () => {
    const careful = { ...fixed, detectDuplicates: true };

    test("each address is asked for before it is ours", () => {
      const k = startKernel(build, { ip6: careful, neighbours: [PEER6] });
      k.deliver(solicitation(OWN));
      expect(messages(k.sent(), NEIGHBOUR_ADVERTISEMENT)).toEqual([]);
      k.advance(1_000_001);
      const probes = messages(k.sent(), NEIGHBOUR_SOLICITATION);
      expect(probes.map(({ icmp6 }) => parseNeighbourhood(icmp6!).target).toSorted()).toEqual(
        [OWN, linkLocal(KERNEL.mac)].toSorted(),
      );
      for (const { ip6, icmp6 } of probes) {
        const { target, mac } = parseNeighbourhood(icmp6!);
        expect([ip6!.source, ip6!.destination, mac]).toEqual([
          "::",
          solicitedGroup(target),
          undefined,
        ]);
      }
      k.advance(1_000_001);
      k.deliver(solicitation(OWN));
      expect(messages(k.sent(), NEIGHBOUR_ADVERTISEMENT)).toHaveLength(1);
    });

    test.each([
      [
        "has it",
        (): Uint8Array =>
          advertisement(OWN, "O", { to: { mac: groupMac("ff02::1"), ip: "ff02::1" } }),
      ],
      ["wants it too", (): Uint8Array => solicitation(OWN, { source: "::", options: [] })],
    ])("an address is given up when somebody else %s", (_what, objection) => {
      const k = startKernel(build, { ip6: careful, neighbours: [PEER6] });
      k.advance(1_000_001);
      const [duplicates] = k.counts([CNT_DUPLICATE_ADDRESS], () => k.deliver(objection()));
      expect(duplicates).toBe(1);
      k.advance(3_000_000);
      k.sent();
      k.deliver(solicitation(OWN));
      k.nothingSent();
      k.deliver(solicitation(linkLocal(KERNEL.mac)));
      expect(messages(k.sent(), NEIGHBOUR_ADVERTISEMENT)).toHaveLength(1);
    });

    test("an address that is ours already is defended", () => {
      const k = start();
      const to = { mac: groupMac("ff02::1"), ip: "ff02::1" };
      const [duplicates] = k.counts([CNT_DUPLICATE_ADDRESS], () =>
        k.deliver(advertisement(OWN, "O", { to })),
      );
      expect(duplicates).toBe(0);
      k.sent();
      k.deliver(solicitation(OWN));
      expect(k.sent()).toHaveLength(1);
    });
  });

  describe("neighbours", () => {
    const there = { ip: PEER6.ip, port: 9 };
    const sendTo = (k: KernelHarness, handle: number): string | undefined => {
      expect(k.udpSend(handle, text("x"), there)).toBe(1);
      return k.sent().find(({ udp }) => udp)?.ethernet.destination;
    };

    test("are asked for by their group, and what waited goes out with the answer", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      expect(sendTo(k, handle)).toBeUndefined();
      k.udpSend(handle, text("y"), there);
      k.deliver(advertisement(PEER6.ip, "SO"));
      const sent = k.sent().filter(({ udp }) => udp);
      expect(sent.map(({ payload }) => payload)).toEqual([text("x"), text("y")]);
      expect(sent[0].ethernet.destination).toBe(PEER6.mac);
    });

    test("the question says who we are", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpSend(handle, text("x"), there);
      const [question] = messages(k.sent(), NEIGHBOUR_SOLICITATION);
      expect(question.ip6).toMatchObject({
        source: OWN,
        destination: solicitedGroup(PEER6.ip),
      });
      expect(question.ethernet.destination).toBe(groupMac(solicitedGroup(PEER6.ip)));
      expect(parseNeighbourhood(question.icmp6!)).toMatchObject({
        target: PEER6.ip,
        mac: KERNEL.mac,
      });
    });

    test("three questions, a second apart, and what waited is given up", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpSend(handle, text("x"), there);
      k.advance(10_000_000);
      const questions = messages(k.sent(), NEIGHBOUR_SOLICITATION);
      const began = questions[0].at;
      expect(questions.map(({ at }) => Math.round((at - began) / 1e6))).toEqual([0, 1, 2]);
    });

    test("reachable, then stale, then probed after five seconds of use (section 7.3.3)", () => {
      const k = start({ neighbourRefresh: 30_000_000 });
      const { handle } = k.udpBind(53);
      k.udpSend(handle, text("x"), there);
      k.deliver(advertisement(PEER6.ip, "SO"));
      k.sent();
      k.advance(70_000_000);
      k.sent();
      expect(sendTo(k, handle)).toBe(PEER6.mac);
      k.advance(4_900_000);
      k.nothingSent();
      k.advance(200_000);
      const [probe] = messages(k.sent(), NEIGHBOUR_SOLICITATION);
      expect(probe.ethernet.destination).toBe(PEER6.mac);
      expect(probe.ip6!.destination).toBe(PEER6.ip);
      k.deliver(advertisement(PEER6.ip, "S", { options: [] }));
      k.advance(20_000_000);
      k.nothingSent();
    });

    test.each([
      ["an override moves it", "SO", MOVED],
      ["without override it stays, in doubt", "S", PEER6.mac],
    ])("%s", (_what, flags, expected) => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpSend(handle, text("x"), there);
      k.deliver(advertisement(PEER6.ip, "SO"));
      k.sent();
      k.deliver(advertisement(PEER6.ip, flags, { options: [macOption(2, MOVED)] }));
      expect(sendTo(k, handle)).toBe(expected);
    });

    test("unasked advertisements make no entries", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.deliver(advertisement(PEER6.ip, "O"));
      expect(sendTo(k, handle)).toBeUndefined();
    });

    test("a solicited advertisement to a group, or from beyond the link, is dropped", () => {
      const k = start();
      const to = { mac: groupMac("ff02::1"), ip: "ff02::1" };
      const [drops] = k.counts([CNT_DROP_ND_MALFORMED], () =>
        k.deliver(
          advertisement(PEER6.ip, "S", { to }),
          advertisement(PEER6.ip, "SO", { hopLimit: 64 }),
        ),
      );
      expect(drops).toBe(2);
    });
  });

  describe("routers", () => {
    const far = { ip: "2a00::1", port: 9 };
    const PREFIX = prefixOption({ prefix: "2001:db8:5::", valid: 7200, preferred: 3600 });
    const MINE = `2001:db8:5::${linkLocal(KERNEL.mac).slice(6)}`;

    function auto(neighbours: readonly Host[] = []): KernelHarness {
      return startKernel(build, { ip6: { detectDuplicates: false }, neighbours });
    }

    /** The address that a datagram to somewhere is sent from; undefined when it cannot be sent. */
    function source(k: KernelHarness, handle: number): string | undefined {
      if (k.udpSend(handle, text("x"), far) !== 1) return undefined;
      return k.sent().find(({ udp }) => udp)?.ip6?.source;
    }

    test("are asked for three times, four seconds apart", () => {
      const k = auto();
      k.advance(30_000_000);
      const questions = messages(k.sent(), ROUTER_SOLICITATION);
      expect(questions).toHaveLength(3);
      expect(questions[0].ip6).toMatchObject({
        source: linkLocal(KERNEL.mac),
        destination: "ff02::2",
      });
      expect(Math.round((questions[2].at - questions[1].at) / 1e6)).toBe(4);
    });

    test("what one announces gives an address, a route, a hop limit and an MTU", () => {
      const k = auto();
      k.advance(100_000);
      const { handle } = k.udpBind(53);
      expect(k.udpSend(handle, text("x"), far)).toBe(RC_UNREACHABLE);
      k.deliver(announcement({ hopLimit: 17, options: [PREFIX, mtuOption(1400)] }));
      k.advance(20_000_000);
      // It need not be asked any more.
      expect(messages(k.sent(), ROUTER_SOLICITATION)).toEqual([]);
      expect(k.udpSend(handle, text("x"), far)).toBe(1);
      const packet = k.sent().find(({ udp }) => udp)!;
      expect(packet.ip6).toMatchObject({ source: MINE, destination: far.ip, hopLimit: 17 });
      expect(packet.ethernet.destination).toBe(ROUTER.mac);
      expect(k.udpSend(handle, new Uint8Array(1380), far)).toBe(1380);
      expect(k.sent().filter(({ ip6 }) => ip6?.fragment)).toHaveLength(2);
    });

    test("a lifetime of zero, and one that runs out, end it", () => {
      const k = auto([ROUTER]);
      k.advance(100_000);
      const { handle } = k.udpBind(53);
      k.deliver(announcement({ options: [PREFIX] }));
      k.advance(1000);
      expect(source(k, handle)).toBe(MINE);
      k.deliver(announcement({ lifetime: 0 }));
      expect(source(k, handle)).toBeUndefined();
      k.deliver(announcement({ lifetime: 100 }));
      k.advance(99_000_000);
      expect(source(k, handle)).toBe(MINE);
      k.advance(2_000_000);
      expect(source(k, handle)).toBeUndefined();
    });

    test("an address outlives its preferred lifetime, but not its valid one", () => {
      const k = auto();
      k.advance(100_000);
      const { handle } = k.udpBind(53);
      k.deliver(
        announcement({
          lifetime: 9000,
          options: [PREFIX, prefixOption({ prefix: "2001:db8:6::", valid: 8000, preferred: 8000 })],
        }),
      );
      k.advance(1000);
      k.sent();
      // Deprecated after an hour: the other one is chosen now.
      k.advance(3_700_000_000);
      k.sent();
      expect(source(k, handle)).toBe(MINE.replace("db8:5", "db8:6"));
      k.deliver(solicitation(MINE));
      expect(messages(k.sent(), NEIGHBOUR_ADVERTISEMENT)).toHaveLength(1);
      k.advance(3_600_000_000);
      k.sent();
      k.deliver(solicitation(MINE));
      expect(messages(k.sent(), NEIGHBOUR_ADVERTISEMENT)).toEqual([]);
    });

    test("nobody shortens an address's life to less than two hours (RFC 4862 section 5.5.3 e)", () => {
      const k = auto();
      k.advance(100_000);
      k.deliver(
        announcement({ options: [prefixOption({ prefix: "2001:db8:5::", valid: 90_000 })] }),
      );
      k.deliver(
        announcement({
          options: [prefixOption({ prefix: "2001:db8:5::", valid: 1, preferred: 1 })],
        }),
      );
      k.advance(60_000_000);
      k.sent();
      k.deliver(solicitation(MINE));
      expect(messages(k.sent(), NEIGHBOUR_ADVERTISEMENT)).toHaveLength(1);
    });

    test.each([
      ["from beyond the link", {}, { hopLimit: 64 }],
      ["from a global address", {}, { source: "2001:db8::fe" }],
    ])("one %s is not believed", (_what, fields, nd) => {
      const k = auto();
      k.advance(100_000);
      const [drops] = k.counts([CNT_DROP_ND_MALFORMED], () => k.deliver(announcement(fields, nd)));
      expect(drops).toBe(1);
    });

    test("where autoconfiguration is off nobody is asked, and nobody believed", () => {
      const k = start();
      k.advance(20_000_000);
      k.deliver(announcement({ options: [PREFIX] }));
      k.nothingSent();
      expect(k.udpSend(k.udpBind(53).handle, text("x"), far)).toBe(RC_UNREACHABLE);
    });

    test("a prefix that is not 64 bits long gives no address, one that is not on the link no neighbours", () => {
      const k = auto();
      k.advance(100_000);
      k.deliver(
        announcement({
          options: [
            prefixOption({ prefix: "2001:db8:7::", bits: 48 }),
            prefixOption({ prefix: "2001:db8:8::", onLink: false }),
          ],
        }),
      );
      k.advance(1000);
      k.sent();
      const { handle } = k.udpBind(53);
      expect(k.udpSend(handle, text("x"), { ip: "2001:db8:8::9", port: 1 })).toBe(1);
      expect(k.sent().find(({ udp }) => udp)?.ethernet.destination).toBe(ROUTER.mac);
      expect(k.udpSend(handle, text("x"), { ip: "2001:db8:7::9", port: 1 })).toBe(1);
      const [question] = messages(k.sent(), NEIGHBOUR_SOLICITATION);
      expect(parseNeighbourhood(question.icmp6!).target).toBe("2001:db8:7::9");
    });

    test("who says that he is no router any more is none (section 7.2.5)", () => {
      const k = auto();
      k.advance(100_000);
      const { handle } = k.udpBind(53);
      k.deliver(announcement({ options: [PREFIX] }));
      k.advance(1000);
      expect(source(k, handle)).toBe(MINE);
      const to = { mac: KERNEL.mac, ip: linkLocal(KERNEL.mac) };
      k.deliver(advertisement(ROUTER.ip, "SO", { to, options: [macOption(2, ROUTER.mac)] }));
      expect(source(k, handle)).toBeUndefined();
    });
  });

  test("what one core learns, the other one knows", () => {
    const first = startKernel(build, {
      ip6: { detectDuplicates: false },
      neighbours: [],
      cores: 2,
    });
    const second = startKernel(build, { sibling: { of: first, core: 1 } });
    first.advance(100_000);
    second.advance(100_000);
    const option = prefixOption({ prefix: "2001:db8:5::" });
    first.deliver(announcement({ options: [option] }));
    second.advance(1000);
    const { handle, result } = second.udpBind(53);
    expect(result).toBe(RC_OK);
    expect(second.udpSend(handle, text("x"), { ip: "2a00::1", port: 9 })).toBe(1);
    const packet = second.sent().find(({ udp }) => udp)!;
    expect(packet.ethernet.destination).toBe(ROUTER.mac);
    first.sent();
  });
});
