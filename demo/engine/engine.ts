/**
 * The engine behind the page: one runner at a time, chosen by the pace and by what the page may do, and
 * the messages that go to it, in their order.
 */
import { cleaned } from "./board.ts";
import {
  DEFAULT_SCENARIO,
  type EngineMessage,
  type Levers,
  type Pace,
  type PageMessage,
  type Scenario,
} from "./messages.ts";
import type { Runner } from "./runner.ts";
import { chooseRunner } from "./choose-runner.ts";

export class Engine {
  readonly #kernel: Promise<WebAssembly.Module>;
  readonly #post: (message: EngineMessage) => void;
  readonly #wall: () => number;
  #runner: Runner | undefined;
  #scenario: Scenario = DEFAULT_SCENARIO;
  #pace: Pace = "full";
  #paused = false;
  #watched = -1;
  /** Messages are served one after the other. */
  #queue: Promise<void> = Promise.resolve();

  /** @param wall the person's clock, ms */
  constructor(
    kernel: Promise<WebAssembly.Module>,
    post: (message: EngineMessage) => void,
    wall: () => number = () => performance.now(),
  ) {
    this.#wall = wall;
    this.#kernel = kernel;
    this.#post = post;
  }

  /** Serves a message after those before it. */
  take(message: PageMessage): void {
    this.#queue = this.#queue
      .then(() => this.#serve(message))
      .catch((error: unknown) => this.#fail(error));
  }

  /** Fulfilled when all messages so far have been served. */
  get idle(): Promise<void> {
    return this.#queue;
  }

  /** Ends what runs, after all messages so far. */
  async stop(): Promise<void> {
    await this.#queue;
    await this.#runner?.stop();
    this.#runner = undefined;
  }

  async #serve(message: PageMessage): Promise<void> {
    switch (message.type) {
      case "start":
        this.#scenario = { ...DEFAULT_SCENARIO, ...cleaned(message.scenario) };
        this.#paused = false;
        return this.#restart(message.pace);
      case "set":
        return this.#change(cleaned(message.changes));
      case "pace":
        return this.#setPace(message.pace);
      default:
        return this.#serveRunning(message);
    }
  }

  async #serveRunning(
    message: Exclude<PageMessage, { type: "start" | "set" | "pace" }>,
  ): Promise<void> {
    const runner = this.#runner;
    if (!runner) return;
    switch (message.type) {
      case "pause":
      case "resume":
        this.#paused = message.type === "pause";
        return runner.pause(this.#paused);
      case "step":
        this.#paused = true;
        return runner.step(message.by);
      case "migrate":
        return runner.migrate(message.groups, message.to);
      case "kill":
        return runner.kill(message.core);
      case "watch":
        this.#watched = message.flow;
        return runner.watch(message.flow);
      case "packet":
        return this.#post(runner.packet(message.id));
      case "capture":
        // At full speed this takes a while, in which frames go on.
        void runner.capture().then(this.#post, (error: unknown) => this.#fail(error));
        return;
      case "frame":
        this.#post(await runner.snapshot());
    }
  }

  async #change(changes: Partial<Levers>): Promise<void> {
    const { congestion } = this.#scenario;
    this.#scenario = { ...this.#scenario, ...changes };
    // Connections keep the congestion control that they were opened with.
    if (this.#scenario.congestion !== congestion) await this.#restart(this.#pace);
    else this.#runner?.follow(changes);
  }

  async #setPace(pace: Pace): Promise<void> {
    const isOtherMode = (pace === "full") !== (this.#pace === "full");
    if (isOtherMode || !this.#runner) return this.#restart(pace);
    this.#pace = pace;
    this.#runner.setPace(pace);
  }

  async #restart(pace: Pace): Promise<void> {
    this.#pace = pace;
    await this.#runner?.stop();
    this.#runner = undefined;
    const options = {
      scenario: this.#scenario,
      pace,
      kernel: await this.#kernel,
      tell: (message: EngineMessage) => this.#post(message),
      wall: this.#wall,
    };
    const runner = chooseRunner(options);
    this.#runner = runner;
    await runner.start();
    runner.watch(this.#watched);
    if (this.#paused) runner.pause(true);
    this.#post({
      type: "ready",
      mode: runner.mode,
      isolated: globalThis.crossOriginIsolated === true,
      threads: runner.threads,
    });
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#post({ type: "failed", message });
    const runner = this.#runner;
    this.#runner = undefined;
    void runner?.stop().catch(() => {});
  }
}
