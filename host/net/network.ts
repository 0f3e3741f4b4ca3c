/**
 * A network inside one thread: hosts with a dataplane each, on a switch, run by one inline runner. With
 * the real clock it runs while the thread's event loop turns, costs nothing while idle, and keeps the
 * process alive only as long as somebody uses it (`ref`).
 */
import * as check from "../dataplane/checks.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import { createDataplane, type SharedDataplane } from "../dataplane/dataplane.ts";
import { OptionRangeError } from "../dataplane/errors.ts";
import { InlineRunner, type InlineDataplane } from "../dataplane/inline.ts";
import type { DataplaneOptions } from "../dataplane/options.ts";
import type { LinkOptions, SwitchWire } from "../nic/types.ts";
import { Switch } from "../nic/wiring.ts";
import { Host, ownIp6 } from "./host.ts";
import { NameTable } from "./names.ts";

export interface NetworkOptions {
  /** The compiled kernel, from `loadKernel`. */
  readonly kernel: WebAssembly.Module;
  /** "real" runs by itself; with "virtual" the runner is the caller's to step. Default "real". */
  readonly clock?: "real" | "virtual";
  /** Where virtual time begins, µs. */
  readonly startAt?: number;
  /** The first two numbers of every address; hosts are numbered from .0.1. Default "10.0". */
  readonly prefix?: string;
  /** The first four groups of every IPv6 address, which ends like the IPv4 one. Default "fd00::". */
  readonly prefix6?: string;
}

/** What a host is made with. Everything of `DataplaneOptions` may be said besides what follows. */
export interface HostOptions extends Omit<
  Partial<DataplaneOptions>,
  "ip" | "ip6" | "cores" | "kernel"
> {
  /** Its address within the network; default the next free one. */
  readonly address?: string;
  /** Bits of its address that its neighbours share. Default 16. */
  readonly prefixLength?: number;
  /** As the dataplane's option; false: no IPv6. Default one address from `prefix6`. */
  readonly ip6?: DataplaneOptions["ip6"] | false;
  /** The link between it and the switch. Default perfect. */
  readonly link?: HostLink;
}

/** A link: what holds for both ways, and what differs. */
export interface HostLink extends LinkOptions {
  /** From the host to the switch. */
  readonly up?: LinkOptions;
  /** From the switch to the host. */
  readonly down?: LinkOptions;
}

/** The options of each way of a link. */
export function waysOf(link: HostLink): { up: LinkOptions; down: LinkOptions } {
  const { up, down, ...both } = link;
  return { up: { ...both, ...up }, down: { ...both, ...down } };
}

/** Sizes that suit many hosts in one process, where memory that is not used costs nothing. */
const SIZES = {
  ringSize: 1024,
  txRingSize: 2048,
  maxConnections: 32768,
  frames: 16384,
  references: 16384,
  applicationWindow: 8 << 20,
} as const;

/**
 * The thread does other things between rounds, for milliseconds sometimes: a peer that is silent for so
 * long has lost nothing. µs.
 */
const MIN_RTO = 50_000;

const MOST_HOSTS = 65533;

const KNOWN = ["kernel", "clock", "startAt", "prefix", "prefix6"] as const;

/** A host that is made and not run yet. */
interface ReservedHost {
  readonly address: string;
  readonly dataplane: Dataplane;
  readonly wire: SwitchWire;
}

/** A host that another thread is to run, as plain data. */
export interface HostHandle {
  readonly name: string;
  readonly address: string;
  readonly dataplane: SharedDataplane;
  readonly wire: SwitchWire;
  readonly names: readonly (readonly [name: string, addresses: readonly string[]])[];
}

export class Network {
  readonly runner: InlineRunner;
  readonly names = new NameTable();
  readonly #kernel: WebAssembly.Module;
  protected readonly switch: Switch;
  readonly #hosts = new Map<string, Host>();
  readonly #reserved = new Map<string, ReservedHost>();
  readonly #addresses = new Set<string>();
  readonly #prefix: string;
  readonly #prefix6: string;
  readonly #real: boolean;
  #next = 1;
  #users = 0;
  #done: Promise<void> | undefined;

  constructor(options: NetworkOptions) {
    const given = check.record<NetworkOptions>("options", options, KNOWN);
    const { startAt, prefix = "10.0", prefix6 = "fd00::" } = given;
    const clock = check.oneOf("clock", given.clock, "real", ["real", "virtual"]);
    this.#kernel = options.kernel;
    this.#prefix = prefix;
    this.#prefix6 = prefix6;
    this.#real = clock === "real";
    this.switch = new Switch({ flowControl: this.#real });
    this.runner = new InlineRunner({ clock, startAt });
  }

  get hosts(): ReadonlyMap<string, Host> {
    return this.#hosts;
  }

  /**
   * Adds a host under a name.
   *
   * @throws {RangeError} the name or the address is taken, or an option is out of its range
   */
  addHost(name: string, options: HostOptions = {}): Host {
    const { address, dataplane, wire } = this.#make(name, options);
    const host = this.createHost(name, address, dataplane);
    this.#hosts.set(name, host);
    this.start(host, wire);
    return host;
  }

  /**
   * Makes a host that another thread is to run, as `addHost` makes one: there `joinNetwork` takes its
   * handle. A thread knows those hosts that there were when it got its handle: reserve all of them first.
   *
   * @throws {RangeError} as `addHost`
   */
  reserveHost(name: string, options: HostOptions = {}): void {
    this.#reserved.set(name, this.#make(name, options));
  }

  /**
   * The handle of a reserved host, as plain data for `workerData` or `postMessage`.
   *
   * @throws {RangeError} no host was reserved under that name
   */
  handleOf(name: string): HostHandle {
    const reserved = this.#reserved.get(name);
    if (reserved === undefined) {
      throw new OptionRangeError(`ixwasm: no host "${name}" was reserved (reserveHost)`);
    }
    const { address, dataplane, wire } = reserved;
    return { name, address, dataplane: dataplane.shared, wire, names: this.names.entries() };
  }

  #make(name: string, options: HostOptions): ReservedHost {
    if (typeof name !== "string" || name === "") {
      throw check.typeError("name", "the name of the host", name);
    }
    const { address = this.#freeAddress(), prefixLength = 16, link = {}, ip6, ...rest } = options;
    if (this.#hosts.has(name) || this.#reserved.has(name))
      throw new OptionRangeError(`ixwasm: there is a host "${name}" already`);
    if (this.#addresses.has(address)) {
      throw new OptionRangeError(`ixwasm: another host has the address ${address}`);
    }
    const dataplane = createDataplane({
      ...SIZES,
      name,
      ...rest,
      tcp: { profile: "lan", ...(this.#real && { minRto: MIN_RTO }), ...rest.tcp },
      kernel: this.#kernel,
      ip: `${address}/${prefixLength}`,
      ip6: ip6 === false ? undefined : (ip6 ?? this.#ip6For(address)),
    });
    const { up, down } = waysOf(link);
    const wire = this.switch.connect(dataplane.port, up, down);
    this.#addresses.add(address);
    this.names.set(name, address, ...ownIp6(dataplane));
    return { address, dataplane, wire };
  }

  /** Somebody uses the network from now on: the process stays alive until `unref`. */
  ref(): void {
    if (this.#users++ === 0) this.runner.ref();
  }

  unref(): void {
    if (--this.#users === 0) this.runner.unref();
  }

  /** Stops everything at once; connections are not ended in good order. */
  async close(): Promise<void> {
    await this.runner.stop();
    await this.#done;
    this.runner.close();
  }

  /** Makes a host, which is not connected yet. */
  protected createHost(name: string, address: string, dataplane: Dataplane): Host {
    return new Host(this, name, address, dataplane);
  }

  /** How a host runs that sends on `wire`. */
  protected plan(host: Host, wire: SwitchWire): InlineDataplane {
    return { wire, app: ({ ix }) => host.attach(ix) };
  }

  /** Runs a host, whose frames go out on `wire`. */
  protected start(host: Host, wire: SwitchWire): void {
    this.runner.add(host.dataplane, this.plan(host, wire));
    if (this.#real && this.#done === undefined) {
      this.#done = this.runner.start();
      if (this.#users === 0) this.runner.unref();
    }
    this.runner.wake();
  }

  /** The last 32 bits are those of the IPv4 address, so that none is given twice. */
  #ip6For(address: string): DataplaneOptions["ip6"] {
    return {
      addresses: [`${this.#prefix6}${address}/64`],
      autoconfigured: false,
      detectDuplicates: false,
    };
  }

  #freeAddress(): string {
    for (; this.#next <= MOST_HOSTS; this.#next++) {
      const address = `${this.#prefix}.${this.#next >> 8}.${this.#next & 255}`;
      if (!this.#addresses.has(address)) return address;
    }
    throw new OptionRangeError("ixwasm: all addresses of the network are taken");
  }
}
