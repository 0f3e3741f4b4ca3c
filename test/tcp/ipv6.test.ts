/** TCP over IPv6: the same connections, over longer addresses (RFC 9293, RFC 8200 section 8). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_CHECKSUM,
  CNT_PATH_MTU,
  CNT_TCP_FAST_PATH,
  RC_INVAL,
  RC_OK,
  RC_REFUSED,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { concat, pattern, text } from "../support/bytes.ts";
import {
  KERNEL,
  KERNEL6,
  PEER,
  startKernel,
  type HarnessOptions,
  type KernelHarness,
} from "../support/kernel.ts";
import { NEAR, PEER6, startKernel6, STATIC_IP6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import {
  findOption,
  icmpv6Frame,
  linkLocal,
  optionsExtension,
  tcpFrame,
  type Host,
  type Path,
} from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";

const FAR: Host = { mac: "02:00:0a:00:00:fe", ip: "2001:db8:99::2" };
const path: Path = { from: PEER6, to: KERNEL6 };

describe.each(kernels)("$name kernel", (build) => {
  const start = (options?: HarnessOptions): KernelHarness => startKernel6(build, options);

  const six = { host: PEER6, mss: 1440 };

  test.each([
    ["accepted", TcpPeer.established],
    ["opened", TcpPeer.connected],
  ] as const)(
    "a connection that was %s carries data both ways and ends in order",
    (_what, open) => {
      const k = start();
      const peer = open(k, six);
      peer.send({ payload: pattern(1000) });
      const received = k.event("recv");
      expect(received.data).toEqual(pattern(1000));
      expect(k.recvDone(peer.handle, 1000)).toBe(RC_OK);
      expect(k.send(peer.handle, pattern(5000, 7))).toBe(5000);
      for (let round = 0; round < 10; round++) {
        peer.takeAll();
        peer.ack();
      }
      expect(peer.stream()).toEqual(pattern(5000, 7));
      k.events();
      peer.send({ flags: "FA" });
      k.event("recv");
      expect(k.close(peer.handle)).toBe(RC_OK);
      peer.takeAll();
      peer.ack();
      expect(k.event("dead").reason).toBe(RC_OK);
    },
  );

  test("the knock says who it is, and the SYN-ACK what fits an IPv6 packet", () => {
    const k = start();
    k.listen(80);
    const fields = { sourcePort: 4000, destinationPort: 80, seq: 9, flags: "S" };
    k.deliver(tcpFrame(path, fields));
    const [answer] = k.sent();
    expect(answer.ip6).toMatchObject({ source: KERNEL6.ip, destination: PEER6.ip, hopLimit: 64 });
    expect(findOption(answer.tcp!, "mss")?.value).toBe(1440);
    k.deliver(tcpFrame(path, { ...fields, seq: 10, ack: (answer.tcp!.seq + 1) >>> 0, flags: "A" }));
    expect(k.event("knock")).toMatchObject({
      remoteIp: PEER6.ip,
      remotePort: 4000,
      localPort: 80,
    });
  });

  test("one listener takes both versions, and the same ports are two connections", () => {
    const k = start();
    const four = TcpPeer.established(k, { port: 5000 });
    const other = TcpPeer.established(k, { ...six, port: 5000 });
    const near = TcpPeer.established(k, { ...six, host: NEAR, port: 5000 });
    expect(new Set([four.handle, other.handle, near.handle]).size).toBe(3);
    for (const [index, peer] of [four, other, near].entries()) {
      peer.send({ payload: text(`from ${index}`) });
      expect(k.event("recv")).toMatchObject({ handle: peer.handle, data: text(`from ${index}`) });
    }
  });

  test("in-order data takes the short path", () => {
    const k = start();
    const peer = TcpPeer.established(k, six);
    const [fast] = k.counts([CNT_TCP_FAST_PATH], () => {
      for (let i = 0; i < 5; i++) peer.send({ payload: text("data") });
    });
    expect(fast).toBe(5);
  });

  test("through the NIC's offloads, hash and all", () => {
    const k = start({ offloads: { rxChecksum: true, txChecksum: true, rxHash: true } });
    const peer = TcpPeer.established(k, six);
    peer.send({ payload: pattern(700) });
    expect(k.event("recv").data).toEqual(pattern(700));
    k.recvDone(peer.handle, 700);
    expect(k.send(peer.handle, pattern(3000))).toBe(3000);
    peer.takeAll();
    peer.ack();
    expect(peer.stream()).toEqual(pattern(3000));
  });

  test("behind extension headers the kernel finds the hash and the checksum itself", () => {
    const k = start({ offloads: { rxChecksum: true, txChecksum: true, rxHash: true } });
    const peer = TcpPeer.established(k, six);
    const extensions = [optionsExtension(60, Uint8Array.of(0x1e, 0))];
    const segment = {
      sourcePort: peer.port,
      destinationPort: peer.kernelPort,
      seq: peer.iss + 1,
      ack: (peer.irs! + 1) >>> 0,
      flags: "PA",
    };
    const behind: Path = { ...path, ip6: { extensions } };
    const [drops] = k.counts([CNT_DROP_TCP_CHECKSUM], () =>
      k.deliver(tcpFrame(behind, { ...segment, checksum: 7 }, text("evil"))),
    );
    expect(drops).toBe(1);
    k.deliver(tcpFrame(behind, segment, text("good")));
    expect(k.event("recv").data).toEqual(text("good"));
  });

  test("a segment for nobody is refused, a damaged one dropped", () => {
    const k = start();
    k.deliver(tcpFrame(path, { sourcePort: 5, destinationPort: 6, seq: 9, flags: "S" }));
    expect(k.sent()[0].tcp).toMatchObject({ flags: "RA", ack: 10, seq: 0 });
    k.deliver(tcpFrame(path, { sourcePort: 5, destinationPort: 6, flags: "A", ack: 77 }));
    expect(k.sent()[0].tcp).toMatchObject({ flags: "R", seq: 77 });
    const [drops] = k.counts([CNT_DROP_TCP_CHECKSUM], () =>
      k.deliver(tcpFrame(path, { sourcePort: 5, destinationPort: 6, flags: "S", checksum: 1 })),
    );
    expect(drops).toBe(1);
    k.nothingSent();
  });

  test("another sender with the same ports is another connection", () => {
    const k = start();
    const peer = TcpPeer.established(k, { ...six, port: 5000 });
    // Its digest is the same, its address is not.
    const twin: Host = { mac: PEER.mac, ip: "2001:db8::2:0:2:2" };
    const frame = tcpFrame(
      { from: twin, to: KERNEL6 },
      {
        sourcePort: 5000,
        destinationPort: 80,
        seq: peer.iss + 1,
        ack: (peer.irs! + 1) >>> 0,
        flags: "PA",
      },
      text("x"),
    );
    k.deliver(frame);
    k.noEvents();
  });

  test("an active open goes to the link-local peer from our link-local address", () => {
    const k = start();
    expect(k.connect(NEAR.ip, 9).result).toBe(RC_OK);
    expect(k.sent()[0].ip6).toMatchObject({
      source: linkLocal(KERNEL.mac),
      destination: NEAR.ip,
    });
  });

  test("what cannot be connected to", () => {
    const k = start();
    for (const ip of ["::", "::1", "ff02::1", "ff0e::1"]) {
      expect(k.connect(ip, 80).result).toBe(RC_INVAL);
    }
    expect(k.connect("2a00::1", 80).result).toBe(RC_UNREACHABLE);
    const without = startKernel(build);
    expect(without.connect(PEER6.ip, 80).result).toBe(RC_UNREACHABLE);
  });

  test("a peer that does not answer its neighbour's question is unreachable", () => {
    const k = start({ neighbours: [] });
    k.connect(PEER6.ip, 80);
    k.advance(4_000_000);
    expect(k.event("connected").outcome).toBe(RC_UNREACHABLE);
  });

  test.each([
    ["port unreachable ends an attempt", 1, 4, RC_REFUSED],
    ["address unreachable too", 1, 3, RC_UNREACHABLE],
  ])("%s", (_what, type, code, outcome) => {
    const k = start();
    k.connect(PEER6.ip, 81);
    const [packet] = k.sent();
    k.deliver(icmpv6Frame(path, { type, code, data: packet.frame.slice(14) }));
    expect(k.event("connected").outcome).toBe(outcome);
  });

  test("packet too big makes segments smaller, down to 1280 and no further", () => {
    const k = start();
    const peer = TcpPeer.established(k, six);
    k.sent();
    k.send(peer.handle, pattern(4000));
    const first = k.sent();
    expect(first.map(({ payload }) => payload.length)).toEqual([1440, 1440, 1120]);
    const big = (mtu: number): Uint8Array =>
      icmpv6Frame(path, { type: 2, word: mtu, data: first[0].frame.slice(14, 14 + 100) });
    const [lowered] = k.counts([CNT_PATH_MTU], () => k.deliver(big(600)));
    expect(lowered).toBe(1);
    const again = k.sent();
    expect(again[0].tcp!.seq).toBe(first[0].tcp!.seq);
    expect(Math.max(...again.map(({ frame }) => frame.length - 14))).toBe(1280);
    let received = concat(...again.map(({ payload }) => payload));
    for (let round = 0; round < 10 && received.length < 4000; round++) {
      peer.send({ ack: 1 + received.length });
      received = concat(received, ...k.sent().map(({ payload }) => payload));
    }
    expect(received).toEqual(pattern(4000));
    peer.send({ ack: 4001 });
  });

  test("through a router, and back", () => {
    const k = start({ neighbours: [{ mac: FAR.mac, ip: "fe80::fe" }], gateway6: "fe80::fe" });
    const peer = TcpPeer.established(k, { ...six, host: FAR });
    peer.send({ payload: text("far") });
    expect(k.event("recv").data).toEqual(text("far"));
  });

  test("source ports are chosen so that replies come to the core that connected", () => {
    const first = startKernel(build, {
      ip6: STATIC_IP6,
      neighbours: [PEER, PEER6],
      cores: 2,
    });
    const second = startKernel(build, { sibling: { of: first, core: 1 } });
    for (const [core, k] of [first, second].entries()) {
      k.advance(3_000_000);
      k.sent();
      for (let i = 0; i < 10; i++) {
        expect(k.connect(PEER6.ip, 80).result).toBe(RC_OK);
        const [{ tcp }] = k.sent();
        const hash = hashTuple(PEER6.ip, KERNEL6.ip, 80, tcp!.sourcePort);
        expect((hash & 127) % 2).toBe(core);
      }
    }
  });

  test("every peer gets sequence numbers of its own, the same one later ones", () => {
    const hosts = ["2001:db8::3", "2001:db8::4"].map((ip) => ({ mac: PEER.mac, ip }));
    const k = start({ neighbours: hosts });
    k.listen(80);
    const sequence = (from: Host, sourcePort: number): number => {
      k.deliver(tcpFrame({ from, to: KERNEL6 }, { sourcePort, destinationPort: 80, flags: "S" }));
      return k.sent()[0].tcp!.seq;
    };
    const [one, other] = hosts.map((host) => sequence(host, 7));
    expect(Math.abs(one - other)).toBeGreaterThan(1000);
    expect(sequence(hosts[0], 8)).not.toBe(one);
  });
});
