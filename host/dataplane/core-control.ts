/**
 * The control plane's side of a core's control block: the command line, what the core says of its
 * migrations and of itself, and the doorbell. Any thread may have one; only one may give commands.
 */
import {
  COMMAND_MIGRATE,
  COMMAND_NONE,
  CORE_COMMAND,
  CORE_COMMAND_GROUPS,
  CORE_COMMAND_TARGET,
  CORE_DOORBELL,
  CORE_MESSAGES,
  CORE_MIGRATION_BEGAN,
  CORE_MIGRATION_CONNECTIONS,
  CORE_MIGRATION_GROUPS,
  CORE_MIGRATION_OVER,
  CORE_MIGRATION_PACKETS,
  CORE_MIGRATION_RESULT,
  CORE_MIGRATION_TARGET,
  CORE_MIGRATIONS_BEGUN,
  CORE_MIGRATIONS_ENDED,
  CORE_PARKED,
  CORE_PHASE,
  CORE_STOP,
  FLOW_GROUPS,
  METRIC_LAST_POLL,
  STOP_NOW,
} from "../../assembly/abi.ts";

/** What the core's last migration came to. */
export interface MigrationOutcome {
  /** RC_OK, or why groups were left where they are. */
  readonly result: number;
  readonly connections: number;
  readonly packets: number;
  readonly micros: number;
}

export class CoreControl {
  readonly #words: Int32Array;
  readonly #block: number;

  /** `block` is the address of the core's control block. */
  constructor(memory: WebAssembly.Memory, block: number) {
    this.#words = new Int32Array(memory.buffer);
    this.#block = block >>> 2;
  }

  /** Migrations that have ended since the start. */
  get ended(): number {
    return this.#load(CORE_MIGRATIONS_ENDED);
  }

  /** True from the command until the migration has ended. */
  get isMigrating(): boolean {
    if (this.#load(CORE_COMMAND) !== COMMAND_NONE) return true;
    return this.#load(CORE_MIGRATIONS_BEGUN) !== this.#load(CORE_MIGRATIONS_ENDED);
  }

  /** Has the core hand over those of the groups that it owns. Not while it `isMigrating`. */
  migrate(groups: Iterable<number>, target: number): void {
    const words = this.#words;
    const set = this.#at(CORE_COMMAND_GROUPS);
    words.fill(0, set, set + FLOW_GROUPS / 32);
    for (const group of groups) words[set + (group >> 5)] |= 1 << (group & 31);
    words[this.#at(CORE_COMMAND_TARGET)] = target;
    Atomics.store(words, this.#at(CORE_COMMAND), COMMAND_MIGRATE);
    this.ring();
  }

  /** Of the last migration that ended. */
  get outcome(): MigrationOutcome {
    const began = this.#load(CORE_MIGRATION_BEGAN);
    return {
      result: this.#load(CORE_MIGRATION_RESULT),
      connections: this.#load(CORE_MIGRATION_CONNECTIONS),
      packets: this.#load(CORE_MIGRATION_PACKETS),
      micros: (this.#load(CORE_MIGRATION_OVER) - began) >>> 0,
    };
  }

  /** The groups of the migration under way, and where they go. */
  get underWay(): { readonly groups: readonly number[]; readonly target: number } {
    const set = this.#at(CORE_MIGRATION_GROUPS);
    const groups: number[] = [];
    for (let group = 0; group < FLOW_GROUPS; group++) {
      if ((this.#words[set + (group >> 5)] >>> (group & 31)) & 1) groups.push(group);
    }
    return { groups, target: this.#load(CORE_MIGRATION_TARGET) };
  }

  /** Time of the core's last iteration, µs modulo 2^32: its sign of life. */
  get lastPoll(): number {
    return this.#load(METRIC_LAST_POLL);
  }

  /** `PHASE_*`: where its thread is. */
  get phase(): number {
    return this.#load(CORE_PHASE);
  }

  get isParked(): boolean {
    return this.#load(CORE_PARKED) !== 0;
  }

  /** Asks the elastic thread to leave its loop, `STOP_*`. */
  stop(how: number = STOP_NOW): void {
    this.#store(CORE_STOP, how);
    this.ring();
  }

  /** Takes back what was asked of a thread that is gone. */
  reset(): void {
    this.#store(CORE_STOP, 0);
    this.#store(CORE_MESSAGES, 0);
    this.#store(CORE_PARKED, 0);
  }

  /** Has the elastic thread look at its messages. */
  announceMessage(): void {
    this.#store(CORE_MESSAGES, 1);
    this.ring();
  }

  /** Wakes the core if it sleeps. */
  ring(): void {
    const doorbell = this.#at(CORE_DOORBELL);
    Atomics.add(this.#words, doorbell, 1);
    Atomics.notify(this.#words, doorbell);
  }

  #at(offset: number): number {
    return this.#block + (offset >>> 2);
  }

  #load(offset: number): number {
    return Atomics.load(this.#words, this.#at(offset));
  }

  #store(offset: number, value: number): void {
    Atomics.store(this.#words, this.#at(offset), value);
  }
}
