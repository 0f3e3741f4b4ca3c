/** The control plane: what cores say of their load, what follows from it, and how it is carried out. */
export { Controller, type ControllerOptions } from "./controller.ts";
export { rebalance, type Move, type RebalanceOptions } from "./rebalance.ts";
export { delayPolicy, decideByDelay, type DelayOptions, type DelayState } from "./delay-policy.ts";
export {
  EnergyMeter,
  MODEL_ENERGY,
  modelledWatts,
  type EnergyModel,
  type EnergyState,
} from "./energy.ts";
export { Machine, shareCores, type MachineOptions, type Tenant, type Wish } from "./machine.ts";
export { MetricsReader, type Average, type CoreMetrics } from "./metrics.ts";
export type { Demand, Observation, Policy } from "./policy.ts";
export { decideStep, firstStep, IX_STEP_RULE, stepPolicy, type StepState } from "./step-policy.ts";
export {
  capacityOf,
  consolidation,
  energyProportionality,
  minimumMaximum,
  plainMachine,
  type Configuration,
  type MachineShape,
  type Step,
} from "./steps.ts";
