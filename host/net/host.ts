/**
 * One host of a network: a dataplane of one core with the event layer on it. What Node's look-alikes,
 * WinterTC's `connect` and the simulations need of a stack is here: listening by port, dialing by name,
 * UDP, timers.
 */
import { RC_INUSE, RC_NOMEM, RC_OK } from "../../assembly/abi.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import type { IxevContext } from "../libix/ixev-context.ts";
import type { Ix } from "../libix/ix.ts";
import { Ixev, type IxevListener, type Knock } from "../libix/ixev.ts";
import type { Network } from "./network.ts";
import { UdpLayer } from "./udp.ts";

/** Who knocks is taken in with a fresh context, or turned away with null. */
export type Accept = (knock: Knock) => IxevContext | null;

/** A TCP port that is listened on. */
export interface PortListener {
  readonly port: number;
  /** Listens no more; connections that were accepted go on. */
  close(): void;
}

interface Listening {
  readonly listener: IxevListener;
  readonly accept: Accept;
  /** Told what came of it, an `RC_*` code. */
  readonly settled: (outcome: number) => void;
}

const EPHEMERAL_LOW = 49152;
const EPHEMERAL_COUNT = 16384;

export class Host {
  readonly network: Network;
  readonly name: string;
  /** Own IPv4 address. */
  readonly address: string;
  readonly dataplane: Dataplane;
  readonly #listening = new Map<number, Listening>();
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
  }

  /** The runner's: makes the application of the host's core. */
  attach(ix: Ix): Ixev {
    const ixev = new Ixev(
      ix,
      {
        accept: (knock) => this.#listening.get(knock.localPort)?.accept(knock) ?? null,
        listening: (listener) => this.#settle(listener),
        dialed: (context, outcome) => this.#finishDial(context, outcome),
        released: (context) => this.#released.get(context)?.(),
        event: (_, index) => this.udp.event(index),
        result: (_, index) => this.udp.result(index),
      },
      { wake: () => this.network.runner.wake() },
    );
    this.#ixev = ixev;
    this.#udp = new UdpLayer(ixev, this.address);
    return ixev;
  }

  get ixev(): Ixev {
    return this.#ixev!;
  }

  get udp(): UdpLayer {
    return this.#udp!;
  }

  /** The address that a name or an address in text form means to this host; undefined: no such name. */
  resolve(nameOrAddress: string): string | undefined {
    return this.network.names.resolve(nameOrAddress, this.address);
  }

  /**
   * Listens on a TCP port, 0 for any free one. `settled` is called once the kernel has answered, with
   * RC_OK or why not: at once with RC_INUSE when this host listens there already.
   */
  listen(
    port: number,
    backlog: number,
    accept: Accept,
    settled: (outcome: number, listener: PortListener) => void,
  ): PortListener {
    const chosen = port === 0 ? this.#freePort() : port;
    const listener: PortListener = { port: chosen, close: () => this.#close(entry) };
    if (chosen === 0 || this.#listening.has(chosen)) {
      const outcome = chosen === 0 ? RC_NOMEM : RC_INUSE;
      settled(outcome, { port: chosen, close: () => {} });
      return listener;
    }
    const entry: Listening = {
      listener: this.ixev.listen(chosen, backlog),
      accept,
      settled: (outcome) => settled(outcome, listener),
    };
    this.#listening.set(chosen, entry);
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

  #settle(listener: IxevListener): void {
    const entry = this.#listening.get(listener.port);
    if (entry?.listener !== listener) return;
    const outcome = listener.outcome!;
    if (outcome !== RC_OK) this.#listening.delete(listener.port);
    entry.settled(outcome);
  }

  #close(entry: Listening): void {
    const { listener } = entry;
    if (this.#listening.get(listener.port) !== entry) return;
    this.#listening.delete(listener.port);
    this.ixev.unlisten(listener);
  }

  #freePort(): number {
    for (let tried = 0; tried < EPHEMERAL_COUNT; tried++) {
      const port = EPHEMERAL_LOW + (this.#nextPort++ % EPHEMERAL_COUNT);
      if (!this.#listening.has(port)) return port;
    }
    return 0;
  }
}
