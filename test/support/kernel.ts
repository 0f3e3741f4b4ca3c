/**
 * One dataplane on a test bench: the test is its NIC, its clock and its application.
 *
 *   test ── inject ──▶ fill/rx rings ──▶ kernel ──▶ tx ring ── sent ──▶ strict parser ──▶ test
 *   test ── calls ───▶ call array ─────▶   │    ──▶ event array ──────▶ contract ───────▶ test
 *
 * Time is virtual and moves only by `advance`. Everything the kernel sends is parsed strictly and
 * everything it reports is held against its contract, whether the test looks at it or not.
 */
import { onTestFinished } from "vitest";
import {
  CALL_SIZE,
  CONFIG_BASE,
  CFG_OFFLOADS,
  CORE_DEADLINE,
  CORE_EVENTS,
  CORE_EVENT_COUNT,
  CORE_HAS_DEADLINE,
  CORE_IN_PROGRESS,
  CORE_PHASE,
  CORE_WORK,
  PHASE_KERNEL,
  RC_OK,
} from "../../assembly/abi.ts";
import { createDataplane, type Dataplane } from "../../host/dataplane/dataplane.ts";
import { instantiateKernel, type KernelExports } from "../../host/dataplane/kernel.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import { ApplicationSide, type Call, type CallResult } from "./application.ts";
import { toHex } from "./bytes.ts";
import { CallArray } from "./call-array.ts";
import { Contract } from "./contract.ts";
import { endAll } from "./ending.ts";
import { decodeEvent, formatEvent, type KernelEvent } from "./events.ts";
import type { KernelBuild } from "./kernels.ts";
import { Log } from "./log.ts";
import { TestNic, type ReceiveOptions } from "./nic.ts";
import { formatPacket, parseFrame, type Host, type Packet } from "./packet.ts";
import { rssHash } from "./toeplitz.ts";

/** The dataplane under test, and the hosts around it. */
export const KERNEL: Host = { mac: "02:00:0a:00:00:01", ip: "10.0.0.1" };
/** The dataplane where IPv6 is spoken. */
export const KERNEL6: Host = { mac: KERNEL.mac, ip: "2001:db8::1" };
export const PEER: Host = { mac: "02:00:0a:00:00:02", ip: "10.0.0.2" };
export const GATEWAY: Host = { mac: "02:00:0a:00:00:fe", ip: "10.0.0.254" };

export interface HarnessOptions extends Omit<DataplaneOptions, "ip" | "kernel"> {
  readonly ip?: string;
  /** Virtual time of the first poll, µs. */
  readonly start?: number;
  /** Another core of a dataplane that has a harness already. */
  readonly sibling?: { readonly of: KernelHarness; readonly core: number };
}

/** A small dataplane that knows its neighbours and computes its checksums itself. */
const DEFAULTS: DataplaneOptions = {
  ip: `${KERNEL.ip}/24`,
  mac: KERNEL.mac,
  neighbours: [PEER, GATEWAY],
  ringSize: 128,
  maxConnections: 64,
  frames: 1024,
  references: 1024,
  applicationWindow: 1 << 20,
  events: 1024,
  calls: 256,
  timers: 64,
  offloads: { rxChecksum: false, txChecksum: false, rxHash: false },
  secret: Uint8Array.from({ length: 16 }, (_, index) => index * 17),
};

/** A packet that the kernel sent, and when, µs. */
export type SentPacket = Packet & { readonly at: number };

/** What a poll may be asked for at most, before a test counts as stuck. */
const POLLS_MAX = 20_000;

export class KernelHarness extends ApplicationSide {
  readonly dataplane: Dataplane;
  /** The NIC's side of each queue pair of the core, and of the first. */
  readonly nics: readonly TestNic[];
  readonly nic: TestNic;
  readonly contract: Contract;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Address of the core's control block. */
  readonly block: number;
  /** Virtual time, µs. */
  now: number;
  /** Packets sent and events reported that the test has not taken. */
  readonly outbox: SentPacket[] = [];
  readonly inbox: KernelEvent[] = [];
  readonly #core: number;
  readonly #module: WebAssembly.Module;
  #kernel: KernelExports;
  readonly #log = new Log();
  readonly #calls: CallArray;

  constructor(build: KernelBuild, options: HarnessOptions = {}) {
    super();
    const { start = 5_000_000, sibling, ...rest } = options;
    this.now = sibling?.of.now ?? start;
    this.dataplane =
      sibling?.of.dataplane ?? createDataplane({ ...DEFAULTS, kernel: build.module, ...rest });
    const core = sibling?.core ?? 0;
    const { memory } = this.dataplane;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.block = this.dataplane.map.cores[core].block;
    this.#core = core;
    this.#module = build.module;
    this.#kernel = this.dataplane.cores[core].attach(this.now);
    const offloads = this.view.getUint32(CONFIG_BASE + CFG_OFFLOADS, true);
    const { port, cores } = this.dataplane;
    this.nics = port.queues
      .filter((_, queue) => queue % cores.length === core)
      .map((queue) => new TestNic(memory, queue, offloads));
    [this.nic] = this.nics;
    this.contract = new Contract(this.bytes);
    this.#calls = new CallArray(this.view, this.block, this.contract, this.#log);
  }

  // ---------------------------------------------------------------------------------------------
  // The NIC's side and the clock

  /** Puts a frame into the rx ring without running the kernel; fails when the NIC has no room. */
  inject(frame: Uint8Array, options: ReceiveOptions = {}): void {
    this.#log.note(this.now, `< ${describeFrame(frame)}`);
    const filled = { hash: rssHash(frame), ...options };
    if (!this.nic.receive(frame, filled)) throw new Error(`rx ring is full\n${this.log()}`);
  }

  /** Injects frames and runs the kernel until it is quiet; time stands still. */
  deliver(...frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      if (this.nic.rx.free === 0) this.poll();
      this.inject(frame);
    }
    this.poll();
  }

  /** One iteration of the kernel. */
  pollOnce(): void {
    this.#kernel.poll(this.now);
    this.#calls.collect(this.now);
    this.#collectEvents();
    this.#collectPackets();
  }

  /** Iterations until nothing is left to do at this time. */
  poll(): void {
    for (let polls = 0; polls < POLLS_MAX; polls++) {
      this.pollOnce();
      const idle = this.#word(CORE_WORK) === 0 && this.#word(CORE_EVENT_COUNT) === 0;
      if (idle && this.nics.every((nic) => nic.rx.used === 0)) return;
    }
    throw new Error(`kernel is busy for ever\n${this.log()}`);
  }

  /** Moves time on by `micros`, running every timer at its own time. */
  advance(micros: number): void {
    const end = this.now + micros;
    this.poll();
    for (let polls = 0; ; polls++) {
      const deadline = this.deadline();
      if (deadline === undefined || deadline > end) break;
      if (polls > POLLS_MAX) throw new Error(`timers never end\n${this.log()}`);
      this.now = Math.max(deadline, this.now);
      this.poll();
    }
    this.now = end;
    this.poll();
  }

  /** When the kernel wants to be polled at the latest, µs; undefined when it has nothing to wait for. */
  deadline(): number | undefined {
    if (this.#word(CORE_HAS_DEADLINE) === 0) return undefined;
    const distance = (this.#word(CORE_DEADLINE) - Math.floor(this.now)) | 0;
    return Math.floor(this.now) + distance;
  }

  /** Advances to the kernel's next deadline and past it by as much as a wheel's tick. */
  advanceToDeadline(): void {
    const deadline = this.deadline();
    if (deadline === undefined) throw new Error(`kernel waits for nothing\n${this.log()}`);
    this.advance(Math.max(deadline - this.now, 0));
  }

  /** Puts a new instance of the kernel in the place of the present one, as an upgrade does. */
  replaceKernel(module: WebAssembly.Module = this.#module): void {
    const kernel = instantiateKernel(module, this.dataplane.memory);
    const code = kernel.adopt(this.#core, this.now);
    if (code !== RC_OK) throw new Error(`adopt said ${code}`);
    this.#kernel = kernel;
  }

  /**
   * The thread ends after so many of the five parts of an iteration, while it works on `connection`, the
   * address of a TCB or 0. What it had sent so far is on its way.
   */
  die(parts: number, connection: number): void {
    for (let part = 0; part < parts; part++) this.#kernel.stage(part, this.now);
    this.#collectPackets();
    this.setWord(CORE_PHASE, PHASE_KERNEL);
    this.setWord(CORE_IN_PROGRESS, connection);
  }

  /** Takes the core over from its thread, which is gone; its application hears nothing of it. */
  rescue(): void {
    const kernel = instantiateKernel(this.#module, this.dataplane.memory);
    const code = kernel.rescue(this.#core, this.now);
    if (code !== RC_OK) throw new Error(`rescue said ${code}`);
    this.#kernel = kernel;
    this.#calls.forget();
    this.contract.forget();
  }

  /** The application of the core has ended, and another begins: the objects of the first go. */
  forgetApplication(): void {
    this.#kernel.forget();
    this.contract.forget();
    this.contract.beginAnew();
  }

  /** Leaves one call in the array for the next poll, as a thread does that ends before it polls. */
  leaveCall(operation: number, handle: number): void {
    this.#calls.leave(operation, handle);
  }

  /** Takes every packet sent so far. */
  sent(): SentPacket[] {
    return this.outbox.splice(0);
  }

  /** Takes every event so far. */
  events(): KernelEvent[] {
    return this.inbox.splice(0);
  }

  /** Takes the oldest event, which must be of that kind. */
  event<K extends KernelEvent["kind"]>(kind: K): Extract<KernelEvent, { kind: K }> {
    const event = this.inbox.shift();
    if (event?.kind !== kind) {
      const found = event ? formatEvent(event) : "none";
      throw new Error(`expected event ${kind}, got ${found}\n${this.log()}`);
    }
    return event as Extract<KernelEvent, { kind: K }>;
  }

  /** Fails when there is an event the test has not taken. */
  noEvents(): void {
    if (this.inbox.length > 0) {
      throw new Error(`unexpected event: ${formatEvent(this.inbox[0])}\n${this.log()}`);
    }
  }

  /** Fails when there is a packet the test has not taken. */
  nothingSent(): void {
    if (this.outbox.length > 0) {
      throw new Error(`unexpected packet: ${formatPacket(this.outbox[0])}\n${this.log()}`);
    }
  }

  // ---------------------------------------------------------------------------------------------
  // The application's side

  override batch(calls: readonly Call[]): CallResult[] {
    this.#calls.submit(calls);
    this.pollOnce();
    const results = this.#calls.takeResults();
    this.poll();
    return results;
  }

  /** As `batch`, but by the kernel's `dispatch`: in mid-round, without protocols or events. */
  dispatch(calls: readonly Call[]): CallResult[] {
    this.#calls.submit(calls);
    this.#kernel.dispatch(this.now);
    this.#calls.collect(this.now);
    return this.#calls.takeResults();
  }

  // ---------------------------------------------------------------------------------------------
  // What the kernel says about itself

  /** A CNT_* counter. */
  counter(offset: number): number {
    return Number(this.view.getBigUint64(this.block + offset, true));
  }

  /** How far CNT_* counters move while `action` runs. */
  counts(offsets: readonly number[], action: () => void): number[] {
    const before = offsets.map((offset) => this.counter(offset));
    action();
    return offsets.map((offset, index) => this.counter(offset) - before[index]);
  }

  /** A GAUGE_* of the core. */
  gauge(offset: number): number {
    return this.view.getInt32(this.block + offset, true);
  }

  /** A u32 of the core's control block. */
  word(offset: number): number {
    return this.#word(offset);
  }

  setWord(offset: number, value: number): void {
    this.view.setUint32(this.block + offset, value, true);
  }

  /** Tells the kernel that the RETA was rewritten. */
  steered(): number {
    return this.#kernel.steered(this.now);
  }

  /** The last packets, events and calls, one line each: part of every failure's message. */
  log(): string {
    return this.#log.text();
  }

  /**
   * Ends everything that is still alive, lets TIME-WAIT and whatever else run out, and asserts that
   * the kernel holds nothing any more.
   */
  finish(): void {
    endAll(this);
  }

  protected override get window(): { readonly address: number; readonly size: number } {
    return this.dataplane.window;
  }

  #word(offset: number): number {
    return this.view.getUint32(this.block + offset, true);
  }

  #collectEvents(): void {
    const base = this.#word(CORE_EVENTS);
    const count = this.#word(CORE_EVENT_COUNT);
    for (let index = 0; index < count; index++) {
      const event = decodeEvent(this.view, base + index * CALL_SIZE, this.now);
      this.#log.note(this.now, `! ${formatEvent(event)}`);
      this.contract.happened(event);
      this.inbox.push(event);
    }
  }

  #collectPackets(): void {
    for (const frame of this.nics.flatMap((nic) => nic.transmit())) {
      this.#log.note(this.now, `> ${describeFrame(frame)}`);
      let packet: Packet;
      try {
        packet = parseFrame(frame);
      } catch (error) {
        throw new Error(`kernel sent nonsense: ${toHex(frame)}\n${this.log()}`, { cause: error });
      }
      this.outbox.push(Object.assign(packet, { at: this.now }));
    }
  }
}

/** A harness that is checked for leaks when its test has passed. */
export function startKernel(build: KernelBuild, options: HarnessOptions = {}): KernelHarness {
  const kernel = new KernelHarness(build, options);
  onTestFinished(({ task }) => {
    if (task.result?.state !== "fail") kernel.finish();
  });
  return kernel;
}

function describeFrame(frame: Uint8Array): string {
  try {
    return formatPacket(parseFrame(frame));
  } catch (error) {
    return `${String(error)}: ${toHex(frame.subarray(0, 64))}`;
  }
}
