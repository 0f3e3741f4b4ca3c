/**
 * Follows one connection: the points of its time-sequence graph, seen where its client is, and what the
 * client's TCP knows of it.
 */
import { SYN, sackBlocks, windowShift } from "../packets/frame.ts";
import { SERVER_IP, SERVER_PORT } from "./addresses.ts";
import { clientName } from "./load-app.ts";
import type { SequencePoint, Watched } from "./messages.ts";
import type { ConnectionInfo, Tally } from "./tally.ts";
import type { Tracked } from "./tracker.ts";

/** Points that are kept until the page asks. */
const MOST_POINTS = 4000;

export class ConnectionWatch {
  readonly #ownerOf: (group: number) => number;
  readonly #tally: Tally;
  #flow = -1;
  #points: SequencePoint[] = [];
  /** Window shifts of the server, by port of the client, from its SYN ACKs. */
  readonly #shifts = new Map<number, number>();
  /** Sequence number that the graph begins with. */
  #base: number | undefined;
  #sacks: (readonly [number, number])[] = [];

  /** @param ownerOf the core that owns a flow group */
  constructor(tally: Tally, ownerOf: (group: number) => number) {
    this.#ownerOf = ownerOf;
    this.#tally = tally;
  }

  /** Begins anew with a connection, by its index; -1: none. */
  follow(flow: number): void {
    this.#flow = flow;
    this.#points = [];
    this.#base = undefined;
    this.#sacks = [];
  }

  /** A packet has moved. */
  saw(packet: Tracked): void {
    const { way, flags, bytes, glance } = packet;
    if (way === "out" && (flags & SYN) !== 0 && packet.fate === "flying") {
      this.#shifts.set(glance.destinationPort, windowShift(bytes, glance));
    }
    if (packet.flow !== this.#flow || this.#flow < 0) return;
    if (way === "in") this.#data(packet);
    // Acknowledged is what the client has heard of.
    else if (packet.fate === "waiting") this.#acknowledgment(packet);
  }

  /** What the page is told, with the points since the last call. */
  take(): Watched | undefined {
    const flow = this.#flow;
    if (flow < 0) return undefined;
    const group = this.#tally.groupOf(flow);
    const port = this.#tally.portOf(flow);
    const points = this.#points;
    this.#points = [];
    return {
      flow,
      client: clientName(Math.max(port, 0)),
      server: `${SERVER_IP}:${SERVER_PORT}`,
      group,
      core: group < 0 ? -1 : this.#ownerOf(group),
      ...namesOf(this.#tally.info),
      sacks: this.#sacks,
      points,
    };
  }

  #data(packet: Tracked): void {
    const { payload, seq, again, fate, sent, endedAt = sent } = packet;
    if (payload === 0) return;
    const from = this.#relative(seq);
    const to = from + payload;
    if (fate === "flying") {
      this.#add({ at: sent, kind: again ? "again" : "sent", from, to });
    } else if (fate === "lost") {
      this.#add({ at: endedAt, kind: "lost", from, to });
    }
  }

  #acknowledgment({ ack, bytes, glance, ring = 0 }: Tracked): void {
    const to = this.#relative(ack);
    this.#add({ at: ring, kind: "acked", from: to, to });
    const shift = this.#shifts.get(glance.destinationPort) ?? 0;
    const options = glance.options[0];
    const window = ((bytes[options - 6] << 8) | bytes[options - 5]) << shift;
    this.#add({ at: ring, kind: "window", from: to + window, to: to + window });
    this.#sacks = sackBlocks(bytes, glance)
      .map(([from, end]) => [this.#relative(from), this.#relative(end)] as const)
      .filter(([from]) => from >= to);
    for (const [from, end] of this.#sacks) this.#add({ at: ring, kind: "sacked", from, to: end });
  }

  #relative(seq: number): number {
    if (this.#base === undefined) {
      this.#base = seq;
    }
    return (seq - this.#base) | 0;
  }

  #add(point: SequencePoint): void {
    if (this.#points.length < MOST_POINTS) this.#points.push(point);
  }
}

/** From the bit of `TCP_STATE_*` on, the first being none of them; and in the order of `TCP_RECOVERY_*`. */
const STATES = [
  "CLOSED",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSING",
  "TIME-WAIT",
  "CLOSE-WAIT",
  "LAST-ACK",
];
/** From here on a threshold is none. */
const UNLIMITED = 0x7fff_ffff;
const RECOVERIES = ["open", "disorder", "recovery", "loss"];

function namesOf({ state, ssthresh, recovery, ...numbers }: ConnectionInfo) {
  return {
    ...numbers,
    state: STATES[32 - Math.clz32(state)] ?? "CLOSED",
    ssthresh: ssthresh >= UNLIMITED ? Infinity : ssthresh,
    recovery: RECOVERIES[recovery] ?? "open",
  };
}
