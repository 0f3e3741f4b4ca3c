/** A connection's flow group moves to another core, in every state of RFC 9293 and of its application. */
import { describe, expect, test } from "vitest";
import {
  ARRIVED_CONNECTING,
  CNT_TCP_RETRANSMITS,
  FLAG_DEFER,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_TIME_WAIT,
  RC_AGAIN,
  RC_BADH,
  RC_INVAL,
  RC_MOVED,
  RC_OK,
  RC_REFUSED,
  SYS_ABORT,
  TCP_INFO_ACCECN_OPTION,
  TCP_INFO_DELIVERED_CE,
  TCP_INFO_ECN,
  TCP_INFO_RECEIVED_CE,
  TCP_INFO_RECEIVED_CE_BYTES,
} from "../../assembly/abi.ts";
import { ace, CE, ECT0, establishedAccurate, tcpInfo } from "../support/accecn.ts";
import { connectCall } from "../support/application.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, type KernelHarness } from "../support/kernel.ts";
import { STATIC_IP6 } from "../support/kernel6.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { arpRequestFrame } from "../support/packet.ts";
import { TcpPeer, type PeerOptions } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";
import { Cores, groupOf, moveWithPeer, portFor } from "./cores.ts";

type Make = (k: KernelHarness, options: PeerOptions) => TcpPeer;

/** Two cores, and a peer of the first in the state that `make` leads to. */
function start(
  build: KernelBuild,
  make: Make = TcpPeer.established,
  options: PeerOptions = {},
): { cores: Cores; peer: TcpPeer } {
  const cores = new Cores(build, 2);
  cores.at(1).listen(80);
  const peer = make(cores.at(0), { port: portFor(0, 2), ...options });
  return { cores, peer };
}

/** Moves the peer to core 1 and accepts it there. */
function moveAndAccept(cores: Cores, peer: TcpPeer, flags = 0): void {
  const { handle } = peer;
  expect(moveWithPeer(cores, peer, 1)).toBe(RC_OK);
  expect(cores.at(0).event("left")).toMatchObject({ handle, target: 1 });
  expect(peer.k.event("arrived")).toMatchObject({
    handle,
    source: 0,
    remoteIp: peer.host.ip,
    remotePort: peer.port,
    localPort: peer.kernelPort,
  });
  expect(peer.k.accept(handle, { flags })).toBe(RC_OK);
}

describe.each(kernels)("$name kernel", (build) => {
  test("over IPv6 as over IPv4: the peer's address travels along", () => {
    const host = { mac: PEER.mac, ip: "2001:db8::2" };
    const cores = new Cores(build, 2, {
      ip6: STATIC_IP6,
      neighbours: [host],
    });
    cores.at(1).listen(80);
    for (const k of cores.all) k.advance(3_000_000);
    const port = portFor(0, 2, 20_000, 80, host);
    const peer = TcpPeer.established(cores.at(0), { host, port, mss: 1440 });
    peer.send({ payload: text("before") });
    cores.at(0).event("recv");
    cores.at(0).recvDone(peer.handle, 6);
    moveAndAccept(cores, peer);
    peer.send({ payload: text("after") });
    expect(peer.k.event("recv").data).toEqual(text("after"));
    expect(peer.k.send(peer.handle, pattern(3000))).toBe(3000);
    peer.takeAll();
    peer.ack();
    expect(peer.stream()).toEqual(pattern(3000));
  });

  test("data goes both ways before and after", () => {
    const { cores, peer } = start(build);
    peer.send({ payload: text("before") });
    expect(cores.at(0).event("recv").data).toEqual(text("before"));
    expect(cores.at(0).recvDone(peer.handle, 6)).toBe(RC_OK);
    moveAndAccept(cores, peer);
    peer.send({ payload: text("after") });
    expect(peer.k.event("recv").data).toEqual(text("after"));
    expect(peer.k.send(peer.handle, pattern(5000))).toBe(5000);
    for (let i = 0; i < 3; i++) {
      peer.takeAll();
      peer.ack();
    }
    assertSameBytes(peer.stream(), pattern(5000));
    expect(peer.k.recvDone(peer.handle, 5)).toBe(RC_OK);
    expect(cores.owner(groupOf(peer))).toBe(1);
    expect(cores.counter(CNT_TCP_RETRANSMITS)).toBe(0);
  });

  test("calls at the old core say that it has moved", () => {
    const { cores, peer } = start(build);
    const { handle } = peer;
    moveAndAccept(cores, peer);
    const old = cores.at(0);
    expect(old.send(handle, text("late"))).toBe(RC_MOVED);
    expect(old.recvDone(handle, 0)).toBe(RC_MOVED);
    expect(old.close(handle)).toBe(RC_MOVED);
    expect(old.abort(handle)).toBe(RC_MOVED);
    expect(old.tag(handle, 1)).toBe(RC_MOVED);
    expect(peer.k.abort(handle)).toBe(RC_OK);
    expect(old.abort(handle)).toBe(RC_BADH);
    peer.expect({ flags: "RA" });
  });

  test("calls while it leaves say so too, and come too late", () => {
    const { cores, peer } = start(build);
    const old = cores.at(0);
    old.nic.holdCompletions = true;
    old.send(peer.handle, text("in flight"));
    cores.command(0, 1, [groupOf(peer)]);
    old.pollOnce();
    expect(old.dispatch([{ op: SYS_ABORT, handle: peer.handle }])[0].result).toBe(RC_MOVED);
    expect(old.inbox.filter(({ kind }) => kind === "left")).toEqual([]);
    old.nic.holdCompletions = false;
    expect(cores.finish(0)).toBe(RC_OK);
    expect(cores.at(1).event("arrived").handle).toBe(peer.handle);
  });

  test("accurate ECN loses no count of marks", () => {
    const cores = new Cores(build, 2, { tcp: { ecn: "accurate" } });
    cores.at(1).listen(80);
    const peer = establishedAccurate(cores.at(0), { port: portFor(0, 2) });
    const mark = (told: number): void => {
      const { k, handle } = peer;
      peer.send({ ...ace(told), payload: pattern(100), tos: CE });
      expect(k.event("recv").data).toHaveLength(100);
      k.recvDone(handle, 100);
      k.send(handle, pattern(100));
      expect(peer.takeAll().at(-1)).toMatchObject({ tos: ECT0 });
      peer.send(ace(told + 1));
      k.events();
    };
    mark(5);
    const before = tcpInfo(peer.k, peer.handle);
    moveAndAccept(cores, peer);
    const there = tcpInfo(peer.k, peer.handle);
    for (let at = TCP_INFO_ECN; at <= TCP_INFO_ACCECN_OPTION; at += 4) {
      expect(there(at)).toBe(before(at));
    }
    mark(6);
    const after = tcpInfo(peer.k, peer.handle);
    expect(after(TCP_INFO_RECEIVED_CE)).toBe(2);
    expect(after(TCP_INFO_RECEIVED_CE_BYTES)).toBe(200);
    expect(after(TCP_INFO_DELIVERED_CE)).toBe(2);
    // The ACE field goes on from where it was: 5 and 3 marks, modulo 8.
    peer.send({ ...ace(7), payload: pattern(1), tos: CE });
    peer.expect({ flags: "A", ack: 202 });
  });

  test("a tag travels along", () => {
    const { cores, peer } = start(build);
    expect(peer.k.tag(peer.handle, 0xdecade)).toBe(RC_OK);
    moveWithPeer(cores, peer, 1);
    expect(peer.k.event("arrived").tag).toBe(0xdecade);
    expect(peer.k.tag(peer.handle, 7)).toBe(RC_OK);
    cores.at(0).events();
    moveWithPeer(cores, peer, 0);
    expect(peer.k.event("arrived").tag).toBe(7);
  });

  test.each([
    ["copied", 100],
    ["referenced", 4000],
  ])("%s data in flight is acknowledged at the new core, without a word of it", (_, bytes) => {
    const { cores, peer } = start(build);
    expect(peer.k.send(peer.handle, pattern(bytes))).toBe(bytes);
    const old = cores.at(0);
    const before = cores.held();
    peer.takeAll();
    moveAndAccept(cores, peer);
    // The application's memory is its own again.
    const { address, size } = cores.at(0).dataplane.window;
    old.bytes.fill(0xee, address, address + size);
    expect(cores.held()).toEqual(before);
    peer.k.sent();
    peer.ack();
    peer.k.noEvents();
    // What is sent here is reported here.
    expect(peer.k.send(peer.handle, text("own"))).toBe(3);
    peer.takeAll();
    peer.ack();
    expect(peer.k.event("sent").acked).toBe(3);
    expect(peer.k.gauge(GAUGE_BUFFERS)).toBe(0);
    expect(cores.counter(CNT_TCP_RETRANSMITS)).toBe(0);
  });

  describe("out of every state", () => {
    test("SYN-SENT: the answer to the SYN comes to the new core", () => {
      const { cores, peer } = start(build, TcpPeer.synSent);
      // A port of its own choice hashes to a group of its own.
      moveWithPeer(cores, peer, 1);
      expect(cores.at(0).event("left").handle).toBe(peer.handle);
      expect(peer.k.event("arrived").flags).toBe(ARRIVED_CONNECTING);
      expect(peer.k.accept(peer.handle)).toBe(RC_OK);
      expect(peer.k.send(peer.handle, text("early"))).toBe(RC_AGAIN);
      peer.sendSyn("SA");
      expect(peer.k.event("connected").outcome).toBe(RC_OK);
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      expect(peer.k.send(peer.handle, text("late"))).toBe(4);
      peer.expect({ flags: "PA", length: 4 });
      peer.ack();
    });

    test("SYN-SENT: a handshake that is over before accept is told of after it", () => {
      const { cores, peer } = start(build, TcpPeer.synSent);
      moveWithPeer(cores, peer, 1);
      peer.k.event("arrived");
      peer.sendSyn("SA");
      peer.send({ payload: text("data") });
      peer.k.noEvents();
      expect(peer.k.accept(peer.handle)).toBe(RC_OK);
      expect(peer.k.event("connected").outcome).toBe(RC_OK);
      expect(peer.k.event("recv").data).toEqual(text("data"));
    });

    test("SYN-SENT: a refusal ends it", () => {
      const { cores, peer } = start(build, TcpPeer.synSent);
      moveWithPeer(cores, peer, 1);
      peer.k.event("arrived");
      peer.send({ flags: "RA", ack: 1 });
      expect(peer.k.event("dead").reason).toBe(RC_REFUSED);
    });

    test("SYN-RECEIVED: knocks at the new core, with its listener's cookie", () => {
      const { cores, peer } = start(build, TcpPeer.synReceived);
      moveWithPeer(cores, peer, 1);
      cores.at(0).noEvents();
      peer.k.noEvents();
      peer.ack();
      const knock = peer.k.event("knock");
      expect(knock.handle).not.toBe(0);
      expect(peer.k.accept(knock.handle)).toBe(RC_OK);
      peer.send({ payload: text("in") });
      expect(peer.k.event("recv").data).toEqual(text("in"));
    });

    test("SYN-RECEIVED, deferred: accepted at the new core, answered from there", () => {
      const cores = new Cores(build, 2);
      cores.listen(80, { flags: FLAG_DEFER });
      const peer = new TcpPeer(cores.at(0), { port: portFor(0, 2) });
      peer.sendSyn();
      const { handle } = cores.at(0).event("knock");
      moveWithPeer(cores, peer, 1);
      expect(cores.at(0).event("left").handle).toBe(handle);
      peer.k.event("arrived");
      expect(peer.k.accept(handle)).toBe(RC_OK);
      peer.expect({ flags: "SA", ack: 1 });
      peer.ack();
      expect(peer.k.event("connected").handle).toBe(handle);
    });

    test("established and not accepted: arrives, with its data", () => {
      const { cores, peer } = start(build, TcpPeer.synReceived);
      peer.ack();
      const { handle } = cores.at(0).event("knock");
      peer.send({ payload: text("unheard") });
      moveWithPeer(cores, peer, 1);
      expect(cores.at(0).event("left").handle).toBe(handle);
      expect(cores.at(0).gauge(GAUGE_CONNECTIONS)).toBe(0);
      peer.k.event("arrived");
      expect(peer.k.accept(handle)).toBe(RC_OK);
      expect(peer.k.event("recv").data).toEqual(text("unheard"));
    });

    test.each<[string, Make, (peer: TcpPeer) => void]>([
      ["FIN-WAIT-1", TcpPeer.finWait1, (peer) => peer.send({ flags: "FA" }).expect({ ack: 2 })],
      ["FIN-WAIT-2", TcpPeer.finWait2, (peer) => peer.send({ flags: "FA" }).expect({ ack: 2 })],
      ["CLOSING", TcpPeer.closing, (peer) => peer.ack()],
      ["TIME-WAIT", TcpPeer.timeWait, () => {}],
      ["LAST-ACK", TcpPeer.lastAck, (peer) => peer.ack()],
    ])("%s: ends in order at the new core", (name, make, end) => {
      const { cores, peer } = start(build, make);
      cores.settle();
      cores.at(0).events();
      const known = cores.at(0).contract.connections.has(peer.handle);
      moveWithPeer(cores, peer, 1);
      if (known) {
        expect(cores.at(0).event("left").handle).toBe(peer.handle);
        peer.k.event("arrived");
        expect(peer.k.accept(peer.handle)).toBe(RC_OK);
      }
      end(peer);
      const waits = name === "LAST-ACK" ? 0 : 1;
      expect(cores.held().GAUGE_TIME_WAIT).toBe(waits);
      expect(peer.k.gauge(GAUGE_TIME_WAIT)).toBe(waits);
      const dead = peer.k.events().filter(({ kind }) => kind === "dead");
      expect(dead).toHaveLength(known ? 1 : 0);
      cores.advance(120_000_000);
      expect(cores.held().GAUGE_CONNECTIONS).toBe(0);
    });

    test("CLOSE-WAIT: the FIN is announced again, and answered", () => {
      const { cores, peer } = start(build, TcpPeer.closeWait);
      moveAndAccept(cores, peer);
      expect(peer.k.event("recv").data).toHaveLength(0);
      expect(peer.k.send(peer.handle, text("last words"))).toBe(10);
      peer.expect({ flags: "PA", length: 10 });
      expect(peer.k.close(peer.handle)).toBe(RC_OK);
      peer.expect({ flags: "FA" });
      peer.ack();
      expect(peer.k.event("sent").acked).toBe(10);
      expect(peer.k.event("dead").reason).toBe(RC_OK);
    });

    test("closed by its application: leaves it for good and does the rest alone", () => {
      const { cores, peer } = start(build);
      cores.at(0).send(peer.handle, text("bye"));
      expect(cores.at(0).close(peer.handle)).toBe(RC_OK);
      moveWithPeer(cores, peer, 1);
      expect(cores.at(0).event("left").handle).toBe(peer.handle);
      peer.k.noEvents();
      peer.k = cores.at(0);
      peer.takeAll();
      peer.k = cores.at(1);
      peer.send({ flags: "FA" });
      peer.k.noEvents();
      expect(peer.k.gauge(GAUGE_TIME_WAIT)).toBe(1);
      cores.advance(120_000_000);
      expect(cores.held().GAUGE_CONNECTIONS).toBe(0);
    });

    test("over, but for data that nobody has given back: read and ended at the new core", () => {
      const { cores, peer } = start(build);
      peer.send({ payload: text("unread") });
      peer.send({ flags: "FA" });
      cores.at(0).shutdown(peer.handle);
      peer.takeAll();
      peer.ack();
      cores.at(0).events();
      expect(cores.at(0).gauge(GAUGE_CONNECTIONS)).toBe(1);
      moveAndAccept(cores, peer);
      expect(peer.k.event("recv").data).toEqual(text("unread"));
      expect(peer.k.event("recv").data).toHaveLength(0);
      expect(peer.k.recvDone(peer.handle, 6)).toBe(RC_OK);
      expect(peer.k.event("dead").reason).toBe(RC_OK);
      expect(cores.held().GAUGE_CONNECTIONS).toBe(0);
    });
  });

  describe("what was received", () => {
    test("and not given back is announced again, to the byte", () => {
      const { cores, peer } = start(build);
      peer.send({ payload: text("abcdef") });
      peer.send({ payload: text("ghi") });
      cores.at(0).events();
      expect(cores.at(0).recvDone(peer.handle, 4)).toBe(RC_OK);
      moveAndAccept(cores, peer);
      expect([peer.k.event("recv").data, peer.k.event("recv").data]).toEqual([
        text("ef"),
        text("ghi"),
      ]);
      expect(peer.k.recvDone(peer.handle, 6)).toBe(RC_INVAL);
      expect(peer.k.recvDone(peer.handle, 5)).toBe(RC_OK);
    });

    test("out of order waits on at the new core", () => {
      const { cores, peer } = start(build);
      peer.send({ seq: 4, payload: text("def") });
      peer.send({ seq: 10, payload: text("jkl") });
      moveAndAccept(cores, peer);
      peer.send({ seq: 1, payload: text("abc") });
      expect([peer.k.event("recv").data, peer.k.event("recv").data]).toEqual([
        text("abc"),
        text("def"),
      ]);
      peer.send({ seq: 7, payload: text("ghi") });
      peer.k.events();
      expect(peer.k.recvDone(peer.handle, 12)).toBe(RC_OK);
      expect(cores.held().GAUGE_BUFFERS).toBe(0);
    });

    test("keeps the window that was offered", () => {
      const { cores, peer } = start(build);
      peer.send({ payload: pattern(1000) });
      cores.at(0).events();
      peer.takeAll();
      moveAndAccept(cores, peer);
      peer.k.events();
      peer.send({ payload: text("x") });
      peer.k.events();
      cores.advance(500_000);
      const { window } = peer.expect({ flags: "A", ack: 1002 });
      expect(window).toBeLessThanOrEqual(65_535);
      expect(window).toBeGreaterThanOrEqual(65_535 - 1001);
    });
  });

  describe("timers", () => {
    test("a retransmission is due when it was, at the new core", () => {
      const { cores, peer } = start(build);
      cores.at(0).send(peer.handle, text("lost"));
      peer.take();
      const due = cores.at(0).now;
      moveAndAccept(cores, peer);
      for (let i = 0; i < 100 && cores.counter(CNT_TCP_RETRANSMITS) === 0; i++) {
        cores.advance(10_000);
      }
      expect(peer.k.counter(CNT_TCP_RETRANSMITS)).toBe(1);
      const again = peer.expect({ flags: "PA", seq: 1, length: 4 });
      expect(again.at - due).toBeLessThan(1_100_000);
      peer.ack();
      expect(cores.held().GAUGE_TIMERS).toBeLessThanOrEqual(1);
    });

    test("a held-back ACK goes out from the new core", () => {
      const { cores, peer } = start(build);
      // An answer ends the quick ACKs.
      peer.send({ payload: text("w") });
      cores.at(0).event("recv");
      cores.at(0).recvDone(peer.handle, 1);
      cores.at(0).send(peer.handle, text("a"));
      peer.takeAll();
      peer.ack();
      cores.at(0).event("sent");
      peer.send({ payload: text("x") });
      peer.expectNothing();
      cores.at(0).event("recv");
      moveAndAccept(cores, peer);
      peer.expectNothing();
      cores.advance(500_000);
      peer.expect({ flags: "A", ack: 3, length: 0 });
    });

    test("one that falls due in the move waits for what the waiting packets say", () => {
      const { cores, peer } = start(build);
      cores.at(0).send(peer.handle, text("acknowledged in time"));
      peer.take();
      cores.command(0, 1, [groupOf(peer)]);
      cores.at(0).pollOnce();
      cores.at(0).inject(peer.frame());
      for (const k of cores.all) k.now += 10_000_000;
      expect(cores.finish(0)).toBe(RC_OK);
      peer.k = cores.at(1);
      cores.advance(1_000_000);
      peer.expectNothing();
      expect(cores.counter(CNT_TCP_RETRANSMITS)).toBe(0);
      expect(cores.held().GAUGE_BUFFERS).toBe(0);
    });
  });

  test("there and back again, many times", () => {
    const { cores, peer } = start(build);
    for (let trip = 0; trip < 6; trip++) {
      expect(peer.k.send(peer.handle, pattern(700, trip * 700))).toBe(700);
      peer.takeAll();
      const from = peer.k;
      moveWithPeer(cores, peer, 1 - cores.all.indexOf(peer.k));
      expect(from.events().at(-1)).toMatchObject({ kind: "left" });
      peer.k.event("arrived");
      expect(peer.k.accept(peer.handle)).toBe(RC_OK);
      peer.ack();
      peer.k.noEvents();
    }
    assertSameBytes(peer.stream(), pattern(4200));
    expect(cores.counter(CNT_TCP_RETRANSMITS)).toBe(0);
    expect(cores.held().GAUGE_BUFFERS).toBe(0);
  });

  test("a neighbour that only the old core has resolved is known to the new one", () => {
    const first = new Cores(build, 2, { neighbours: [] });
    const k = first.at(0);
    k.deliver(arpRequestFrame(PEER, KERNEL.ip));
    k.sent();
    const peer = TcpPeer.established(k, { port: portFor(0, 2) });
    moveWithPeer(first, peer, 1);
    peer.k.event("arrived");
    expect(peer.k.accept(peer.handle)).toBe(RC_OK);
    expect(peer.k.send(peer.handle, text("at once"))).toBe(7);
    peer.expect({ flags: "PA", length: 7 });
    peer.ack();
  });

  test("connect takes no port of a group that leaves", () => {
    const cores = new Cores(build, 2);
    cores.at(0).nic.holdCompletions = true;
    const { handle } = cores.at(0).connect(PEER.ip, 80);
    const syn = cores.at(0).sent()[0].tcp!;
    const group = hashTuple(PEER.ip, KERNEL.ip, 80, syn.sourcePort) % FLOW_GROUPS;
    cores.command(0, 1, [group]);
    cores.at(0).pollOnce();
    for (let i = 0; i < 200; i++) {
      cores.at(0).dispatch([connectCall(PEER.ip, 80)]);
    }
    cores.at(0).nic.holdCompletions = false;
    expect(cores.finish(0)).toBe(RC_OK);
    expect(
      cores
        .at(1)
        .events()
        .map((event) => event.handle),
    ).toEqual([handle]);
  });
});
