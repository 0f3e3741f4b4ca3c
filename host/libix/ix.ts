/**
 * The raw interface to one core of a dataplane: system calls are appended to an array that the kernel
 * runs at the next poll, events are read from an array that the last poll wrote. Both hold 32-byte
 * descriptors (`CALL_*` in assembly/abi.ts, with the table of all calls and events).
 *
 * Every call returns its index in the array. After the next poll `result(index)` is what came of it,
 * until new calls overwrite it: read results first, then make calls. When the array is full the calls
 * made so far are run at once; `onFlush` then sees their results, because their places are reused.
 *
 * Application and kernel alternate on one thread, so there is nothing to synchronise here. Nothing is
 * allocated per call or per event, and no 64-bit number occurs.
 */
import {
  CALL_SIZE,
  CFG_COPY_BREAK,
  CONFIG_BASE,
  CORE_EVENTS,
  CORE_EVENT_COUNT,
  CORE_ID,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  ENDPOINT_PORT,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_LISTEN,
  SYS_NOP,
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
import { IpAddress } from "./ip-address.ts";
import { AppWindow } from "./window.ts";

/** Words of a descriptor, and where its fields are. */
const DESCRIPTOR = CALL_SIZE >>> 2;
const HANDLE = 1;
const COOKIE = 2;
const RESULT = 3;
const A = 4;
const B = 5;
const C = 6;
const D = 7;

export class Ix {
  readonly memory: WebAssembly.Memory;
  /** The whole linear memory as bytes: `bytes[address]`. Packet frames are to be read only. */
  readonly bytes: Uint8Array;
  /** The whole linear memory as words: `words[address >>> 2]`. */
  readonly words: Uint32Array;
  /** Index of this core within its dataplane. */
  readonly core: number;
  /** This core's share of the application's window: memory that sends may refer to. */
  readonly window: AppWindow;
  /** Sends of at least this many bytes are referenced until acknowledged, shorter ones copied. */
  readonly copyBreak: number;
  /** Calls the array holds. */
  readonly callCapacity: number;
  /**
   * Called when a full array was run in mid-round, with the number of results; `result(index)` is
   * valid for them during the callback only. It must not make calls.
   */
  onFlush: ((results: number) => void) | null = null;

  readonly #dispatch: () => void;
  readonly #words: Uint32Array;
  readonly #signed: Int32Array;
  /** Word indices of the arrays and of their counts. */
  readonly #calls: number;
  readonly #callCount: number;
  readonly #capacity: number;
  readonly #events: number;
  readonly #eventCount: number;
  /** Calls made since results were last taken or flushed. */
  #issued = 0;

  /**
   * `coreBlock` is the address of the core's control block; `dispatch` runs the calls in the array
   * (the kernel's `dispatch` export with the current time).
   */
  constructor(memory: WebAssembly.Memory, coreBlock: number, dispatch: () => void) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.#dispatch = dispatch;
    this.#words = this.words;
    this.#signed = new Int32Array(memory.buffer);
    const word = (offset: number): number => this.words[(coreBlock + offset) >>> 2];
    this.#calls = word(CORE_SYSCALLS) >>> 2;
    this.#callCount = (coreBlock + CORE_SYSCALL_COUNT) >>> 2;
    this.#capacity = word(CORE_SYSCALL_CAPACITY);
    this.#events = word(CORE_EVENTS) >>> 2;
    this.#eventCount = (coreBlock + CORE_EVENT_COUNT) >>> 2;
    this.callCapacity = this.#capacity;
    this.core = word(CORE_ID);
    this.copyBreak = this.words[(CONFIG_BASE + CFG_COPY_BREAK) >>> 2];
    this.window = AppWindow.ofCore(memory, this.core);
  }

  // -------------------------------------------------------------------------------------------
  // Results

  /** Calls that wait for the next poll. */
  get pendingCalls(): number {
    return this.#words[this.#callCount];
  }

  /** How many calls the last poll ran. Their results are asked for once: then it is 0 again. */
  takeResults(): number {
    if (this.#words[this.#callCount] !== 0) return 0;
    const results = this.#issued;
    this.#issued = 0;
    return results;
  }

  /** Result of the call at `index`: RC_OK, a number of bytes, or a negative RC_* code. */
  result(index: number): number {
    return this.#signed[this.#calls + index * DESCRIPTOR + RESULT];
  }

  /** Handle that the call at `index` made, or was given. */
  resultHandle(index: number): number {
    return this.#words[this.#calls + index * DESCRIPTOR + HANDLE];
  }

  /** Cookie that the call at `index` was given. */
  resultCookie(index: number): number {
    return this.#words[this.#calls + index * DESCRIPTOR + COOKIE];
  }

  /** The operation of the call at `index`, a SYS_* number. */
  resultOperation(index: number): number {
    return this.#words[this.#calls + index * DESCRIPTOR] & 0xffff;
  }

  /** First value of the call at `index`: of send and recv_done the address and the bytes asked for. */
  callA(index: number): number {
    return this.#words[this.#calls + index * DESCRIPTOR + A];
  }

  /** Second value of the call at `index`: of send the length asked for. */
  callB(index: number): number {
    return this.#words[this.#calls + index * DESCRIPTOR + B];
  }

  /** The port that the udp_bind at `index` was given. */
  resultPort(index: number): number {
    return this.#words[this.#calls + index * DESCRIPTOR + A];
  }

  /** Runs the calls made so far without waiting for the poll, and hands their results to `onFlush`. */
  flush(): void {
    const results = this.#words[this.#callCount];
    if (results === 0) return;
    this.#dispatch();
    this.#words[this.#callCount] = 0;
    this.#issued = 0;
    this.onFlush?.(results);
  }

  /** Does nothing, but makes the elastic thread come back to the application after the next poll. */
  nop(): number {
    return this.#claim(SYS_NOP, 0, 0);
  }

  // -------------------------------------------------------------------------------------------
  // TCP calls. A cookie is any u32; what it means is up to the application.

  /** Opens a connection. `connected` tells how it went, unless the result already says why not. */
  connect(cookie: number, to: IpAddress, port: number, sourcePort = 0, flags = 0): number {
    const index = this.#claim(
      SYS_CONNECT | (flags << 16),
      (port | (sourcePort << 16)) >>> 0,
      cookie,
    );
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at + A] = to.w0;
    this.#words[at + B] = to.w1;
    this.#words[at + C] = to.w2;
    this.#words[at + D] = to.w3;
    return index;
  }

  /** Takes a connection that knocked; its events carry `cookie` from now on. */
  accept(handle: number, cookie: number, flags = 0): number {
    return this.#claim(SYS_ACCEPT | (flags << 16), handle, cookie);
  }

  /** Refuses a connection that knocked, with RST. */
  reject(handle: number): number {
    return this.#claim(SYS_REJECT, handle, 0);
  }

  /**
   * Sends `length` bytes at `address`, which must not change until acknowledged when they are
   * `copyBreak` or more. The result is how many were accepted, perhaps fewer or none: `sent` then
   * says when to go on.
   */
  send(handle: number, address: number, length: number, cookie = 0, flags = 0): number {
    const index = this.#claim(SYS_SEND | (flags << 16), handle, cookie);
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at + A] = address;
    this.#words[at + B] = length;
    return index;
  }

  /** Sends what `entries` {address, length} pairs at `vector` refer to, at most SG_MAX of them. */
  sendv(handle: number, vector: number, entries: number, cookie = 0, flags = 0): number {
    const index = this.#claim(SYS_SENDV | (flags << 16), handle, cookie);
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at + A] = vector;
    this.#words[at + B] = entries;
    return index;
  }

  /** Gives back the next `bytes` received: their frames are freed, the receive window opens. */
  recvDone(handle: number, bytes: number, cookie = 0): number {
    const index = this.#claim(SYS_RECV_DONE, handle, cookie);
    this.#words[this.#calls + index * DESCRIPTOR + A] = bytes;
    return index;
  }

  /** Ends the sending direction (FIN) once everything accepted is out; receiving goes on. */
  shutdown(handle: number, cookie = 0): number {
    return this.#claim(SYS_SHUTDOWN, handle, cookie);
  }

  /** Ends the connection in order; `dead` comes when all data and the FIN are acknowledged. */
  close(handle: number, cookie = 0): number {
    return this.#claim(SYS_CLOSE, handle, cookie);
  }

  /** Ends the connection at once, with RST. The handle is gone when the result is RC_OK. */
  abort(handle: number, cookie = 0): number {
    return this.#claim(SYS_ABORT, handle, cookie);
  }

  /** Listens on a TCP port; `knock` events carry `cookie`. The result's handle is the listener. */
  listen(cookie: number, port: number, backlog: number, flags = 0): number {
    const index = this.#claim(SYS_LISTEN | (flags << 16), 0, cookie);
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at + A] = port;
    this.#words[at + B] = backlog;
    return index;
  }

  unlisten(listener: number, cookie = 0): number {
    return this.#claim(SYS_UNLISTEN, listener, cookie);
  }

  // -------------------------------------------------------------------------------------------
  // UDP calls

  /** Binds a UDP port, 0 for any free one. The result's handle is the port's, `resultPort` its number. */
  udpBind(cookie: number, port: number): number {
    const index = this.#claim(SYS_UDP_BIND, 0, cookie);
    this.#words[this.#calls + index * DESCRIPTOR + A] = port;
    return index;
  }

  udpUnbind(udpPort: number, cookie = 0): number {
    return this.#claim(SYS_UDP_UNBIND, udpPort, cookie);
  }

  /** Sends a datagram of `length` bytes at `address` to the endpoint record at `endpoint`. */
  udpSend(udpPort: number, address: number, length: number, endpoint: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_SEND, udpPort, cookie);
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at + A] = address;
    this.#words[at + B] = length;
    this.#words[at + C] = endpoint;
    return index;
  }

  /** Sends a datagram gathered from `entries` {address, length} pairs at `vector`. */
  udpSendv(udpPort: number, vector: number, entries: number, endpoint: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_SENDV, udpPort, cookie);
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at + A] = vector;
    this.#words[at + B] = entries;
    this.#words[at + C] = endpoint;
    return index;
  }

  /** Gives back the datagram whose `udp_recv` carried `token`. */
  udpRecvDone(udpPort: number, token: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_RECV_DONE, udpPort, cookie);
    this.#words[this.#calls + index * DESCRIPTOR + A] = token;
    return index;
  }

  // -------------------------------------------------------------------------------------------
  // Timers

  /** Asks for one `timer` event after `delay` µs. The result's handle is the timer. */
  timerSet(cookie: number, delay: number): number {
    const index = this.#claim(SYS_TIMER_SET, 0, cookie);
    this.#words[this.#calls + index * DESCRIPTOR + A] = delay;
    return index;
  }

  timerCancel(timer: number, cookie = 0): number {
    return this.#claim(SYS_TIMER_CANCEL, timer, cookie);
  }

  // -------------------------------------------------------------------------------------------
  // Events of the last poll, by index from 0 to eventCount - 1

  get eventCount(): number {
    return this.#words[this.#eventCount];
  }

  /** EV_* number. */
  eventOp(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR] & 0xffff;
  }

  eventHandle(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + HANDLE];
  }

  eventCookie(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + COOKIE];
  }

  /** connected: outcome. dead: reason. Both RC_* codes. */
  eventResult(index: number): number {
    return this.#signed[this.#events + index * DESCRIPTOR + RESULT];
  }

  /** recv, udp_recv: address of the data. sent, dead, udp_sent: bytes. connected: local port. */
  eventA(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + A];
  }

  /** recv, udp_recv: length; a recv of 0 bytes is the peer's FIN. sent: bytes a send would take. */
  eventB(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + B];
  }

  /** udp_recv: address of the sender's endpoint record. */
  eventC(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + C];
  }

  /** udp_recv: token for `udpRecvDone`. */
  eventD(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + D];
  }

  /** knock: the peer's port. */
  knockRemotePort(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + RESULT] & 0xffff;
  }

  /** knock: the port that was listened on. */
  knockLocalPort(index: number): number {
    return this.#words[this.#events + index * DESCRIPTOR + RESULT] >>> 16;
  }

  /** knock: the peer's address, written into `into` when given. */
  knockAddress(index: number, into: IpAddress = new IpAddress()): IpAddress {
    return this.readAddress((this.#events + index * DESCRIPTOR + A) << 2, into);
  }

  // -------------------------------------------------------------------------------------------
  // Bytes in memory

  /** A view of `length` bytes at `address`, for code that wants a Uint8Array; allocates the view. */
  view(address: number, length: number): Uint8Array {
    return this.bytes.subarray(address, address + length);
  }

  /** Copies bytes into memory, normally into a block of the window. */
  write(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, address);
  }

  /** Writes a {address, length} pair, entry number `entry` of the vector at `vector`. */
  writeVector(vector: number, entry: number, address: number, length: number): void {
    const at = (vector >>> 2) + entry * 2;
    this.#words[at] = address;
    this.#words[at + 1] = length;
  }

  /** Writes an endpoint record (`ENDPOINT_SIZE` bytes) for UDP sends. */
  writeEndpoint(endpoint: number, address: IpAddress, port: number): void {
    const at = endpoint >>> 2;
    this.#words[at] = address.w0;
    this.#words[at + 1] = address.w1;
    this.#words[at + 2] = address.w2;
    this.#words[at + 3] = address.w3;
    this.#words[at + (ENDPOINT_PORT >>> 2)] = port;
  }

  /** The port of an endpoint record. */
  endpointPort(endpoint: number): number {
    return this.#words[(endpoint + ENDPOINT_PORT) >>> 2] & 0xffff;
  }

  /** Reads the 16 bytes of an IP address, as an endpoint record begins with. */
  readAddress(address: number, into: IpAddress = new IpAddress()): IpAddress {
    const at = address >>> 2;
    into.w0 = this.#words[at];
    into.w1 = this.#words[at + 1];
    into.w2 = this.#words[at + 2];
    into.w3 = this.#words[at + 3];
    return into;
  }

  /** Takes the next place in the call array and fills in what all calls have. */
  #claim(operation: number, handle: number, cookie: number): number {
    let index = this.#words[this.#callCount];
    if (index >= this.#capacity) {
      this.flush();
      index = 0;
    }
    const at = this.#calls + index * DESCRIPTOR;
    this.#words[at] = operation;
    this.#words[at + HANDLE] = handle;
    this.#words[at + COOKIE] = cookie;
    this.#words[this.#callCount] = index + 1;
    this.#issued = index + 1;
    return index;
  }
}
