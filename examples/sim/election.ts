/**
 * Elects a leader as Raft does (Ongaro, Ousterhout: In Search of an Understandable Consensus Algorithm,
 * 2014, section 5.2): terms, votes, heartbeats, elections after a random time without any. It is an
 * ordinary program with timers and Math.random; the test of it parts the network and heals it again.
 *
 *   npx vitest run test/sim/examples.test.ts
 */
import type { Socket } from "../../host/node/dgram/index.ts";
import type { SimulatedHost } from "../../host/node/sim/index.ts";

const PORT = 7000;
/** Milliseconds. */
const HEARTBEAT = 50;
const ELECTION = 150;

type Role = "follower" | "candidate" | "leader";

type Message =
  | { readonly kind: "ask"; readonly term: number; readonly from: string }
  | { readonly kind: "vote"; readonly term: number; readonly from: string }
  | { readonly kind: "heartbeat"; readonly term: number; readonly from: string };

export class Peer {
  readonly name: string;
  role: Role = "follower";
  term = 0;
  /** Who this peer takes for the leader of its term. */
  leader: string | undefined;
  readonly #others: readonly string[];
  readonly #socket: Socket;
  readonly #votes = new Set<string>();
  #votedFor: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: SimulatedHost, names: readonly string[]) {
    this.name = host.name;
    this.#others = names.filter((name) => name !== host.name);
    this.#socket = host.dgram.createSocket("udp4", (bytes) => {
      this.#receive(JSON.parse(String(bytes)) as Message);
    });
    this.#socket.bind(PORT);
    this.#waitForLeader();
  }

  #send(to: string, kind: Message["kind"]): void {
    const message: Message = { kind, term: this.term, from: this.name };
    this.#socket.send(JSON.stringify(message), PORT, to);
  }

  #receive(message: Message): void {
    if (message.term > this.term) this.#follow(message.term);
    if (message.term < this.term) return;
    if (message.kind === "ask") this.#asked(message.from);
    else if (message.kind === "vote") this.#elected(message.from);
    else this.#hearLeader(message.from);
  }

  #follow(term: number): void {
    this.term = term;
    this.role = "follower";
    this.leader = undefined;
    this.#votedFor = undefined;
    this.#waitForLeader();
  }

  /** A peer has one vote a term. */
  #asked(candidate: string): void {
    if (this.#votedFor !== undefined && this.#votedFor !== candidate) return;
    this.#votedFor = candidate;
    this.#send(candidate, "vote");
    this.#waitForLeader();
  }

  #elected(voter: string): void {
    if (this.role !== "candidate") return;
    this.#votes.add(voter);
    if (this.#votes.size * 2 <= this.#others.length + 1) return;
    this.role = "leader";
    this.leader = this.name;
    this.#lead();
  }

  #hearLeader(leader: string): void {
    this.role = "follower";
    this.leader = leader;
    this.#waitForLeader();
  }

  #waitForLeader(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#stand(), ELECTION * (1 + Math.random()));
  }

  /** Nobody leads, as far as can be heard from here. */
  #stand(): void {
    this.term++;
    this.role = "candidate";
    this.leader = undefined;
    this.#votedFor = this.name;
    this.#votes.clear();
    this.#votes.add(this.name);
    for (const other of this.#others) this.#send(other, "ask");
    this.#waitForLeader();
  }

  #lead(): void {
    clearTimeout(this.#timer);
    for (const other of this.#others) this.#send(other, "heartbeat");
    this.#timer = setTimeout(() => this.#lead(), HEARTBEAT);
  }
}

/** The leaders among peers, by term. */
export function leaders(peers: readonly Peer[]): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const { role, term, name } of peers) {
    if (role === "leader") found.set(term, [...(found.get(term) ?? []), name]);
  }
  return found;
}
