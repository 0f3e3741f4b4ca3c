/** An engine without a page: the tests are the page, and its clock. */
import { Engine } from "../../demo/engine/engine.ts";
import {
  DEFAULT_SCENARIO,
  type EngineMessage,
  type Pace,
  type PageMessage,
  type Scenario,
  type Snapshot,
} from "../../demo/engine/messages.ts";
import { releaseKernel } from "../support/kernels.ts";

export class Bench {
  /** All that the engine has said. */
  readonly said: EngineMessage[] = [];
  /** The person's clock, ms. */
  wall = 0;
  readonly #engine: Engine;

  constructor() {
    this.#engine = new Engine(
      Promise.resolve(releaseKernel.module),
      (message) => this.said.push(structuredClone(message)),
      () => this.wall,
    );
  }

  static async start(changes: Partial<Scenario> = {}, pace: Pace = 1000): Promise<Bench> {
    const bench = new Bench();
    await bench.send({ type: "start", scenario: { ...DEFAULT_SCENARIO, ...changes }, pace });
    return bench;
  }

  async send(...messages: PageMessage[]): Promise<void> {
    for (const message of messages) this.#engine.take(message);
    await this.#engine.idle;
    const failed = this.all("failed").at(0);
    if (failed) throw new Error(failed.message);
  }

  /** Ends what runs in real time. */
  async stop(): Promise<void> {
    await this.#engine.stop();
  }

  /** A frame, `ms` of the person's time after the last one. */
  async frame(ms = 16): Promise<Snapshot> {
    this.wall += ms;
    await this.send({ type: "frame" });
    return this.all("snapshot").at(-1)!;
  }

  /** Frames until it holds, at most `limit` of them. */
  async framesUntil(holds: (snapshot: Snapshot) => boolean, limit = 400): Promise<Snapshot> {
    for (let i = 0; i < limit; i++) {
      const snapshot = await this.frame();
      if (holds(snapshot)) return snapshot;
    }
    throw new Error(`it did not come true within ${limit} frames`);
  }

  all<Type extends EngineMessage["type"]>(type: Type): Extract<EngineMessage, { type: Type }>[] {
    return this.said.filter((message) => message.type === type) as Extract<
      EngineMessage,
      { type: Type }
    >[];
  }
}
