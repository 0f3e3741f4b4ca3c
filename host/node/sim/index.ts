/** `ixwasm/sim`: networks for tests, in virtual time and from one seed. */
export * from "../../sim/index.ts";
export { SimulatedHost, type HostNet } from "./host.ts";
export { createNetwork, NodeSimulatedNetwork, type NodeSimulationOptions } from "./network.ts";
export {
  simTests,
  simulate,
  type SimulationBody,
  type SimulationTest,
  type SimulationTestOptions,
  type TestFunction,
} from "./test.ts";
