/** Several cores over one memory: each has its own flow groups, connections and frames. */
import { describe, expect, test } from "vitest";
import { CNT_DROP_FOREIGN_GROUP, FLOW_GROUPS, GAUGE_BUFFERS, RC_OK } from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { arpReplyFrame, udpFrame } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";

const CORES = 4;

function startCores(build: KernelBuild): KernelHarness[] {
  const first = startKernel(build, { cores: CORES, frames: 2048, maxConnections: 256 });
  const others = [1, 2, 3].map((core) => startKernel(build, { sibling: { of: first, core } }));
  return [first, ...others];
}

/** A port of the peer's from which packets to port 80 belong to that core. */
function portFor(core: number, from = 20_000): number {
  for (let port = from; ; port++) {
    const group = hashTuple(PEER.ip, KERNEL.ip, port, 80) % FLOW_GROUPS;
    if (group % CORES === core) return port;
  }
}

describe.each(kernels)("$name kernel", (build) => {
  test("each serves the connections whose flow groups it owns", () => {
    const cores = startCores(build);
    const peers = cores.map((k, core) => TcpPeer.established(k, { port: portFor(core) }));
    peers.forEach((peer, core) => {
      peer.send({ payload: text(`to core ${core}`) });
      expect(cores[core].event("recv").data).toEqual(text(`to core ${core}`));
      expect(cores[core].send(peer.handle, pattern(5000, core))).toBe(5000);
    });
    peers.forEach((peer, core) => {
      for (let i = 0; i < 3; i++) {
        peer.takeAll();
        peer.ack();
      }
      assertSameBytes(peer.stream(), pattern(5000, core));
      expect(cores[core].recvDone(peer.handle, 9)).toBe(RC_OK);
    });
    const handles = peers.map(({ handle }) => handle);
    expect(new Set(handles).size).toBe(CORES);
  });

  test("each listens for itself, with its own cookie", () => {
    const cores = startCores(build);
    const listeners = cores.slice(0, 3).map((k, core) => k.listen(80, { cookie: 100 + core }));
    expect(listeners.map(({ result }) => result)).toEqual([RC_OK, RC_OK, RC_OK]);
    cores.slice(0, 3).forEach((k, core) => {
      const peer = new TcpPeer(k, { port: portFor(core) });
      peer.sendSyn();
      peer.expect({ flags: "SA" });
      peer.ack();
      expect(k.event("knock").cookie).toBe(100 + core);
    });
    // The last one does not listen.
    const refused = new TcpPeer(cores[3], { port: portFor(3) });
    refused.sendSyn();
    refused.expect({ flags: "RA" });
  });

  test("each has its own UDP ports and gets what arrives on its own queue", () => {
    const cores = startCores(build);
    const ports = cores.map((k) => k.udpBind(53));
    expect(ports.map(({ result }) => result)).toEqual([RC_OK, RC_OK, RC_OK, RC_OK]);
    const path = { from: PEER, to: KERNEL };
    for (let round = 0; round < 5; round++) {
      for (const k of cores) {
        k.deliver(udpFrame(path, { sourcePort: 9, destinationPort: 53 }, pattern(100, round)));
      }
    }
    cores.forEach((k, core) => {
      for (let round = 0; round < 5; round++) {
        const { handle, data, token } = k.event("udp_recv");
        expect(handle).toBe(ports[core].handle);
        expect(data).toEqual(pattern(100, round));
        expect(k.udpRecvDone(handle, token)).toBe(RC_OK);
      }
    });
  });

  test("a segment that came to the wrong core is dropped and counted", () => {
    const cores = startCores(build);
    const peer = TcpPeer.established(cores[2], { port: portFor(2) });
    const frame = peer.frame({ payload: text("lost my way") });
    for (const wrong of [0, 1, 3]) {
      const k = cores[wrong];
      const [foreign] = k.counts([CNT_DROP_FOREIGN_GROUP], () => k.deliver(frame));
      expect(foreign).toBe(1);
      k.nothingSent();
      k.noEvents();
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    }
    peer.send({ payload: text("at home") });
    expect(cores[2].event("recv").data).toEqual(text("at home"));
  });

  test("connections opened actively come back to the core that opened them", () => {
    const cores = startCores(build);
    for (const k of cores) {
      const peer = TcpPeer.connected(k);
      peer.send({ payload: text("welcome back") });
      expect(k.event("recv").data).toEqual(text("welcome back"));
    }
  });

  test("an ARP answer that comes to another core", () => {
    const first = startKernel(build, { cores: 2, neighbours: [], frames: 1024 });
    const second = startKernel(build, { sibling: { of: first, core: 1 } });
    const { handle } = second.connect(PEER.ip, 80);
    expect(second.sent()[0].arp?.targetIp).toBe(PEER.ip);
    // What is not hashed comes to the first queue.
    first.deliver(arpReplyFrame(PEER, KERNEL));
    for (const k of [first, second, first, second]) k.advance(1_500_000);
    const syns = second.sent().filter(({ tcp }) => tcp?.flags === "S");
    expect(syns.length).toBeGreaterThan(0);
    expect(syns.every(({ ethernet }) => ethernet.destination === PEER.mac)).toBe(true);
    // A core sends its own packets: another's frames are not its to give back.
    expect(first.sent().every(({ tcp }) => tcp === undefined)).toBe(true);
    expect(second.abort(handle)).toBe(RC_OK);
  });

  test("one core's frames and connections are no other's to use up", () => {
    const cores = startCores(build);
    const [greedy, modest] = cores;
    const hoarder = TcpPeer.established(greedy, {
      port: portFor(0),
      windowScale: 7,
      window: 1 << 20,
    });
    for (let i = 0; i < 600; i++) greedy.send(hoarder.handle, pattern(1000, i * 1000));
    const peer = TcpPeer.established(modest, { port: portFor(1) });
    for (let i = 0; i < 50; i++) {
      expect(modest.send(peer.handle, pattern(1000, i * 1000))).toBe(1000);
      peer.takeAll();
      peer.ack();
    }
    assertSameBytes(peer.stream(), pattern(50_000));
  });
});
