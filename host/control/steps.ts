/**
 * Configurations of a machine in an order of growing capacity: what IX's control plane steps through
 * (ixcp, Prekas et al., SoCC 2015, section 4.3). Each list is the Pareto frontier of one goal, as found
 * there by measuring all configurations.
 *
 *   energy proportionality    cores one by one, slow → hyperthreads → frequency → turbo
 *   consolidation             whole cores one by one, at nominal frequency → turbo
 *   minimum-maximum           one slow core, or everything
 */

/** What there is to choose from. */
export interface MachineShape {
  readonly cores: number;
  /** Frequencies in GHz, ascending; the last is the nominal one. */
  readonly frequencies: readonly number[];
  /** Frequency above nominal, GHz; absent: the machine has none. */
  readonly turbo?: number;
  /** Whether each core has two threads. */
  readonly hyperthreads?: boolean;
}

/** A machine of which only cores can be given and taken. */
export function plainMachine(cores: number): MachineShape {
  return { cores, frequencies: [1] };
}

export interface Step {
  readonly cores: number;
  /** GHz. */
  readonly frequency: number;
  readonly hyperthreads: boolean;
  /** Work that it does, as a multiple of one thread at 1 GHz. */
  readonly capacity: number;
  /** Idle share above which the step before would do; 2, which is never, for the first one. */
  readonly threshold: number;
}

/** What a second thread makes of a core, and turbo of its frequency (ixcp). */
const HYPERTHREAD_GAIN = 1.3;
const TURBO_SHARE = 0.1;
/** A step is left only when more is idle than it had added. */
const MARGIN = 1.2;
const NEVER = 2;

/** What a step sets. */
export type Configuration = Pick<Step, "cores" | "frequency" | "hyperthreads">;

/** The least energy that carries the load. */
export function energyProportionality(machine: MachineShape): readonly Step[] {
  const { cores, hyperthreads = false } = machine;
  const { lowest, rising } = frequencies(machine);
  const list: Configuration[] = [];
  for (let n = 1; n <= cores; n++) list.push({ cores: n, frequency: lowest, hyperthreads: false });
  if (hyperthreads) list.push({ cores, frequency: lowest, hyperthreads });
  for (const frequency of rising) list.push({ cores, frequency, hyperthreads });
  return withThresholds(machine, list);
}

/** The fewest cores that carry the load; the others are a background job's. */
export function consolidation(machine: MachineShape): readonly Step[] {
  const { cores, turbo, hyperthreads = false } = machine;
  const { nominal } = frequencies(machine);
  const list: Configuration[] = [];
  for (let n = 1; n <= cores; n++) list.push({ cores: n, frequency: nominal, hyperthreads });
  if (turbo !== undefined) list.push({ cores, frequency: turbo, hyperthreads });
  return withThresholds(machine, list);
}

/** As little as there is, or all there is. */
export function minimumMaximum(machine: MachineShape): readonly Step[] {
  const { cores, turbo, hyperthreads = false } = machine;
  const { lowest, nominal } = frequencies(machine);
  const least = { cores: 1, frequency: lowest, hyperthreads: false };
  const most = { cores, frequency: turbo ?? nominal, hyperthreads };
  return withThresholds(machine, [least, most]);
}

function frequencies(machine: MachineShape): {
  lowest: number;
  nominal: number;
  rising: readonly number[];
} {
  const { cores, turbo } = machine;
  const [lowest, ...others] = machine.frequencies;
  if (!(lowest > 0)) throw new RangeError("frequencies: give at least one, in GHz");
  if (!Number.isInteger(cores) || cores < 1) {
    throw new RangeError(`cores: ${cores} is no number of cores`);
  }
  const rising = turbo === undefined ? others : [...others, turbo];
  for (const [i, frequency] of rising.entries()) {
    if (frequency > (rising[i - 1] ?? lowest)) continue;
    throw new RangeError(`frequencies: ${frequency} GHz does not come after the one before it`);
  }
  return { lowest, nominal: others.at(-1) ?? lowest, rising };
}

function withThresholds(machine: MachineShape, list: readonly Configuration[]): readonly Step[] {
  const steps: Step[] = [];
  for (const configuration of list) {
    const capacity = capacityOf(machine, configuration);
    const before = steps.at(-1);
    const added = before ? 1 - before.capacity / capacity : 1;
    // Where one step adds nearly everything, what has to be idle must stay below all.
    const threshold = before ? Math.min(MARGIN * added, (1 + added) / 2) : NEVER;
    steps.push({ ...configuration, capacity, threshold });
  }
  return steps;
}

/** Work that a configuration does, as a multiple of one thread at 1 GHz: a model. */
export function capacityOf(machine: MachineShape, configuration: Configuration): number {
  const { cores, frequency, hyperthreads } = configuration;
  const { nominal } = frequencies(machine);
  // Not what turbo promises, but what it was found to give.
  const speed = frequency === machine.turbo ? nominal / (1 - TURBO_SHARE) : frequency;
  return cores * speed * (hyperthreads ? HYPERTHREAD_GAIN : 1);
}
