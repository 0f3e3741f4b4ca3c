/**
 * Several cores of one dataplane whose flow groups move, with the test as the control plane and as the
 * elastic threads: it polls the cores in turn and rewrites the RETA when the kernel asks for it.
 */
import { expect } from "vitest";
import {
  COMMAND_MIGRATE,
  CORE_COMMAND,
  CORE_COMMAND_GROUPS,
  CORE_COMMAND_TARGET,
  CORE_MIGRATIONS_BEGUN,
  CORE_MIGRATIONS_ENDED,
  CORE_MIGRATION_RESULT,
  CORE_REQUEST,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_TIME_WAIT,
  GAUGE_TIMERS,
  GROUP_OWNER,
  GROUP_SIZE,
  REQUEST_STEER,
} from "../../assembly/abi.ts";
import {
  KERNEL,
  KERNEL6,
  PEER,
  startKernel,
  type HarnessOptions,
  type KernelHarness,
} from "../support/kernel.ts";
import type { KernelBuild } from "../support/kernels.ts";
import { isIpv6Text, type Host } from "../support/packet.ts";
import type { TcpPeer } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";

/** Rounds of polls at most, before a migration counts as stuck. */
const ROUNDS_MAX = 2000;

export class Cores {
  readonly all: readonly KernelHarness[];
  /** Which core the RETA points to, by group. */
  readonly reta: number[];

  constructor(build: KernelBuild, count: number, options: HarnessOptions = {}) {
    const first = startKernel(build, {
      cores: count,
      frames: 1024 * count,
      references: 512 * count,
      maxConnections: 64 * count,
      ...options,
    });
    const others = Array.from({ length: count - 1 }, (_, index) =>
      startKernel(build, { sibling: { of: first, core: index + 1 } }),
    );
    this.all = [first, ...others];
    this.reta = Array.from({ length: FLOW_GROUPS }, (_, group) => group % count);
  }

  at(core: number): KernelHarness {
    return this.all[core];
  }

  /** Every core listens on a port; returns nothing, the contract knows. */
  listen(port = 80, options: { backlog?: number; flags?: number; fastOpen?: number } = {}): void {
    for (const k of this.all) expect(k.listen(port, options).result).toBe(0);
  }

  /** The core that a group belongs to, as the kernel sees it. */
  owner(group: number): number {
    const { view, dataplane } = this.at(0);
    return view.getUint32(dataplane.map.groups.address + group * GROUP_SIZE + GROUP_OWNER, true);
  }

  /** Gives the command and leaves it to the polls. */
  command(from: number, to: number, groups: Iterable<number>): void {
    const k = this.at(from);
    const words = [0, 0, 0, 0];
    for (const group of groups) words[group >>> 5] |= 1 << (group & 31);
    words.forEach((word, index) => k.setWord(CORE_COMMAND_GROUPS + 4 * index, word >>> 0));
    k.setWord(CORE_COMMAND_TARGET, to);
    k.setWord(CORE_COMMAND, COMMAND_MIGRATE);
  }

  /** Rewrites the RETA if the core asks for it. */
  steer(from: number): boolean {
    const k = this.at(from);
    if (k.word(CORE_REQUEST) !== REQUEST_STEER) return false;
    const target = k.word(CORE_COMMAND_TARGET);
    for (const group of this.groupsUnderWay(from)) this.reta[group] = target;
    expect(k.steered()).toBe(0);
    return true;
  }

  groupsUnderWay(from: number): number[] {
    const k = this.at(from);
    return Array.from({ length: FLOW_GROUPS }, (_, group) => group).filter(
      (group) => (k.word(4176 + (group >>> 5) * 4) >>> (group & 31)) & 1,
    );
  }

  isOver(from: number): boolean {
    const k = this.at(from);
    return (
      k.word(CORE_COMMAND) === 0 && k.word(CORE_MIGRATIONS_BEGUN) === k.word(CORE_MIGRATIONS_ENDED)
    );
  }

  /** One poll of every core, and what the elastic threads do after it. */
  round(): void {
    for (const [core, k] of this.all.entries()) {
      k.pollOnce();
      this.steer(core);
    }
  }

  /** Rounds until a core's migration is over; returns its RC_* result. */
  finish(from: number): number {
    for (let rounds = 0; !this.isOver(from); rounds++) {
      if (rounds > ROUNDS_MAX) throw new Error(`migration never ends\n${this.at(from).log()}`);
      this.round();
    }
    this.settle();
    return this.at(from).word(CORE_MIGRATION_RESULT) | 0;
  }

  migrate(from: number, to: number, groups: Iterable<number>): number {
    this.command(from, to, groups);
    return this.finish(from);
  }

  /** Lets all cores run until they are quiet. */
  settle(): void {
    for (const k of this.all) k.poll();
  }

  /** Moves time on for all cores alike. */
  advance(micros: number): void {
    for (const k of this.all) k.advance(micros);
  }

  /** What all cores together hold. */
  held(): Record<string, number> {
    const gauges = { GAUGE_BUFFERS, GAUGE_CONNECTIONS, GAUGE_TIMERS, GAUGE_TIME_WAIT };
    return Object.fromEntries(
      Object.entries(gauges).map(([name, offset]) => [
        name,
        this.all.reduce((sum, k) => sum + k.gauge(offset), 0),
      ]),
    );
  }

  /** The sum of a CNT_* over all cores. */
  counter(offset: number): number {
    return this.all.reduce((sum, k) => sum + k.counter(offset), 0);
  }
}

/** The flow group of a connection between the peer's port and a port of the kernel. */
export function groupOf(peer: Pick<TcpPeer, "port" | "kernelPort" | "host">): number {
  const own = isIpv6Text(peer.host.ip) ? KERNEL6 : KERNEL;
  return hashTuple(peer.host.ip, own.ip, peer.port, peer.kernelPort) % FLOW_GROUPS;
}

/** A port of the peer's from which packets to `kernelPort` belong to that core of `cores`. */
export function portFor(
  core: number,
  cores: number,
  from = 20_000,
  kernelPort = 80,
  host: Host = PEER,
): number {
  for (let port = from; ; port++) {
    if (groupOf({ port, kernelPort, host }) % cores === core) return port;
  }
}

/** Moves the peer's group, and the peer's attention with it; returns the handle's `arrived`. */
export function moveWithPeer(cores: Cores, peer: TcpPeer, to: number): number {
  const from = cores.all.indexOf(peer.k);
  const code = cores.migrate(from, to, [groupOf(peer)]);
  peer.k = cores.at(to);
  return code;
}
