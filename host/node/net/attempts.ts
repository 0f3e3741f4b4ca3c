/**
 * Connecting to a name that has several addresses: one after the other, each with a time of its own, until
 * one answers (RFC 8305, the way node:net's `autoSelectFamily` does it).
 */
import { RC_OK, RC_TIMEOUT } from "../../../assembly/abi.ts";
import { IxevContext } from "../../libix/ixev-context.ts";
import type { Host } from "../../net/host.ts";
import { systemError } from "./errors.ts";
import type { Endpoint } from "./options.ts";

/** What connecting tells its socket. */
export interface AttemptEvents {
  /** A context is tried. It gets its handler from the socket. */
  begin(context: IxevContext, to: Endpoint): void;
  connected(context: IxevContext, to: Endpoint): void;
  /** One of several failed; `timedOut`: it was given up. */
  failed(to: Endpoint, error: Error, timedOut: boolean): void;
  /** None answered. */
  exhausted(errors: readonly Error[]): void;
}

export interface AttemptPlan {
  readonly host: Host;
  readonly endpoints: readonly Endpoint[];
  readonly localPort: number;
  /** Milliseconds for each attempt but the last. */
  readonly patience: number;
}

export class Attempts {
  readonly #plan: AttemptPlan;
  readonly #events: AttemptEvents;
  readonly #errors: Error[] = [];
  #next = 0;
  #context: IxevContext | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(plan: AttemptPlan, events: AttemptEvents) {
    this.#plan = plan;
    this.#events = events;
    this.#try();
  }

  /** Gives up. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#context?.abort();
    this.#context = null;
  }

  #try(): void {
    const { host, endpoints, localPort, patience } = this.#plan;
    const to = endpoints[this.#next++];
    const context = new IxevContext();
    this.#context = context;
    this.#events.begin(context, to);
    if (this.#context !== context) return;
    host.dial(context, host.toWire(to.address), to.port, localPort, (outcome) => {
      if (this.#context === context) this.#settled(to, context, outcome);
    });
    // The own host always answers, however long the thread is busy.
    if (this.#next === endpoints.length || host.isOwn(to.address)) return;
    // Where very many connect at once it takes a while until this one is sent.
    host.ixev.later(() => {
      if (this.#context === context) this.#timer = setTimeout(() => this.#giveUp(to), patience);
    });
  }

  #settled(to: Endpoint, context: IxevContext, outcome: number): void {
    clearTimeout(this.#timer);
    this.#context = null;
    if (outcome === RC_OK) this.#events.connected(context, to);
    else this.#failed(to, outcome, false);
  }

  #giveUp(to: Endpoint): void {
    const context = this.#context;
    this.#context = null;
    context?.abort();
    this.#failed(to, RC_TIMEOUT, true);
  }

  #failed(to: Endpoint, outcome: number, timedOut: boolean): void {
    const error = systemError("connect", outcome, to);
    this.#errors.push(error);
    this.#events.failed(to, error, timedOut);
    if (this.#next < this.#plan.endpoints.length) this.#try();
    else this.#events.exhausted(this.#errors);
  }
}
