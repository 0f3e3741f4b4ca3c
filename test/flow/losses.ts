/**
 * Cores whose threads are lost at random, at any point of an iteration or outside of one. Each is taken
 * over at once, gives its flow groups to one that lives, and begins anew when it has none any more.
 */
import {
  CNT_RESCUE_RESETS,
  CORE_COMMAND,
  CORE_MIGRATION,
  CORE_MIGRATION_TARGET,
  CORE_COMMAND_TARGET,
  COMMAND_NONE,
  FLOW_GROUPS,
  MIGRATION_IDLE,
  TCB_HOT_SIZE,
} from "../../assembly/abi.ts";
import type { KernelHarness } from "../support/kernel.ts";
import type { Random } from "../support/random.ts";
import type { Cores } from "./cores.ts";

const ALL = Array.from({ length: FLOW_GROUPS }, (_, group) => group);
/** Parts of an iteration, as `stage` counts them. */
const PARTS = 5;

export class Losses {
  /** When the next thread is lost, µs. */
  next = 0;
  /** How many were lost so far. */
  count = 0;
  readonly #cores: Cores;
  readonly #random: Random;
  readonly #every: number;
  readonly #onLoss: (core: number) => void;
  /** Cores that nobody runs but to give their groups away. */
  readonly #lost = new Set<number>();

  /** @param every mean time between losses, µs */
  constructor(cores: Cores, random: Random, every: number, onLoss: (core: number) => void) {
    this.#cores = cores;
    this.#random = random;
    this.#every = every;
    this.#onLoss = onLoss;
    this.#draw(cores.at(0).now);
  }

  /** True for a core without a thread, which gives all it has away. */
  isLost(core: number): boolean {
    return this.#lost.has(core);
  }

  /** How many connections were reset because they could not be trusted. */
  get resets(): number {
    return this.#cores.counter(CNT_RESCUE_RESETS);
  }

  /** No more losses; true when all cores live. */
  end(): boolean {
    this.next = Infinity;
    return this.#lost.size === 0;
  }

  /** True when something was done. */
  step(now: number): boolean {
    let busy = false;
    for (const core of this.#lost) {
      if (!this.#cores.isOver(core)) continue;
      busy = true;
      if (ALL.some((group) => this.#cores.owner(group) === core)) this.#giveAway(core);
      else if (!this.#isTarget(core)) this.#revive(core);
      else busy = false;
    }
    if (now < this.next) return busy;
    this.#draw(now);
    const core = this.#random.below(this.#cores.all.length);
    if (this.#lost.has(core) || this.#lost.size + 1 === this.#cores.all.length) return busy;
    this.#lose(core);
    return true;
  }

  #draw(now: number): void {
    this.next = now + 1 + this.#random.below(2 * this.#every);
  }

  #lose(core: number): void {
    const k = this.#cores.at(core);
    const parts = this.#random.below(PARTS + 1);
    k.die(parts, this.#random.chance(0.5) ? this.#anyConnection(k) : 0);
    this.#onLoss(core);
    k.rescue();
    this.#lost.add(core);
    this.count++;
  }

  /** The address of some TCB, in use or not. */
  #anyConnection(k: KernelHarness): number {
    const { tcbHot } = k.dataplane.map;
    return tcbHot.address + this.#random.below(8) * TCB_HOT_SIZE;
  }

  #giveAway(core: number): void {
    const living = this.#cores.all
      .map((_, other) => other)
      .filter((other) => !this.#lost.has(other));
    const half = this.#random.chance(0.5) ? ALL.filter((group) => group < FLOW_GROUPS / 2) : ALL;
    this.#cores.command(core, this.#random.pick(living), half.concat(ALL.slice(-20)));
  }

  /** True while another core has something to give to this one. */
  #isTarget(core: number): boolean {
    return this.#cores.all.some(
      (k) =>
        (k.word(CORE_COMMAND) !== COMMAND_NONE && k.word(CORE_COMMAND_TARGET) === core) ||
        (k.word(CORE_MIGRATION) !== MIGRATION_IDLE && k.word(CORE_MIGRATION_TARGET) === core),
    );
  }

  #revive(core: number): void {
    const k = this.#cores.at(core);
    k.forgetApplication();
    k.replaceKernel();
    k.listen(80);
    this.#lost.delete(core);
  }
}
