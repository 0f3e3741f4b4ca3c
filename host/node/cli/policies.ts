/** The policies of the control plane by the names that `ixwasm policy` knows them by. */
import { delayPolicy } from "../../control/delay-policy.ts";
import type { Policy } from "../../control/policy.ts";
import { firstStep, stepPolicy } from "../../control/step-policy.ts";
import {
  consolidation,
  energyProportionality,
  minimumMaximum,
  plainMachine,
  type MachineShape,
  type Step,
} from "../../control/steps.ts";

export interface NamedPolicy {
  readonly description: string;
  /** Whether flow groups move by their load as well. */
  readonly balances: boolean;
  /** The policy for a dataplane of `cores` cores, of which `active` are active. */
  make(cores: number, active: number): Policy;
}

/** How often the balance of cores that stay is looked at, µs. */
const BALANCE_PERIOD = 100_000;

export const POLICIES: ReadonlyMap<string, NamedPolicy> = new Map<string, NamedPolicy>([
  [
    "delay",
    {
      description: "as many cores as keep packets from waiting (Shenango, Caladan)",
      balances: true,
      make: (cores, active) => delayPolicy({ max: cores }, active) as Policy,
    },
  ],
  ["energy", steps("cores one by one, as load comes and goes (IX)", energyProportionality)],
  ["consolidation", steps("the fewest cores that carry the load (IX)", consolidation)],
  ["min-max", steps("one core or all of them (IX)", minimumMaximum)],
  [
    "balance",
    {
      description: "the cores that there are, flow groups shared out by their load (RSS++)",
      balances: true,
      make: (_, active) => fixed(active),
    },
  ],
]);

function steps(description: string, goal: (machine: MachineShape) => readonly Step[]): NamedPolicy {
  return {
    description,
    balances: false,
    make(cores, active) {
      const list = goal(plainMachine(cores));
      return stepPolicy(goal.name, list, firstStep(list, active)) as Policy;
    },
  };
}

/** A policy that asks for the same at all times. */
function fixed(cores: number): Policy<null> {
  return {
    name: "balance",
    period: BALANCE_PERIOD,
    initial: null,
    decide: () => null,
    demand: () => ({ cores }),
  };
}
