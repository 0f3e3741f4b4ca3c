/**
 * A scripted TCP peer: it knows the sequence numbers of one connection and sends and expects what the
 * test tells it, segment by segment. Numbers are relative, as in a packet trace: each side's SYN has
 * sequence number 0 and its first byte 1.
 *
 *   const peer = TcpPeer.established(kernel);
 *   peer.send({ payload: text("hello") });
 *   peer.expect({ flags: "A", ack: 6, length: 0 });
 *
 * The constructors lead the kernel into a state of RFC 9293 section 3.3.2, named from its side.
 */
import { RC_OK } from "../../assembly/abi.ts";
import { KERNEL, KERNEL6, PEER, type KernelHarness, type SentPacket } from "./kernel.ts";
import {
  addressesIn,
  findOption,
  formatPacket,
  isIpv6Text,
  linkLocal,
  isTcp,
  mss as mssOption,
  nop,
  sack as sackOption,
  sackOk,
  tcpFrame,
  ts,
  ws,
  type Host,
  type TcpFields,
  type TcpHeader,
  type TcpOption,
} from "./packet.ts";
import { describeExpected, mismatch, type Expected, type Received } from "./segment.ts";

export type { Expected, Received } from "./segment.ts";

export interface PeerOptions {
  /** The peer's address and port, and the kernel's port. */
  readonly host?: Host;
  readonly port?: number;
  readonly kernelPort?: number;
  /** The peer's initial sequence number. */
  readonly iss?: number;
  /** Offered in the peer's SYN; null: no such option. */
  readonly mss?: number | null;
  readonly windowScale?: number | null;
  /** Offered: selective acknowledgments. */
  readonly sack?: boolean;
  /** Offered: timestamps; the peer's clock of milliseconds shows this when the peer is made. */
  readonly timestamps?: number;
  /** The peer's receive window, bytes; scaled in the header when scaling was agreed. */
  readonly window?: number;
  /** Further options of the peer's SYN. */
  readonly synOptions?: readonly TcpOption[];
  /** FLAG_* of accept or connect. */
  readonly flags?: number;
  /** FLAG_* of listen, and its backlog. */
  readonly listenFlags?: number;
  readonly backlog?: number;
  /** False for a peer that lies: then the kernel's stream makes no sense to keep. */
  readonly keepStream?: boolean;
}

/** A segment to send; what is absent follows from the connection's state. */
export interface Segment {
  readonly flags?: string;
  /** Relative to the peer's initial sequence number. */
  readonly seq?: number;
  /** Relative to the kernel's initial sequence number. */
  readonly ack?: number;
  /** Bytes, before scaling. */
  readonly window?: number;
  readonly payload?: Uint8Array;
  /** Of the IP header, IPv6's traffic class; its low two bits are ECN's. */
  readonly tos?: number;
  /** Behind the timestamp that follows from the connection's state; null: not even that. */
  readonly options?: readonly TcpOption[] | null;
  /** SACK blocks, relative to the kernel's initial sequence number. */
  readonly sack?: readonly (readonly [number, number])[];
  /** Another timestamp than that of the peer's clock, or another echo than that of the last one seen. */
  readonly tsValue?: number;
  readonly tsEcho?: number;
  /** Fields that force something else, absolute. */
  readonly raw?: Partial<TcpFields>;
}

let nextPort = 40_000;

export class TcpPeer {
  /** The core that it talks to. */
  k: KernelHarness;
  readonly host: Host;
  readonly port: number;
  readonly iss: number;
  kernelPort: number;
  /** The kernel's initial sequence number, once its SYN was seen. */
  irs: number | undefined;
  /** Next sequence number to send, and to receive: relative. */
  sndNxt = 0;
  rcvNxt = 0;
  window: number;
  /** Shifts in force: ours for the windows we send, the kernel's for those we receive. */
  sendScale = 0;
  receiveScale = 0;
  /** The kernel's handle of the connection, once it is known. */
  handle = 0;
  listener = 0;
  readonly mss: number | null;
  readonly #windowScale: number | null;
  readonly #synOptions: readonly TcpOption[];
  readonly #keepStream: boolean;
  readonly #sack: boolean;
  readonly #timestamps: number | undefined;
  readonly #born: number;
  /** Both sides' SYNs carried timestamps; the last of the kernel's. */
  hasTimestamps = false;
  tsSeen = 0;
  /** Payload by relative sequence number less 1, and which of it has arrived. */
  #stream = new Uint8Array(4096);
  #arrived = new Uint8Array(4096);

  constructor(k: KernelHarness, options: PeerOptions = {}) {
    this.k = k;
    this.host = options.host ?? PEER;
    this.port = options.port ?? nextPort++;
    this.kernelPort = options.kernelPort ?? 80;
    this.iss = options.iss ?? 0x1000_0000;
    this.mss = options.mss === undefined ? 1460 : options.mss;
    this.window = options.window ?? 65_535;
    this.#windowScale = options.windowScale ?? null;
    this.#synOptions = options.synOptions ?? [];
    this.#keepStream = options.keepStream ?? true;
    this.#sack = options.sack ?? false;
    this.#timestamps = options.timestamps;
    this.#born = k.now;
  }

  // ---------------------------------------------------------------------------------------------
  // One segment at a time

  /** The frame of a segment, without sending it. */
  frame(segment: Segment = {}): Uint8Array {
    const flags = segment.flags ?? "A";
    const isSyn = flags.includes("S");
    const window = segment.window ?? this.window;
    const fields: TcpFields = {
      sourcePort: this.port,
      destinationPort: this.kernelPort,
      seq: (this.iss + (segment.seq ?? this.sndNxt)) >>> 0,
      ack: flags.includes("A") ? ((this.irs ?? 0) + (segment.ack ?? this.rcvNxt)) >>> 0 : 0,
      flags,
      window: Math.min(isSyn ? window : window >>> this.sendScale, 0xffff),
      options: this.#options(segment, isSyn),
      ...segment.raw,
    };
    const to = isIpv6Text(this.host.ip) ? this.kernelAddress() : KERNEL;
    return tcpFrame({ from: this.host, to }, fields, segment.payload, segment.tos);
  }

  /** The kernel's address that an IPv6 peer speaks to: that of the peer's own scope. */
  kernelAddress(): Host {
    const near = this.host.ip.startsWith("fe80:");
    return near ? { mac: KERNEL.mac, ip: linkLocal(KERNEL.mac) } : KERNEL6;
  }

  /** Sends a segment, runs the kernel, and moves `sndNxt` over what was new in it. */
  send(segment: Segment = {}): this {
    this.k.deliver(this.frame(segment));
    this.#advance(segment);
    return this;
  }

  /** Sends several segments that the kernel takes in one batch. */
  sendAll(segments: readonly Segment[]): this {
    for (const segment of segments) {
      this.k.inject(this.frame(segment));
      this.#advance(segment);
    }
    this.k.poll();
    return this;
  }

  /** Sends the peer's SYN, with the options it was made with, perhaps others besides, and data. */
  sendSyn(flags = "S", { payload, options: more = [], ack }: Segment = {}): this {
    const options: TcpOption[] = [];
    if (this.mss !== null) options.push(mssOption(this.mss));
    if (this.#sack) options.push(sackOk);
    if (this.#timestamps !== undefined) options.push(ts(this.tsNow(), this.tsSeen));
    if (this.#windowScale !== null) options.push(nop, ws(this.#windowScale));
    const all = [...options, ...this.#synOptions, ...(more ?? [])];
    return this.send({ flags, payload, ack, options: all });
  }

  /** Takes the kernel's next segment of this connection and holds it against what is expected. */
  expect(expected: Expected = {}): Received {
    const received = this.take();
    if (!received) {
      throw new Error(`expected ${describeExpected(expected)}, nothing was sent\n${this.k.log()}`);
    }
    const fault = mismatch(received, expected);
    if (fault) {
      throw new Error(`expected ${describeExpected(expected)}: ${fault}\n${this.k.log()}`);
    }
    return received;
  }

  /** The kernel's next segment of this connection, if there is one; moves `rcvNxt` over it. */
  take(): Received | undefined {
    const index = this.k.outbox.findIndex((packet) => this.#isMine(packet));
    if (index < 0) return undefined;
    const [packet] = this.k.outbox.splice(index, 1);
    return this.#receive(packet);
  }

  /** All of the kernel's segments of this connection that were not taken. */
  takeAll(): Received[] {
    const all: Received[] = [];
    for (let next = this.take(); next; next = this.take()) all.push(next);
    return all;
  }

  /** Fails when the kernel sent a segment that was not taken. */
  expectNothing(): this {
    const packet = this.k.outbox.find((candidate) => this.#isMine(candidate));
    if (packet) throw new Error(`unexpected: ${formatPacket(packet)}\n${this.k.log()}`);
    return this;
  }

  /** The kernel's stream as far as it has arrived without a gap, whatever the order. */
  stream(): Uint8Array {
    const gap = this.#arrived.indexOf(0);
    return this.#stream.slice(0, gap < 0 ? undefined : gap);
  }

  /** The timestamp of a segment that the peer sends now. */
  tsNow(): number {
    return ((this.#timestamps ?? 0) + Math.floor((this.k.now - this.#born) / 1000)) >>> 0;
  }

  /** Acknowledges everything received in order. */
  ack(): this {
    return this.send();
  }

  // ---------------------------------------------------------------------------------------------
  // States, by RFC 9293's names, of the kernel

  /** SYN-SENT: the kernel connects; its SYN was received. */
  static synSent(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = new TcpPeer(k, options);
    const { result, handle } = k.connect(peer.host.ip, peer.port, {
      flags: options.flags,
    });
    if (result !== RC_OK) throw new Error(`connect said ${result}\n${k.log()}`);
    peer.handle = handle;
    const syn = k.outbox.find(
      (packet) => isTcp(packet) && packet.tcp.destinationPort === peer.port,
    );
    if (!syn?.tcp) throw new Error(`connect sent no SYN\n${k.log()}`);
    peer.kernelPort = syn.tcp.sourcePort;
    peer.expect({ flags: "S", seq: 0, length: 0 });
    return peer;
  }

  /** SYN-RECEIVED: the kernel listens; it answered the peer's SYN, which is not acknowledged. */
  static synReceived(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.listening(k, options);
    peer.sendSyn();
    peer.expect({ flags: "SA", seq: 0, ack: 1, length: 0 });
    return peer;
  }

  /** LISTEN: the kernel listens on the peer's `kernelPort`, unless it does already. */
  static listening(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = new TcpPeer(k, options);
    peer.listener = listenerOf(k, peer.kernelPort, options);
    return peer;
  }

  /** ESTABLISHED, by the peer's SYN: accepted, and nothing in flight. */
  static established(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.synReceived(k, options);
    peer.ack();
    peer.handle = k.event("knock").handle;
    const result = k.accept(peer.handle, { flags: options.flags ?? 0 });
    if (result !== RC_OK) throw new Error(`accept said ${result}\n${k.log()}`);
    return peer;
  }

  /** ESTABLISHED, by the kernel's SYN. */
  static connected(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.synSent(k, options);
    peer.sendSyn("SA");
    peer.expect({ flags: "A", seq: 1, ack: 1, length: 0 });
    const { outcome, handle } = k.event("connected");
    if (outcome !== RC_OK || handle !== peer.handle) {
      throw new Error(`connected: outcome ${outcome}, handle ${handle}\n${k.log()}`);
    }
    return peer;
  }

  /** FIN-WAIT-1: the application shut down; the FIN is not acknowledged. */
  static finWait1(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.established(k, options);
    peer.#shutdown();
    return peer;
  }

  /** FIN-WAIT-2: the FIN was acknowledged; the peer may go on sending. */
  static finWait2(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.finWait1(k, options);
    peer.ack();
    return peer;
  }

  /** CLOSING: both FINs crossed, ours is not acknowledged. */
  static closing(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.finWait1(k, options);
    peer.send({ flags: "FA", ack: 1 });
    peer.expect({ flags: "A", seq: 2, ack: 2 });
    k.event("recv");
    return peer;
  }

  /** TIME-WAIT: the application shut down first, and all is acknowledged. */
  static timeWait(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.finWait2(k, options);
    peer.send({ flags: "FA" });
    peer.expect({ flags: "A", seq: 2, ack: 2 });
    return peer;
  }

  /** CLOSE-WAIT: the peer's FIN was received and announced. */
  static closeWait(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.established(k, options);
    peer.send({ flags: "FA" });
    const end = k.event("recv");
    if (end.data.length > 0) throw new Error(`recv of ${end.data.length} bytes\n${k.log()}`);
    peer.expect({ flags: "A", ack: 2 });
    return peer;
  }

  /** LAST-ACK: after the peer's FIN the application closed too; our FIN is not acknowledged. */
  static lastAck(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
    const peer = TcpPeer.closeWait(k, options);
    peer.#shutdown();
    return peer;
  }

  #options({ options, sack, tsValue, tsEcho }: Segment, isSyn: boolean): TcpOption[] {
    if (options === null) return [];
    const all: TcpOption[] = [];
    if (this.hasTimestamps && !isSyn) {
      all.push(nop, nop, ts(tsValue ?? this.tsNow(), tsEcho ?? this.tsSeen));
    }
    if (sack !== undefined && sack.length > 0) {
      const irs = this.irs ?? 0;
      const blocks = sack.map(
        ([left, right]) => [(irs + left) >>> 0, (irs + right) >>> 0] as const,
      );
      all.push(nop, nop, sackOption(...blocks));
    }
    return [...all, ...(options ?? [])];
  }

  #shutdown(): void {
    const result = this.k.shutdown(this.handle);
    if (result !== RC_OK) throw new Error(`shutdown said ${result}\n${this.k.log()}`);
    this.expect({ flags: "FA", seq: 1, length: 0 });
  }

  #advance(segment: Segment): void {
    const flags = segment.flags ?? "A";
    const controls = (flags.includes("S") ? 1 : 0) + (flags.includes("F") ? 1 : 0);
    const end = (segment.seq ?? this.sndNxt) + (segment.payload?.length ?? 0) + controls;
    if (!flags.includes("R")) this.sndNxt = Math.max(this.sndNxt, end);
  }

  #isMine(packet: SentPacket): boolean {
    return (
      isTcp(packet) &&
      addressesIn(packet)?.destination === this.host.ip &&
      packet.tcp.destinationPort === this.port &&
      packet.tcp.sourcePort === this.kernelPort
    );
  }

  #receive(packet: SentPacket): Received {
    const header = packet.tcp!;
    const isSyn = header.flags.includes("S");
    if (isSyn) {
      this.irs = header.seq;
      this.#agreeOnScaling(header);
      this.hasTimestamps = this.#timestamps !== undefined && findOption(header, "ts") !== undefined;
    }
    this.tsSeen = findOption(header, "ts")?.value ?? this.tsSeen;
    const seq = (header.seq - (this.irs ?? 0)) | 0;
    const controls = (isSyn ? 1 : 0) + (header.flags.includes("F") ? 1 : 0);
    this.#store(isSyn ? 0 : seq - 1, packet.payload);
    if (seq === this.rcvNxt && !header.flags.includes("R")) {
      this.rcvNxt += packet.payload.length + controls;
    }
    const { iss } = this;
    return {
      seq,
      sack: (findOption(header, "sack")?.blocks ?? []).map(
        ([left, right]) => [(left - iss) | 0, (right - iss) | 0] as const,
      ),
      ack: header.flags.includes("A") ? (header.ack - this.iss) | 0 : 0,
      flags: header.flags,
      window: isSyn ? header.window : header.window * 2 ** this.receiveScale,
      payload: packet.payload,
      tos: packet.ip?.tos ?? packet.ip6?.trafficClass ?? 0,
      header,
      at: packet.at,
    };
  }

  /** Keeps payload at its place; bytes that come again must be the same ones. */
  #store(offset: number, payload: Uint8Array): void {
    if (payload.length === 0 || !this.#keepStream) return;
    const end = offset + payload.length;
    if (end > this.#stream.length) {
      this.#stream = resized(this.#stream, 2 * end);
      this.#arrived = resized(this.#arrived, 2 * end);
    }
    for (const [index, byte] of payload.entries()) {
      const at = offset + index;
      if (this.#arrived[at] && this.#stream[at] !== byte) {
        throw new Error(`byte ${at} of the stream came again as another\n${this.k.log()}`);
      }
    }
    this.#stream.set(payload, offset);
    this.#arrived.fill(1, offset, end);
  }

  /** Scaling is in force when both SYNs carried the option (RFC 7323 section 2.2). */
  #agreeOnScaling(header: TcpHeader): void {
    const offered = findOption(header, "ws");
    if (!offered || this.#windowScale === null) return;
    this.receiveScale = offered.shift;
    this.sendScale = this.#windowScale;
  }
}

function resized(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  copy.set(bytes);
  return copy;
}

const listeners = new WeakMap<KernelHarness, Map<number, number>>();

function listenerOf(k: KernelHarness, port: number, options: PeerOptions): number {
  const known = listeners.get(k) ?? new Map<number, number>();
  listeners.set(k, known);
  const existing = known.get(port);
  if (existing !== undefined && k.contract.listeners.has(existing)) return existing;
  const { result, handle } = k.listen(port, {
    backlog: options.backlog ?? 16,
    flags: options.listenFlags ?? 0,
  });
  if (result !== RC_OK) throw new Error(`listen said ${result}\n${k.log()}`);
  known.set(port, handle);
  return handle;
}
