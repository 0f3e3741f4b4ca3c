/** Flow groups leave a core that has more packets than it can process: the case that cores are added for. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_OUT_OF_ORDER,
  CORE_MIGRATION,
  CORE_MIGRATION_PACKETS,
  MIGRATION_DRAINING,
  MIGRATION_HANDED,
  RC_OK,
} from "../../assembly/abi.ts";
import { concat, pattern } from "../support/bytes.ts";
import type { KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { Cores, groupOf, portFor } from "./cores.ts";

/** B: so small that a few packets are several polls' worth. */
const BATCH = 4;

/** Three cores that listen, and peers of the first one in groups of their own. */
function start(build: KernelBuild, count: number): { cores: Cores; peers: TcpPeer[] } {
  const cores = new Cores(build, 3, { batch: BATCH });
  for (const core of [1, 2]) cores.at(core).listen(80);
  const peers: TcpPeer[] = [];
  for (let port = 20_000; peers.length < count; port++) {
    port = portFor(0, 3, port);
    const known = peers.some((peer) => groupOf(peer) === groupOf({ ...peer, port }));
    if (!known) peers.push(TcpPeer.established(cores.at(0), { port }));
  }
  return { cores, peers };
}

/** Puts 10-byte segments into a core's queue without having it polled: `count` of them, from `first`. */
function queue(k: KernelHarness, peer: TcpPeer, first: number, count: number): void {
  for (let i = first; i < first + count; i++) {
    k.inject(peer.frame({ seq: 1 + i * 10, payload: pattern(10, i * 10) }));
  }
}

/** All that was announced of a connection at a core. */
function received(k: KernelHarness, handle: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const event of k.inbox) {
    if (event.kind === "recv" && event.handle === handle) parts.push(event.data);
  }
  return concat(...parts);
}

describe.each(kernels)("$name kernel", (build) => {
  test("what waits for other groups is put aside until the old queue is empty, and kept in order", () => {
    const { cores, peers } = start(build, 2);
    const [goes, remains] = peers;
    const [old] = cores.all;
    cores.command(0, 1, [groupOf(goes)]);
    old.pollOnce();
    queue(old, remains, 0, 10);
    queue(old, goes, 0, 10);
    while (old.word(CORE_MIGRATION) !== MIGRATION_DRAINING) {
      old.pollOnce();
      cores.steer(0);
    }
    // Polls that drain announce nothing: they are short.
    const before = received(old, remains.handle).length;
    expect(old.nic.rx.used).toBeGreaterThan(BATCH);
    while (old.nic.rx.used > 0) {
      expect(received(old, remains.handle)).toHaveLength(before);
      old.pollOnce();
    }
    expect(before).toBeLessThan(100);
    expect(cores.finish(0)).toBe(RC_OK);
    expect(received(old, remains.handle)).toEqual(pattern(100));
    expect(cores.at(1).accept(goes.handle)).toBe(RC_OK);
    cores.settle();
    expect(received(cores.at(1), goes.handle)).toEqual(pattern(100));
    expect(cores.counter(CNT_TCP_OUT_OF_ORDER)).toBe(0);
  });

  test("a group goes on to a third core before it has caught up at the second", () => {
    const { cores, peers } = start(build, 1);
    const [peer] = peers;
    const [first, second, third] = cores.all;
    const group = groupOf(peer);
    cores.command(0, 1, [group]);
    first.pollOnce();
    queue(first, peer, 0, 20);
    while (first.word(CORE_MIGRATION) !== MIGRATION_DRAINING) {
      first.pollOnce();
      cores.steer(0);
    }
    // What the second core gets before it has the group follows what the first had.
    queue(second, peer, 20, 20);
    while (second.nic.rx.used > 0) second.pollOnce();
    while (first.word(CORE_MIGRATION) !== MIGRATION_HANDED) first.pollOnce();
    expect(first.word(CORE_MIGRATION_PACKETS)).toBe(20);
    second.pollOnce();
    cores.command(1, 2, [group]);
    expect(cores.finish(1)).toBe(RC_OK);
    expect(cores.isOver(0)).toBe(true);
    expect(second.word(CORE_MIGRATION_PACKETS)).toBeGreaterThan(20);
    expect(cores.owner(group)).toBe(2);
    expect(third.event("arrived").handle).toBe(peer.handle);
    expect(third.accept(peer.handle)).toBe(RC_OK);
    cores.settle();
    expect(received(third, peer.handle)).toEqual(pattern(400));
    expect(cores.counter(CNT_TCP_OUT_OF_ORDER)).toBe(0);
  });
});
