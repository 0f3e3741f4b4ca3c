/** Shell commands between packets: settings that come while the stack runs, and what they ask of it. */
import { Mismatch, Unsupported } from "../language/errors.ts";
import type { Event } from "../language/script.ts";
import { applyLive } from "./live-settings.ts";
import type { Settings } from "./settings.ts";
import { questionsOf, type ShellQuestion } from "./shell.ts";
import { Statistics } from "./statistics.ts";
import type { Stack } from "./stack.ts";
import { TcbView } from "./tcb.ts";

export class Commands {
  readonly #settings: Settings;
  readonly #stack: Stack;
  readonly #statistics: Statistics;

  constructor(settings: Settings, stack: Stack) {
    this.#settings = settings;
    this.#stack = stack;
    this.#statistics = new Statistics(() => stack.dataplane.counters());
  }

  /**
   * Runs the command of an event.
   *
   * @param gone whether the connection under test is no more
   * @param last whether nothing follows that settings could bear on
   * @throws {Mismatch} when what it asks is answered otherwise
   */
  run(event: Event, command: string, gone: boolean, last: boolean): void {
    for (const question of questionsOf(command)) {
      switch (question.kind) {
        case "states":
          this.#checkStates(event, question.state, question.count, gone);
          break;
        case "counter":
          this.#checkCounter(event, question);
          break;
        case "settings":
          if (!last) this.#apply(question.command);
      }
    }
  }

  #apply(command: string): void {
    if (applyLive(this.#settings, this.#stack.dataplane.memory, command)) return;
    throw new Unsupported(`setting while the stack runs: ${command}`);
  }

  #checkStates(event: Event, name: string, count: number, gone: boolean): void {
    const state = name === "SYN_RCVD" ? "SYN_RECEIVED" : name;
    if (state === "CLOSED") {
      // A socket whose connection is gone; the kernel keeps no record of it.
      if (!gone) throw new Mismatch(event.line, "the connection is not closed", event.text);
      return;
    }
    const states = TcbView.all(this.#stack.dataplane.memory).map((tcb) => tcb.state);
    const found = states.filter((one) => one === state).length;
    if (found === count) return;
    const actual = `${found} connections in ${name}`;
    throw new Mismatch(event.line, actual, event.text, states.join(", ") || "none");
  }

  #checkCounter(event: Event, question: ShellQuestion & { kind: "counter" }): void {
    const { name, count, keeps } = question;
    if (name !== undefined) {
      const added = this.#statistics.added(name);
      // nstat does not show what is zero.
      if (added === 0 || (count !== undefined && added !== count)) {
        throw new Mismatch(event.line, `${name} has grown by ${added}`, event.text, `${added}`);
      }
    }
    if (!keeps) this.#statistics.forget();
  }
}
