/** Accurate ECN (RFC 9768): every mark is told, whatever a peer sends; its scripts are in packetdrill/scripts/rfc9768. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_ECN_MARKS,
  HANDLE_INDEX_MASK,
  RC_OK,
  TCP_ECN_ACCURATE,
  TCP_ECN_CLASSIC,
  TCP_ECN_NONE,
  TCP_INFO_ACCECN_FAIL,
  TCP_INFO_CWND,
  TCP_INFO_DELIVERED_CE,
  TCP_INFO_ECN,
  TCP_INFO_RECEIVED_CE,
  TCP_INFO_RECEIVED_CE_BYTES,
} from "../../assembly/abi.ts";
import { EchoClient, STAT_MESSAGES } from "../../examples/echo-client.ts";
import type { EchoClientOptions } from "../../examples/echo-client.ts";
import echoServer from "../../examples/echo-server.ts";
import { createDataplane } from "../../host/dataplane/dataplane.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { ace, CE, ECT0, establishedAccurate, tcpInfo } from "../support/accecn.ts";
import { pattern, text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { PEER6, startKernel6 } from "../support/kernel6.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { fastOpen, mss, nop, rawOption, unknownOption, type TcpOption } from "../support/packet.ts";
import { TcpPeer, type Received } from "../support/peer.ts";
import { Random } from "../support/random.ts";

const KINDS = [172, 174];

function listening(build: KernelBuild, backlog?: number): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, { tcp: { ecn: "accurate" } });
  return { k, peer: TcpPeer.listening(k, { sack: true, backlog }) };
}

const MSS_1400 = mss(1400);
const COOKIE = text("c00kie");
const REQUEST = text("GET / HTTP/1.1\r\n\r\n");

/** The kernel connects with data to a server, which has taken its SYN. */
function dial(k: KernelHarness): { peer: TcpPeer; syn: Received } {
  const peer = new TcpPeer(k);
  peer.handle = k.connectSend(peer.host.ip, peer.port, REQUEST).handle;
  const packet = k.outbox.find(({ tcp }) => tcp?.destinationPort === peer.port);
  peer.kernelPort = packet!.tcp!.sourcePort;
  return { peer, syn: peer.expect({ flags: "SEW" }) };
}

/** A connection that a SYN with a cookie and data has opened, accepted, before its handshake is over. */
function halfOpen(build: KernelBuild): { k: KernelHarness; peer: TcpPeer; cookie: TcpOption } {
  const k = startKernel(build, { tcp: { ecn: "accurate" } });
  k.listen(80, { fastOpen: 4 });
  const first = new TcpPeer(k);
  first.sendSyn("S", { options: [fastOpen(), nop, nop] });
  const { options } = first.expect({ flags: "SA" }).header;
  first.send({ flags: "R", seq: 1 });
  const [data] = options.flatMap((option) => (option.kind === "unknown" ? [option.data] : []));
  const cookie = fastOpen(data);
  const peer = new TcpPeer(k);
  peer.send({ ...ace(7, "S"), payload: REQUEST, options: [MSS_1400, cookie, nop, nop] });
  peer.expect({ flags: "SAW", ack: 1 + REQUEST.length });
  peer.handle = k.event("knock").handle;
  k.accept(peer.handle);
  return { k, peer, cookie };
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7])("a third ACK with ACE %i opens the connection", (value) => {
    const { k, peer } = listening(build);
    peer.send({ ...ace(7, "S"), options: [] });
    peer.take();
    peer.send(ace(value));
    peer.handle = k.event("knock").handle;
    k.accept(peer.handle);
    expect(tcpInfo(k, peer.handle)(TCP_INFO_ECN)).toBe(TCP_ECN_ACCURATE);
    k.send(peer.handle, pattern(100));
    // Only an unmarked SYN-ACK can have arrived unmarked; 1, 5 and 7 say nothing of it.
    expect(peer.expect({ length: 100 }).tos).toBe([1, 2, 5, 7].includes(value) ? 2 : 0);
  });

  test("options of any length, ACE fields and marks of any kind do no harm", () => {
    const { k, peer } = listening(build);
    const random = new Random(9768);
    peer.send({ ...ace(7, "S"), options: [] });
    peer.take();
    peer.send(ace(2));
    peer.handle = k.event("knock").handle;
    k.accept(peer.handle);
    let marks = 0;
    let received = 0;
    for (let i = 0; i < 2000; i++) {
      const bytes = Uint8Array.from({ length: random.below(15) }, () => random.below(256));
      const code = KINDS[random.below(2)];
      // Some say that they are longer, or shorter, than they are.
      const lying = rawOption(Uint8Array.of(code, random.below(256), ...bytes));
      const option: TcpOption = random.below(2) === 0 ? unknownOption(code, bytes) : lying;
      const tos = random.below(4);
      if (tos === CE) marks++;
      k.send(peer.handle, pattern(10));
      peer.takeAll();
      const payload = pattern(1, received++);
      peer.send({ ...ace(random.below(8)), payload, tos, options: [option] });
      k.recvDone(peer.handle, 1);
    }
    const info = tcpInfo(k, peer.handle);
    expect(info(TCP_INFO_RECEIVED_CE)).toBe(marks);
    // Never more marks than segments.
    expect(info(TCP_INFO_DELIVERED_CE)).toBeLessThanOrEqual(7 * 2000);
    k.send(peer.handle, pattern(100));
    expect(peer.take()).toBeDefined();
  });

  test("over IPv6 marks are told, sent and answered as over IPv4", () => {
    const k = startKernel6(build, { tcp: { ecn: "accurate" } });
    const peer = establishedAccurate(k, { host: PEER6 });
    peer.send({ ...ace(5), payload: pattern(100), tos: CE });
    expect(peer.expect({ flags: "AW", ack: 101 }).tos).toBe(ECT0);
    k.send(peer.handle, pattern(200));
    expect(peer.expect({ flags: "AW", length: 200 }).tos).toBe(ECT0);
    const before = tcpInfo(k, peer.handle);
    peer.send(ace(6));
    const after = tcpInfo(k, peer.handle);
    expect(after(TCP_INFO_RECEIVED_CE)).toBe(1);
    expect(after(TCP_INFO_RECEIVED_CE_BYTES)).toBe(100);
    expect(after(TCP_INFO_DELIVERED_CE)).toBe(1);
    expect(after(TCP_INFO_CWND)).toBeLessThan(before(TCP_INFO_CWND));
  });

  test("a control block that has served accurate ECN serves a classic peer next, and then anew", () => {
    const { k, peer: first } = listening(build);
    const slots = new Set<number>();
    const use = (peer: TcpPeer, ecn: number): TcpPeer => {
      slots.add(peer.handle & HANDLE_INDEX_MASK);
      const info = tcpInfo(k, peer.handle);
      expect(info(TCP_INFO_ECN)).toBe(ecn);
      expect(info(TCP_INFO_RECEIVED_CE)).toBe(0);
      expect(info(TCP_INFO_ACCECN_FAIL)).toBe(0);
      return peer;
    };
    const leave = (peer: TcpPeer): void => {
      peer.takeAll();
      peer.send({ flags: "R" });
      k.events();
    };
    first.send({ ...ace(7, "S"), options: [] });
    first.take();
    first.send(ace(2));
    first.handle = k.event("knock").handle;
    k.accept(first.handle);
    use(first, TCP_ECN_ACCURATE).send({ ...ace(0), payload: pattern(100), tos: CE });
    expect(tcpInfo(k, first.handle)(TCP_INFO_RECEIVED_CE)).toBe(1);
    leave(first);

    const classic = new TcpPeer(k);
    classic.sendSyn("SEW");
    classic.expect({ flags: "SAE" });
    classic.ack();
    classic.handle = k.event("knock").handle;
    k.accept(classic.handle);
    use(classic, TCP_ECN_CLASSIC).send({ payload: pattern(100), tos: CE });
    expect(classic.expect({ flags: "AE", ack: 101 }).header.options).toEqual([]);
    leave(classic);

    leave(use(establishedAccurate(k), TCP_ECN_ACCURATE));
    expect(slots.size).toBe(1);
  });

  test.each([
    ["TIME-WAIT, which has no counters, tells of none", 0, 0],
    ["other ACKs of a FIN tell of marks", 6, 1],
  ])("%s", (_, told, marks) => {
    const k = startKernel(build, { tcp: { ecn: "accurate" } });
    const peer = establishedAccurate(k);
    peer.send(ace(5, "FA"));
    peer.expect({ ack: 2 });
    expect(k.close(peer.handle)).toBe(RC_OK);
    peer.expect({ flags: "FAE", seq: 1 });
    peer.send(ace(told));
    k.finish();
    expect(k.counter(CNT_TCP_ECN_MARKS)).toBe(marks);
  });

  describe("with Fast Open (RFC 7413)", () => {
    test("a mark of the SYN-ACK is told, and counted, by the client", () => {
      const k = startKernel(build, { tcp: { ecn: "accurate" } });
      const { peer: first } = dial(k);
      first.send({ ...ace(2, "SA"), ack: 1, options: [MSS_1400, fastOpen(COOKIE)] });
      k.abort(first.handle);
      k.sent();
      k.events();
      const { peer, syn } = dial(k);
      expect(syn.payload).toEqual(REQUEST);
      expect(syn.tos).toBe(0);
      peer.send({ ...ace(2, "SA"), ack: 1 + REQUEST.length, tos: CE, options: [MSS_1400] });
      expect(peer.expect({ flags: "AW", seq: 1 + REQUEST.length, length: 0 }).tos).toBe(ECT0);
      expect(tcpInfo(k, peer.handle)(TCP_INFO_ECN)).toBe(TCP_ECN_ACCURATE);
      expect(tcpInfo(k, peer.handle)(TCP_INFO_RECEIVED_CE)).toBe(1);
      k.send(peer.handle, pattern(100));
      expect(peer.expect({ flags: "AW", length: 100 }).tos).toBe(ECT0);
    });

    test("a mark of the segment that ends the handshake counts once", () => {
      const { k, peer } = halfOpen(build);
      peer.send({ ...ace(2), payload: pattern(10), tos: CE });
      const info = tcpInfo(k, peer.handle);
      expect(info(TCP_INFO_RECEIVED_CE)).toBe(1);
      expect(info(TCP_INFO_RECEIVED_CE_BYTES)).toBe(10);
    });

    test("an ACK that covers data of ours ends the handshake, and tells of its marks", () => {
      const { k, peer } = halfOpen(build);
      k.send(peer.handle, pattern(100));
      expect(peer.expect({ length: 100 }).tos).toBe(ECT0);
      peer.send(ace(6));
      const info = tcpInfo(k, peer.handle);
      expect(info(TCP_INFO_DELIVERED_CE)).toBe(1);
      expect(info(TCP_INFO_ACCECN_FAIL)).toBe(0);
    });

    test("a SYN that comes again without bits ends marking", () => {
      const { k, peer, cookie } = halfOpen(build);
      const options = [MSS_1400, cookie, nop, nop];
      peer.send({ flags: "S", seq: 0, payload: REQUEST, options });
      peer.expect({ flags: "SAW" });
      peer.send(ace(2));
      k.send(peer.handle, pattern(100));
      expect(peer.expect({ length: 100 }).tos).toBe(0);
    });
  });

  describe("who does not know the sequence numbers", () => {
    test.each(["S", "SA"])("does not have us tell of marks by a %s", (flags) => {
      const k = startKernel(build, { tcp: { ecn: "accurate" } });
      const peer = establishedAccurate(k);
      peer.send({
        flags,
        seq: 1_000_000,
        tos: CE,
        options: [rawOption(Uint8Array.of(172, 2, 1, 1))],
      });
      expect(peer.expect({ flags: "AE", ack: 1 }).header.options).toEqual([]);
    });

    test.each([0, 100])("nor by %i bytes beyond the window", (length) => {
      const k = startKernel(build, { tcp: { ecn: "accurate" } });
      const peer = establishedAccurate(k);
      peer.send({ ...ace(5), seq: 1_000_000, payload: pattern(length), tos: CE });
      peer.expect({ flags: "AE", ack: 1 });
      expect(tcpInfo(k, peer.handle)(TCP_INFO_RECEIVED_CE)).toBe(0);
    });
  });

  test("a cookie keeps what was granted, by the ACK that brings it back", () => {
    const { k, peer } = listening(build, 1);
    const first = new TcpPeer(k);
    first.send({ ...ace(7, "S"), options: [] });
    peer.send({ ...ace(7, "S"), options: [] });
    peer.expect({ flags: "SAW" });
    peer.send(ace(2));
    peer.handle = k.event("knock").handle;
    expect(tcpInfo(k, peer.handle)(TCP_INFO_ECN)).toBe(TCP_ECN_ACCURATE);
    k.accept(peer.handle);
    const plain = new TcpPeer(k);
    plain.sendSyn();
    plain.expect({ flags: "SA" });
    plain.ack();
    expect(tcpInfo(k, k.event("knock").handle)(TCP_INFO_ECN)).toBe(TCP_ECN_NONE);
  });

  test("what a link marks is what the sender hears of", () => {
    const common = { kernel: build.module, tcp: { ecn: "accurate" as const } };
    const server = createDataplane({ ...common, ip: "10.0.0.1/24" });
    const client = createDataplane({ ...common, ip: "10.0.0.2/24" });
    const link = { delay: 200, rate: 1e7, ecnThreshold: 4, queueLimit: 1000 };
    const [fromServer, fromClient] = connectPorts(server.port, client.port, link);
    const stats = new Uint32Array(new SharedArrayBuffer(64));
    const options = { server: "10.0.0.1", ports: [7], atEnd: "idle", stats: stats.buffer };
    const load = { conns: 1, size: 500_000, rounds: 4 };
    const app = new EchoClient({ ...options, ...load } as EchoClientOptions);
    const runner = new InlineRunner();
    runner.add(server, { wire: fromServer, app: echoServer, options: { ports: [7] } });
    runner.add(client, { wire: fromClient, app: () => app });
    expect(runner.run({ until: () => stats[STAT_MESSAGES] === load.rounds })).toBe(true);
    runner.run({ forMicros: 100_000 });
    // The answers come no faster than the line, and wait for nothing.
    expect(server.counters().tcpCeIn).toBeGreaterThan(100);
    for (const [from, to] of [
      [server, client],
      [client, server],
    ]) {
      const untold = to.counters().tcpCeIn - from.counters().tcpEcnMarks;
      // The last ones, of pure ACKs, may be.
      expect(untold).toBeGreaterThanOrEqual(0);
      expect(untold).toBeLessThanOrEqual(2);
    }
  });
});
