/**
 * How groups change hands: who is told what and when, where packets wait, what is refused, and what
 * happens when room runs out on the way.
 */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_FOREIGN_GROUP,
  CNT_DROP_TCP_DUPLICATE,
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_OUT_OF_ORDER,
  CNT_TCP_RETRANSMITS,
  CONFIG_BASE,
  CFG_MAILBOXES,
  CORE_ATTACHED,
  CORE_COMMAND,
  CORE_MIGRATION,
  CORE_MIGRATIONS_BEGUN,
  CORE_MIGRATIONS_ENDED,
  CORE_MIGRATION_CONNECTIONS,
  CORE_MIGRATION_PACKETS,
  CORE_MIGRATION_RESULT,
  CORE_REQUEST,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GROUP_PACKETS,
  GROUP_SIZE,
  MAILBOX_SIZE,
  MAILBOX_SLOTS,
  MIGRATION_DRAINING,
  MIGRATION_HANDED,
  MIGRATION_IDLE,
  MIGRATION_LEAVING,
  MIGRATION_STEERING,
  RC_INVAL,
  RC_NOBUFS,
  RC_NOSYS,
  RC_OK,
  RC_UNREACHABLE,
  REQUEST_STEER,
} from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern, text } from "../support/bytes.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { Cores, groupOf, moveWithPeer, portFor } from "./cores.ts";

/** Peers of core 0, all of different groups. */
function peersOf(cores: Cores, count: number, core = 0, options = {}): TcpPeer[] {
  const groups = new Set<number>();
  const peers: TcpPeer[] = [];
  for (let port = 20_000; peers.length < count; port = peers.at(-1)!.port + 1) {
    let free = portFor(core, cores.all.length, port);
    while (groups.has(groupOf({ port: free, kernelPort: 80, host: peerHost }))) {
      free = portFor(core, cores.all.length, free + 1);
    }
    const peer = TcpPeer.established(cores.at(core), { port: free, ...options });
    groups.add(groupOf(peer));
    peers.push(peer);
  }
  return peers;
}
const peerHost = { ip: "10.0.0.2", mac: "02:00:0a:00:00:02" };

const ALL = Array.from({ length: FLOW_GROUPS }, (_, group) => group);

describe.each(kernels)("$name kernel", (build) => {
  test("goes through its steps one by one", () => {
    const cores = new Cores(build, 2);
    const [peer] = peersOf(cores, 1);
    const [a, b] = cores.all;
    a.nic.holdCompletions = true;
    a.send(peer.handle, text("x"));
    cores.command(0, 1, [groupOf(peer)]);
    a.pollOnce();
    expect(a.word(CORE_COMMAND)).toBe(0);
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_LEAVING);
    // The frame that the NIC still sends is nobody else's yet.
    for (let i = 0; i < 5; i++) a.pollOnce();
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_LEAVING);
    expect(a.deadline()).toBeLessThan(a.now + 1000);
    a.nic.holdCompletions = false;
    for (let i = 0; i < 3; i++) a.pollOnce();
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_STEERING);
    expect(a.word(CORE_REQUEST)).toBe(REQUEST_STEER);
    expect(cores.groupsUnderWay(0)).toEqual([groupOf(peer)]);
    b.poll();
    b.noEvents();
    cores.steer(0);
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_DRAINING);
    a.pollOnce();
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_HANDED);
    expect(a.word(CORE_MIGRATIONS_ENDED)).toBe(0);
    b.pollOnce();
    b.event("arrived");
    a.pollOnce();
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_IDLE);
    expect(a.word(CORE_MIGRATIONS_ENDED)).toBe(1);
    expect(a.word(CORE_MIGRATION_CONNECTIONS)).toBe(1);
    expect(a.steered()).toBe(RC_INVAL);
  });

  test("is taken by no core whose time is behind that of its giver", () => {
    const cores = new Cores(build, 2);
    const [peer] = peersOf(cores, 1, 0, { timestamps: 5000 });
    const [a, b] = cores.all;
    a.advance(3000);
    a.send(peer.handle, text("before"));
    peer.expect({ payload: text("before") });
    const before = peer.tsSeen;
    cores.command(0, 1, [groupOf(peer)]);
    while (a.word(CORE_MIGRATION) !== MIGRATION_HANDED) {
      a.pollOnce();
      cores.steer(0);
    }
    b.pollOnce();
    b.noEvents();
    // It asks for another poll soon, and then goes on where the other was.
    expect(b.deadline()).toBeLessThan(b.now + 1000);
    b.advance(2999);
    b.noEvents();
    b.advance(1);
    const { handle } = b.event("arrived");
    peer.k = b;
    b.accept(handle);
    b.send(handle, text("after"));
    peer.expect({ payload: text("after") });
    expect(peer.tsSeen - before).toBe(0);
  });

  describe("what arrives meanwhile", () => {
    const segments = Array.from({ length: 6 }, (_, i) => pattern(100, i * 100));

    /** Sends segments to the queue that the RETA points to at each step of the move. */
    function moveUnderWay(old: number, early: number): void {
      const cores = new Cores(build, 2);
      cores.at(1).listen(80);
      const [peer] = peersOf(cores, 1);
      const [a, b] = cores.all;
      const frames = segments.map((payload, i) => peer.frame({ seq: 1 + i * 100, payload }));
      cores.command(0, 1, [groupOf(peer)]);
      let next = 0;
      a.inject(frames[next++]);
      a.pollOnce();
      for (; next < old; next++) {
        a.inject(frames[next]);
        // Some are taken before the RETA changes, some lie in the ring until after.
        if (next % 2 === 0) a.pollOnce();
      }
      while (a.word(CORE_REQUEST) !== REQUEST_STEER) a.pollOnce();
      for (; next < old + early; next++) b.inject(frames[next]);
      b.pollOnce();
      b.noEvents();
      cores.steer(0);
      b.pollOnce();
      b.noEvents();
      expect(cores.finish(0)).toBe(RC_OK);
      for (; next < frames.length; next++) b.inject(frames[next]);
      b.poll();
      b.event("arrived");
      expect(b.accept(peer.handle)).toBe(RC_OK);
      const received = b.events().map((event) => (event.kind === "recv" ? event.data : text("")));
      // The first may have been delivered before the command ran.
      const before = a.events().flatMap((event) => (event.kind === "recv" ? [event.data] : []));
      expect(before).toEqual([]);
      assertSameBytes(concat(...received), pattern(600));
      const faults = [
        CNT_TCP_OUT_OF_ORDER,
        CNT_DROP_TCP_DUPLICATE,
        CNT_DROP_FOREIGN_GROUP,
        CNT_TCP_DUPLICATE_ACKS,
        CNT_TCP_RETRANSMITS,
      ];
      expect(faults.map((offset) => cores.counter(offset))).toEqual([0, 0, 0, 0, 0]);
      expect(a.gauge(GAUGE_BUFFERS)).toBe(0);
      const { view, dataplane } = a;
      const group = dataplane.map.groups.address + groupOf(peer) * GROUP_SIZE;
      // The handshake's two and the data.
      expect(view.getBigUint64(group + GROUP_PACKETS, true)).toBe(8n);
      b.recvDone(peer.handle, 600);
      expect(b.gauge(GAUGE_BUFFERS)).toBe(0);
    }

    const splits = [1, 2, 3, 4, 5].flatMap((old) =>
      [0, 1, 2, 3, 4].filter((early) => old + early <= 6).map((early) => [old, early] as const),
    );
    test.each(splits)("%d at the old queue, %d early at the new one: all in order", moveUnderWay);

    test("is counted", () => {
      const cores = new Cores(build, 2);
      const [peer] = peersOf(cores, 1);
      cores.command(0, 1, [groupOf(peer)]);
      cores.at(0).pollOnce();
      cores.at(0).inject(peer.frame({ payload: text("a") }));
      cores.at(0).inject(peer.frame({ seq: 2, payload: text("b") }));
      expect(cores.finish(0)).toBe(RC_OK);
      expect(cores.at(0).word(CORE_MIGRATION_PACKETS)).toBe(2);
    });

    test("a connection opened while its group moves is opened at the new core", () => {
      const cores = new Cores(build, 2);
      cores.listen(80);
      const port = portFor(0, 2);
      const peer = new TcpPeer(cores.at(0), { port });
      cores.command(0, 1, [groupOf(peer)]);
      cores.at(0).pollOnce();
      const syn = peer.frame({ flags: "S" });
      cores.at(0).inject(syn);
      expect(cores.finish(0)).toBe(RC_OK);
      cores.at(0).nothingSent();
      const [answer] = cores.at(1).sent();
      expect(answer.tcp?.flags).toBe("SA");
    });

    test("connections opened meanwhile find room where a core had given its stock away", () => {
      // 65 TCBs a core: without groups it keeps one, because what it gives are chunks of 64.
      const cores = new Cores(build, 2, { maxConnections: 130 });
      cores.listen(80);
      expect(cores.migrate(1, 0, ALL)).toBe(RC_OK);
      const peers = Array.from(
        { length: 8 },
        (_, i) => new TcpPeer(cores.at(0), { port: 20_000 + i }),
      );
      cores.command(0, 1, ALL);
      cores.at(0).pollOnce();
      for (const peer of peers) cores.at(0).inject(peer.frame({ flags: "S" }));
      expect(cores.finish(0)).toBe(RC_OK);
      cores.at(0).nothingSent();
      const answers = cores.at(1).sent();
      expect(answers.map(({ tcp }) => tcp?.flags)).toEqual(peers.map(() => "SA"));
    });

    test("after the hand-over the old queue takes no more for the group", () => {
      const cores = new Cores(build, 2);
      const [peer] = peersOf(cores, 1);
      const [a] = cores.all;
      cores.command(0, 1, [groupOf(peer)]);
      while (a.word(CORE_MIGRATION) !== MIGRATION_HANDED) {
        a.pollOnce();
        cores.steer(0);
      }
      a.inject(peer.frame({ payload: text("strayed") }));
      a.pollOnce();
      expect(a.counter(CNT_DROP_FOREIGN_GROUP)).toBe(1);
      expect(cores.finish(0)).toBe(RC_OK);
    });
  });

  describe("commands", () => {
    test.each([
      ["the core itself", 0, RC_INVAL],
      ["a core that there is not", 7, RC_INVAL],
    ])("to %s are refused", (_, target, code) => {
      const cores = new Cores(build, 2);
      expect(cores.migrate(0, target, ALL)).toBe(code);
      expect(cores.at(0).word(CORE_MIGRATIONS_BEGUN)).toBe(1);
      expect(cores.owner(0)).toBe(0);
    });

    test("to a core that never ran are refused", () => {
      const cores = new Cores(build, 2);
      cores.at(1).setWord(CORE_ATTACHED, 0);
      expect(cores.migrate(0, 1, ALL)).toBe(RC_UNREACHABLE);
      cores.at(1).setWord(CORE_ATTACHED, 1);
    });

    test("of no known kind are refused", () => {
      const cores = new Cores(build, 2);
      cores.command(0, 1, ALL);
      cores.at(0).setWord(CORE_COMMAND, 99);
      expect(cores.finish(0)).toBe(RC_NOSYS);
    });

    test("take the groups of this core alone, and be they empty", () => {
      const cores = new Cores(build, 3);
      expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
      expect(cores.groupsUnderWay(0)).toEqual(ALL.filter((group) => group % 3 === 0));
      const owners = ALL.map((group) => cores.owner(group));
      expect(owners).toEqual(ALL.map((group) => (group % 3 === 0 ? 1 : group % 3)));
    });

    test("for nothing that this core owns are over at once", () => {
      const cores = new Cores(build, 2);
      expect(cores.migrate(0, 1, [1, 3])).toBe(RC_OK);
      expect(cores.migrate(0, 1, [])).toBe(RC_OK);
      expect(cores.at(0).word(CORE_MIGRATIONS_ENDED)).toBe(2);
      expect(cores.at(0).word(CORE_REQUEST)).toBe(0);
    });

    test("wait while another is under way", () => {
      const cores = new Cores(build, 3);
      const [first, second] = peersOf(cores, 2);
      cores.command(0, 1, [groupOf(first)]);
      cores.at(0).pollOnce();
      cores.command(0, 2, [groupOf(second)]);
      cores.at(0).pollOnce();
      expect(cores.at(0).word(CORE_MIGRATIONS_BEGUN)).toBe(1);
      for (let i = 0; i < 50; i++) {
        for (const k of cores.all) k.pollOnce();
        // The command's target is not that of the migration under way.
        if (cores.at(0).word(CORE_REQUEST) === REQUEST_STEER) cores.at(0).steered();
      }
      expect(cores.at(0).word(CORE_MIGRATIONS_ENDED)).toBe(2);
      expect([cores.owner(groupOf(first)), cores.owner(groupOf(second))]).toEqual([1, 2]);
    });
  });

  test("two sources give to one target at the same time", () => {
    const cores = new Cores(build, 3);
    const peers = [0, 1].map((core) => peersOf(cores, 3, core)).flat();
    cores.command(0, 2, ALL);
    cores.command(1, 2, ALL);
    for (let i = 0; i < 100; i++) cores.round();
    expect([0, 1].map((core) => cores.isOver(core))).toEqual([true, true]);
    expect(ALL.every((group) => cores.owner(group) === 2)).toBe(true);
    const arrived = cores.at(2).events();
    expect(arrived.map(({ handle }) => handle).toSorted()).toEqual(
      peers.map(({ handle }) => handle).toSorted(),
    );
    expect(cores.at(2).gauge(GAUGE_CONNECTIONS)).toBe(6);
  });

  test("two cores exchange their groups", () => {
    const cores = new Cores(build, 2);
    const peers = [0, 1].map((core) => peersOf(cores, 3, core)).flat();
    cores.command(
      0,
      1,
      ALL.filter((group) => group % 2 === 0),
    );
    cores.command(
      1,
      0,
      ALL.filter((group) => group % 2 === 1),
    );
    for (let i = 0; i < 100; i++) cores.round();
    expect(ALL.every((group) => cores.owner(group) === 1 - (group % 2))).toBe(true);
    for (const k of cores.all) {
      expect(k.events().filter(({ kind }) => kind === "left")).toHaveLength(3);
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(3);
    }
    expect(peers).toHaveLength(6);
  });

  test("many connections move, in bounded steps and with few events at a time", () => {
    const cores = new Cores(build, 2, {
      maxConnections: 1024,
      events: 16,
      batch: 1,
      frames: 4096,
    });
    cores.listen(80, { backlog: 1000 });
    const handles = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const peer = new TcpPeer(cores.at(0), { port: portFor(0, 2, 1024 + i * 40) });
      peer.sendSyn();
      peer.take();
      peer.ack();
      const { handle } = cores.at(0).event("knock");
      expect(cores.at(0).accept(handle)).toBe(RC_OK);
      handles.add(handle);
    }
    expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
    for (const [core, kind] of [
      [0, "left"],
      [1, "arrived"],
    ] as const) {
      const events = cores.at(core).events();
      expect(events.every((event) => event.kind === kind)).toBe(true);
      expect(new Set(events.map(({ handle }) => handle))).toEqual(handles);
      expect(events).toHaveLength(200);
    }
    expect(cores.at(0).gauge(GAUGE_CONNECTIONS)).toBe(0);
    expect(cores.at(1).gauge(GAUGE_CONNECTIONS)).toBe(200);
  });

  test("without frames for what is referenced, the group stays and all goes on", () => {
    const cores = new Cores(build, 2, { frames: 256, references: 2048, ringSize: 64 });
    cores.at(1).listen(80);
    const [rich, poor] = peersOf(cores, 2, 0, { windowScale: 8, window: 1 << 20 });
    const [a] = cores.all;
    let sent = 0;
    for (let taken = 8000; taken === 8000; sent += taken) {
      taken = a.send(rich.handle, pattern(8000, sent));
      rich.takeAll();
    }
    expect(a.send(poor.handle, text("little"))).toBe(6);
    poor.takeAll();
    cores.command(0, 1, [groupOf(rich), groupOf(poor)]);
    a.pollOnce();
    a.inject(rich.frame({ payload: text("while it tries") }));
    rich.sndNxt += 14;
    expect(cores.finish(0)).toBe(RC_NOBUFS);
    expect([cores.owner(groupOf(rich)), cores.owner(groupOf(poor))]).toEqual([0, 1]);
    expect(cores.groupsUnderWay(0)).toEqual([groupOf(poor)]);
    expect(a.events().filter(({ kind }) => kind === "left")).toMatchObject([
      { handle: poor.handle },
    ]);
    for (let i = 0; i < 400 && rich.stream().length < sent; i++) {
      rich.takeAll();
      rich.ack();
    }
    assertSameBytes(rich.stream(), pattern(sent));
    expect(cores.counter(CNT_TCP_RETRANSMITS)).toBe(0);
    poor.k = cores.at(1);
    poor.ack();
  });

  test("frames run out in the middle of a recovery: what was copied is known by its new place", () => {
    const cores = new Cores(build, 2, { frames: 256, references: 2048, ringSize: 64 });
    const options = { sack: true, mss: 1460, windowScale: 8, window: 1 << 20 };
    const [peer, other] = peersOf(cores, 2, 0, options);
    const [a] = cores.all;
    let sent = 0;
    for (let taken = 7300; taken === 7300; sent += taken) {
      taken = a.send(peer.handle, pattern(7300, sent));
      peer.takeAll();
    }
    const at = (segment: number): number => 1 + segment * 1460;
    a.advance(1000);
    // Seven segments are lost, of which the window lets three go again at once.
    peer.send({ ack: 1, sack: [[at(7), at(10)]] });
    expect(peer.takeAll().map(({ seq }) => seq)).toEqual([0, 1, 2].map(at));
    cores.command(0, 1, [groupOf(peer)]);
    expect(cores.finish(0)).toBe(RC_NOBUFS);
    // The records that the copies have set free serve another connection.
    const block = pattern(15 * 1460);
    expect(a.send(other.handle, block)).toBe(block.length);
    peer.send({ ack: at(3), sack: [[at(7), at(10)]] });
    const again = peer.takeAll().map(({ seq }) => seq);
    expect(again.slice(0, 4)).toEqual([3, 4, 5, 6].map(at));
    for (let i = 0; i < 400 && peer.stream().length < sent; i++) {
      peer.takeAll();
      peer.ack();
    }
    assertSameBytes(peer.stream(), pattern(sent));
    for (let i = 0; i < 4; i++) {
      other.takeAll();
      other.ack();
    }
    assertSameBytes(other.stream(), block);
    a.events();
    expect(a.gauge(GAUGE_BUFFERS)).toBe(0);
  });

  test("a mailbox without room is tried again", () => {
    const cores = new Cores(build, 2);
    const [peer] = peersOf(cores, 1);
    const [a] = cores.all;
    const mailboxes = a.view.getUint32(CONFIG_BASE + CFG_MAILBOXES, true);
    const mailbox = mailboxes + MAILBOX_SIZE;
    a.view.setUint32(mailbox, MAILBOX_SLOTS, true);
    cores.command(0, 1, [groupOf(peer)]);
    for (let i = 0; i < 10; i++) {
      a.pollOnce();
      cores.steer(0);
    }
    expect(a.word(CORE_MIGRATION)).toBe(MIGRATION_DRAINING);
    expect(a.deadline()).toBeLessThan(a.now + 2000);
    a.view.setUint32(mailbox, 0, true);
    expect(cores.finish(0)).toBe(RC_OK);
    expect(cores.at(1).event("arrived").handle).toBe(peer.handle);
  });

  test("a group takes its path round all cores", () => {
    const cores = new Cores(build, 4);
    const [peer] = peersOf(cores, 1);
    for (const to of [1, 2, 3, 0, 2, 1, 0]) {
      peer.send({ payload: text(`to ${to}`) });
      const from = peer.k;
      expect(moveWithPeer(cores, peer, to)).toBe(RC_OK);
      expect(from.events().map(({ kind }) => kind)).toEqual(["recv", "left"]);
      const k = peer.k;
      k.event("arrived");
      expect(k.accept(peer.handle)).toBe(RC_OK);
      expect(k.event("recv").data).toEqual(text(`to ${to}`));
      expect(k.recvDone(peer.handle, 4)).toBe(RC_OK);
    }
    cores.advance(500_000);
    for (const k of cores.all) expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    expect(cores.at(0).word(CORE_MIGRATION_RESULT)).toBe(RC_OK);
  });

  test("a single core has nobody to give to and goes on", () => {
    const cores = new Cores(build, 1);
    const [peer] = peersOf(cores, 1);
    expect(cores.migrate(0, 0, ALL)).toBe(RC_INVAL);
    peer.send({ payload: text("here") });
    expect(cores.at(0).event("recv").data).toEqual(text("here"));
  });
});
