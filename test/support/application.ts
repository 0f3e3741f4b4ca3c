/**
 * The application's side of a dataplane on the bench: its memory, and one method for each system call.
 * Everything is written as raw descriptors, so that a test can also write what no library would.
 */
import {
  ENDPOINT_PORT,
  ENDPOINT_SIZE,
  SG_SIZE,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_LISTEN,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_OPTION,
  SYS_TAG,
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
import { mappedBytes } from "./packet.ts";

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

export abstract class ApplicationSide {
  /** The whole linear memory. */
  abstract readonly bytes: Uint8Array;
  abstract readonly view: DataView;
  #allocated = 0;
  #cookies = 0;

  /** Makes calls in one batch, runs the kernel until it is quiet, and returns their results. */
  abstract batch(calls: readonly Call[]): CallResult[];

  /** The application's window. */
  protected abstract get window(): { readonly address: number; readonly size: number };

  /** Makes one call, runs the kernel, and returns what came of it. */
  call(call: Call): CallResult {
    return this.batch([call])[0];
  }

  /** A cookie nobody has used. */
  cookie(): number {
    return ++this.#cookies + 0xc0000000;
  }

  listen(
    port: number,
    { backlog = 16, flags = 0, fastOpen = 0, cookie = this.cookie() } = {},
  ): CallResult {
    return this.call({ op: SYS_LISTEN, cookie, flags, a: port, b: backlog, c: fastOpen });
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

  /** Connects with data for the SYN: the result is how many bytes went along. */
  connectSend(ip: string, port: number, data: Uint8Array, { sourcePort = 0 } = {}): CallResult {
    const a = this.write(data);
    const c = this.writeEndpoint(ip, port);
    const cookie = this.cookie();
    return this.call({ op: SYS_CONNECT_SEND, cookie, handle: sourcePort, a, b: data.length, c });
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

  tag(handle: number, tag: number): number {
    return this.call({ op: SYS_TAG, handle, a: tag }).result;
  }

  option(handle: number, option: number, b: number, c = 0, d = 0): number {
    return this.call({ op: SYS_OPTION, handle, a: option, b, c, d }).result;
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

  /** Makes one endpoint the port's peer; without one, anybody is again. */
  udpConnect(handle: number, to?: { ip: string; port: number }): number {
    const c = to ? this.writeEndpoint(to.ip, to.port) : 0;
    return this.call({ op: SYS_UDP_CONNECT, handle, c }).result;
  }

  udpJoin(handle: number, group: string): number {
    const [a, b, c, d] = addressWords(group);
    return this.call({ op: SYS_UDP_JOIN, handle, a, b, c, d }).result;
  }

  udpLeave(handle: number, group: string): number {
    const [a, b, c, d] = addressWords(group);
    return this.call({ op: SYS_UDP_LEAVE, handle, a, b, c, d }).result;
  }

  udpSend(
    handle: number,
    data: Uint8Array,
    to: { ip: string; port: number },
    { cookie = 0, flags = 0 } = {},
  ): number {
    const a = this.write(data);
    const c = this.writeEndpoint(to.ip, to.port);
    return this.call({ op: SYS_UDP_SEND, flags, handle, cookie, a, b: data.length, c }).result;
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
    const { address, size } = this.window;
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
