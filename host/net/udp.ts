/**
 * UDP sockets of a host, on the raw calls: the event layer has none of its own. Every send goes from a
 * block of the application's window, endpoint record and payload in one; the block is free again when
 * the kernel has copied it, or for long datagrams when the NIC has sent it.
 *
 *   block | endpoint record (ENDPOINT_SIZE) | … | payload at PAYLOAD
 */
import {
  EV_UDP_ERROR,
  EV_UDP_RECV,
  EV_UDP_SENT,
  RC_AGAIN,
  RC_NOBUFS,
  RC_OK,
  SYS_UDP_BIND,
  SYS_UDP_CONNECT,
  SYS_UDP_JOIN,
  SYS_UDP_LEAVE,
  SYS_UDP_SEND,
} from "../../assembly/abi.ts";
import type { IpAddress } from "../libix/ip-address.ts";
import type { Ixev } from "../libix/ixev.ts";

const PAYLOAD = 64;

/** How long sends wait that the NIC or the neighbour's queue had no room for, µs, and how often. */
const RETRY_DELAY = 200;
const MOST_RETRIES = 500;

/** What a UDP socket tells its user. The bytes are a copy. */
export interface UdpHandlers {
  /** What came of `bind`: an `RC_*` code, and the port. */
  bound(outcome: number, port: number): void;
  message(bytes: Uint8Array, address: string, port: number): void;
  /** The network says why datagrams of a connected socket do not arrive: an `RC_*` code. */
  error?(reason: number): void;
}

interface Sending {
  /** The kernel's handle of the socket, which may be closed meanwhile. */
  readonly handle: number;
  readonly cookie: number;
  readonly block: number;
  readonly length: number;
  readonly sent: (outcome: number) => void;
  /** Times that the kernel has said RC_AGAIN. */
  retries: number;
}

export class UdpSocket {
  /** The kernel's handle; 0 before it is bound and after it was closed. */
  handle = 0;
  port = 0;
  closed = false;
  /** Groups that were joined, in text form. */
  readonly groups = new Set<string>();
  /** Also the sockets of this host receive what is sent to a group (RFC 1112 section 6.1). */
  loopback = true;
  readonly handlers: UdpHandlers;
  readonly #layer: UdpLayer;

  constructor(layer: UdpLayer, handlers: UdpHandlers) {
    this.#layer = layer;
    this.handlers = handlers;
  }

  /**
   * Sends a copy of `bytes`. `sent` is called with the number of bytes when they are on their way, with
   * an `RC_*` code when they are not.
   */
  send(
    bytes: Uint8Array,
    address: IpAddress,
    port: number,
    sent: (outcome: number) => void = () => {},
  ): void {
    this.#layer.send(this, bytes, address, port, sent);
  }

  /** Receives from this endpoint alone, and hears of errors on the way there; null: from anybody again. */
  connect(
    peer: { address: IpAddress; port: number } | null,
    done: (outcome: number) => void,
  ): void {
    this.#layer.connect(this, peer, done);
  }

  /** Receives what is sent to a multicast group, if `member`. */
  setMembership(group: IpAddress, member: boolean, done: (outcome: number) => void): void {
    this.#layer.setMembership(this, group, member, done);
  }

  close(): void {
    this.#layer.close(this);
  }
}

export class UdpLayer {
  readonly #ixev: Ixev;
  /** Sockets by the cookie of their bind, which comes back with every datagram. */
  readonly #sockets = new Map<number, UdpSocket>();
  readonly #sendings = new Map<number, Sending>();
  /** What the kernel was asked for besides, by cookie. */
  readonly #asked = new Map<number, (outcome: number) => void>();
  /** Sends that wait for room, in order. */
  #waiting: Sending[] = [];
  #cookies = 0;

  /** The host's own address of the family of another one, in text form. */
  readonly #ownFor: (address: string) => string;

  constructor(ixev: Ixev, ownFor: (address: string) => string) {
    this.#ixev = ixev;
    this.#ownFor = ownFor;
  }

  /** Binds a UDP port, 0 for any free one. */
  bind(port: number, handlers: UdpHandlers): UdpSocket {
    const socket = new UdpSocket(this, handlers);
    const cookie = this.#cookie();
    this.#sockets.set(cookie, socket);
    this.#ixev.later(() => this.#ixev.ix.udpBind(cookie, port));
    return socket;
  }

  /** A socket's: see `UdpSocket.send`. */
  send(
    socket: UdpSocket,
    bytes: Uint8Array,
    address: IpAddress,
    port: number,
    sent: (outcome: number) => void,
  ): void {
    const { ix } = this.#ixev;
    const block = ix.window.allocate(PAYLOAD + bytes.length);
    if (block === 0) {
      sent(RC_NOBUFS);
      return;
    }
    ix.writeEndpoint(block, address, port);
    ix.write(block + PAYLOAD, bytes);
    const cookie = this.#cookie();
    const { handle } = socket;
    const sending = { handle, cookie, block, length: bytes.length, sent, retries: 0 };
    this.#sendings.set(cookie, sending);
    if (this.#waiting.length > 0) this.#waiting.push(sending);
    else this.#ixev.later(() => this.#call(sending));
    if (isMulticast(address)) this.#loop(socket, bytes, address, port);
  }

  /** A socket's: see `UdpSocket.connect`. */
  connect(
    socket: UdpSocket,
    peer: { address: IpAddress; port: number } | null,
    done: (outcome: number) => void,
  ): void {
    const { ix } = this.#ixev;
    const block = peer === null ? 0 : ix.window.allocate(PAYLOAD);
    if (peer !== null && block === 0) {
      done(RC_NOBUFS);
      return;
    }
    if (peer !== null) ix.writeEndpoint(block, peer.address, peer.port);
    const cookie = this.#ask((outcome) => {
      if (block !== 0) ix.window.free(block);
      done(outcome);
    });
    this.#ixev.later(() => ix.udpConnect(socket.handle, block, cookie));
  }

  /** A socket's: see `UdpSocket.setMembership`. */
  setMembership(
    socket: UdpSocket,
    group: IpAddress,
    member: boolean,
    done: (outcome: number) => void,
  ): void {
    const { ix } = this.#ixev;
    if (member) socket.groups.add(group.toString());
    else socket.groups.delete(group.toString());
    const cookie = this.#ask((outcome) => {
      if (member && outcome !== RC_OK) socket.groups.delete(group.toString());
      done(outcome);
    });
    this.#ixev.later(() => {
      if (member) ix.udpJoin(socket.handle, group, cookie);
      else ix.udpLeave(socket.handle, group, cookie);
    });
  }

  /** A socket's: see `UdpSocket.close`. */
  close(socket: UdpSocket): void {
    if (socket.closed) return;
    socket.closed = true;
    if (socket.handle !== 0) this.#unbind(socket);
  }

  /** The event layer's: an event that is none of its own. */
  event(index: number): void {
    const { ix } = this.#ixev;
    const operation = ix.eventOp(index);
    if (operation === EV_UDP_SENT) this.#finish(ix.eventCookie(index), ix.eventA(index));
    if (operation === EV_UDP_ERROR) {
      this.#sockets.get(ix.eventCookie(index))?.handlers.error?.(ix.eventResult(index));
    }
    if (operation !== EV_UDP_RECV) return;
    const socket = this.#sockets.get(ix.eventCookie(index));
    if (socket !== undefined && !socket.closed) {
      const at = ix.eventA(index);
      const bytes = ix.bytes.slice(at, at + ix.eventB(index));
      const endpoint = ix.eventC(index);
      const address = ix.readAddress(endpoint).toString();
      socket.handlers.message(bytes, address, ix.endpointPort(endpoint));
    }
    ix.udpRecvDone(ix.eventHandle(index), ix.eventD(index));
  }

  /** The event layer's: the result of a call that is none of its own. */
  result(index: number): void {
    const { ix } = this.#ixev;
    const operation = ix.resultOperation(index);
    switch (operation) {
      case SYS_UDP_BIND:
        this.#bound(index);
        break;
      case SYS_UDP_CONNECT:
      case SYS_UDP_JOIN:
      case SYS_UDP_LEAVE:
        this.#answered(ix.resultCookie(index), ix.result(index));
        break;
      case SYS_UDP_SEND:
        this.#sendResult(ix.resultCookie(index), ix.result(index));
        break;
    }
  }

  #call({ handle, cookie, block, length }: Sending): void {
    this.#ixev.ix.udpSend(handle, block + PAYLOAD, length, block, cookie);
  }

  #sendResult(cookie: number, outcome: number): void {
    const sending = this.#sendings.get(cookie);
    if (outcome === RC_AGAIN && sending !== undefined && sending.retries++ < MOST_RETRIES) {
      if (this.#waiting.length === 0) this.#ixev.setTimer(RETRY_DELAY, () => this.#retry());
      this.#waiting.push(sending);
    } else if (outcome < this.#ixev.ix.copyBreak) {
      // A referenced payload is free only with its `udp_sent`.
      this.#finish(cookie, outcome);
    }
  }

  #retry(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const sending of waiting) this.#ixev.later(() => this.#call(sending));
  }

  /** A member on the sending host receives its own copy: a switch sends nothing back. */
  #loop(from: UdpSocket, bytes: Uint8Array, group: IpAddress, port: number): void {
    const text = group.toString();
    for (const socket of this.#sockets.values()) {
      if (!from.loopback || socket.port !== port || !socket.groups.has(text)) continue;
      const copy = bytes.slice();
      const ownAddress = this.#ownFor(text);
      const { port: fromPort } = from;
      this.#ixev.later(() => {
        if (!socket.closed) socket.handlers.message(copy, ownAddress, fromPort);
      });
    }
  }

  #ask(done: (outcome: number) => void): number {
    const cookie = this.#cookie();
    this.#asked.set(cookie, done);
    return cookie;
  }

  #answered(cookie: number, outcome: number): void {
    const done = this.#asked.get(cookie);
    this.#asked.delete(cookie);
    done?.(outcome);
  }

  #bound(index: number): void {
    const { ix } = this.#ixev;
    const cookie = ix.resultCookie(index);
    const socket = this.#sockets.get(cookie)!;
    const outcome = ix.result(index);
    if (outcome !== RC_OK) {
      this.#sockets.delete(cookie);
      if (!socket.closed) socket.handlers.bound(outcome, 0);
      return;
    }
    socket.handle = ix.resultHandle(index);
    socket.port = ix.resultPort(index);
    if (socket.closed) this.#unbind(socket);
    else socket.handlers.bound(RC_OK, socket.port);
  }

  #unbind(socket: UdpSocket): void {
    const { handle } = socket;
    socket.handle = 0;
    this.#ixev.later(() => this.#ixev.ix.udpUnbind(handle));
    for (const [cookie, each] of this.#sockets) {
      if (each === socket) this.#sockets.delete(cookie);
    }
  }

  #finish(cookie: number, outcome: number): void {
    const sending = this.#sendings.get(cookie);
    if (sending === undefined) return;
    this.#sendings.delete(cookie);
    this.#ixev.ix.window.free(sending.block);
    sending.sent(outcome);
  }

  /** A cookie that nothing else of this layer has; never 0, nor the event layer's own. */
  #cookie(): number {
    do {
      this.#cookies = (this.#cookies + 1) & 0x7fffffff;
    } while (
      this.#cookies === 0 ||
      this.#sockets.has(this.#cookies) ||
      this.#asked.has(this.#cookies) ||
      this.#sendings.has(this.#cookies)
    );
    return this.#cookies;
  }
}

/** True for 224.0.0.0/4 (RFC 1112) and ff00::/8 (RFC 4291 section 2.7). */
export function isMulticast(address: IpAddress): boolean {
  const bytes = address.toBytes();
  return address.isIpv4 ? bytes[12] >> 4 === 14 : bytes[0] === 0xff;
}
