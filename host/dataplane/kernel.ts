/**
 * The kernel module as the host sees it: its exports, typed, and how an instance is made. Every core
 * has an instance of its own over the one shared memory; what is private to a core and not in memory
 * is in the instance's globals.
 */
import { ABI_VERSION } from "../../assembly/abi.ts";
import { KernelError } from "./errors.ts";

/** Exports of assembly/index.ts. `now` is in microseconds, in the same base for all cores. */
export interface KernelExports {
  /** Once per dataplane, before anything else: checks the configuration, prepares shared tables. */
  initialize(now: number): number;
  /** Once per core and instance: binds the instance to its control block, fills the fill rings. */
  attach(core: number, now: number): number;
  /**
   * Binds the instance to a core that another instance was attached to and has left between two polls;
   * everything goes on where it was.
   */
  adopt(core: number, now: number): number;
  /** Ends what the application of this core made, which has left: listeners, UDP ports, timers. */
  forget(): void;
  /**
   * Binds the instance to a core whose thread is gone and mends its state; `poll` and `steered` then give
   * its flow groups to others, as COMMAND_MIGRATE says.
   */
  rescue(core: number, now: number): number;
  /** The ABI that the module was built for. */
  abiVersion(): number;
  /** One iteration of the dataplane. Returns how many events wait in the event array. */
  poll(now: number): number;
  /** Runs the system calls that wait, and nothing else. */
  dispatch(now: number): void;
  /**
   * Tells a core that asked for it (REQUEST_STEER) that the RETA was rewritten: no more frames come to
   * the old queue.
   */
  steered(now: number): number;
  /** One part of `poll` by itself: 0 calls, 1 timers, 2 transmit, 3 receive, 4 TCP. */
  stage(which: number, now: number): number;
  /** Adds a route; address words as they lie in memory, the prefix in bits of its family. */
  addRoute(
    d0: number,
    d1: number,
    d2: number,
    d3: number,
    prefix: number,
    g0: number,
    g1: number,
    g2: number,
    g3: number,
  ): number;
  /** Removes a route, which is given as to `addRoute`. */
  removeRoute(d0: number, d1: number, d2: number, d3: number, prefix: number): number;
  /** Adds a static neighbour: the first four and the last two bytes of its MAC, little-endian. */
  addNeighbour(
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    macHead: number,
    macTail: number,
  ): number;
  /** Sends a gratuitous ARP request (RFC 5227 section 2.3). */
  announce(): void;
}

const EXPORTS = [
  "initialize",
  "attach",
  "adopt",
  "rescue",
  "abiVersion",
  "forget",
  "poll",
  "dispatch",
  "steered",
  "stage",
  "addRoute",
  "removeRoute",
  "addNeighbour",
  "announce",
] as const satisfies readonly (keyof KernelExports)[];

/**
 * Makes an instance over `memory`.
 *
 * @throws {KernelError} the module is not this host's kernel, or of another build
 */
export function instantiateKernel(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): KernelExports {
  const abort = (message: number, file: number, line: number, column: number): never => {
    const at = `${readString(memory, file)}:${line}:${column}`;
    throw new KernelError(`kernel aborted: ${readString(memory, message)} (${at})`);
  };
  let instance: WebAssembly.Instance;
  try {
    // The debug build alone imports `abort`; the release build traps.
    instance = new WebAssembly.Instance(module, { env: { memory, abort } });
  } catch (error) {
    throw new KernelError("module cannot be instantiated as the kernel", { cause: error });
  }
  checkVersion(instance);
  const missing = EXPORTS.filter((name) => typeof instance.exports[name] !== "function");
  if (missing.length > 0) {
    throw new KernelError(`module is not the kernel: it does not export ${missing.join(", ")}`);
  }
  return instance.exports as unknown as KernelExports;
}

/**
 * Demands that a module is a kernel of this host's ABI, without letting it near a dataplane's memory:
 * an instance over a few pages of its own is asked.
 *
 * @throws {KernelError} it is not
 */
export function checkKernel(module: WebAssembly.Module): void {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  instantiateKernel(module, memory);
}

/** Before all else, since another version may have other exports too. */
function checkVersion({ exports }: WebAssembly.Instance): void {
  if (typeof exports.abiVersion !== "function") return;
  const version = (exports as unknown as KernelExports).abiVersion();
  if (version === ABI_VERSION) return;
  throw new KernelError(
    `the module is a kernel for version ${version} of the ABI, and this host is of version ` +
      `${ABI_VERSION}. Both must come from one build: take the dataplane.wasm of the same package as ` +
      `the host ("npm run build" in a checkout); a browser or server may have kept an old copy`,
  );
}

/** An AssemblyScript string: UTF-16 units, their length in bytes in the word before them. */
function readString(memory: WebAssembly.Memory, address: number): string {
  if (address === 0) return "no message";
  const at = address >>> 0;
  const length = new Uint32Array(memory.buffer, at - 4, 1)[0];
  return String.fromCharCode(...new Uint16Array(memory.buffer, at, length >>> 1));
}
