/**
 * One connection (or datagram flow) that packets of a script are about: its two ends, and how the
 * script's relative numbers become those on the wire and back.
 */
import type { TcpSpec } from "../language/script.ts";
import { FLAG } from "../language/script.ts";
import type { Ends } from "../packets/encode.ts";
import type { LivePacket } from "../packets/live.ts";
import { liveTimestamps, type OptionMapping } from "../packets/tcp-options.ts";
import { Delivered } from "./delivered.ts";
import { EcnNegotiation } from "./ecn.ts";
import type { Hosts } from "./settings.ts";

export class Flow {
  readonly hosts: Hosts;
  readonly #active: boolean;
  localPort: number | undefined;
  remotePort: number | undefined;
  /** The stack's initial sequence number: what all but SYNs of the script count from. */
  localBase = 0;
  /** What the script calls it. */
  #localName = 0;
  #localKnown = false;
  /** The first sequence number that the script sent. */
  remoteBase: number | undefined;
  /** Timestamp values of the stack by what the script calls them. */
  readonly #timestamps = new Map<number, number>();
  /** The first binding: scaled echoes count from it. */
  #firstTimestamp: readonly [script: number, live: number] | undefined;
  /** Flow labels of the stack by what the script calls them. */
  readonly #labels = new Map<number, number>();
  /** What tcpi_options said last. */
  options = 0;
  readonly delivered = new Delivered();
  readonly ecn = new EcnNegotiation();
  /** What the script sent last as TSval in a segment the stack may have taken. */
  readonly echoable = new Set<number>();

  /** `active`: the stack opens it, so that the peer's numbers begin with its SYN. */
  constructor(
    hosts: Hosts,
    localPort: number | undefined,
    remotePort: number | undefined,
    active = false,
  ) {
    this.hosts = hosts;
    this.#active = active;
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  /** Whether a packet of the stack's belongs here. */
  owns(packet: LivePacket): boolean {
    const { local, remote } = this.hosts;
    if (packet.source !== local || packet.destination !== remote) return false;
    if (packet.body.kind === "icmp") return true;
    if (this.remotePort !== undefined && packet.destinationPort !== this.remotePort) return false;
    return this.localPort === undefined || packet.sourcePort === this.localPort;
  }

  /** Ends of an inbound packet. */
  inbound(): Ends {
    return {
      source: this.hosts.remote,
      destination: this.hosts.local,
      sourcePort: this.remotePort ?? 0,
      destinationPort: this.localPort ?? 0,
    };
  }

  /** Learns from what the stack sent where its port and its sequence numbers begin. */
  learn(packet: LivePacket, spec: TcpSpec): void {
    this.localPort ??= packet.sourcePort;
    if (packet.body.kind !== "tcp" || !(packet.body.flags & FLAG.SYN) || this.#localKnown) return;
    this.#localKnown = true;
    this.localBase = packet.body.seq;
    this.#localName = spec.seqAny ? 0 : spec.seq;
  }

  /** Whether packets with the same label in the script have the same on the wire, and others not. */
  labelFits(script: number, live: number): boolean {
    const bound = this.#labels.get(script);
    if (bound !== undefined) return bound === live;
    if ([...this.#labels.values()].includes(live)) return false;
    this.#labels.set(script, live);
    return true;
  }

  /** Binds the TSval written to the one that came. */
  bindTimestamp(script: number, live: number): void {
    this.#timestamps.set(script, live);
    this.#firstTimestamp ??= [script, live];
  }

  /** The live value of an echo; undefined when the script names one it has not seen. */
  timestampEcho(echo: number, tick: number | undefined, scaled: boolean): number | undefined {
    const bound = this.#timestamps.get(echo);
    if (bound !== undefined) return bound;
    if (!scaled || !this.#firstTimestamp) return undefined;
    const [script, live] = this.#firstTimestamp;
    // The stack's clock ticks once a millisecond.
    return (live + Math.floor(((echo - script) * (tick ?? 1000)) / 1000)) >>> 0;
  }

  /** What the script's TSval `script` must be when its clock runs `tick` µs a tick. */
  expectedTimestamp(script: number): number | undefined {
    if (!this.#firstTimestamp) return undefined;
    const [first, live] = this.#firstTimestamp;
    return (live + script - first) >>> 0;
  }

  /** Sequence number on the wire of one that the script sends. */
  remoteSeq(spec: TcpSpec): number {
    if (isSyn(spec) || !this.#active) this.remoteBase ??= spec.seq;
    const base = spec.seqAbsolute || isSyn(spec) ? 0 : (this.remoteBase ?? 0);
    return (spec.seq + base) >>> 0;
  }

  /** Acknowledgment number on the wire of one that the script sends. */
  localAck(spec: TcpSpec): number {
    // Without a number it counts as 0, which with the flag is one of this connection.
    if (spec.ack === undefined && !(spec.flags & FLAG.ACK)) return 0;
    return ((spec.ack ?? 0) + this.#localOffset(spec, spec.ackAbsolute)) >>> 0;
  }

  /** Sequence number expected of the stack. */
  localSeq(spec: TcpSpec): number {
    return (spec.seq + this.#localOffset(spec, spec.seqAbsolute)) >>> 0;
  }

  /** Acknowledgment number expected of the stack; the script's own numbers in SYNs are absolute. */
  remoteAck(spec: TcpSpec): number {
    if (spec.ack === undefined) return 0;
    const base = spec.ackAbsolute || isSyn(spec) ? 0 : (this.remoteBase ?? 0);
    return (spec.ack + base) >>> 0;
  }

  /** How options of a segment that the stack sends are written. */
  outboundMapping(): OptionMapping {
    return {
      sackEdge: (edge) => (edge + (this.remoteBase ?? 0)) >>> 0,
      timestampValue: (value) => value,
      timestampEcho: (echo) => echo,
    };
  }

  /** Notes what the stack sent as its TSval. */
  noteTimestamps(packet: LivePacket, spec: TcpSpec): void {
    if (packet.body.kind !== "tcp" || spec.options === "any") return;
    const written = spec.options.find((option) => option.kind === "timestamps");
    const live = liveTimestamps(packet.body.options);
    if (written && live && !written.valueAny) this.bindTimestamp(written.value, live.value);
  }

  #localOffset(spec: TcpSpec, absolute: boolean): number {
    if (absolute) return 0;
    return isSyn(spec) ? this.localBase - this.#localName : this.localBase;
  }
}

function isSyn({ flags }: TcpSpec): boolean {
  return (flags & FLAG.SYN) !== 0;
}
