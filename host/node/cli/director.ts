/**
 * What clients may change about a run: which cores are active, what they own, and which policy decides
 * on that. While a policy does, cores are not taken from it.
 */
import { FLOW_GROUPS } from "../../../assembly/abi.ts";
import { Controller } from "../../control/controller.ts";
import * as check from "../../dataplane/checks.ts";
import type { Clock } from "../../dataplane/clock.ts";
import type { CoreManager, MigrationResult } from "../../dataplane/core-manager.ts";
import type { Dataplane } from "../../dataplane/dataplane.ts";
import { describeError } from "./errors.ts";
import { POLICIES } from "./policies.ts";
import { RequestError, type Request } from "./protocol.ts";

/** Policies may want to be asked more often than a timer of the event loop fires, ms. */
const SHORTEST_TICK = 1;

/** What `policy` answers. */
export interface PolicyStatus {
  /** "off", or the name of the policy. */
  readonly policy: string;
  /** How often it has changed which cores are active, and what the last change that failed failed of. */
  readonly changes: number;
  readonly error?: string;
}

export class Director {
  readonly #dataplane: Dataplane;
  readonly #manager: CoreManager;
  readonly #clock: Clock;
  #policy = "off";
  #timer: NodeJS.Timeout | undefined;
  #controller: Controller | undefined;
  #changes = 0;
  #error: string | undefined;

  constructor(dataplane: Dataplane, manager: CoreManager, clock: Clock) {
    this.#dataplane = dataplane;
    this.#manager = manager;
    this.#clock = clock;
  }

  /** The active cores. */
  get active(): number[] {
    const { cores } = this.#manager;
    return [...cores.keys()].filter((core) => cores[core] === "active");
  }

  get status(): PolicyStatus {
    return { policy: this.#policy, changes: this.#changes, error: this.#error };
  }

  /** Makes so many cores, or just these, the active ones. */
  async cores(request: Request): Promise<{ active: number[] }> {
    const { length } = this.#dataplane.cores;
    if (this.#policy !== "off") {
      throw new RequestError(
        "EBUSY",
        `the policy ${this.#policy} decides on cores: ixwasm policy off ends that`,
      );
    }
    const { active } = request;
    if (Array.isArray(active) && active.length > 0) {
      const cores = active.map((core: unknown) => check.integer("active", core, 0, 0, length - 1));
      await this.#manager.setActive(cores);
    } else {
      await this.#manager.setActive(required("active", active, 1, length));
    }
    return { active: this.active };
  }

  /** Moves flow groups to a core. */
  async migrate(request: Request): Promise<{ moves: readonly MigrationResult[] }> {
    const to = required("to", request.to, 0, this.#dataplane.cores.length - 1);
    const groups = check
      .array("groups", request.groups, FLOW_GROUPS)
      .map((group) => required("groups", group, 0, FLOW_GROUPS - 1));
    if (groups.length === 0) {
      throw new RequestError("EINVAL", `"groups" must be flow groups from 0 to ${FLOW_GROUPS - 1}`);
    }
    return { moves: await this.#manager.migrate(groups, to) };
  }

  /** Lets a policy decide from now on, or none; without a name, says which does. */
  async policy({ name }: Request): Promise<PolicyStatus> {
    if (name === undefined) return this.status;
    if (name !== "off" && !POLICIES.has(name as string)) {
      const known = [...POLICIES.keys(), "off"].join(", ");
      throw new RequestError("EINVAL", `there is no policy ${JSON.stringify(name)}, only ${known}`);
    }
    this.end();
    // What the last one has begun goes on to its end.
    await this.#controller?.settled;
    this.#controller = undefined;
    if (name !== "off") this.decideBy(name as string);
    return this.status;
  }

  /** Lets the policy of this name decide. */
  decideBy(name: string): void {
    this.end();
    const named = POLICIES.get(name)!;
    const controller = new Controller({
      dataplane: this.#dataplane,
      manager: this.#manager,
      policy: named.make(this.#dataplane.cores.length, this.active.length),
      rebalance: named.balances ? {} : undefined,
      onChange: () => void this.#changes++,
      onError: (error) => void (this.#error = describeError(error)),
    });
    const tick = (): void => controller.tick(this.#clock());
    this.#policy = name;
    this.#changes = 0;
    this.#error = undefined;
    this.#controller = controller;
    this.#timer = setInterval(tick, Math.max(controller.period / 1000, SHORTEST_TICK));
  }

  /** Ends the policy; what it has begun goes on. */
  end(): void {
    clearInterval(this.#timer);
    this.#policy = "off";
    this.#changes = 0;
    this.#error = undefined;
  }
}

function required(name: string, value: unknown, min: number, max: number): number {
  if (value === undefined) throw check.typeError(name, `an integer from ${min} to ${max}`, value);
  return check.integer(name, value, 0, min, max);
}
