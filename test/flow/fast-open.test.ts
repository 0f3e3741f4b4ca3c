/** Connections whose data came before their handshake was over (RFC 7413) move to another core, or outlive theirs. */
import { describe, expect, test } from "vitest";
import {
  ARRIVED_CONNECTING,
  CNT_TCP_FAST_OPEN_LIMITED,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  RC_OK,
  RC_RESET,
} from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { fastOpen, nop } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { Cores, groupOf, moveWithPeer, portFor } from "./cores.ts";

const HELLO = text("hello");
const SECOND = 1_000_000;
const ALL = Array.from({ length: FLOW_GROUPS }, (_, group) => group);

/** Two cores that listen, of which each may have one connection half open, and the peer's cookie. */
function start(build: KernelBuild): { cores: Cores; cookie: Uint8Array } {
  const cores = new Cores(build, 2);
  cores.listen(80, { fastOpen: 1 });
  const peer = new TcpPeer(cores.at(0), { port: portFor(0, 2, 30_000) });
  peer.sendSyn("S", { options: [fastOpen(), nop, nop] });
  const { options } = peer.expect({ flags: "SA" }).header;
  peer.send({ flags: "R", seq: 1 });
  const cookie = options.flatMap((option) => (option.kind === "unknown" ? [option.data] : []))[0];
  return { cores, cookie };
}

/** A peer of a core's that has opened its connection by the SYN, or has tried to. */
function open(cores: Cores, cookie: Uint8Array, core: number, acked = 6, from = 20_000): TcpPeer {
  const k = cores.at(core);
  const peer = new TcpPeer(k, { port: portFor(core, 2, from) });
  peer.sendSyn("S", { payload: HELLO, options: [fastOpen(cookie), nop, nop] });
  peer.expect({ flags: "SA", ack: acked });
  const knock = k.inbox.find(({ kind }) => kind === "knock");
  expect(knock !== undefined).toBe(acked > 1);
  if (knock) peer.handle = knock.handle;
  k.events();
  return peer;
}

describe.each(kernels)("$name kernel", (build) => {
  test("half open and not accepted: arrives with its data, and the SYN-ACK comes from there", () => {
    const { cores, cookie } = start(build);
    const peer = open(cores, cookie, 0);
    expect(moveWithPeer(cores, peer, 1)).toBe(RC_OK);
    expect(cores.at(0).event("left").handle).toBe(peer.handle);
    expect(peer.k.event("arrived")).toMatchObject({ handle: peer.handle, flags: 0 });
    expect(peer.k.accept(peer.handle)).toBe(RC_OK);
    expect(peer.k.event("recv").data).toEqual(HELLO);
    peer.k.advance(SECOND);
    peer.expect({ flags: "SA", seq: 0, ack: 6 });
    peer.k.send(peer.handle, text("world"));
    peer.expect({ seq: 1, payload: text("world") });
    peer.ack();
    expect(peer.k.event("sent").acked).toBe(5);
    peer.send({ seq: 6, payload: text("!") });
    expect(peer.k.event("recv").data).toEqual(text("!"));
  });

  test("counts against the limit where it is, and no longer where it was", () => {
    const { cores, cookie } = start(build);
    const peer = open(cores, cookie, 0);
    moveWithPeer(cores, peer, 1);
    cores.at(0).events();
    cores.at(1).events();
    open(cores, cookie, 0, 6, 21_000);
    open(cores, cookie, 1, 1, 22_000);
    expect(cores.at(1).counter(CNT_TCP_FAST_OPEN_LIMITED)).toBe(1);
    peer.ack();
    open(cores, cookie, 1, 6, 23_000);
  });

  test("accepted, and with an answer on its way: goes on", () => {
    const { cores, cookie } = start(build);
    const peer = open(cores, cookie, 0);
    cores.at(0).accept(peer.handle);
    expect(cores.at(0).event("recv").data).toEqual(HELLO);
    cores.at(0).recvDone(peer.handle, 5);
    cores.at(0).send(peer.handle, text("world"));
    peer.take();
    moveWithPeer(cores, peer, 1);
    peer.k.event("arrived");
    expect(peer.k.accept(peer.handle)).toBe(RC_OK);
    peer.send({ ack: 1 });
    peer.k.advance(4 * SECOND);
    peer.expect({ seq: 1, payload: text("world") });
  });

  test("its core's thread is gone: goes on at another, with its data", () => {
    const { cores, cookie } = start(build);
    const peer = open(cores, cookie, 0);
    const [dead] = cores.all;
    dead.rescue();
    expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
    expect(dead.gauge(GAUGE_CONNECTIONS)).toBe(0);
    expect(dead.gauge(GAUGE_BUFFERS)).toBe(0);
    peer.k = cores.at(1);
    peer.k.event("arrived");
    expect(peer.k.accept(peer.handle)).toBe(RC_OK);
    expect(peer.k.event("recv").data).toEqual(HELLO);
    open(cores, cookie, 1, 1, 22_000);
    peer.ack();
    open(cores, cookie, 1, 6, 23_000);
  });

  test("as client: the data travels with the SYN, and is acknowledged or repeated there", () => {
    for (const acked of [0, HELLO.length]) {
      const cores = new Cores(build, 2, { tcp: { fastOpen: { clientWithoutCookie: true } } });
      const [k] = cores.all;
      const peer = new TcpPeer(k);
      const { result, handle } = k.connectSend(peer.host.ip, peer.port, HELLO);
      expect(result).toBe(HELLO.length);
      peer.handle = handle;
      peer.kernelPort = k.outbox.find(({ tcp }) => tcp)!.tcp!.sourcePort;
      peer.expect({ flags: "S", payload: HELLO });
      cores.command(0, 1, [groupOf(peer)]);
      expect(cores.finish(0)).toBe(RC_OK);
      peer.k = cores.at(1);
      expect(peer.k.event("arrived")).toMatchObject({ flags: ARRIVED_CONNECTING });
      expect(peer.k.accept(handle)).toBe(RC_OK);
      peer.sendSyn("SA", { ack: 1 + acked });
      expect(peer.k.event("connected").outcome).toBe(RC_OK);
      if (acked === 0) peer.expect({ seq: 1, payload: HELLO });
      else peer.expect({ flags: "A", seq: 1 + acked, length: 0 });
      peer.ack();
      peer.k.noEvents();
    }
  });

  test("reset after its move: counts where it was reset", () => {
    const { cores, cookie } = start(build);
    const peer = open(cores, cookie, 0);
    moveWithPeer(cores, peer, 1);
    peer.k.event("arrived");
    peer.send({ flags: "R", seq: 6 });
    expect(peer.k.event("dead").reason).toBe(RC_RESET);
    cores.at(0).events();
    open(cores, cookie, 0, 6, 21_000);
    open(cores, cookie, 1, 1, 22_000);
  });
});
