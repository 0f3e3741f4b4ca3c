/**
 * Full speed: the scenario in real time, as fast as the machine goes. What is shown is read off shared
 * memory while the cores run, and of the packets a sample.
 */
import { CORE_PARKED } from "../../assembly/abi.ts";
import { realClock } from "../../host/index.ts";
import { createBatches, readBatches } from "./batches.ts";
import { Board } from "./board.ts";
import { Control } from "./control.ts";
import { Tally, MAX_FLOWS } from "./tally.ts";
import type { CaptureFile, Levers, Mode, Pace, PacketLife, Snapshot } from "./messages.ts";
import { createNetwork, type Network } from "./network.ts";
import { lifeOf } from "./packet-life.ts";
import type { Plant, PlantOptions } from "./plant.ts";
import { Readings } from "./readings.ts";
import type { Runner, RunnerOptions } from "./runner.ts";
import { Sampler } from "./sampler.ts";
import { Tracker } from "./tracker.ts";
import { ConnectionWatch } from "./watch.ts";

/** How long connections may take to open before the page is shown what there is, ms. */
const WARM_UP = 1000;
/** Of readings, µs; and how often they are taken, and the policy is asked, ms. */
const WINDOW = 400_000;
const TICK = 5;
const MOST_PACKETS = 400;

export class FullRunner implements Runner {
  readonly #network: Network;
  readonly #board = new Board();
  readonly #tally = new Tally();
  readonly #batches = createBatches();
  readonly #sampler: Sampler;
  readonly #tracker: Tracker;
  readonly #plant: Plant;
  readonly #readings: Readings;
  readonly #control: Control;
  readonly #watch: ConnectionWatch;
  readonly #clock = realClock();
  readonly #origin = this.#clock();
  readonly #tell: RunnerOptions["tell"];
  #policy: Levers["policy"];
  #ticker: ReturnType<typeof setInterval> | undefined;

  constructor(
    { scenario, kernel, tell }: RunnerOptions,
    makePlant: (options: PlantOptions) => Plant,
  ) {
    this.#tell = tell;
    this.#policy = scenario.policy;
    this.#board.set(scenario);
    this.#network = createNetwork(scenario, kernel, "real");
    const { server, client, flooder, wires } = this.#network;
    this.#sampler = new Sampler([server.port, client.port, flooder]);
    const shared = {
      board: this.#board.buffer,
      tally: this.#tally.buffer,
      batches: this.#batches,
      wires,
      flooder,
      target: server.port.mac,
    };
    this.#plant = makePlant({
      network: this.#network,
      board: this.#board,
      shared,
      sampler: this.#sampler,
      kernel,
      onFailure: (error) => this.#fail(error),
    });
    const { manager } = this.#plant;
    this.#control = new Control(server, manager, (incident) =>
      tell({ type: "incident", at: this.#now, ...incident }),
    );
    const extras = (core: number) => this.#extras(core);
    this.#readings = new Readings(this.#network, manager, this.#tally, extras, WINDOW);
    const steering = {
      queueOf: (group: number) => this.#readings.queueOf(group),
      // A queue a core.
      coreOf: (queue: number) => queue,
    };
    const ports = [server.port, client.port, flooder];
    this.#tracker = new Tracker(ports, steering, (port) => this.#flowOf(port));
    this.#watch = new ConnectionWatch(this.#tally, (group) => manager.owners()[group]);
    this.#tracker.onMove = (packet) => this.#watch.saw(packet);
  }

  get mode(): Mode {
    return this.#plant.mode;
  }

  get threads(): number {
    return this.#plant.threads;
  }

  async start(): Promise<void> {
    await this.#plant.start();
    const end = performance.now() + WARM_UP;
    const wanted = this.#board.get("connections");
    while (this.#tally.open < wanted && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, TICK));
    }
    this.#control.follow(this.#policy);
    this.#ticker = setInterval(() => this.#tick(), TICK);
  }

  follow(changes: Partial<Levers>): void {
    this.#board.set(changes);
    this.#plant.follow();
    if (changes.policy) this.#policy = changes.policy;
    this.#control.follow(this.#policy, changes.cores);
  }

  pause(isPaused: boolean): void {
    this.#board.paused = isPaused;
  }

  /** There is one pace here: that of the machine. */
  setPace(_pace: Pace): void {}

  /** Nobody can stop a machine between two packets. */
  step(_by: "packet" | "iteration"): void {}

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
    const owners = this.#plant.manager.owners();
    this.#sampler.show(this.#tracker, this.#origin, (group) => owners[group], this.#travel);
    const now = this.#clock();
    this.#readings.sample(now);
    const { packets, unseen } = this.#tracker.take(MOST_PACKETS);
    const migrations = this.#readings.migrations();
    return Promise.resolve({
      type: "snapshot",
      mode: this.mode,
      now: now - this.#origin,
      paused: this.#board.paused,
      pace: "full",
      active: this.#control.active,
      totals: this.#readings.totals(now),
      latency: this.#readings.latency(now),
      cores: this.#readings.cores(now),
      groups: this.#readings.groups(),
      migrations: migrations.map((each) => ({ ...each, began: now - this.#origin })),
      flows: this.#readings.flows(),
      packets,
      unseen,
      watched: this.#watch.take(),
    });
  }

  packet(id: number): PacketLife {
    return lifeOf(id, this.#tracker.find(id));
  }

  capture(): Promise<CaptureFile> {
    return this.#sampler.capture();
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    await this.#plant.stop();
  }

  /** How long a frame of so many bytes travels over an idle link, µs. */
  readonly #travel = (length: number): number => {
    const rate = this.#board.get("rate");
    return this.#board.get("delay") + (rate > 0 ? (length * 8e6) / rate : 0);
  };

  get #now(): number {
    return this.#clock() - this.#origin;
  }

  #tick(): void {
    const now = this.#clock();
    this.#control.tick(now);
    this.#readings.sample(now);
  }

  #extras(core: number) {
    const { memory, cores } = this.#network.server;
    const parked = new Int32Array(memory.buffer)[(cores[core].block + CORE_PARKED) >>> 2];
    const batches = readBatches(this.#batches, core);
    return { asleep: parked !== 0, iteration: undefined, batches };
  }

  #flowOf(port: number): number {
    for (let flow = 0; flow < MAX_FLOWS; flow++) {
      if (this.#tally.portOf(flow) === port) return flow;
    }
    return -1;
  }

  #fail(error: unknown): void {
    clearInterval(this.#ticker);
    const message = error instanceof Error ? error.message : String(error);
    this.#tell({ type: "failed", message });
  }
}
