/**
 * One run of the elastic experiment, in simulated time: a server of many cores, a policy that decides
 * how many of them are active, a background job that has the others, and a load that changes. Requests
 * arrive at random (Poisson) on random connections, and cost the server's application a fixed time.
 */
import { build, type Histogram } from "hdr-histogram-js";
import {
  capacityOf,
  connectPorts,
  Controller,
  createDataplane,
  EnergyMeter,
  modelledWatts,
  NO_COSTS,
  REFERENCE_COSTS,
  SimulatedRunner,
} from "../../host/node/index.ts";
import type {
  CostModel,
  Demand,
  EnergyState,
  MachineShape,
  Policy,
  SimulatedCore,
} from "../../host/node/index.ts";
import { CLIENT_IP, SERVER_IP } from "../lib/pair.ts";
import { Random } from "../lib/random.ts";
import { MovableEcho, OpenLoopClient } from "./apps.ts";
import type { Pattern } from "./patterns.ts";

export interface Scenario {
  /** The server's machine. */
  readonly machine: MachineShape;
  readonly policy: Policy;
  readonly pattern: Pattern;
  /** Requests per second that are offered at most: the pattern's 1. */
  readonly peak: number;
  /** Time that the application needs for a request, µs. */
  readonly service: number;
  /** Length of the run, s. */
  readonly seconds: number;
  readonly conns: number;
  readonly batch: number;
  readonly seed: number;
  /** What the kernel's work costs. Default `REFERENCE_COSTS`. */
  readonly costs?: CostModel;
}

/** A change of the number of active cores. */
export interface CoreChange {
  /** When it was decided, and when it was done, µs since the beginning of the load. */
  readonly decided: number;
  readonly done: number;
  readonly cores: number;
  /** Work that they can do, in cores at nominal frequency. */
  readonly capacity: number;
}

/** A piece of the run. */
export interface Interval {
  /** µs since the beginning of the load. */
  readonly at: number;
  /** Requests per second that were offered, and active cores at its end. */
  readonly offered: number;
  readonly cores: number;
  /** Request latency, µs. */
  readonly p99: number;
}

/** All figures are simulated. */
export interface ScenarioResult {
  readonly requests: number;
  readonly answered: number;
  readonly p50: number;
  readonly p99: number;
  /** Share of the requests that were answered within GOAL times their service. */
  readonly withinGoal: number;
  /** Mean of the active cores, and modelled energy relative to having all of them active. */
  readonly meanCores: number;
  readonly energyShare: number;
  readonly changes: readonly CoreChange[];
  readonly intervals: readonly Interval[];
  /** What must not happen because cores come and go. */
  readonly retransmissions: number;
  readonly drops: number;
}

/** What a request may take, in times of its service. */
export const GOAL = 20;

/** How often requests are generated, µs. */
const TICK = 20;
const INTERVALS = 120;
const PORT = 7;
/** Until all connections are up and quiet, µs. */
const SETTLE = 100_000;
/** Time for the last answers, µs. */
const DRAIN = 200_000;

export async function runScenario(scenario: Scenario): Promise<ScenarioResult> {
  const world = new World(scenario);
  try {
    await world.connect();
    return await world.load();
  } finally {
    world.runner.close();
  }
}

class World {
  readonly runner = new SimulatedRunner();
  readonly #scenario: Scenario;
  readonly #client: OpenLoopClient;
  readonly #clientCore: SimulatedCore;
  readonly #server: ReturnType<typeof serverDataplane>;
  readonly #random: Random;
  readonly #all = histogram();
  readonly #intervals: Interval[] = [];
  readonly #changes: CoreChange[] = [];
  /** Answers since the last interval, and how many requests had been sent at its end. */
  #recent = histogram();
  #counted = 0;
  #within = 0;
  #begin = 0;
  #coreMicros = 0;
  #coresSince = 0;
  /** What is active. */
  #active: Demand;
  readonly #controller: Controller;
  #energy: EnergyMeter | undefined;

  constructor(scenario: Scenario) {
    const { conns, machine, policy, service, costs = REFERENCE_COSTS } = scenario;
    this.#scenario = scenario;
    this.#random = new Random(scenario.seed);
    this.#active = policy.demand(policy.initial);
    const server = serverDataplane(scenario, this.#active.cores);
    const client = clientDataplane(conns);
    this.#server = server;
    const [serverWire, clientWire] = connectPorts(server.port, client.port);
    const cores = this.runner.add(server, {
      wire: serverWire,
      costs: { ...costs, event: costs.event + service * 1000 },
      app: () => new MovableEcho({ port: PORT, backlog: conns }),
    });
    this.#client = new OpenLoopClient({ server: SERVER_IP, port: PORT, conns, size: 64 });
    const app = this.#client;
    [this.#clientCore] = this.runner.add(client, {
      wire: clientWire,
      costs: NO_COSTS,
      app: () => app,
    });
    this.#controller = new Controller({
      dataplane: server,
      manager: this.runner.manager(server),
      policy,
      setSpeed: (demand) => {
        for (const core of cores) core.speed = speedOf(machine, demand);
      },
      onChange: (demand, decided) => this.#changed(demand, decided),
      onError: (error) => {
        throw error;
      },
    });
  }

  /** Opens all connections and lets them come to rest. */
  async connect(): Promise<void> {
    const { conns } = this.#scenario;
    const open = (): boolean => this.#client.open === conns;
    if (!this.runner.run({ until: open, forMicros: 10e6 })) {
      throw new Error(`only ${this.#client.open} of ${conns} connections are open`);
    }
    await this.runner.runAsync({ forMicros: SETTLE });
  }

  /** Offers the load, and sums up. */
  async load(): Promise<ScenarioResult> {
    const { runner } = this;
    const { seconds } = this.#scenario;
    const micros = seconds * 1e6;
    this.#begin = runner.now;
    this.#coresSince = runner.now;
    this.#energy = new EnergyMeter(runner.now, this.#energyState());
    this.#client.onAnswer = (sentAt, now) => this.#answered(now - sentAt);
    const stops = [
      runner.every(this.#controller.period, () => this.#controller.tick(runner.now)),
      runner.every(TICK, () => this.#offer(Math.min((runner.now - this.#begin) / micros, 1))),
      runner.every(micros / INTERVALS, () => this.#interval(micros / INTERVALS)),
    ];
    await runner.runAsync({ forMicros: micros });
    for (const stop of stops) stop();
    this.#account();
    const joules = this.#energy.joules;
    await runner.runAsync({ forMicros: DRAIN });
    await this.#controller.settled;
    return this.#result(micros, joules);
  }

  /** Requests of one tick. */
  #offer(progress: number): void {
    const { pattern, peak, conns } = this.#scenario;
    const core = this.#clientCore;
    const requests = this.#random.poisson((pattern(progress) * peak * TICK) / 1e6);
    const { now } = this.runner;
    for (let i = 0; i < requests; i++) {
      this.#client.send(core.thread!.ix, this.#random.below(conns), now);
    }
    if (requests > 0) core.wake(now);
  }

  #answered(micros: number): void {
    this.#all.recordValue(micros);
    this.#recent.recordValue(micros);
    if (micros <= GOAL * this.#scenario.service) this.#within++;
  }

  #interval(length: number): void {
    const { sent } = this.#client;
    this.#intervals.push({
      at: this.runner.now - this.#begin,
      offered: ((sent - this.#counted) * 1e6) / length,
      cores: this.#active.cores,
      p99: this.#recent.getValueAtPercentile(99),
    });
    this.#counted = sent;
    this.#recent = histogram();
  }

  #changed(demand: Demand, decided: number): void {
    const { machine } = this.#scenario;
    const { now } = this.runner;
    this.#account();
    this.#active = demand;
    this.#energy?.change(now, this.#energyState());
    this.#changes.push({
      decided: decided - this.#begin,
      done: now - this.#begin,
      cores: demand.cores,
      capacity: demand.cores * speedOf(machine, demand),
    });
  }

  /** Adds up core time and energy to this moment. */
  #account(): void {
    const { now } = this.runner;
    this.#coreMicros += this.#active.cores * (now - this.#coresSince);
    this.#coresSince = now;
    this.#energy?.change(now, this.#energyState());
  }

  #energyState(): EnergyState {
    return energyState(this.#scenario.machine, this.#active);
  }

  #result(micros: number, joules: number): ScenarioResult {
    const { machine } = this.#scenario;
    const { sent, answered } = this.#client;
    const always = modelledWatts(energyState(machine, { cores: machine.cores }));
    const counters = this.#server.counters();
    return {
      requests: sent,
      answered,
      p50: this.#all.getValueAtPercentile(50),
      p99: this.#all.getValueAtPercentile(99),
      withinGoal: this.#within / answered,
      meanCores: this.#coreMicros / micros,
      energyShare: joules / ((always * micros) / 1e6),
      changes: this.#changes,
      intervals: this.#intervals,
      retransmissions: counters.tcpRetransmits,
      drops: counters.dropForeignGroup + counters.dropTcpNoConnection,
    };
  }
}

function nominal({ frequencies }: MachineShape): number {
  return frequencies.at(-1)!;
}

/** How fast a core is, as a multiple of one thread at nominal frequency. */
function speedOf(machine: MachineShape, demand: Demand): number {
  const { frequency = nominal(machine), hyperthreads = false } = demand;
  return capacityOf(machine, { cores: 1, frequency, hyperthreads }) / nominal(machine);
}

function energyState(machine: MachineShape, demand: Demand): EnergyState {
  const { cores, frequency = nominal(machine), hyperthreads } = demand;
  return { active: cores, cores: machine.cores, frequency, hyperthreads };
}

function serverDataplane({ machine, conns, batch }: Scenario, activeCores: number) {
  const { cores } = machine;
  return createDataplane({
    name: "server",
    ip: `${SERVER_IP}/24`,
    cores,
    activeCores,
    batch,
    ringSize: 4096,
    frames: cores * 10_240,
    // What one core may have to take.
    maxConnections: cores * conns,
    secret: new Uint8Array(16).fill(1),
  });
}

function clientDataplane(conns: number) {
  return createDataplane({
    name: "client",
    ip: `${CLIENT_IP}/24`,
    ringSize: 16_384,
    frames: 65_536,
    calls: 16_384,
    maxConnections: 2 * conns,
    secret: new Uint8Array(16).fill(2),
  });
}

function histogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: 1e8 });
}
