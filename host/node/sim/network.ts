/** Networks for tests on Node: with the package's kernel, and hosts that have a `net`. */
import type { Dataplane } from "../../dataplane/dataplane.ts";
import type { HostOptions } from "../../net/network.ts";
import type { SimulationOptions } from "../../sim/network.ts";
import { SimulatedNetwork } from "../../sim/network.ts";
import type { VirtualTimers } from "../../sim/virtual-timers.ts";
import { loadKernelSync } from "../kernel.ts";
import { SimulatedHost } from "./host.ts";
import { node } from "./platform.ts";
import { installTimerModules } from "./timer-modules.ts";

export type NodeSimulationOptions = Partial<SimulationOptions>;

export class NodeSimulatedNetwork extends SimulatedNetwork {
  constructor(options: NodeSimulationOptions = {}) {
    super({ ...options, kernel: options.kernel ?? loadKernelSync() }, node);
  }

  override addHost(name: string, options: HostOptions = {}): SimulatedHost {
    return super.addHost(name, options) as SimulatedHost;
  }

  override host(name: string): SimulatedHost {
    return super.host(name) as SimulatedHost;
  }

  protected override createHost(
    name: string,
    address: string,
    dataplane: Dataplane,
  ): SimulatedHost {
    this.observe(dataplane.port);
    return new SimulatedHost(this, name, address, dataplane);
  }

  protected override install(timers: VirtualTimers, epoch: number): () => void {
    const undoGlobals = super.install(timers, epoch);
    const undoModules = installTimerModules(timers);
    return () => {
      undoModules();
      undoGlobals();
    };
  }
}

/**
 * A network in virtual time, without hosts.
 *
 * @throws {RangeError | TypeError} an option is not what it may be
 */
export function createNetwork(options: NodeSimulationOptions = {}): NodeSimulatedNetwork {
  return new NodeSimulatedNetwork(options);
}
