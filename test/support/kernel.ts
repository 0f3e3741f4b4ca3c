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
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_D,
  CALL_HANDLE,
  CALL_OP,
  CALL_RESULT,
  CALL_SIZE,
  CONFIG_BASE,
  CFG_OFFLOADS,
  CORE_DEADLINE,
  CORE_EVENTS,
  CORE_EVENT_COUNT,
  CORE_HAS_DEADLINE,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  CORE_WORK,
  ENDPOINT_PORT,
  ENDPOINT_SIZE,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_FILL,
  GAUGE_NEIGHBOUR_PENDING,
  GAUGE_TIME_WAIT,
  GAUGE_TIMERS,
  RC_OK,
  SG_SIZE,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_LISTEN,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
  SYS_UDP_RECV_DONE,
  SYS_UDP_SEND,
  SYS_UDP_SENDV,
  SYS_UDP_UNBIND,
  SYS_UNLISTEN,
} from "../../assembly/abi.ts";
import { createDataplane, type Dataplane } from "../../host/dataplane/dataplane.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import { toHex } from "./bytes.ts";
import { Contract } from "./contract.ts";
import { decodeEvent, formatEvent, type KernelEvent } from "./events.ts";
import type { KernelBuild } from "./kernels.ts";
import { TestNic, type ReceiveOptions } from "./nic.ts";
import { formatPacket, mappedBytes, parseFrame, type Host, type Packet } from "./packet.ts";
import { rssHash } from "./toeplitz.ts";

/** The dataplane under test, and the hosts around it. */
export const KERNEL: Host = { mac: "02:00:0a:00:00:01", ip: "10.0.0.1" };
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

export interface Call {
  readonly op: number;
  readonly handle?: number;
  readonly cookie?: number;
  /** FLAG_* */
  readonly flags?: number;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly d?: number;
}

export interface CallResult {
  readonly result: number;
  readonly handle: number;
  readonly cookie: number;
  readonly a: number;
}

/** What a poll may be asked for at most, before a test counts as stuck. */
const POLLS_MAX = 20_000;
const LOG_LINES = 40;

export class KernelHarness {
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
  readonly #core: Dataplane["cores"][number];
  readonly #log: string[] = [];
  readonly #queued: Call[] = [];
  readonly #results: CallResult[] = [];
  #allocated = 0;
  #cookies = 0;

  constructor(build: KernelBuild, options: HarnessOptions = {}) {
    const { start = 5_000_000, sibling, ...rest } = options;
    this.now = sibling?.of.now ?? start;
    this.dataplane =
      sibling?.of.dataplane ?? createDataplane({ ...DEFAULTS, kernel: build.module, ...rest });
    const core = sibling?.core ?? 0;
    const { memory } = this.dataplane;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.block = this.dataplane.map.cores[core].block;
    this.#core = this.dataplane.cores[core];
    this.#core.attach(this.now);
    const offloads = this.view.getUint32(CONFIG_BASE + CFG_OFFLOADS, true);
    const { port, cores } = this.dataplane;
    this.nics = port.queues
      .filter((_, queue) => queue % cores.length === core)
      .map((queue) => new TestNic(memory, queue, offloads));
    [this.nic] = this.nics;
    this.contract = new Contract(this.bytes);
  }

  // ---------------------------------------------------------------------------------------------
  // The NIC's side and the clock

  /** Puts a frame into the rx ring without running the kernel; fails when the NIC has no room. */
  inject(frame: Uint8Array, options: ReceiveOptions = {}): void {
    this.#note(`< ${describeFrame(frame)}`);
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
    this.#core.poll(this.now);
    this.#collectResults();
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

  /** Makes one call, runs the kernel, and returns what came of it. */
  call(call: Call): CallResult {
    return this.batch([call])[0];
  }

  /** Makes calls in one batch, runs the kernel until it is quiet, and returns their results. */
  batch(calls: readonly Call[]): CallResult[] {
    this.#submit(calls);
    this.pollOnce();
    const results = this.#results.splice(0);
    this.poll();
    return results;
  }

  /** As `batch`, but by the kernel's `dispatch`: in mid-round, without protocols or events. */
  dispatch(calls: readonly Call[]): CallResult[] {
    this.#submit(calls);
    this.#core.dispatch(this.now);
    this.#collectResults();
    return this.#results.splice(0);
  }

  /** A cookie nobody has used. */
  cookie(): number {
    return ++this.#cookies + 0xc0000000;
  }

  listen(port: number, { backlog = 16, flags = 0, cookie = this.cookie() } = {}): CallResult {
    return this.call({ op: SYS_LISTEN, cookie, flags, a: port, b: backlog });
  }

  unlisten(listener: number): number {
    return this.call({ op: SYS_UNLISTEN, handle: listener }).result;
  }

  connect(
    ip: string,
    port: number,
    { sourcePort = 0, flags = 0, cookie = this.cookie() } = {},
  ): CallResult {
    return this.call(connectCall(ip, port, { sourcePort, flags, cookie }));
  }

  accept(handle: number, { flags = 0, cookie = this.cookie() } = {}): number {
    return this.call({ op: SYS_ACCEPT, handle, cookie, flags }).result;
  }

  reject(handle: number): number {
    return this.call({ op: SYS_REJECT, handle }).result;
  }

  /** Puts bytes into the window and sends them. */
  send(handle: number, data: Uint8Array, { flags = 0 } = {}): number {
    const address = this.write(data);
    return this.call({ op: SYS_SEND, handle, flags, a: address, b: data.length }).result;
  }

  /** Puts parts into the window, each on its own, and sends them as one vector. */
  sendv(handle: number, parts: readonly Uint8Array[], { flags = 0 } = {}): number {
    const vector = this.writeVector(parts);
    return this.call({ op: SYS_SENDV, handle, flags, a: vector, b: parts.length }).result;
  }

  recvDone(handle: number, bytes: number): number {
    return this.call({ op: SYS_RECV_DONE, handle, a: bytes }).result;
  }

  shutdown(handle: number): number {
    return this.call({ op: SYS_SHUTDOWN, handle }).result;
  }

  close(handle: number): number {
    return this.call({ op: SYS_CLOSE, handle }).result;
  }

  abort(handle: number): number {
    return this.call({ op: SYS_ABORT, handle }).result;
  }

  udpBind(port: number, { cookie = this.cookie() } = {}): CallResult {
    return this.call({ op: SYS_UDP_BIND, cookie, a: port });
  }

  udpUnbind(handle: number): number {
    return this.call({ op: SYS_UDP_UNBIND, handle }).result;
  }

  udpSend(
    handle: number,
    data: Uint8Array,
    to: { ip: string; port: number },
    { cookie = 0 } = {},
  ): number {
    const a = this.write(data);
    const c = this.writeEndpoint(to.ip, to.port);
    return this.call({ op: SYS_UDP_SEND, handle, cookie, a, b: data.length, c }).result;
  }

  udpSendv(
    handle: number,
    parts: readonly Uint8Array[],
    to: { ip: string; port: number },
    { cookie = 0 } = {},
  ): number {
    const a = this.writeVector(parts);
    const c = this.writeEndpoint(to.ip, to.port);
    return this.call({ op: SYS_UDP_SENDV, handle, cookie, a, b: parts.length, c }).result;
  }

  udpRecvDone(handle: number, token: number): number {
    return this.call({ op: SYS_UDP_RECV_DONE, handle, a: token }).result;
  }

  timerSet(delay: number, { cookie = this.cookie() } = {}): CallResult {
    return this.call({ op: SYS_TIMER_SET, cookie, a: delay });
  }

  timerCancel(handle: number): number {
    return this.call({ op: SYS_TIMER_CANCEL, handle }).result;
  }

  /** Memory of the application, eight-byte aligned; handed out in turn, round the window. */
  alloc(length: number): number {
    const { address, size } = this.dataplane.window;
    if (length > size) throw new RangeError(`window holds ${size} bytes, not ${length}`);
    if (this.#allocated + length > size) this.#allocated = 0;
    const at = address + this.#allocated;
    this.#allocated += (length + 7) & ~7;
    return at;
  }

  /** Copies bytes into the window and returns their address. */
  write(data: Uint8Array): number {
    const address = this.alloc(data.length);
    this.bytes.set(data, address);
    return address;
  }

  writeVector(parts: readonly Uint8Array[]): number {
    const entries = parts.map((part) => [this.write(part), part.length] as const);
    return this.writeEntries(entries);
  }

  /** A scatter-gather array of {address, length} as given, however wrong. */
  writeEntries(entries: readonly (readonly [address: number, length: number])[]): number {
    const vector = this.alloc(Math.max(entries.length, 1) * SG_SIZE);
    entries.forEach(([address, length], index) => {
      this.view.setUint32(vector + index * SG_SIZE, address, true);
      this.view.setUint32(vector + index * SG_SIZE + 4, length, true);
    });
    return vector;
  }

  writeEndpoint(ip: string, port: number): number {
    const endpoint = this.alloc(ENDPOINT_SIZE);
    this.bytes.set(mappedBytes(ip), endpoint);
    this.view.setUint32(endpoint + ENDPOINT_PORT, port, true);
    return endpoint;
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

  /** The last packets, events and calls, one line each: part of every failure's message. */
  log(): string {
    return this.#log.slice(-LOG_LINES).join("\n");
  }

  /**
   * Ends everything that is still alive, lets TIME-WAIT and whatever else run out, and asserts that
   * the kernel holds nothing any more.
   */
  finish(): void {
    this.nic.stalled = false;
    this.nic.holdCompletions = false;
    this.nic.complete();
    this.contract.checkHeld();
    const { connections, listeners, udpPorts, timers } = this.contract;
    for (const listener of listeners) this.#mustSucceed("unlisten", this.unlisten(listener));
    for (const [handle, held] of udpPorts) {
      for (const token of held.keys()) {
        this.#mustSucceed("udp_recv_done", this.udpRecvDone(handle, token));
      }
      this.#mustSucceed("udp_unbind", this.udpUnbind(handle));
    }
    for (const timer of timers) this.#mustSucceed("timer_cancel", this.timerCancel(timer));
    for (const handle of connections.keys()) this.#mustSucceed("abort", this.abort(handle));
    // Half-open connections and TIME-WAIT end by time alone; ARP gives up after 3 s.
    this.advance(5_000_000);
    for (let minutes = 0; minutes < 20 && this.#inUse().length > 0; minutes++) {
      this.advance(60_000_000);
    }
    const inUse = this.#inUse();
    if (inUse.length > 0) throw new Error(`leak: ${inUse.join(", ")}\n${this.log()}`);
    const fill = this.gauge(GAUGE_FILL);
    const held = this.nics.reduce((sum, nic) => sum + nic.held, 0);
    if (fill !== held) {
      throw new Error(`GAUGE_FILL is ${fill}, the NIC holds ${held}\n${this.log()}`);
    }
    if (this.dataplane.cores.length === 1) this.dataplane.assertNoLeaks();
    this.dataplane.close();
  }

  #inUse(): string[] {
    const gauges = {
      buffers: GAUGE_BUFFERS,
      connections: GAUGE_CONNECTIONS,
      timers: GAUGE_TIMERS,
      "neighbour pending": GAUGE_NEIGHBOUR_PENDING,
      "time-wait": GAUGE_TIME_WAIT,
    };
    return Object.entries(gauges)
      .map(([name, offset]) => [name, this.gauge(offset)] as const)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => `${name} ${value}`);
  }

  #mustSucceed(call: string, result: number): void {
    if (result !== RC_OK) throw new Error(`finish: ${call} said ${result}\n${this.log()}`);
  }

  #word(offset: number): number {
    return this.view.getUint32(this.block + offset, true);
  }

  #submit(calls: readonly Call[]): void {
    const base = this.#word(CORE_SYSCALLS);
    const waiting = this.#word(CORE_SYSCALL_COUNT);
    if (waiting !== 0) throw new Error(`${waiting} calls still wait`);
    if (calls.length > this.#word(CORE_SYSCALL_CAPACITY)) {
      throw new RangeError(`${calls.length} calls exceed the array`);
    }
    calls.forEach((call, index) => {
      this.contract.calling(call.op, call.handle ?? 0, call.a ?? 0);
      const at = base + index * CALL_SIZE;
      this.view.setUint32(at + CALL_OP, (call.op | ((call.flags ?? 0) << 16)) >>> 0, true);
      this.view.setUint32(at + CALL_HANDLE, call.handle ?? 0, true);
      this.view.setUint32(at + CALL_COOKIE, call.cookie ?? 0, true);
      this.view.setUint32(at + CALL_RESULT, 0x5a5a5a5a, true);
      this.view.setUint32(at + CALL_A, call.a ?? 0, true);
      this.view.setUint32(at + CALL_B, call.b ?? 0, true);
      this.view.setUint32(at + CALL_C, call.c ?? 0, true);
      this.view.setUint32(at + CALL_D, call.d ?? 0, true);
    });
    this.view.setUint32(this.block + CORE_SYSCALL_COUNT, calls.length, true);
    this.#queued.push(...calls);
  }

  #collectResults(): void {
    const base = this.#word(CORE_SYSCALLS);
    this.#queued.splice(0).forEach((call, index) => {
      const at = base + index * CALL_SIZE;
      const result: CallResult = {
        result: this.view.getInt32(at + CALL_RESULT, true),
        handle: this.view.getUint32(at + CALL_HANDLE, true),
        cookie: this.view.getUint32(at + CALL_COOKIE, true),
        a: this.view.getUint32(at + CALL_A, true),
      };
      this.#note(
        `= call ${call.op} #${(call.handle ?? 0).toString(16)} a ${call.a} b ${call.b}: ` +
          `${result.result} #${result.handle.toString(16)}`,
      );
      if (result.cookie !== (call.cookie ?? 0)) {
        throw new Error(`call ${call.op} came back with another cookie\n${this.log()}`);
      }
      this.contract.called({
        op: call.op,
        handle: call.handle ?? 0,
        cookie: call.cookie ?? 0,
        a: call.a ?? 0,
        flags: call.flags ?? 0,
        result: result.result,
        resultHandle: result.handle,
      });
      this.#results.push(result);
    });
  }

  #collectEvents(): void {
    const base = this.#word(CORE_EVENTS);
    const count = this.#word(CORE_EVENT_COUNT);
    for (let index = 0; index < count; index++) {
      const event = decodeEvent(this.view, base + index * CALL_SIZE, this.now);
      this.#note(`! ${formatEvent(event)}`);
      this.contract.happened(event);
      this.inbox.push(event);
    }
  }

  #collectPackets(): void {
    for (const frame of this.nics.flatMap((nic) => nic.transmit())) {
      this.#note(`> ${describeFrame(frame)}`);
      let packet: Packet;
      try {
        packet = parseFrame(frame);
      } catch (error) {
        throw new Error(`kernel sent nonsense: ${toHex(frame)}\n${this.log()}`, { cause: error });
      }
      this.outbox.push(Object.assign(packet, { at: this.now }));
    }
  }

  #note(line: string): void {
    this.#log.push(`${this.now} ${line}`);
    if (this.#log.length > 4 * LOG_LINES) this.#log.splice(0, 2 * LOG_LINES);
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

/** The descriptor of a connect. */
export function connectCall(
  ip: string,
  port: number,
  { sourcePort = 0, flags = 0, cookie = 0 } = {},
): Call {
  const [a, b, c, d] = addressWords(ip);
  const handle = (port | (sourcePort << 16)) >>> 0;
  return { op: SYS_CONNECT, flags, cookie, handle, a, b, c, d };
}

/** An address as the four words that lie in memory. */
export function addressWords(ip: string): [number, number, number, number] {
  const view = new DataView(mappedBytes(ip).buffer);
  return [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [number, number, number, number];
}

function describeFrame(frame: Uint8Array): string {
  try {
    return formatPacket(parseFrame(frame));
  } catch (error) {
    return `${String(error)}: ${toHex(frame.subarray(0, 64))}`;
  }
}
