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
  CFG_COPY_BREAK,
  CFG_FAST_OPEN,
  CFG_SHARED_WINDOW,
  CFG_WINDOW,
  CONFIG_BASE,
  CORE_EVENTS,
  CORE_EVENT_CAPACITY,
  CORE_EVENT_COUNT,
  CORE_ID,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  ENDPOINT_PORT,
  FAST_OPEN_CLIENT,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_LISTEN,
  SYS_NOP,
  SYS_OPTION,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_TAG,
  SYS_TCP_INFO,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
  SYS_UDP_CONNECT,
  SYS_UDP_JOIN,
  SYS_UDP_LEAVE,
  SYS_UDP_RECV_DONE,
  SYS_UDP_SEND,
  SYS_UDP_SENDV,
  SYS_UDP_UNBIND,
  SYS_UNLISTEN,
} from "../../assembly/abi.ts";
import { Descriptors } from "./descriptors.ts";
import { IpAddress } from "./ip-address.ts";
import { AppWindow } from "./window.ts";

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
  /**
   * Memory that the applications of all cores share, to which sends may refer as well: zeros at first, and
   * left alone when cores come and go. Its size is the dataplane's option `sharedWindow`.
   */
  readonly shared: { readonly address: number; readonly size: number };
  /** Sends of at least this many bytes are referenced until acknowledged, shorter ones copied. */
  readonly copyBreak: number;
  /** Whether `connectSend` may be called: the dataplane's option `tcp.fastOpen.client`. */
  readonly canConnectSend: boolean;
  /** Calls the array holds. */
  readonly callCapacity: number;
  /**
   * Called when a full array was run in mid-round, with the number of results; `result(index)` is
   * valid for them during the callback only. It must not make calls.
   */
  onFlush: ((results: number) => void) | null = null;

  readonly #dispatch: () => void;
  readonly #calls: Descriptors;
  readonly #events: Descriptors;
  /** One word each: calls that wait, events of the last poll. */
  readonly #callCount: Uint32Array;
  readonly #eventCount: Uint32Array;
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
    const word = (offset: number): number => this.words[(coreBlock + offset) >>> 2];
    this.callCapacity = word(CORE_SYSCALL_CAPACITY);
    this.#calls = new Descriptors(memory, word(CORE_SYSCALLS), this.callCapacity);
    this.#events = new Descriptors(memory, word(CORE_EVENTS), word(CORE_EVENT_CAPACITY));
    this.#callCount = new Uint32Array(memory.buffer, coreBlock + CORE_SYSCALL_COUNT, 1);
    this.#eventCount = new Uint32Array(memory.buffer, coreBlock + CORE_EVENT_COUNT, 1);
    this.core = word(CORE_ID);
    this.copyBreak = this.words[(CONFIG_BASE + CFG_COPY_BREAK) >>> 2];
    const fastOpen = this.words[(CONFIG_BASE + CFG_FAST_OPEN) >>> 2];
    this.canConnectSend = (fastOpen & FAST_OPEN_CLIENT) !== 0;
    this.window = AppWindow.ofCore(memory, this.core);
    this.shared = {
      address: this.words[(CONFIG_BASE + CFG_WINDOW) >>> 2],
      size: this.words[(CONFIG_BASE + CFG_SHARED_WINDOW) >>> 2],
    };
  }

  // -------------------------------------------------------------------------------------------
  // Results

  /** Calls that wait for the next poll. */
  get pendingCalls(): number {
    return this.#callCount[0];
  }

  /** How many calls the last poll ran. Their results are asked for once: then it is 0 again. */
  takeResults(): number {
    if (this.#callCount[0] !== 0) return 0;
    const results = this.#issued;
    this.#issued = 0;
    return results;
  }

  /** Result of the call at `index`: RC_OK, a number of bytes, or a negative RC_* code. */
  result(index: number): number {
    return this.#calls.result[index << 3];
  }

  /** Handle that the call at `index` made, or was given. */
  resultHandle(index: number): number {
    return this.#calls.handle[index << 3];
  }

  /** Cookie that the call at `index` was given. */
  resultCookie(index: number): number {
    return this.#calls.cookie[index << 3];
  }

  /** The operation of the call at `index`, a SYS_* number. */
  resultOperation(index: number): number {
    return this.#calls.operation[index << 4];
  }

  /** First value of the call at `index`: of send and recv_done the address and the bytes asked for. */
  callA(index: number): number {
    return this.#calls.a[index << 3];
  }

  /** Second value of the call at `index`: of send the length asked for. */
  callB(index: number): number {
    return this.#calls.b[index << 3];
  }

  /** The port that the udp_bind at `index` was given. */
  resultPort(index: number): number {
    return this.#calls.a[index << 3];
  }

  /** Runs the calls made so far without waiting for the poll, and hands their results to `onFlush`. */
  flush(): void {
    const results = this.#callCount[0];
    if (results === 0) return;
    this.#dispatch();
    this.#callCount[0] = 0;
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
    const ports = (port | (sourcePort << 16)) >>> 0;
    return this.#claimWithAddress(SYS_CONNECT | (flags << 16), ports, cookie, to);
  }

  /**
   * Opens a connection to the endpoint record at `endpoint`, with data for its SYN (RFC 7413) where the server's
   * cookie is known: only for what the server may see twice. The result is how many bytes were taken, none when
   * the SYN has to ask for a cookie first; the rest is to be sent when `connected` came.
   */
  connectSend(
    cookie: number,
    endpoint: number,
    address: number,
    length: number,
    sourcePort = 0,
    flags = 0,
  ): number {
    const index = this.#claim(SYS_CONNECT_SEND | (flags << 16), sourcePort, cookie);
    const at = index << 3;
    this.#calls.a[at] = address;
    this.#calls.b[at] = length;
    this.#calls.c[at] = endpoint;
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
    const at = index << 3;
    this.#calls.a[at] = address;
    this.#calls.b[at] = length;
    return index;
  }

  /** Sends what `entries` {address, length} pairs at `vector` refer to, at most SG_MAX of them. */
  sendv(handle: number, vector: number, entries: number, cookie = 0, flags = 0): number {
    const index = this.#claim(SYS_SENDV | (flags << 16), handle, cookie);
    const at = index << 3;
    this.#calls.a[at] = vector;
    this.#calls.b[at] = entries;
    return index;
  }

  /** Gives back the next `bytes` received: their frames are freed, the receive window opens. */
  recvDone(handle: number, bytes: number, cookie = 0): number {
    const index = this.#claim(SYS_RECV_DONE, handle, cookie);
    this.#calls.a[index << 3] = bytes;
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

  /**
   * Listens on a TCP port; `knock` events carry `cookie`. The result's handle is the listener. Up to `fastOpen`
   * connections at a time may be opened by their SYN, with data, before their handshake is over.
   */
  listen(cookie: number, port: number, backlog: number, flags = 0, fastOpen = 0): number {
    const index = this.#claim(SYS_LISTEN | (flags << 16), 0, cookie);
    const at = index << 3;
    this.#calls.a[at] = port;
    this.#calls.b[at] = backlog;
    this.#calls.c[at] = fastOpen;
    return index;
  }

  unlisten(listener: number, cookie = 0): number {
    return this.#claim(SYS_UNLISTEN, listener, cookie);
  }

  /** Stores a number with the connection, which travels along when it moves to another core. */
  tag(handle: number, tag: number, cookie = 0): number {
    const index = this.#claim(SYS_TAG, handle, cookie);
    this.#calls.a[index << 3] = tag;
    return index;
  }

  /** Has what is known of a connection written to a record of TCP_INFO_SIZE bytes in the window. */
  tcpInfo(handle: number, record: number, cookie = 0): number {
    const index = this.#claim(SYS_TCP_INFO, handle, cookie);
    this.#calls.a[index << 3] = record;
    return index;
  }

  /** Changes how a connection, or a listener, behaves; `option` is one of `OPTION_*`, which says what the values mean. */
  option(handle: number, option: number, b: number, c = 0, d = 0, cookie = 0): number {
    const index = this.#claim(SYS_OPTION, handle, cookie);
    const at = index << 3;
    this.#calls.a[at] = option;
    this.#calls.b[at] = b;
    this.#calls.c[at] = c;
    this.#calls.d[at] = d;
    return index;
  }

  // -------------------------------------------------------------------------------------------
  // UDP calls

  /** Binds a UDP port, 0 for any free one. The result's handle is the port's, `resultPort` its number. */
  udpBind(cookie: number, port: number): number {
    const index = this.#claim(SYS_UDP_BIND, 0, cookie);
    this.#calls.a[index << 3] = port;
    return index;
  }

  udpUnbind(udpPort: number, cookie = 0): number {
    return this.#claim(SYS_UDP_UNBIND, udpPort, cookie);
  }

  /**
   * Makes the endpoint whose record is at `endpoint` the port's one peer; 0: anybody again. A connected
   * port hears of ICMP errors by `udp_error`: eventResult says why, eventA the path's MTU.
   */
  udpConnect(udpPort: number, endpoint: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_CONNECT, udpPort, cookie);
    this.#calls.c[index << 3] = endpoint;
    return index;
  }

  /** Lets the port receive what is sent to a multicast group. */
  udpJoin(udpPort: number, group: IpAddress, cookie = 0): number {
    return this.#claimWithAddress(SYS_UDP_JOIN, udpPort, cookie, group);
  }

  udpLeave(udpPort: number, group: IpAddress, cookie = 0): number {
    return this.#claimWithAddress(SYS_UDP_LEAVE, udpPort, cookie, group);
  }

  /** Sends a datagram of `length` bytes at `address` to the endpoint record at `endpoint`. */
  udpSend(udpPort: number, address: number, length: number, endpoint: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_SEND, udpPort, cookie);
    const at = index << 3;
    this.#calls.a[at] = address;
    this.#calls.b[at] = length;
    this.#calls.c[at] = endpoint;
    return index;
  }

  /** Sends a datagram gathered from `entries` {address, length} pairs at `vector`. */
  udpSendv(udpPort: number, vector: number, entries: number, endpoint: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_SENDV, udpPort, cookie);
    const at = index << 3;
    this.#calls.a[at] = vector;
    this.#calls.b[at] = entries;
    this.#calls.c[at] = endpoint;
    return index;
  }

  /** Gives back the datagram whose `udp_recv` carried `token`. */
  udpRecvDone(udpPort: number, token: number, cookie = 0): number {
    const index = this.#claim(SYS_UDP_RECV_DONE, udpPort, cookie);
    this.#calls.a[index << 3] = token;
    return index;
  }

  // -------------------------------------------------------------------------------------------
  // Timers

  /** Asks for one `timer` event after `delay` µs. The result's handle is the timer. */
  timerSet(cookie: number, delay: number): number {
    const index = this.#claim(SYS_TIMER_SET, 0, cookie);
    this.#calls.a[index << 3] = delay;
    return index;
  }

  timerCancel(timer: number, cookie = 0): number {
    return this.#claim(SYS_TIMER_CANCEL, timer, cookie);
  }

  // -------------------------------------------------------------------------------------------
  // Events of the last poll, by index from 0 to eventCount - 1

  get eventCount(): number {
    return this.#eventCount[0];
  }

  /** EV_* number. */
  eventOp(index: number): number {
    return this.#events.operation[index << 4];
  }

  eventHandle(index: number): number {
    return this.#events.handle[index << 3];
  }

  eventCookie(index: number): number {
    return this.#events.cookie[index << 3];
  }

  /** connected: outcome. dead: reason. Both RC_* codes. */
  eventResult(index: number): number {
    return this.#events.result[index << 3];
  }

  /**
   * recv, udp_recv: address of the data. sent, dead, udp_sent: bytes. connected: local port. left: the
   * core it goes to. arrived: the connection's tag.
   */
  eventA(index: number): number {
    return this.#events.a[index << 3];
  }

  /** recv, udp_recv: length; a recv of 0 bytes is the peer's FIN. sent: bytes a send would take. */
  eventB(index: number): number {
    return this.#events.b[index << 3];
  }

  /** udp_recv, arrived: address of the peer's endpoint record. arrived: only until the next poll. */
  eventC(index: number): number {
    return this.#events.c[index << 3];
  }

  /** udp_recv: token for `udpRecvDone`. arrived: `ARRIVED_*`. */
  eventD(index: number): number {
    return this.#events.d[index << 3];
  }

  /** knock, arrived: the peer's port. */
  knockRemotePort(index: number): number {
    return this.#events.result[index << 3] & 0xffff;
  }

  /** knock, arrived: the local port. */
  knockLocalPort(index: number): number {
    return this.#events.result[index << 3] >>> 16;
  }

  /** knock: the peer's address, written into `into` when given. */
  knockAddress(index: number, into: IpAddress = new IpAddress()): IpAddress {
    const { a, b, c, d } = this.#events;
    const at = index << 3;
    into.w0 = a[at];
    into.w1 = b[at];
    into.w2 = c[at];
    into.w3 = d[at];
    return into;
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
    this.words[at] = address;
    this.words[at + 1] = length;
  }

  /** Writes an endpoint record (`ENDPOINT_SIZE` bytes) for UDP sends. */
  writeEndpoint(endpoint: number, address: IpAddress, port: number): void {
    const at = endpoint >>> 2;
    this.words[at] = address.w0;
    this.words[at + 1] = address.w1;
    this.words[at + 2] = address.w2;
    this.words[at + 3] = address.w3;
    this.words[at + (ENDPOINT_PORT >>> 2)] = port;
  }

  /** The port of an endpoint record. */
  endpointPort(endpoint: number): number {
    return this.words[(endpoint + ENDPOINT_PORT) >>> 2] & 0xffff;
  }

  /** Reads the 16 bytes of an IP address, as an endpoint record begins with. */
  readAddress(address: number, into: IpAddress = new IpAddress()): IpAddress {
    const at = address >>> 2;
    into.w0 = this.words[at];
    into.w1 = this.words[at + 1];
    into.w2 = this.words[at + 2];
    into.w3 = this.words[at + 3];
    return into;
  }

  #claimWithAddress(operation: number, handle: number, cookie: number, to: IpAddress): number {
    const index = this.#claim(operation, handle, cookie);
    const at = index << 3;
    this.#calls.a[at] = to.w0;
    this.#calls.b[at] = to.w1;
    this.#calls.c[at] = to.w2;
    this.#calls.d[at] = to.w3;
    return index;
  }

  /** Takes the next place in the call array and fills in what all calls have. */
  #claim(operation: number, handle: number, cookie: number): number {
    if (this.#callCount[0] >= this.callCapacity) this.flush();
    const index = this.#callCount[0];
    const calls = this.#calls;
    const at = index << 3;
    calls.op[at] = operation;
    calls.handle[at] = handle;
    calls.cookie[at] = cookie;
    this.#callCount[0] = this.#issued = index + 1;
    return index;
  }
}
