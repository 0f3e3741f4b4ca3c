/**
 * A core whose thread is gone: another thread takes it over, wherever it stopped and whatever it left
 * half done, and gives its flow groups to a core that lives. Every connection goes on but the one that
 * was being changed, which is reset.
 */
import { describe, expect, test } from "vitest";
import {
  ARRIVED_RESCUED,
  CNT_RESCUE_CUTS,
  CNT_RESCUE_RESETS,
  CONFIG_BASE,
  CFG_BUCKETS,
  CFG_BUCKETS_PER_GROUP,
  CORE_IN_PROGRESS,
  CORE_MIGRATION,
  CORE_PHASE,
  CORE_REQUEST,
  CORE_WHEEL,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  HANDLE_INDEX_MASK,
  MIGRATION_HANDED,
  PHASE_KERNEL,
  RC_OK,
  REQUEST_STEER,
  SYS_ABORT,
  TCB_HOT_SIZE,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { udpFrame } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";
import { Cores, groupOf, moveWithPeer, portFor } from "./cores.ts";
import { ALL, giveAllAway, takeOver } from "./take-over.ts";

// Where the kernel keeps what the tests break (assembly/core/state.ts, assembly/tcp/tcb.ts).
const STATE_BUFFERS = 5120;
const STATE_TCBS = 5152;
const STATE_LISTS = 5184;
const STATE_ENDS = 5200;
const TCB_CHAIN = 20;
const TCB_TX_HEAD = 96;
const TCB_RX_HEAD = 108;

/** Two cores and `count` accepted peers of the first, with something to say each way. */
function start(build: KernelBuild, count = 3): { cores: Cores; peers: TcpPeer[] } {
  const cores = new Cores(build, 2);
  cores.at(1).listen(80);
  const peers: TcpPeer[] = [];
  for (let port = 20_000; peers.length < count;) {
    port = portFor(0, 2, port + 1);
    peers.push(TcpPeer.established(cores.at(0), { port }));
  }
  return { cores, peers };
}

function tcbOf(cores: Cores, peer: TcpPeer): number {
  return (
    cores.at(0).dataplane.map.tcbHot.address + (peer.handle & HANDLE_INDEX_MASK) * TCB_HOT_SIZE
  );
}

function bucketOf(cores: Cores, peer: TcpPeer): number {
  const { view } = cores.at(0);
  const hash = hashTuple(peer.host.ip, KERNEL.ip, peer.port, peer.kernelPort);
  const buckets = view.getUint32(CONFIG_BASE + CFG_BUCKETS, true);
  const perGroup = view.getUint32(CONFIG_BASE + CFG_BUCKETS_PER_GROUP, true);
  const bucket = Math.floor(hash / FLOW_GROUPS) % perGroup;
  return buckets + 4 * ((hash % FLOW_GROUPS) * perGroup + bucket);
}

/** Accepts what arrived at core 1 and lets each of the peers talk both ways. */
function goOn(cores: Cores, peers: readonly TcpPeer[]): void {
  const k = cores.at(1);
  const arrived = k.events().filter((event) => event.kind === "arrived");
  expect(arrived.map(({ handle }) => handle).toSorted()).toEqual(
    peers.map(({ handle }) => handle).toSorted(),
  );
  for (const event of arrived) {
    expect(event.kind === "arrived" && event.flags).toBe(ARRIVED_RESCUED);
    expect(k.accept(event.handle)).toBe(RC_OK);
  }
  k.events();
  for (const peer of peers) {
    peer.takeAll();
    peer.k = k;
    peer.takeAll();
    peer.send({ payload: text("still there?") });
    expect(k.events().some((event) => event.kind === "recv")).toBe(true);
    expect(k.send(peer.handle, text("yes"))).toBe(3);
    peer.takeAll();
    peer.ack();
    k.events();
  }
  expect(k.gauge(GAUGE_CONNECTIONS)).toBe(peers.length);
}

describe.each(kernels)("$name kernel", (build) => {
  test("stopped in its application: everything goes on", () => {
    const { cores, peers } = start(build);
    const [dead] = cores.all;
    dead.send(peers[0].handle, pattern(3000));
    peers[1].send({ seq: 5, payload: text("early") });
    peers[1].sndNxt = 1;
    peers[2].send({ payload: text("unread") });
    const udp = dead.udpBind(53).handle;
    dead.deliver(udpFrame({ from: PEER, to: KERNEL }, { sourcePort: 9, destinationPort: 53 }));
    dead.timerSet(1000);
    expect(udp).not.toBe(0);
    takeOver(cores);
    goOn(cores, peers);
    assertSameBytes(peers[0].stream().subarray(0, 3000), pattern(3000));
    expect(dead.counter(CNT_RESCUE_CUTS)).toBe(0);
    expect(dead.counter(CNT_RESCUE_RESETS)).toBe(0);
  });

  test("frames that the NIC had not sent are sent again by the new core", () => {
    const { cores, peers } = start(build, 1);
    const [dead] = cores.all;
    const [peer] = peers;
    dead.nic.stalled = true;
    dead.send(peer.handle, pattern(2000));
    dead.nic.stalled = false;
    takeOver(cores);
    peer.k = cores.at(1);
    peer.k.event("arrived");
    expect(peer.k.accept(peer.handle)).toBe(RC_OK);
    cores.at(1).advance(3_000_000);
    for (let i = 0; i < 4; i++) {
      peer.takeAll();
      peer.ack();
    }
    assertSameBytes(peer.stream(), pattern(2000));
  });

  test("packets in its queue are not lost, and new connections open at the new core", () => {
    const { cores, peers } = start(build, 1);
    const [dead] = cores.all;
    const [peer] = peers;
    dead.inject(peer.frame({ payload: text("on the way") }));
    const caller = new TcpPeer(dead, { port: portFor(0, 2, 30_000) });
    dead.inject(caller.frame({ flags: "S" }));
    takeOver(cores);
    const k = cores.at(1);
    k.event("arrived");
    expect(k.accept(peer.handle)).toBe(RC_OK);
    expect(k.event("recv").data).toEqual(text("on the way"));
    expect(k.sent().filter(({ tcp }) => tcp?.flags === "SA")).toHaveLength(1);
  });

  test("stopped in the kernel: the connection at hand is reset, the others go on", () => {
    const { cores, peers } = start(build);
    const [dead] = cores.all;
    dead.send(peers[1].handle, pattern(3000));
    peers[1].takeAll();
    peers[1].send({ payload: text("unread") });
    dead.setWord(CORE_PHASE, PHASE_KERNEL);
    dead.setWord(CORE_IN_PROGRESS, tcbOf(cores, peers[1]));
    takeOver(cores);
    peers[1].k = cores.at(1);
    peers[1].takeAll();
    expect(dead.counter(CNT_RESCUE_RESETS)).toBe(1);
    goOn(cores, [peers[0], peers[2]]);
  });

  test("once it is given back the core is as good as any: it sends, and takes groups and gives them", () => {
    const { cores, peers } = start(build);
    const [dead, k] = cores.all;
    takeOver(cores);
    goOn(cores, peers);
    dead.replaceKernel();
    dead.forgetApplication();
    for (const peer of peers) {
      peer.k = k;
      expect(moveWithPeer(cores, peer, 0)).toBe(RC_OK);
      const arrived = dead.event("arrived");
      expect(arrived.flags).toBe(0);
      expect(dead.accept(peer.handle)).toBe(RC_OK);
      dead.events();
      expect(dead.send(peer.handle, pattern(3000))).toBe(3000);
      peer.takeAll();
      peer.ack();
      dead.events();
      expect(moveWithPeer(cores, peer, 1)).toBe(RC_OK);
      expect(dead.event("left").handle).toBe(peer.handle);
      expect(k.events().filter(({ kind }) => kind === "arrived")).toMatchObject([{ flags: 0 }]);
      assertSameBytes(peer.stream().subarray(3), pattern(3000));
    }
  });

  test("calls that waited are not made", () => {
    const { cores, peers } = start(build, 1);
    const [dead] = cores.all;
    dead.leaveCall(SYS_ABORT, peers[0].handle);
    takeOver(cores);
    goOn(cores, peers);
  });

  test("the reset that the peer of the suspect gets is one it believes", () => {
    const { cores, peers } = start(build, 1);
    const [dead] = cores.all;
    dead.setWord(CORE_PHASE, PHASE_KERNEL);
    dead.setWord(CORE_IN_PROGRESS, tcbOf(cores, peers[0]));
    takeOver(cores);
    peers[0].k = cores.at(1);
    peers[0].expect({ flags: "RA", seq: 1, ack: 1 });
    expect(cores.held()).toMatchObject({ GAUGE_CONNECTIONS: 0, GAUGE_BUFFERS: 0 });
  });

  describe("broken", () => {
    /** What is written where, and how many connections that costs. */
    const faults: [string, number, (cores: Cores, peers: TcpPeer[]) => void][] = [
      [
        "timing wheel",
        0,
        (cores) => {
          const wheel = cores.at(0).word(CORE_WHEEL);
          for (let at = 0; at < 6144; at += 4) cores.at(0).view.setUint32(wheel + at, 0xdead, true);
        },
      ],
      [
        "agenda and notices",
        0,
        (cores) => {
          cores.at(0).setWord(STATE_LISTS, 0xfffffff0);
          cores.at(0).setWord(STATE_LISTS + 8, 0x12345);
        },
      ],
      ["graveyard", 0, (cores) => cores.at(0).setWord(STATE_ENDS, 0xffff_fff0)],
      ["TIME-WAIT list", 0, (cores) => cores.at(0).setWord(STATE_ENDS + 4, 3)],
      ["list of free frames", 0, (cores) => cores.at(0).setWord(STATE_BUFFERS, 0xffff_ff00)],
      ["list of free records", 0, (cores) => cores.at(0).setWord(STATE_BUFFERS + 16, 0x777)],
      ["list of free TCBs", 0, (cores) => cores.at(0).setWord(STATE_TCBS, 0xffff_ff80)],
      [
        "hash chain",
        1,
        (cores, peers) => cores.at(0).view.setUint32(bucketOf(cores, peers[1]), 0x66, true),
      ],
      [
        "hash chain, in a circle",
        0,
        (cores, peers) => {
          const tcb = tcbOf(cores, peers[1]);
          cores.at(0).view.setUint32(tcb + TCB_CHAIN, tcb, true);
        },
      ],
      [
        "send queue",
        1,
        (cores, peers) => {
          const { view } = cores.at(0);
          view.setUint32(tcbOf(cores, peers[1]) + TCB_TX_HEAD, 0xffff_ffe0, true);
        },
      ],
      [
        "send queue, in a circle",
        1,
        (cores, peers) => {
          const { view } = cores.at(0);
          const first = view.getUint32(tcbOf(cores, peers[1]) + TCB_TX_HEAD, true);
          view.setUint32(first, first, true);
        },
      ],
      [
        "receive queue",
        1,
        (cores, peers) => {
          const { view } = cores.at(0);
          view.setUint32(tcbOf(cores, peers[1]) + TCB_RX_HEAD, 0, true);
        },
      ],
      [
        "receive queue that is another's",
        1,
        (cores, peers) => {
          const { view } = cores.at(0);
          const [one, two] = [peers[0], peers[1]].map((peer) => tcbOf(cores, peer) + TCB_RX_HEAD);
          view.setUint32(two, view.getUint32(one, true), true);
          view.setUint32(two + 4, view.getUint32(one + 4, true), true);
        },
      ],
    ];

    test.each(faults)("%s costs %d connections", (_, cost, fault) => {
      const { cores, peers } = start(build);
      const [dead] = cores.all;
      for (const peer of peers) {
        dead.send(peer.handle, pattern(3000));
        peer.takeAll();
        peer.send({ payload: text("unread"), ack: 1 });
        dead.events();
      }
      // Something is on every free list.
      const gone = TcpPeer.established(dead, { port: portFor(0, 2, 40_000) });
      dead.abort(gone.handle);
      dead.events();
      dead.setWord(CORE_PHASE, PHASE_KERNEL);
      fault(cores, peers);
      dead.rescue();
      giveAllAway(cores);
      dead.sent();
      dead.events();
      const arrived = cores
        .at(1)
        .events()
        .filter(({ kind }) => kind === "arrived");
      expect(arrived).toHaveLength(peers.length - cost);
      const k = cores.at(1);
      for (const { handle } of arrived) {
        const peer = peers.find((candidate) => candidate.handle === handle)!;
        expect(k.accept(handle)).toBe(RC_OK);
        k.events();
        peer.k = k;
        peer.send({ payload: text("more") });
        peer.takeAll();
        assertSameBytes(peer.stream(), pattern(3000));
        expect(k.recvDone(handle, 10)).toBe(RC_OK);
      }
      k.events();
      expect(dead.gauge(GAUGE_CONNECTIONS)).toBe(0);
      expect(dead.gauge(GAUGE_BUFFERS)).toBe(0);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(peers.length - cost);
    });
  });

  describe("in the middle of a migration", () => {
    /** Core 0 dies when its migration to core 1 has come to `at`. */
    test.each([0, 1, 2, 3, 4, 5, 6])("after %d rounds of giving groups away", (rounds) => {
      const { cores, peers } = start(build);
      const [dead] = cores.all;
      dead.send(peers[0].handle, pattern(3000));
      peers[0].takeAll();
      cores.command(0, 1, ALL);
      for (let i = 0; i < rounds; i++) {
        dead.pollOnce();
        // From here the thread no longer gets to steer.
        if (i < 5 && dead.word(CORE_REQUEST) === REQUEST_STEER && rounds > 4) cores.steer(0);
      }
      peers[1].k = dead;
      dead.inject(peers[1].frame({ payload: text("stray") }));
      peers[1].sndNxt += 5;
      takeOver(cores);
      cores.settle();
      const k = cores.at(1);
      const arrived = k.events().filter(({ kind }) => kind === "arrived");
      expect(arrived).toHaveLength(3);
      for (const { handle } of arrived) expect(k.accept(handle)).toBe(RC_OK);
      peers[0].k = k;
      peers[0].ack();
      assertSameBytes(peers[0].stream(), pattern(3000));
      k.events();
    });

    test("given but not taken: the target takes them all the same", () => {
      const { cores, peers } = start(build);
      const [dead, k] = cores.all;
      cores.command(0, 1, ALL);
      while (dead.word(CORE_MIGRATION) !== MIGRATION_HANDED) {
        dead.pollOnce();
        cores.steer(0);
      }
      takeOver(cores);
      cores.settle();
      expect(k.events().filter(({ kind }) => kind === "arrived")).toHaveLength(peers.length);
    });

    test("the target of one dies with what it was given", () => {
      const { cores, peers } = start(build);
      const [a, dead] = cores.all;
      cores.command(0, 1, ALL);
      while (a.word(CORE_MIGRATION) !== MIGRATION_HANDED) {
        a.pollOnce();
        cores.steer(0);
      }
      dead.rescue();
      expect(cores.migrate(1, 0, ALL)).toBe(RC_OK);
      cores.settle();
      for (let tries = 0; tries < 2; tries++) expect(cores.migrate(1, 0, ALL)).toBe(RC_OK);
      expect(ALL.every((group) => cores.owner(group) === 0)).toBe(true);
      expect(cores.isOver(0)).toBe(true);
      dead.events();
      const arrived = a.events().filter(({ kind }) => kind === "arrived");
      expect(arrived.map(({ handle }) => handle).toSorted()).toEqual(
        peers.map(({ handle }) => handle).toSorted(),
      );
      expect(groupOf(peers[0])).toBeLessThan(FLOW_GROUPS);
    });
  });
});
