/**
 * Follows every packet between the machines: from the sender's NIC over the link into an RX ring, through
 * the iteration that takes it, to its end. Sees frames as an observer of the emulated NICs does, and knows
 * one again by its bytes; rings are first in, first out.
 */
import type { DropPlace, FrameObserver, PortHandle } from "../../host/index.ts";
import { ACK, FIN, fingerprint, glance, hashOf, RST, SYN, type Glance } from "../packets/frame.ts";
import { CLIENT_IP, octets, SERVER_IP } from "./addresses.ts";
import type { Packet, PacketKind } from "./messages.ts";

/** A packet with its frame, as it is kept. */
export interface Tracked extends Mutable<Packet> {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly glance: Glance;
  /** The queue of the receiver's port. */
  queue: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type FrameView = Parameters<FrameObserver["sent"]>[2];

/** When the parts of an iteration were, µs. */
export interface IterationTimes {
  readonly taken: number;
  readonly protocols: number;
  readonly app: number;
  readonly done: number;
}

/** Where a packet is on the server's side of the wire, as the NIC has it now. */
export interface Steering {
  queueOf(group: number): number;
  coreOf(queue: number): number;
}

/** Packets that are kept after their end. */
const KEPT = 8192;

const WHY: Record<DropPlace, string> = {
  loss: "lost on the link",
  line: "the queue before the link was full",
  ring: "the RX ring was full",
  fill: "no buffer in the fill ring",
};

export class Tracker {
  readonly #ports: readonly PortHandle[];
  readonly #steering: Steering;
  readonly #flowOf: (port: number) => number;
  readonly #kept = new Map<number, Tracked>();
  /** On the link, by fingerprint, oldest first. */
  readonly #flying = new Map<number, Tracked[]>();
  /** In RX rings, by port and queue, oldest first. */
  readonly #rings = new Map<string, Tracked[]>();
  readonly #changed = new Set<Tracked>();
  /** By port of the client and way: the end of what was sent. */
  readonly #ends = new Map<string, number>();
  #nextId = 1;
  #unseen = 0;
  /** How often a packet has moved. */
  moves = 0;
  /** Hears of every packet when it was sent, was lost, and has arrived. */
  onMove: (packet: Tracked) => void = () => {};

  /**
   * @param ports the server's first
   * @param flowOf the index of the connection that has a port of the client, or -1
   */
  constructor(ports: readonly PortHandle[], steering: Steering, flowOf: (port: number) => number) {
    this.#ports = ports;
    this.#steering = steering;
    this.#flowOf = flowOf;
  }

  /** What a backend of the server's `core` shows frames to; -1: of any other machine. */
  observer(core: number): FrameObserver {
    return {
      active: true,
      indexOf: (port) => this.#ports.findIndex(({ state }) => state === port.state),
      sent: (port, now, view, at, length) => this.sent(port, core, now, cut(view, at, length)),
      delivered: (port, now, view, at, length) => {
        this.delivered(port, now, cut(view, at, length));
      },
      travels: (_, view, at, length, due) => this.travels(cut(view, at, length), due),
      dropped: (now, view, at, length, where) => this.dropped(now, cut(view, at, length), where),
      flush: () => {},
    };
  }

  /** A frame has left a port, and a core if that is the server's; of `length` bytes, of which `bytes` may be the first ones only. */
  sent(
    port: number,
    core: number | ((group: number) => number),
    now: number,
    bytes: Uint8Array<ArrayBuffer>,
    length = bytes.length,
    arrives = now,
  ): void {
    const seen = glance(bytes);
    const way = port === 0 ? "out" : "in";
    const hash = hashOf(bytes, seen, way);
    const group = hash & 127;
    const client = way === "in" ? seen.sourcePort : seen.destinationPort;
    const isOurs = isClients(seen);
    const sender = typeof core === "number" ? core : core(group);
    const packet: Tracked = {
      id: this.#nextId++,
      kind: kindOf(seen, isOurs),
      fate: "flying",
      way,
      again: isOurs && this.#isAgain(way, client, seen),
      length,
      payload: seen.payload,
      flags: seen.flags,
      seq: seen.seq,
      ack: seen.ack,
      flow: isOurs ? this.#flowOf(client) : -1,
      hash,
      group,
      core: way === "out" ? sender : this.#steering.coreOf(this.#steering.queueOf(group)),
      sent: now,
      arrives,
      bytes,
      glance: seen,
      queue: 0,
    };
    this.#keep(packet);
    const key = fingerprint(bytes);
    const others = this.#flying.get(key);
    if (others) others.push(packet);
    else this.#flying.set(key, [packet]);
    this.#move(packet);
  }

  travels(bytes: Uint8Array, due: number): void {
    const packet = this.#flying.get(fingerprint(bytes))?.at(-1);
    if (!packet) return;
    packet.arrives = due;
    this.#changed.add(packet);
  }

  dropped(now: number, bytes: Uint8Array, where: DropPlace): void {
    const onLink = where === "loss" || where === "line";
    const packet = this.#land(bytes, onLink);
    if (!packet) return;
    const isForNobody = packet.way === "out" && !isClients(packet.glance);
    packet.fate = onLink ? "lost" : "dropped";
    packet.endedAt = now;
    packet.why = isForNobody ? "for an address that nobody has" : WHY[where];
    this.#move(packet);
  }

  /** A frame has got into an RX ring of a port. Returns which, -1 of a frame that was not seen before. */
  delivered(port: number, now: number, bytes: Uint8Array): number {
    const packet = this.#land(bytes, false);
    if (!packet) return -1;
    packet.fate = "waiting";
    packet.arrives = now;
    packet.ring = now;
    if (port === 0) {
      packet.queue = this.#steering.queueOf(packet.group);
      packet.core = this.#steering.coreOf(packet.queue);
    }
    const ring = ringName(port, packet.queue);
    const waiting = this.#rings.get(ring);
    if (waiting) waiting.push(packet);
    else this.#rings.set(ring, [packet]);
    this.#move(packet);
    return packet.queue;
  }

  /** An iteration has taken `count` packets out of a ring of a port. */
  taken(port: number, queue: number, count: number, times: IterationTimes): void {
    const waiting = this.#rings.get(ringName(port, queue))?.splice(0, count) ?? [];
    for (const packet of waiting) {
      Object.assign(packet, times, { fate: "done" });
      this.#move(packet);
    }
  }

  /** What changed since the last call, `most` at most; and how many were left out. */
  take(most: number): { packets: Packet[]; unseen: number } {
    const changed = [...this.#changed];
    const packets = changed.slice(-most).map(plain);
    const unseen = this.#unseen + changed.length - packets.length;
    this.#changed.clear();
    this.#unseen = 0;
    return { packets, unseen };
  }

  find(id: number): Tracked | undefined {
    return this.#kept.get(id);
  }

  /** All that are kept, oldest first. */
  get all(): Iterable<Tracked> {
    return this.#kept.values();
  }

  #move(packet: Tracked): void {
    this.moves++;
    this.#changed.add(packet);
    this.onMove(packet);
  }

  #keep(packet: Tracked): void {
    this.#kept.set(packet.id, packet);
    if (this.#kept.size <= KEPT) return;
    const [oldest] = this.#kept.values();
    this.#kept.delete(oldest.id);
    if (this.#changed.delete(oldest)) this.#unseen++;
    if (oldest.fate === "flying") this.#forget(oldest);
  }

  /** Takes a packet off the link: the latest with these bytes, or the oldest. */
  #land(bytes: Uint8Array, latest: boolean): Tracked | undefined {
    const key = fingerprint(bytes);
    const packets = this.#flying.get(key);
    if (!packets) return undefined;
    const packet = latest ? packets.pop() : packets.shift();
    if (packets.length === 0) this.#flying.delete(key);
    return packet;
  }

  /** Nobody will see it arrive any more. */
  #forget(packet: Tracked): void {
    const key = fingerprint(packet.bytes);
    const others = this.#flying.get(key)?.filter((other) => other !== packet) ?? [];
    if (others.length > 0) this.#flying.set(key, others);
    else this.#flying.delete(key);
  }

  #isAgain(way: string, client: number, { seq, payload, flags }: Glance): boolean {
    const length = payload + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
    if (length === 0) return false;
    const name = `${way}${client}`;
    const end = (seq + length) | 0;
    const known = (flags & SYN) === 0 ? this.#ends.get(name) : undefined;
    if (known !== undefined && ((end - known) | 0) <= 0) return true;
    this.#ends.set(name, end);
    return false;
  }
}

function cut(view: FrameView, at: number, length: number): Uint8Array<ArrayBuffer> {
  return view.bytes.slice(at, at + length) as Uint8Array<ArrayBuffer>;
}

function ringName(port: number, queue: number): string {
  return `${port}/${queue}`;
}

const OURS = [SERVER_IP, CLIENT_IP].map((ip) =>
  new DataView(Uint8Array.from(octets(ip)).buffer).getUint32(0),
);

/** Whether a packet is one between the server and its clients. */
function isClients({ protocol, source, destination }: Glance): boolean {
  return protocol === "tcp" && OURS.includes(source) && OURS.includes(destination);
}

function kindOf({ protocol, flags, payload }: Glance, isOurs: boolean): PacketKind {
  if (protocol !== "tcp") return protocol;
  if (!isOurs) return "flood";
  if ((flags & RST) !== 0) return "rst";
  if ((flags & SYN) !== 0) return "syn";
  if ((flags & FIN) !== 0) return "fin";
  if (payload > 0) return "data";
  return (flags & ACK) !== 0 ? "ack" : "other";
}

/** The packet as the page is told of it. */
export function plain(packet: Tracked): Packet {
  const { bytes: _bytes, glance: _glance, queue: _queue, ...rest } = packet;
  return rest;
}
