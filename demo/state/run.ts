/** The run that the page shows: what is set, who wants to know of changes, and the address that says it. */
import type { Levers, Pace, Scenario } from "../engine/messages.ts";
import { fromHash, toHash } from "./address.ts";

export type Change =
  | { readonly what: "levers"; readonly changes: Partial<Levers> }
  | { readonly what: "pace"; readonly pace: Pace }
  | { readonly what: "start" };

type Listener = (change: Change) => void;

/** Writing the address more often than this makes some browsers refuse, ms. */
const ADDRESS_DELAY = 250;

export class RunState {
  #scenario: Scenario;
  #pace: Pace;
  readonly #listeners: Listener[] = [];
  #pending: ReturnType<typeof setTimeout> | undefined;
  #written: string;

  constructor() {
    const { scenario, pace } = fromHash(location.hash);
    this.#scenario = scenario;
    this.#pace = pace;
    this.#written = location.hash;
    addEventListener("hashchange", () => this.#onAddress());
  }

  get scenario(): Scenario {
    return this.#scenario;
  }

  get pace(): Pace {
    return this.#pace;
  }

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** Levers that stand there already are not touched. */
  set(wanted: Partial<Levers>): void {
    const changes = Object.fromEntries(
      Object.entries(wanted).filter(
        ([key, value]) => this.#scenario[key as keyof Levers] !== value,
      ),
    ) as Partial<Levers>;
    if (Object.keys(changes).length === 0) return;
    this.#scenario = { ...this.#scenario, ...changes };
    this.#announce({ what: "levers", changes });
  }

  setPace(pace: Pace): void {
    if (pace === this.#pace) return;
    this.#pace = pace;
    this.#announce({ what: "pace", pace });
  }

  /** Begins anew with a scenario. */
  start(scenario: Scenario, pace: Pace): void {
    this.#scenario = scenario;
    this.#pace = pace;
    this.#announce({ what: "start" });
  }

  /** The address of this run. */
  get link(): string {
    return location.href.replace(/#.*$/, "") + toHash(this);
  }

  #announce(change: Change): void {
    for (const listener of this.#listeners) listener(change);
    clearTimeout(this.#pending);
    this.#pending = setTimeout(() => {
      this.#written = toHash(this);
      history.replaceState(
        null,
        "",
        this.#written === "" ? location.pathname + location.search : this.#written,
      );
    }, ADDRESS_DELAY);
  }

  /** Somebody wrote another run into the address. */
  #onAddress(): void {
    if (location.hash === this.#written) return;
    const { scenario, pace } = fromHash(location.hash);
    this.start(scenario, pace);
  }
}
