/**
 * `ixwasm/sim` without Node: networks for tests, in virtual time and from one seed. `createNetwork` needs
 * the module that `loadKernel` compiles.
 */
import { SimulatedNetwork, type SimulationOptions } from "./network.ts";

export { loadKernel } from "../dataplane/load-kernel.ts";
export { fakeTimers, type AppTimers, type FakeTimers } from "./app-timers.ts";
export { SimulationError, type SimulationErrorCode } from "./errors.ts";
export { SimulatedLink } from "./link.ts";
export { SimulatedNetwork, SIMULATED_SIZES, type Hosts, type WaitOptions } from "./network.ts";
export type { SimulationOptions } from "./network.ts";
export type { RecorderOptions } from "./recorder.ts";
export { VirtualTimeout, VirtualTimers } from "./virtual-timers.ts";
export type { Host } from "../net/host.ts";
export type { HostLink, HostOptions } from "../net/network.ts";
export type { LinkOptions } from "../nic/types.ts";

/** A network in virtual time, without hosts. */
export function createNetwork(options: SimulationOptions): SimulatedNetwork {
  return new SimulatedNetwork(options);
}
