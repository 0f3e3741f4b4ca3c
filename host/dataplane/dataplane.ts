/**
 * A dataplane: linear memory laid out and configured, a NIC port, and its cores. Making one starts
 * nothing; an `InlineRunner`, or `startThreaded` on Node, runs its cores.
 */
import {
  FLOW_GROUPS,
  GROUP_OWNER,
  GROUP_PROCESSOR,
  GROUP_SIZE,
  RC_OK,
} from "../../assembly/abi.ts";
import { createPort, Port } from "../nic/port.ts";
import type { PortHandle } from "../nic/types.ts";
import { addressWords, formatIp, type Cidr } from "./addresses.ts";
import { typeError } from "./checks.ts";
import { configureMemory, offloadBits } from "./configure.ts";
import { CoreControl } from "./core-control.ts";
import { Core } from "./core.ts";
import { readCounters, readGauges, sum, type Counters, type Gauges } from "./counters.ts";
import { codeName, KernelError, LeakError, MemoryError } from "./errors.ts";
import { checkKernel, instantiateKernel, type KernelExports } from "./kernel.ts";
import { largest, layOutMemory, type MemoryMap } from "./memory-map.ts";
import type { DataplaneOptions, ResolvedOptions, RouteOptions } from "./options.ts";
import { queueFor } from "./queues.ts";
import { resolveNetwork, resolveRoute } from "./resolve-addresses.ts";
import { resolveOptions } from "./resolve-options.ts";

/** A dataplane as plain data, which a worker can be given to run its cores. */
export interface DataplaneHandle {
  readonly name: string;
  readonly kernel: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly port: PortHandle;
  readonly cores: number;
  /** Whether core 0 sends a gratuitous ARP when it starts. */
  readonly announce: boolean;
}

/** A whole dataplane as plain data: another thread can have it in place of this one. */
export interface SharedDataplane {
  readonly kernel: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly options: ResolvedOptions;
  readonly port: PortHandle;
}

/** The dataplane that another thread has shared. Of the two threads one runs its cores. */
export function adoptDataplane(shared: SharedDataplane): Dataplane {
  const { kernel, memory, map, options, port } = shared;
  return new Dataplane(kernel, memory, map, options, port);
}

/**
 * Makes a dataplane, synchronously.
 *
 * @throws {TypeError} an option has the wrong type, is missing or is unknown
 * @throws {RangeError} an option's value is not allowed, or all together do not fit 4 GiB
 * @throws {MemoryError} the engine has no room for the memory
 * @throws {KernelError} the module is not this host's kernel
 */
export function createDataplane(options: DataplaneOptions): Dataplane {
  const resolved = resolveOptions(options);
  if (!(options.kernel instanceof WebAssembly.Module)) {
    throw typeError("kernel", "a WebAssembly.Module, from loadKernel()", options.kernel);
  }
  const map = layOutMemory(resolved);
  const memory = allocateMemory(map);
  configureMemory(memory, map, resolved);
  const kernel = instantiateKernel(options.kernel, memory);
  initialize(kernel, resolved);
  const dataplane = new Dataplane(options.kernel, memory, map, resolved);
  dealGroups(dataplane);
  return dataplane;
}

export class Dataplane {
  readonly name: string;
  readonly options: ResolvedOptions;
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  /** Port queue `i` belongs to core `i % cores`, as flow group `i` does. */
  readonly port: PortHandle;
  /** The cores, for whoever runs them on this thread. */
  readonly cores: readonly Core[];
  /** The application's own memory, in equal shares for the cores. */
  readonly window: { readonly address: number; readonly size: number };
  #kernel: WebAssembly.Module;
  #controlKernel: KernelExports | undefined;

  /** Use `createDataplane`. */
  constructor(
    kernel: WebAssembly.Module,
    memory: WebAssembly.Memory,
    map: MemoryMap,
    options: ResolvedOptions,
    port?: PortHandle,
  ) {
    this.#kernel = kernel;
    this.name = options.name;
    this.options = options;
    this.memory = memory;
    this.map = map;
    this.window = { address: map.window.address, size: map.window.size };
    this.cores = map.cores.map((_, id) => new Core(kernel, memory, id));
    this.port =
      port ??
      createPort({
        name: options.name,
        memory,
        queues: portQueues(map),
        mac: options.mac,
        offloads: offloadBits(options),
      });
  }

  /** What `adoptDataplane` takes on another thread. */
  get shared(): SharedDataplane {
    const { memory, map, options, port } = this;
    return { kernel: this.#kernel, memory, map, options, port };
  }

  /** An instance that is bound to no core, for changes to what all share. */
  get #control(): KernelExports {
    this.#controlKernel ??= instantiateKernel(this.#kernel, this.memory);
    return this.#controlKernel;
  }

  /** What other threads need to run cores of this dataplane. */
  get handle(): DataplaneHandle {
    return {
      name: this.name,
      kernel: this.#kernel,
      memory: this.memory,
      port: this.port,
      cores: this.cores.length,
      announce: this.options.announce,
    };
  }

  /** Counters of one core, or of all together; by name, as in counters.ts. */
  counters(core?: number): Counters {
    return sum(this.#blocks(core).map((block) => readCounters(this.memory, block)));
  }

  /** Gauges of one core, or of all together. */
  gauges(core?: number): Gauges {
    return sum(this.#blocks(core).map((block) => readGauges(this.memory, block)));
  }

  /**
   * Demands that nothing is in use any more: connections, timers, buffers. Frames in the fill rings
   * are the NIC's and do not count.
   *
   * @throws {LeakError} listing what is
   */
  assertNoLeaks(): void {
    const leaks: string[] = [];
    for (const core of this.cores) {
      const { fill: _, ...inUse } = this.gauges(core.id);
      for (const [gauge, value] of Object.entries(inUse)) {
        if (value !== 0) leaks.push(`core ${core.id} ${gauge} ${value}`);
      }
    }
    if (leaks.length > 0) throw new LeakError(`${this.name} still holds: ${leaks.join(", ")}`);
  }

  /**
   * Adds a route, or changes the gateway of the one to the same network, while the cores run.
   *
   * @throws {TypeError} or {RangeError} it is no route of this dataplane
   * @throws {KernelError} the table is full; or (EAGAIN) full but for routes that were just removed, which
   *   is over when every core has polled once more
   */
  addRoute(route: RouteOptions): void {
    const { to, via } = resolveRoute("route", route, this.options);
    putRoute(this.#control, to, via);
  }

  /**
   * Removes the route to a network, such as "10.2.0.0/16", while the cores run.
   *
   * @throws {TypeError} or {RangeError} it is no network
   * @throws {KernelError} there is no route to it
   */
  removeRoute(to: string): void {
    const network = resolveNetwork("to", to);
    const [d0, d1, d2, d3] = addressWords(network.address);
    const code = this.#control.removeRoute(d0, d1, d2, d3, network.prefix);
    expectOk(code, `removal of the route to ${to}`);
  }

  /** Asks the elastic threads of all cores to leave their loops. */
  close(): void {
    for (const { block } of this.cores) new CoreControl(this.memory, block).stop();
  }

  /**
   * Checks that cores of this dataplane can go on with another kernel, and takes it for those that start
   * from now on. Whoever runs the cores upgrades the others.
   *
   * @throws {KernelError} the module is no kernel, or one for another ABI; nothing has changed
   */
  adoptKernel(module: WebAssembly.Module): void {
    checkKernel(module);
    this.#kernel = module;
    this.#controlKernel = undefined;
  }

  #blocks(core: number | undefined): number[] {
    if (core === undefined) return this.cores.map(({ block }) => block);
    const found = this.cores[core];
    if (!found) throw new RangeError(`ixwasm: ${this.name} has no core ${core}`);
    return [found.block];
  }
}

/**
 * Queue blocks in the port's numbering, the first queue of every core before the second of any: the
 * port deals flow groups to queues round robin as the kernel deals them to cores, so they agree.
 */
function portQueues(map: MemoryMap): number[] {
  const perCore = map.cores[0].queues.length;
  const queues: number[] = [];
  for (let index = 0; index < perCore; index++) {
    for (const core of map.cores) queues.push(core.queues[index].block);
  }
  return queues;
}

/** Gives all flow groups to the cores that run from the start, round robin, in the RETA too. */
function dealGroups({ memory, map, port: handle, options }: Dataplane): void {
  const { cores, activeCores } = options;
  if (activeCores === cores) return;
  const words = new Uint32Array(memory.buffer);
  const port = new Port(handle);
  const queues = handle.queues.length;
  const changes: [group: number, queue: number][] = [];
  for (let group = 0; group < FLOW_GROUPS; group++) {
    const core = group % activeCores;
    const record = map.groups.address + group * GROUP_SIZE;
    words[(record + GROUP_OWNER) >>> 2] = core;
    words[(record + GROUP_PROCESSOR) >>> 2] = core;
    changes.push([group, queueFor(group, core, cores, queues)]);
  }
  port.updateReta(changes);
}

function allocateMemory(map: MemoryMap): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: map.pages, maximum: map.pages, shared: true });
  } catch (error) {
    const size = Math.ceil(map.size / (1 << 20));
    throw new MemoryError(
      `cannot allocate ${size} MiB of shared memory for ${largest(map.regions)}: ask for less of them, ` +
        "or for fewer dataplanes at a time",
      { cause: error },
    );
  }
}

/** What is done once for all cores, by an instance that polls nothing. */
function initialize(kernel: KernelExports, options: ResolvedOptions): void {
  expectOk(kernel.initialize(0), "initialize");
  for (const { to, via } of options.routes) putRoute(kernel, to, via);
  for (const { ip, mac } of options.neighbours) {
    const [a0, a1, a2, a3] = addressWords(ip);
    const head = mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24);
    const tail = mac[4] | (mac[5] << 8);
    expectOk(kernel.addNeighbour(a0, a1, a2, a3, head, tail), `neighbour ${formatIp(ip)}`);
  }
}

function putRoute(kernel: KernelExports, to: Cidr, via: Uint8Array): void {
  const [d0, d1, d2, d3] = addressWords(to.address);
  const [g0, g1, g2, g3] = addressWords(via);
  const name = `route to ${formatIp(to.address)}/${to.prefix}`;
  expectOk(kernel.addRoute(d0, d1, d2, d3, to.prefix, g0, g1, g2, g3), name);
}

function expectOk(code: number, what: string): void {
  if (code !== RC_OK) throw new KernelError(`kernel refused its ${what}: ${codeName(code)}`);
}
