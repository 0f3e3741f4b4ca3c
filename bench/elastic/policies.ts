/** The runs that `bench elastic` makes of its options: a policy and a pattern by their names. */
import {
  consolidation,
  delayPolicy,
  energyProportionality,
  minimumMaximum,
  REFERENCE_COSTS,
  stepPolicy,
} from "../../host/node/index.ts";
import type { MachineShape, Policy } from "../../host/node/index.ts";
import { PATTERNS } from "./patterns.ts";
import type { Scenario, ScenarioResult } from "./scenario.ts";

/** What all runs have in common. */
export interface ScenarioOptions {
  readonly cores: number;
  /** Time that the application needs for a request, µs. */
  readonly service: number;
  /** Simulated length, s. */
  readonly seconds: number;
  /** Highest load, of what all cores can do. */
  readonly load: number;
  readonly batch: number;
  readonly conns: number;
  readonly seed: number;
}

/**
 * By the name that `bench elastic --policies` knows them by. What is congestion depends on how long a request takes,
 * `service` µs.
 */
export const POLICIES: Readonly<
  Record<string, (machine: MachineShape, service: number) => Policy>
> = {
  delay: ({ cores }, service) => {
    const scale = Math.max(service / 20, 1);
    const times = { period: 100 * scale, congested: 100 * scale };
    const waits = { patience: 1000 * scale, hold: 20_000 * scale };
    return erased(delayPolicy({ max: cores, ...times, ...waits }, Math.ceil(cores / 8)));
  },
  energy: (machine) => erased(stepPolicy("energy proportionality", energyProportionality(machine))),
  consolidation: (machine) => erased(stepPolicy("consolidation", consolidation(machine))),
  minmax: (machine) => erased(stepPolicy("minimum-maximum", minimumMaximum(machine))),
  all: ({ cores }) => ({
    name: "all cores, always",
    period: 1e6,
    initial: null,
    decide: () => null,
    demand: () => ({ cores }),
  }),
};

/** Who runs a policy need not know its state. */
function erased<State>(policy: Policy<State>): Policy {
  return policy as Policy;
}

/** The SoCC 2015 paper's processor, with fewer frequencies and as many cores as are asked for. */
function machineOf(cores: number): MachineShape {
  return { cores, frequencies: [1.2, 1.8, 2.4], turbo: 3.1, hyperthreads: true };
}

/** The run that a policy and a pattern make of the options. */
export function scenarioOf(options: ScenarioOptions, policy: string, pattern: string): Scenario {
  const { cores, service, seconds, load, batch, conns, seed } = options;
  const machine = machineOf(cores);
  return {
    machine,
    policy: POLICIES[policy](machine, service),
    pattern: PATTERNS[pattern],
    peak: (load * cores * 1e6) / (service + requestCost()),
    ...{ service, seconds, conns, batch, seed },
  };
}

/** What the kernel's part of a request costs, µs. */
function requestCost(): number {
  const { packetIn, packetOut, call, event } = REFERENCE_COSTS;
  return (packetIn + packetOut + 2 * call + event) / 1000;
}

/**
 * How long after the load's step there was room for it, µs: until cores were there whose capacity is
 * what arrives. Undefined when that never came.
 */
export function reactionTime(scenario: Scenario, result: ScenarioResult): number | undefined {
  const { pattern, seconds, peak, service } = scenario;
  const needed = (peak * (service + requestCost())) / 1e6 - 1e-6;
  const step = (seconds * 1e6) / 3;
  if (pattern !== PATTERNS.step) return undefined;
  const change = result.changes.find(({ done, capacity }) => done > step && capacity >= needed);
  return change && change.done - step;
}
