/**
 * A network for tests: hosts on a switch, in virtual time, where everything that is left to chance comes
 * from one seed. The same seed and the same program give the same frames, byte for byte.
 *
 * Times of this class are in milliseconds, as those of timers; those of links are in µs, as everywhere.
 */
import type { Dataplane } from "../dataplane/dataplane.ts";
import { OptionRangeError, OptionTypeError } from "../dataplane/errors.ts";
import type { InlineDataplane } from "../dataplane/inline.ts";
import type { App } from "../libix/app.ts";
import { Host } from "../net/host.ts";
import { Network, waysOf, type HostLink, type HostOptions } from "../net/network.ts";
import { createBackend } from "../nic/backend.ts";
import { Random } from "../nic/random.ts";
import type { PortHandle, SwitchWire } from "../nic/types.ts";
import type { AppTimers } from "./app-timers.ts";
import { Driver } from "./driver.ts";
import { installGlobals } from "./globals.ts";
import { SimulatedLink } from "./link.ts";
import { anywhere, type Platform } from "./platform.ts";
import { Recorder, type RecorderOptions } from "./recorder.ts";
import { VirtualTimers } from "./virtual-timers.ts";

export interface SimulationOptions {
  /** The compiled kernel, from `loadKernel`. */
  readonly kernel: WebAssembly.Module;
  /** What all chance comes from: a whole number from 0 to 2^32 - 1. Default 1. */
  readonly seed?: number;
  /**
   * The application's timers. "real": they are left alone, and time does not wait for them. "virtual":
   * the global ones, Date, performance.now and Math.random are the network's until it is closed. Or fake
   * timers, by `fakeTimers`. Default "real".
   */
  readonly timers?: "real" | "virtual" | AppTimers;
  /** What Date is in the beginning of virtual time, ms. Default the beginning of the year 2000. */
  readonly epoch?: number;
  /** Links of hosts that are given none. Default a delay of 100 µs each way. */
  readonly link?: HostLink;
  /** What is kept of the frames for `pcapng`. */
  readonly record?: RecorderOptions;
  /** Longest wait of `run` and `until` that say nothing else, ms. Default an hour. */
  readonly limit?: number;
  /** The first two numbers of every address. Default "10.0". */
  readonly prefix?: string;
}

/** How long to wait. */
export interface WaitOptions {
  /** Milliseconds of virtual time. */
  readonly limit?: number;
}

/**
 * Sizes that let many hosts be in one process: 4 MiB each, of which an idle one uses less than half.
 * A connection's window fits the ring, so that what a link delivers at one instant is not lost there. All
 * can be chosen per host.
 */
export const SIMULATED_SIZES = {
  ringSize: 256,
  txRingSize: 512,
  batch: 32,
  maxConnections: 256,
  frames: 768,
  references: 512,
  applicationWindow: 1 << 20,
  events: 512,
  calls: 512,
  timers: 64,
  tables: { reassembly: 2 },
  tcp: { receiveWindow: 1 << 17, receiveWindowMax: 1 << 18, sendBufferMax: 1 << 18 },
} as const;

const DEFAULT_LINK: HostLink = { delay: 100 };
const DEFAULT_LIMIT = 3_600_000;
const DEFAULT_EPOCH = Date.UTC(2000, 0, 1);
/** Sequences of random numbers of one seed: the application's, and from here on one for each host. */
const APP_SEQUENCE = 1;
const HOST_SEQUENCES = 2;

/** One host or several. */
export type Hosts = string | readonly string[];

export class SimulatedNetwork extends Network {
  readonly seed: number;
  readonly #recorder: Recorder;
  readonly #timers: AppTimers | undefined;
  readonly #driver: Driver;
  readonly #chance: Random;
  readonly #links = new Map<string, SimulatedLink>();
  readonly #link: HostLink;
  readonly #epoch: number;
  readonly #limit: number;
  readonly #restore: () => void;
  #closed = false;

  constructor(options: SimulationOptions, platform: Platform = anywhere) {
    const { kernel, prefix, seed = 1, timers = "real", epoch = DEFAULT_EPOCH } = options;
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
      throw new OptionRangeError(`seed: expected a whole number from 0 to 2^32 - 1, got ${seed}`);
    }
    super({ kernel, prefix, clock: "virtual" });
    this.seed = seed;
    this.#epoch = epoch;
    this.#link = options.link ?? DEFAULT_LINK;
    this.#limit = options.limit ?? DEFAULT_LIMIT;
    this.#recorder = new Recorder(options.record);
    this.#chance = new Random(seed + APP_SEQUENCE * 2 ** 32);
    const virtual = timers === "virtual" ? new VirtualTimers(() => this.runner.now) : undefined;
    this.#timers = virtual ?? appTimers(timers);
    this.#driver = new Driver({ runner: this.runner, timers: this.#timers, platform });
    this.#restore = virtual ? this.install(virtual, epoch) : () => this.#timers?.restore?.();
  }

  // -------------------------------------------------------------------------------------------
  // Hosts and links

  /**
   * Adds a host under a name. Its sizes are small, its secret comes from the seed, and its link is the
   * network's `link` unless it has its own.
   *
   * @throws {RangeError} the name or the address is taken, or an option is out of its range
   */
  override addHost(name: string, options: HostOptions = {}): Host {
    const index = this.hosts.size;
    const random = new Random(this.seed + (HOST_SEQUENCES + index) * 2 ** 32);
    const secret = Uint8Array.from({ length: 16 }, () => random.below(256));
    const { up, down } = waysOf(options.link ?? this.#link);
    const link = {
      up: { ...up, seed: up.seed ?? random.next() },
      down: { ...down, seed: down.seed ?? random.next() },
    };
    const tcp = { ...SIMULATED_SIZES.tcp, ...options.tcp };
    const host = super.addHost(name, { ...SIMULATED_SIZES, secret, ...options, tcp, link });
    this.#links.set(name, new SimulatedLink(this.switch, index, link));
    return host;
  }

  /**
   * The host of that name.
   *
   * @throws {RangeError} there is none
   */
  host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new OptionRangeError(`ixwasm: there is no host "${name}"`);
    return host;
  }

  /**
   * The link between a host and the switch.
   *
   * @throws {RangeError} there is no such host
   */
  link(name: string): SimulatedLink {
    this.host(name);
    return this.#links.get(name)!;
  }

  /**
   * Parts groups of hosts: no frame gets from one group to another, either way. Hosts that are in no
   * group reach all. Partitions add up, until `heal`.
   */
  partition(...groups: readonly Hosts[]): void {
    for (const [index, from] of groups.entries()) {
      for (const [other, to] of groups.entries()) if (other !== index) this.block(from, to);
    }
  }

  /** Lets no frame from one host or group get to another; the other way stays as it is. */
  block(from: Hosts, to: Hosts): void {
    this.#setBlocked(from, to, true);
  }

  /** Takes back what `block` or `partition` did to this way. */
  unblock(from: Hosts, to: Hosts): void {
    this.#setBlocked(from, to, false);
  }

  /** Takes back all partitions and blocks. Links stay as they are. */
  heal(): void {
    const all = [...this.hosts.keys()];
    this.#setBlocked(all, all, false);
  }

  #setBlocked(from: Hosts, to: Hosts, blocked: boolean): void {
    for (const sender of [from].flat()) {
      for (const receiver of [to].flat()) {
        if (sender === receiver) continue;
        this.switch.setBlocked(this.link(sender).port, this.link(receiver).port, blocked);
      }
    }
  }

  // -------------------------------------------------------------------------------------------
  // Time

  /** Virtual time since the beginning, ms. */
  get now(): number {
    return this.runner.now / 1000;
  }

  /** Steps of all hosts so far, and jumps of time: what a run has cost. */
  get effort(): { readonly steps: number; readonly jumps: number } {
    return { steps: this.#driver.steps, jumps: this.#driver.jumps };
  }

  /**
   * Lets time pass until a promise is settled, and hands on its outcome; or that of an async function,
   * which is called at once.
   *
   * @throws {SimulationError} nothing will happen any more, or the limit is over
   */
  async run<T>(
    what: PromiseLike<T> | (() => PromiseLike<T>),
    { limit = this.#limit }: WaitOptions = {},
  ): Promise<T> {
    const promise = typeof what === "function" ? what() : what;
    return this.#driver.until(promise, limit * 1000);
  }

  /** Lets so many milliseconds pass. */
  async advance(milliseconds: number): Promise<void> {
    if (!(milliseconds >= 0 && milliseconds < Infinity)) {
      throw new OptionRangeError(`milliseconds: expected a number from 0 on, got ${milliseconds}`);
    }
    return this.#driver.untilTime(this.runner.now + milliseconds * 1000);
  }

  /**
   * Lets time pass until a condition holds. It is asked whenever everything is quiet, before time
   * passes.
   *
   * @throws {SimulationError} nothing will happen any more, or the limit is over
   */
  async until(condition: () => boolean, { limit = this.#limit }: WaitOptions = {}): Promise<void> {
    return this.#driver.untilTrue(condition, limit * 1000);
  }

  /**
   * Time stands still until a promise is settled that depends on something outside the network: a file,
   * a child process, a thread pool. What comes of it may come in another order in another run.
   */
  async outside<T>(promise: PromiseLike<T>): Promise<T> {
    return this.#driver.hold(promise);
  }

  /** Ends every wait with an error. */
  fail(error: unknown): void {
    this.#driver.fail(error);
  }

  // -------------------------------------------------------------------------------------------
  // Chance and traces

  /** A random number from the seed, in [0, 1), for the application. */
  random(): number {
    return this.#chance.uniform();
  }

  /** A digest of all frames so far: who sent or was given what, when, in which order. */
  trace(): string {
    return this.#recorder.digest();
  }

  /** Frames so far: each counts when it is sent and when it is delivered. */
  get frames(): number {
    return this.#recorder.frames;
  }

  /** The latest frames, as a pcapng file: of all hosts, or of those named. */
  pcapng(...names: string[]): Uint8Array {
    return this.#recorder.pcapng(names.length === 0 ? undefined : names, this.#epoch);
  }

  // -------------------------------------------------------------------------------------------

  /** Stops everything at once and puts the real timers back. */
  override async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#restore();
    await super.close();
  }

  /** Puts virtual timers in the place of the global ones; returns what undoes that. */
  protected install(timers: VirtualTimers, epoch: number): () => void {
    return installGlobals({ timers, epoch, random: () => this.random() });
  }

  /** Has the frames of a port recorded, which is not connected yet. */
  protected observe(port: PortHandle): void {
    this.#recorder.add(port);
  }

  protected override createHost(name: string, address: string, dataplane: Dataplane): Host {
    this.observe(dataplane.port);
    return new Host(this, name, address, dataplane);
  }

  protected override plan(host: Host, wire: SwitchWire): InlineDataplane {
    const capture = this.#recorder;
    return {
      backend: (port, queue) => createBackend(port, queue, wire, { capture }),
      app: ({ ix }) => this.#observed(host.attach(ix)),
    };
  }

  /** The application, whose turns are the driver's to know. */
  #observed(app: App): App {
    return {
      start: app.start && ((ix) => app.start!(ix)),
      handle: (ix, now) => {
        this.#driver.touch();
        app.handle(ix, now);
      },
    };
  }
}

function appTimers(timers: unknown): AppTimers | undefined {
  if (timers === "real") return undefined;
  const given = timers as Partial<AppTimers> | null;
  if (typeof given?.nextDeadline === "function" && typeof given.advanceTo === "function") {
    return given as AppTimers;
  }
  throw new OptionTypeError('timers: expected "real", "virtual" or what fakeTimers() makes');
}
