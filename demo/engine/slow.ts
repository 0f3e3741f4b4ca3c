/**
 * Slow motion: the scenario in virtual time, each core as busy as the cost model says. Time passes only
 * when somebody looks: a frame lets as much of it go by as the pace and the wall clock say, so a page that
 * nobody sees stands still, and the same seed gives the same run.
 */
import {
  createBackend,
  NO_COSTS,
  REFERENCE_COSTS,
  SimulatedRunner,
  type SimulatedCore,
  type SimulatedIteration,
} from "../../host/index.ts";
import { QUEUE_RX, RING_CONSUMER } from "../../assembly/abi.ts";
import { Board } from "./board.ts";
import { captureOf } from "./capture.ts";
import { Control } from "./control.ts";
import { createEcho } from "./echo-app.ts";
import { Flooded } from "./flooder.ts";
import { IterationReader, timesOf } from "./iterations.ts";
import { Load } from "./load-app.ts";
import {
  MAX_CORES,
  type CaptureFile,
  type Iteration,
  type Levers,
  type Migration,
  type Pace,
  type PacketLife,
  type Snapshot,
} from "./messages.ts";
import { applyLink, createNetwork, type Network } from "./network.ts";
import { lifeOf } from "./packet-life.ts";
import { BATCH_BINS, batchBin, Readings } from "./readings.ts";
import { setBatch } from "./batch-bound.ts";
import type { Runner, RunnerOptions } from "./runner.ts";
import { MAX_FLOWS, Tally } from "./tally.ts";
import { Tracker } from "./tracker.ts";
import { ConnectionWatch } from "./watch.ts";

/** Longest wait for all connections to open, and for the first step of anything, µs. */
const WARM_UP = 20_000;
const STEP_LIMIT = 1_000_000;
/** Time that passes between two samples at most, µs; and of the wall clock in one go, ms. */
const CHUNK = 5000;
const LONGEST_FRAME = 100;
/** Longest computation for a frame, ms: a pace beyond what the machine can do is not kept. */
const BUDGET = 12;
const MOST_PACKETS = 400;
/** Of readings: at least so long, µs, and so many seconds of the person's. */
const WINDOW_MICROS = 1000;
const WINDOW_SECONDS = 2;
const CLIENT = 1;

/** What is known of a core of the server beyond its memory. */
interface CoreState {
  readonly reader: IterationReader;
  readonly batches: number[];
  iteration: Iteration | undefined;
  /** The consumer word of its RX ring, when it was looked at last. */
  consumed: number;
}

export class SlowRunner implements Runner {
  readonly mode = "slow";
  readonly threads = 0;
  readonly #network: Network;
  readonly #board = new Board();
  readonly #tally = new Tally();
  readonly #runner: SimulatedRunner;
  readonly #tracker: Tracker;
  readonly #readings: Readings;
  readonly #control: Control;
  readonly #watch: ConnectionWatch;
  readonly #server: readonly SimulatedCore[];
  readonly #client: SimulatedCore;
  readonly #states: readonly CoreState[];
  readonly #kernel: WebAssembly.Module;
  #clientConsumed = 0;
  #flows = new Map<number, number>();
  #policy: Levers["policy"];
  #pace: number;
  #paused = false;
  readonly #wall: () => number;
  /** The wall clock, ms, when time passed last. */
  #seen: number;
  #step: "packet" | "iteration" | undefined;
  #iterations = 0;
  /** One thing at a time lets time pass. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ scenario, pace, kernel, tell, wall }: RunnerOptions) {
    this.#wall = wall;
    this.#seen = wall();
    this.#kernel = kernel;
    this.#pace = pace === "full" ? 1e6 : pace;
    this.#policy = scenario.policy;
    this.#board.set(scenario);
    this.#network = createNetwork(scenario, kernel, "virtual");
    applyLink(this.#network, this.#board);
    this.#runner = new SimulatedRunner({
      costs: REFERENCE_COSTS,
      onIteration: (iteration) => this.#iterated(iteration),
    });
    const { server, client, flooder } = this.#network;
    const steering = {
      queueOf: (group: number) => this.#readings.queueOf(group),
      coreOf: (queue: number) => queue % MAX_CORES,
    };
    this.#tracker = new Tracker([server.port, client.port, flooder], steering, (port) =>
      this.#flowOf(port),
    );
    this.#server = this.#addServer();
    this.#client = this.#addClient();
    this.#states = server.cores.map(({ block }) => ({
      reader: new IterationReader(server.memory, block, REFERENCE_COSTS),
      batches: Array.from({ length: BATCH_BINS }, () => 0),
      iteration: undefined,
      consumed: 0,
    }));
    const manager = this.#runner.manager(server);
    const report = (incident: Parameters<ConstructorParameters<typeof Control>[2]>[0]): void =>
      tell({ type: "incident", at: this.#runner.now, ...incident });
    this.#control = new Control(server, manager, report);
    this.#readings = new Readings(
      this.#network,
      manager,
      this.#tally,
      (core) => this.#extras(core),
      this.#windowOf(this.#pace),
    );
    this.#watch = new ConnectionWatch(this.#tally, (group) => manager.owners()[group]);
    this.#tracker.onMove = (packet) => this.#watch.saw(packet);
  }

  async start(): Promise<void> {
    const wanted = this.#board.get("connections");
    await this.#runner.runAsync({ until: () => this.#tally.open >= wanted, forMicros: WARM_UP });
    this.#tracker.take(0);
    this.#control.follow(this.#policy);
    this.#readings.sample(this.#runner.now);
    this.#seen = this.#wall();
  }

  follow(changes: Partial<Levers>): void {
    this.#board.set(changes);
    applyLink(this.#network, this.#board);
    const now = this.#runner.now;
    if (changes.batch !== undefined) {
      const threads = this.#server.flatMap(({ thread }) => thread ?? []);
      setBatch(this.#network.server, changes.batch, threads, this.#kernel, now);
    }
    if (changes.policy) this.#policy = changes.policy;
    this.#control.follow(this.#policy, changes.cores);
  }

  pause(isPaused: boolean): void {
    this.#paused = isPaused;
    this.#step = undefined;
    this.#seen = this.#wall();
  }

  setPace(pace: Pace): void {
    if (pace === "full") return;
    this.#pace = pace;
    this.#readings.window = this.#windowOf(pace);
  }

  step(by: "packet" | "iteration"): void {
    this.#paused = true;
    this.#step = by;
  }

  migrate(groups: readonly number[], to: number): void {
    this.#control.migrate(groups, to);
  }

  kill(core: number): void {
    this.#control.kill(core);
  }

  watch(flow: number): void {
    this.#board.watched = flow;
    this.#watch.follow(flow);
  }

  snapshot(): Promise<Snapshot> {
    const turn = this.#turn.then(async () => {
      await this.#letPass();
      return this.#picture();
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  packet(id: number): PacketLife {
    return lifeOf(id, this.#tracker.find(id));
  }

  capture(): Promise<CaptureFile> {
    return Promise.resolve(captureOf(this.#network.server.port, this.#tracker.all));
  }

  async stop(): Promise<void> {
    await this.#turn;
    this.#runner.close();
  }

  // -------------------------------------------------------------------------------------------

  #addServer(): readonly SimulatedCore[] {
    const { server, wires } = this.#network;
    return this.#runner.add(server, {
      backend: (port, queue) =>
        createBackend(port, queue, wires.server, {
          capture: this.#tracker.observer(queue % MAX_CORES),
        }),
      app: ({ ix, core }) =>
        createEcho(ix, core, {
          board: this.#board.buffer,
          labour: (which, micros) => this.#server[which].charge(micros),
        }),
    });
  }

  #addClient(): SimulatedCore {
    const { server, client, flooder, wires } = this.#network;
    const observer = this.#tracker.observer(-1);
    const [core] = this.#runner.add(client, {
      backend: (port, queue) =>
        new Flooded(createBackend(port, queue, wires.client, { capture: observer }), {
          port: flooder,
          wire: wires.flooder,
          target: server.port.mac,
          rate: () => this.#board.get("flood"),
          seed: this.#board.get("seed") + 1,
          onForged: () => this.#tally.countForged(),
          observer,
        }),
      costs: NO_COSTS,
      app: ({ ix }) =>
        new Load(ix, {
          board: this.#board.buffer,
          tally: this.#tally.buffer,
          clock: () => this.#runner.now,
          wake: () => this.#client?.wake(this.#runner.now),
          alarm: (ixev, delay, callback) =>
            this.#runner.at(this.#runner.now + delay, () => ixev.later(callback)),
        }).ixev,
    });
    return core;
  }

  /** An iteration has been computed: notes what it did, and which packets it took. */
  #iterated(iteration: SimulatedIteration): void {
    const { core, began } = iteration;
    if (core.dataplane !== this.#network.server) {
      const consumed = consumerOf(this.#network.client.memory, this.#network.client.port.queues[0]);
      const count = (consumed - this.#clientConsumed) >>> 0;
      this.#clientConsumed = consumed;
      const times = { taken: began, protocols: began, app: began, done: began };
      if (count > 0) this.#tracker.taken(CLIENT, 0, count, times);
      return;
    }
    const state = this.#states[core.id];
    const done = state.reader.read(iteration);
    if (!done) return;
    state.iteration = done;
    this.#iterations++;
    const { memory, port } = this.#network.server;
    const consumed = consumerOf(memory, port.queues[core.id]);
    const count = (consumed - state.consumed) >>> 0;
    state.consumed = consumed;
    if (count === 0) return;
    state.batches[batchBin(count)]++;
    this.#tracker.taken(0, core.id, count, timesOf(done));
  }

  #extras(core: number) {
    const { batches, iteration } = this.#states[core];
    return { asleep: this.#server[core].asleep, iteration, batches };
  }

  #flowOf(port: number): number {
    const known = this.#flows.get(port);
    if (known !== undefined && this.#tally.portOf(known) === port) return known;
    for (let flow = 0; flow < MAX_FLOWS; flow++) {
      if (this.#tally.portOf(flow) !== port) continue;
      this.#flows.set(port, flow);
      return flow;
    }
    return -1;
  }

  #windowOf(pace: number): number {
    return Math.max(WINDOW_MICROS, Math.min(pace * WINDOW_SECONDS, 100_000));
  }

  /** Lets as much time pass as is due, or one step. */
  async #letPass(): Promise<void> {
    const wall = this.#wall();
    const elapsed = Math.min(wall - this.#seen, LONGEST_FRAME);
    this.#seen = wall;
    if (this.#step) await this.#passStep(this.#step);
    else if (!this.#paused) await this.#passTime((elapsed / 1000) * this.#pace, wall + BUDGET);
  }

  async #passStep(by: "packet" | "iteration"): Promise<void> {
    this.#step = undefined;
    const moves = this.#tracker.moves;
    const iterations = this.#iterations;
    const until = (): boolean =>
      by === "packet" ? this.#tracker.moves > moves : this.#iterations > iterations;
    await this.#runner.runAsync({ until, forMicros: STEP_LIMIT });
    this.#readings.sample(this.#runner.now);
  }

  async #passTime(micros: number, deadline: number): Promise<void> {
    const end = this.#runner.now + micros;
    const until = (): boolean => this.#wall() > deadline;
    while (this.#runner.now < end && !until()) {
      const chunk = Math.min(end - this.#runner.now, CHUNK, this.#readings.window / 16);
      await this.#runner.runAsync({ forMicros: chunk, until });
      this.#control.tick(this.#runner.now);
      this.#readings.sample(this.#runner.now);
    }
  }

  #picture(): Snapshot {
    const { now } = this.#runner;
    const { packets, unseen } = this.#tracker.take(MOST_PACKETS);
    return {
      type: "snapshot",
      mode: this.mode,
      now,
      paused: this.#paused,
      pace: this.#pace,
      active: this.#control.active,
      totals: this.#readings.totals(now),
      latency: this.#readings.latency(now),
      cores: this.#readings.cores(now),
      groups: this.#readings.groups(),
      migrations: this.#readings.migrations().map((migration) => this.#withBacklogs(migration)),
      flows: this.#readings.flows(),
      packets,
      unseen,
      watched: this.#watch.take(),
    };
  }

  /** Counts what has come for the groups since the migration began, to either side. */
  #withBacklogs(migration: Migration): Migration {
    const { from, to, groups, began } = migration;
    const moving = new Set(groups);
    let [fromBacklog, toBacklog] = [0, 0];
    for (const { way, ring = 0, group, core } of this.#tracker.all) {
      if (way !== "in" || ring < began || !moving.has(group)) continue;
      if (core === from) fromBacklog++;
      if (core === to) toBacklog++;
    }
    return { ...migration, fromBacklog, toBacklog };
  }
}

function consumerOf(memory: WebAssembly.Memory, queue: number): number {
  const words = new Uint32Array(memory.buffer);
  return words[words[(queue + QUEUE_RX + RING_CONSUMER) >>> 2] >>> 2];
}
