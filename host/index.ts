/**
 * ixwasm without Node: dataplanes, the emulated NIC and network, and libix. Everything here runs in a
 * browser; `createDataplane` needs the module that `loadKernel` compiles.
 */
/// <reference path="./abi-types.d.ts" preserve="true" />
export { realClock, type Clock } from "./dataplane/clock.ts";
export { Core } from "./dataplane/core.ts";
export { CoreControl } from "./dataplane/core-control.ts";
export type { CoreManager, CoreState, MigrationResult } from "./dataplane/core-manager.ts";
export { NO_COSTS, REFERENCE_COSTS, type CostModel } from "./dataplane/cost-model.ts";
export type { CounterName, Counters, GaugeName, Gauges } from "./dataplane/counters.ts";
export { createDataplane, Dataplane, type DataplaneHandle } from "./dataplane/dataplane.ts";
export { ElasticThread, type ElasticThreadOptions } from "./dataplane/elastic-thread.ts";
export { runElasticLoop, type IdlePolicy } from "./dataplane/elastic-loop.ts";
export { Elasticity, type CoreHost, type CoreStatus } from "./dataplane/elasticity.ts";
export type { Incident } from "./control/watchdog.ts";
export {
  CoreError,
  KernelError,
  LeakError,
  LivelockError,
  MemoryError,
  OptionRangeError,
  OptionTypeError,
  StateError,
  SystemCallError,
} from "./dataplane/errors.ts";
export {
  InlineRunner,
  type InlineDataplane,
  type InlineOptions,
  type RunLimits,
} from "./dataplane/inline.ts";
export { loadKernel } from "./dataplane/load-kernel.ts";
export type { CoreMap, MemoryMap, Region } from "./dataplane/memory-map.ts";
export { Operations, type OperationsOptions, type SeenCore } from "./dataplane/operations.ts";
export { Parking } from "./dataplane/parking.ts";
export { Rescuer, type Orphan } from "./dataplane/rescuer.ts";
export type {
  DataplaneOptions,
  NeighbourOptions,
  OffloadOptions,
  ResolvedOptions,
  RouteOptions,
  TableOptions,
  TcpOptions,
} from "./dataplane/options.ts";
export {
  SimulatedCore,
  SimulatedRunner,
  type SimulatedDataplane,
  type SimulatedIteration,
  type SimulatedOptions,
} from "./dataplane/simulated.ts";
export * from "./control/index.ts";
export * from "./nic/index.ts";
export * from "./libix/index.ts";
