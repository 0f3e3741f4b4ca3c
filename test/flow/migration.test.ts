/** A connection's flow group moves to another core, in every state of RFC 9293 and of its application. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_RETRANSMITS,
  GAUGE_BUFFERS,
  RC_BADH,
  RC_MOVED,
  RC_OK,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer, type PeerOptions } from "../support/peer.ts";
import { Cores, groupOf, moveWithPeer, portFor } from "./cores.ts";

/** Two cores, and a peer of the first in the state that `make` leads to. */
function start(
  build: KernelBuild,
  make: (k: Cores["all"][number], options: PeerOptions) => TcpPeer = TcpPeer.established,
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
    expect(old.dispatch([{ op: 9, handle: peer.handle }])[0].result).toBe(RC_MOVED);
    expect(old.inbox.filter(({ kind }) => kind === "left")).toEqual([]);
    old.nic.holdCompletions = false;
    expect(cores.finish(0)).toBe(RC_OK);
    expect(cores.at(1).event("arrived").handle).toBe(peer.handle);
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
});
