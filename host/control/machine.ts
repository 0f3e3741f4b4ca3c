/**
 * Several dataplanes that share the cores of one machine, and a background job that has what they leave
 * (IX's IXCP; Prekas et al., SoCC 2015). Each dataplane's policy asks for cores; when all of them ask for
 * more than there are, who is more important is served first, and equals are served equally. Cores are
 * taken before they are given, so no core is ever promised twice.
 */
import type { Controller } from "./controller.ts";
import type { Demand } from "./policy.ts";

/** A dataplane on a machine. */
export interface Tenant {
  readonly controller: Controller;
  /** Cores that it has in any case. Default 1. */
  readonly min?: number;
  /** Those with higher numbers are served first. Default 0. */
  readonly priority?: number;
}

/** What a tenant asks for. */
export interface Wish {
  readonly cores: number;
  readonly min: number;
  readonly priority: number;
}

export interface MachineOptions {
  /** Cores that are to be shared. */
  readonly cores: number;
  readonly tenants: readonly Tenant[];
  /**
   * Gives a background job so many cores: fewer before dataplanes get more, more after they got fewer.
   */
  readonly background?: (cores: number) => void | Promise<void>;
}

/**
 * How many cores each tenant gets: its minimum, then what it asks for in the order of priorities; those
 * of equal priority that cannot all have what they ask for get equal shares (max-min fairness).
 *
 * @throws {RangeError} the minima alone are more than there is
 */
export function shareCores(cores: number, wishes: readonly Wish[]): number[] {
  const shares = wishes.map(({ min }) => min);
  let left = cores - sum(shares);
  if (left < 0) {
    throw new RangeError(
      `cores: the tenants' minima add up to ${cores - left}, more than ${cores}`,
    );
  }
  const priorities = [...new Set(wishes.map(({ priority }) => priority))].toSorted((a, b) => b - a);
  for (const level of priorities) {
    while (left > 0) {
      let poorest = -1;
      for (const [i, { cores: wanted, priority }] of wishes.entries()) {
        if (priority !== level || shares[i] >= wanted) continue;
        if (poorest < 0 || shares[i] < shares[poorest]) poorest = i;
      }
      if (poorest < 0) break;
      shares[poorest]++;
      left--;
    }
  }
  return shares;
}

export class Machine {
  readonly #options: MachineOptions;
  /** What each tenant asked for last, and when it is to be asked again, µs. */
  readonly #demands: Demand[];
  readonly #due: number[];
  /** What the background job was given last. */
  #background = -1;
  #changing = false;

  /** @throws {RangeError} the tenants' minima are more than the machine has */
  constructor(options: MachineOptions) {
    this.#options = options;
    this.#shares(options.tenants.map(() => 0));
    this.#demands = options.tenants.map(({ controller }) => ({ cores: controller.active.length }));
    this.#due = options.tenants.map(() => -Infinity);
  }

  /** How often `tick` wants to be called, µs: as often as the most impatient policy. */
  get period(): number {
    return Math.min(...this.#options.tenants.map(({ controller }) => controller.period));
  }

  /** True while cores change hands. */
  get isChanging(): boolean {
    return this.#changing;
  }

  /** Observes, at `now` (µs), the tenants whose policies want to be asked, and begins what follows. */
  tick(now: number): void {
    const { tenants, cores } = this.#options;
    if (this.#changing || tenants.some(({ controller }) => controller.isChanging)) return;
    for (const [i, { controller }] of tenants.entries()) {
      if (now < this.#due[i]) continue;
      this.#due[i] = now + controller.period;
      this.#demands[i] = controller.decide(now);
    }
    const shares = this.#shares(this.#demands.map((demand) => demand.cores));
    const granted = this.#demands.map((demand, i) => ({ ...demand, cores: shares[i] }));
    this.#changing = true;
    void this.#apply(granted, cores - sum(shares), now).finally(() => (this.#changing = false));
  }

  #shares(wanted: readonly number[]): number[] {
    const { tenants, cores } = this.#options;
    const wishes = tenants.map(({ min = 1, priority = 0 }, i) => ({
      cores: wanted[i],
      min,
      priority,
    }));
    return shareCores(cores, wishes);
  }

  /** First who gets less, then who gets more: of what is free by then. */
  async #apply(granted: readonly Demand[], left: number, now: number): Promise<void> {
    const { tenants, cores } = this.#options;
    const controllers = tenants.map(({ controller }) => controller);
    const grows = controllers.map(({ active }, i) => granted[i].cores > active.length);
    const change = (growing: boolean): Promise<unknown> =>
      Promise.all(
        controllers.map((controller, i) =>
          grows[i] === growing ? controller.apply(granted[i], now) : undefined,
        ),
      );
    if (left < this.#background) await this.#resizeBackground(left);
    await change(false);
    // Where a core could not be taken, none is given either; the next tick tries again.
    const held = controllers.map(({ active }, i) => (grows[i] ? granted[i].cores : active.length));
    if (sum(held) > cores) return;
    await change(true);
    if (left !== this.#background) await this.#resizeBackground(left);
  }

  async #resizeBackground(cores: number): Promise<void> {
    this.#background = cores;
    await this.#options.background?.(cores);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
