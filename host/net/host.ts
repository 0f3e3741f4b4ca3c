/**
 * One host of a network: a dataplane of one core with the event layer on it. What Node's look-alikes,
 * WinterTC's `connect` and the simulations need of a stack is here: listening by port, dialing by name,
 * UDP, timers.
 */
import { FLAG_DEFER, RC_INUSE, RC_NOMEM, RC_OK } from "../../assembly/abi.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import { IpAddress } from "../libix/ip-address.ts";
import type { IxevContext } from "../libix/ixev-context.ts";
import type { Ix } from "../libix/ix.ts";
import { Ixev } from "../libix/ixev.ts";
import type { IxevListener } from "../libix/ixev-listeners.ts";
import type { Knock } from "../libix/ixev-operations.ts";
import {
  EVERYWHERE,
  ListeningPort,
  type Accept,
  type Binding,
  type Where,
} from "./listening-port.ts";
import { isThisHost, LOOPBACK } from "./names.ts";
import type { Network } from "./network.ts";
import { UdpLayer } from "./udp.ts";

/** A TCP port that is listened on. */
export interface PortListener {
  readonly port: number;
  /** Listens no more; connections that were accepted go on. */
  close(): void;
}

const EPHEMERAL_LOW = 49152;
const EPHEMERAL_COUNT = 16384;

/** The IPv6 addresses that a dataplane was made with. */
export function ownIp6({ options }: Dataplane): string[] {
  const configured = options.ip6?.addresses ?? [];
  return configured.map(({ address }) => IpAddress.fromBytes(address).toString());
}

export class Host {
  readonly network: Network;
  readonly name: string;
  /** Own IPv4 address. */
  readonly address: string;
  /** Own IPv6 address; undefined where the host has IPv4 alone. */
  readonly address6: string | undefined;
  readonly dataplane: Dataplane;
  readonly #listening = new Map<number, ListeningPort>();
  readonly #dialed = new Map<IxevContext, (outcome: number) => void>();
  readonly #released = new WeakMap<IxevContext, () => void>();
  #ixev: Ixev | undefined;
  #udp: UdpLayer | undefined;
  #nextPort = 0;

  constructor(network: Network, name: string, address: string, dataplane: Dataplane) {
    this.network = network;
    this.name = name;
    this.address = address;
    this.dataplane = dataplane;
    [this.address6] = ownIp6(dataplane);
  }

  /** The runner's: makes the application of the host's core. */
  attach(ix: Ix): Ixev {
    const ixev = new Ixev(
      ix,
      {
        accept: (knock) => this.#accept(knock),
        listening: (listener) => this.#settle(listener),
        dialed: (context, outcome) => this.#finishDial(context, outcome),
        released: (context) => this.#released.get(context)?.(),
        event: (_, index) => this.udp.event(index),
        result: (_, index) => this.udp.result(index),
      },
      { wake: () => this.network.runner.wake() },
    );
    this.#ixev = ixev;
    this.#udp = new UdpLayer(ixev, (address) => this.ownFor(address));
    return ixev;
  }

  get ixev(): Ixev {
    return this.#ixev!;
  }

  get udp(): UdpLayer {
    return this.#udp!;
  }

  /**
   * The addresses that a name or an address in text form means, the preferred one first (RFC 6724: IPv4
   * before unique local IPv6). Loopback addresses stay what they are. None: there is no such name.
   */
  addressesOf(nameOrAddress: string): readonly string[] {
    const found = this.network.names.lookUp(nameOrAddress);
    if (this.address6 !== undefined || found.length < 2) return found;
    return found.filter((each) => !each.includes(":"));
  }

  /** The one address of them that packets are sent to; undefined: no such name. */
  resolve(nameOrAddress: string): string | undefined {
    const [first] = this.addressesOf(nameOrAddress);
    return first && this.toWire(first);
  }

  /** What packets to an address have as their destination: of loopback addresses the host's own. */
  toWire(address: string): string {
    return isThisHost(address) ? this.ownFor(address) : address;
  }

  /** The host's own address of the same family. */
  ownFor(address: string): string {
    return address.includes(":") ? (this.address6 ?? this.address) : this.address;
  }

  /** True for every address by which the host is meant. */
  isOwn(address: string): boolean {
    return isThisHost(address) || address === this.address || address === this.address6;
  }

  /** How an address of a peer is shown: what comes from the host itself comes from loopback. */
  shown(address: string): string {
    if (address === this.address) return LOOPBACK.ipv4;
    return address === this.address6 ? LOOPBACK.ipv6 : address;
  }

  /**
   * Listens on a TCP port, 0 for any free one. `settled` is called once the kernel has answered, with
   * RC_OK or why not: at once when this host listens there already.
   *
   * @param backlog connections that may wait, at least. Who knocks is answered in the same round, so that
   * a smaller number than a quarter of `maxConnections` would only refuse some of many who come at once
   * @param where which connections are meant. Default all
   */
  listen(
    port: number,
    backlog: number,
    accept: Accept,
    settled: (outcome: number, listener: PortListener) => void,
    where: Where = EVERYWHERE,
  ): PortListener {
    const chosen = port === 0 ? this.#freePort() : port;
    const binding: Binding = { where, accept, settled: (outcome) => settled(outcome, listener) };
    const listener: PortListener = { port: chosen, close: () => this.#close(chosen, binding) };
    const existing = this.#listening.get(chosen);
    if (chosen === 0 || existing?.isTaken(where)) {
      settled(chosen === 0 ? RC_NOMEM : RC_INUSE, listener);
    } else if (existing !== undefined) {
      existing.add(binding);
      if (existing.listener.outcome === RC_OK) settled(RC_OK, listener);
    } else {
      // Who is not meant is to be refused at once, not after the handshake.
      const flags = where.ipv4 && where.ipv6 && where.address === null ? 0 : FLAG_DEFER;
      const waiting = Math.max(backlog, this.dataplane.options.maxConnections >> 2);
      const opened = new ListeningPort(this.ixev.listen(chosen, waiting, flags));
      opened.add(binding);
      this.#listening.set(chosen, opened);
    }
    return listener;
  }

  /**
   * Opens a connection for a fresh context. `settled` is called with RC_OK, or with why not; after that
   * `released`, once nothing of the connection is left.
   */
  dial(
    context: IxevContext,
    address: string,
    port: number,
    sourcePort: number,
    settled: (outcome: number) => void,
  ): void {
    this.#dialed.set(context, settled);
    this.ixev.dial(context, address, port, sourcePort);
  }

  /** Has `released` called when the context's connection is over and gone. */
  onRelease(context: IxevContext, released: () => void): void {
    this.#released.set(context, released);
  }

  #finishDial(context: IxevContext, outcome: number): void {
    const settled = this.#dialed.get(context);
    this.#dialed.delete(context);
    settled?.(outcome);
  }

  #accept(knock: Knock): IxevContext | null {
    const port = this.#listening.get(knock.localPort);
    return port?.accept(knock, this.isOwn(knock.address.toString())) ?? null;
  }

  #settle(listener: IxevListener): void {
    const port = this.#listening.get(listener.port);
    if (port?.listener !== listener) return;
    const outcome = listener.outcome!;
    if (outcome !== RC_OK) this.#listening.delete(listener.port);
    for (const binding of [...port.bindings]) binding.settled(outcome);
  }

  #close(number: number, binding: Binding): void {
    const port = this.#listening.get(number);
    if (port === undefined || !port.remove(binding) || port.bindings.length > 0) return;
    this.#listening.delete(number);
    this.ixev.unlisten(port.listener);
  }

  #freePort(): number {
    for (let tried = 0; tried < EPHEMERAL_COUNT; tried++) {
      const port = EPHEMERAL_LOW + (this.#nextPort++ % EPHEMERAL_COUNT);
      if (!this.#listening.has(port)) return port;
    }
    return 0;
  }
}
