/**
 * How a UDP socket gets its port: an address of the host is found, the kernel is asked, and what was asked
 * of the socket meanwhile waits, in order.
 *
 *   UNBOUND ── begin ──► BINDING ── the kernel's answer ──► BOUND ── end ──► ENDED
 *      ▲────── failed ──────┘
 */
import { RC_OK } from "../../../assembly/abi.ts";
import { IpAddress } from "../../libix/ip-address.ts";
import type { Host } from "../../net/host.ts";
import { addressOf } from "../../net/names.ts";
import { isMulticast, type UdpSocket } from "../../net/udp.ts";
import { named, systemError } from "../net/errors.ts";
import { Hold } from "../net/hold.ts";
import { lookUp, type LookupFunction } from "../net/lookup.ts";

const UNBOUND = 0;
const BINDING = 1;
const BOUND = 2;
const ENDED = 3;

/** What the socket is told. */
export interface BindingEvents {
  bound(): void;
  failed(error: Error): void;
  message(bytes: Uint8Array, address: string, from: number): void;
  /** An ICMP error for a connected socket: an `RC_*` code. */
  error(reason: number): void;
}

export class Binding {
  /** The kernel's port; null until it is asked for one. */
  socket: UdpSocket | null = null;
  host: Host | null = null;
  readonly hold = new Hold();
  readonly #lookup: LookupFunction | undefined;
  readonly #family: number;
  readonly #events: BindingEvents;
  #state = UNBOUND;
  #anyAddress = true;
  #waiting: (() => void)[] = [];

  constructor(lookup: LookupFunction | undefined, family: number, events: BindingEvents) {
    this.#lookup = lookup;
    this.#family = family;
    this.#events = events;
  }

  get hasBegun(): boolean {
    return this.#state !== UNBOUND;
  }

  get isBound(): boolean {
    return this.#state === BOUND;
  }

  /** True while something waits for the answer of the kernel. */
  get isAwaited(): boolean {
    return this.#state === BINDING && this.#waiting.length > 0;
  }

  /** The address as `address()` shows it. */
  get shownAddress(): string {
    const isIpv4 = this.#family === 4;
    if (!this.#anyAddress) return this.host!.ownFor(isIpv4 ? "127.0.0.1" : "::1");
    return isIpv4 ? "0.0.0.0" : "::";
  }

  /** Binds to a port and an address of this host, or to all. */
  begin(host: Host, name: string | undefined, port: number): void {
    this.hold.begin(host);
    this.#state = BINDING;
    this.host = host;
    const literal = name === undefined ? "0.0.0.0" : addressOf(name);
    this.#anyAddress = literal === "0.0.0.0" || literal === "::";
    if (this.#anyAddress || (literal !== undefined && isMulticast(IpAddress.parse(literal)))) {
      process.nextTick(() => this.#bindTo(host, port));
      return;
    }
    lookUp(host, name!, { lookup: this.#lookup, family: this.#family }, (error, address) => {
      if (this.#state === ENDED) return;
      if (error !== null) this.#fail(error);
      else if (host.isOwn(address!)) this.#bindTo(host, port);
      else this.#fail(named("bind", "EADDRNOTAVAIL", { address: address!, port }));
    });
  }

  /** Runs `task` as soon as the socket is bound. */
  whenBound(task: () => void): void {
    if (this.isBound) task();
    else this.#waiting.push(task);
  }

  /** Gives the port back; what waits is forgotten. */
  end(): void {
    this.#state = ENDED;
    this.#waiting = [];
    this.socket?.close();
    this.hold.end();
  }

  #bindTo(host: Host, port: number): void {
    if (this.#state === ENDED) return;
    const { message, error } = this.#events;
    this.socket = host.udp.bind(port, {
      bound: (outcome) => process.nextTick(() => this.#answered(outcome, port)),
      message,
      error,
    });
  }

  #answered(outcome: number, port: number): void {
    if (this.#state === ENDED) return;
    if (outcome !== RC_OK) {
      this.#fail(systemError("bind", outcome, { address: this.shownAddress, port }));
      return;
    }
    this.#state = BOUND;
    this.#events.bound();
    const waiting = this.#waiting;
    this.#waiting = [];
    // The state is asked anew: a task may end the socket.
    for (const task of waiting) if (this.isBound) task();
  }

  #fail(error: Error): void {
    this.#state = UNBOUND;
    this.socket = null;
    this.#waiting = [];
    this.hold.end();
    this.#events.failed(error);
  }
}
