/**
 * The control plane as the page uses it: how many cores, which flow groups where, a policy that decides on
 * its own, a core that dies. Works for whoever runs the cores.
 */
import {
  Controller,
  delayPolicy,
  energyProportionality,
  firstStep,
  minimumMaximum,
  plainMachine,
  stepPolicy,
  type Dataplane,
  type Elasticity,
  type Policy,
} from "../../host/index.ts";
import { MAX_CORES, type IncidentReport, type PolicyName } from "./messages.ts";

export type Report = (incident: Omit<IncidentReport, "type" | "at">) => void;

export class Control {
  readonly #server: Dataplane;
  readonly #manager: Elasticity;
  readonly #report: Report;
  #policy: PolicyName = "off";
  #controller: Controller | undefined;
  #due = 0;
  /** One change of the number of cores after the other; the latest wish counts. */
  #reshaping = false;
  #wanted: number;

  constructor(server: Dataplane, manager: Elasticity, report: Report) {
    this.#server = server;
    this.#manager = manager;
    this.#report = report;
    this.#wanted = this.active;
  }

  get manager(): Elasticity {
    return this.#manager;
  }

  get active(): number {
    return this.#manager.cores.filter((state) => state === "active").length;
  }

  /**
   * Puts a policy in force. Without one the person decides: `cores` are to be active, where that is not
   * left as it is.
   */
  follow(policy: PolicyName, cores?: number): void {
    if (policy !== this.#policy) {
      this.#policy = policy;
      this.#controller = this.#controllerOf(policy);
      this.#wanted = this.active;
    }
    if (!this.#controller && cores !== undefined) this.#want(cores);
  }

  /** Asks the policy, when it is time to. */
  tick(now: number): void {
    const controller = this.#controller;
    if (!controller || now < this.#due) return;
    this.#due = now + controller.period;
    controller.tick(now);
  }

  migrate(groups: readonly number[], to: number): void {
    this.#try(async () => {
      const results = await this.#manager.migrate(groups, to);
      for (const { from, groups: count, connections, packets, micros } of results) {
        const text =
          `${count} flow group${count === 1 ? "" : "s"} with ${connections} connections ` +
          `moved from core ${from} to core ${to} in ${Math.round(micros)} µs; ${packets} packets waited`;
        this.#report({ what: "migrated", core: to, text });
      }
    });
  }

  /** Ends a core's thread, whatever it does; others take over. */
  kill(core: number): void {
    if (this.#manager.cores[core] !== "active" || !this.#manager.canContain(core)) {
      this.#report({ what: "refused", core, text: `core ${core} is the last one, or not active` });
      return;
    }
    this.#try(async () => {
      const taken = this.#manager.evict(core);
      this.#report({ what: "killed", core, text: `the thread of core ${core} is gone` });
      this.tookOver(core, await taken);
    });
  }

  /** Says that others have what a core had that died. */
  tookOver(core: number, moved: Awaited<ReturnType<Elasticity["evict"]>>): void {
    const connections = moved.reduce((sum, result) => sum + result.connections, 0);
    const text = `others took over the ${connections} connections of core ${core}`;
    this.#report({ what: "taken over", core, text });
  }

  #want(cores: number): void {
    this.#wanted = cores;
    if (this.#reshaping || cores === this.active) return;
    this.#reshaping = true;
    this.#try(async () => {
      try {
        while (this.active !== this.#wanted && !this.#controller) {
          const goal = this.#wanted;
          await this.#manager.setActive(goal);
          this.#report({
            what: "cores",
            core: goal,
            text: goal === 1 ? "1 core is active" : `${goal} cores are active`,
          });
          if (goal === this.#wanted) break;
        }
      } finally {
        this.#reshaping = false;
      }
    });
  }

  #controllerOf(name: PolicyName): Controller | undefined {
    const policy = policyOf(name, this.active);
    if (!policy) return undefined;
    return new Controller({
      dataplane: this.#server,
      manager: this.#manager,
      policy,
      rebalance: name === "delay" ? {} : undefined,
      onChange: ({ cores }) =>
        this.#report({ what: "cores", core: cores, text: `the policy wants ${cores} cores` }),
      onError: (error) => this.#refuse(error),
    });
  }

  #try(action: () => Promise<void>): void {
    action().catch((error: unknown) => this.#refuse(error));
  }

  #refuse(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#report({ what: "refused", core: -1, text });
  }
}

function policyOf(name: PolicyName, active: number): Policy | undefined {
  if (name === "off") return undefined;
  if (name === "delay") return delayPolicy({ max: MAX_CORES }, active) as Policy;
  const goal = name === "energy" ? energyProportionality : minimumMaximum;
  const steps = goal(plainMachine(MAX_CORES));
  return stepPolicy(name, steps, firstStep(steps, active)) as Policy;
}
