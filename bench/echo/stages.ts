/**
 * Where the nanoseconds of a message go: the parts of an iteration one at a time, with a look at the
 * clock after each. An iteration carries a batch of messages, so the looks are few per message; their
 * own cost, measured beforehand, is taken off.
 *
 *   nic       pumping both queue pairs: hash, RETA, copying frames, descriptors
 *   receive   taking descriptors, parsing and checking headers
 *   tcp       segments of the batch, timers, events
 *   app       both applications, libix included
 *   send      system calls: TCP output and given-back buffers, ACKs, the doorbell
 */
import { EchoClient, STAT_MESSAGES, STAT_OPENED } from "../../examples/echo-client.ts";
import { EchoServer } from "../../examples/echo-server.ts";
import { createBackend, Ix, realClock } from "../../host/node/index.ts";
import type {
  App,
  AppFactory,
  Core,
  Dataplane,
  QueueBackend,
  Wire,
} from "../../host/node/index.ts";
import { createPair } from "../lib/pair.ts";
import { dataplaneOptions, EchoLoad, since } from "./load.ts";
import type { EchoTraffic } from "./system.ts";
import { OPENING, WARMUP } from "./system.ts";

const STAGES = ["nic", "receive", "tcp", "app", "send"] as const;
const [NIC, RECEIVE, TCP, APP, SEND] = STAGES.keys();
/** How long is measured, ms. */
const PASS = 500;

/** Nanoseconds per message by stage, both ends together. */
export function measureStages(params: EchoTraffic): Record<string, number> {
  const single = { ...params, cores: 1 };
  const load = new EchoLoad(single, false);
  const pair = createPair(dataplaneOptions(single));
  const { client, server, clientWire, serverWire } = pair;
  const threads = [
    new StagedThread(server, serverWire, () => new EchoServer(load.server)),
    new StagedThread(client, clientWire, () => new EchoClient(load.client)),
  ];
  const open = (): boolean => load.count(STAT_OPENED) >= params.conns;
  run(threads, OPENING * 1000, open);
  run(threads, WARMUP * 1000);
  const spent = threads.map(({ spent }) => spent.slice());
  const looks = threads.reduce((total, { looks }) => total + looks, 0);
  const messages = load.count(STAT_MESSAGES);
  run(threads, PASS);
  const done = since(load.count(STAT_MESSAGES), messages);
  const looked = threads.reduce((total, { looks }) => total + looks, 0) - looks;
  const ownCost = (clockCost() * looked) / STAGES.length;
  const result: Record<string, number> = {};
  for (const [stage, name] of STAGES.entries()) {
    const total = threads.reduce((sum, t, i) => sum + t.spent[stage] - spent[i][stage], 0);
    result[name] = ((total - ownCost) * 1e6) / done;
  }
  return result;
}

/** One core like an elastic thread, but taken to pieces. */
class StagedThread {
  /** Milliseconds by stage, and how often the clock was looked at. */
  readonly spent = new Float64Array(STAGES.length);
  looks = 0;
  readonly #backend: QueueBackend;
  readonly #kernel: ReturnType<Core["attach"]>;
  readonly #ix: Ix;
  readonly #app: App;
  #now = 0;

  constructor(dataplane: Dataplane, wire: Wire, app: AppFactory) {
    const core = dataplane.cores[0];
    this.#now = realClock()();
    this.#backend = createBackend(dataplane.port, 0, wire);
    this.#kernel = core.attach(this.#now);
    this.#kernel.announce();
    this.#ix = new Ix(core.memory, core.block, () => this.#kernel.dispatch(this.#now));
    this.#app = app({ ix: this.#ix, core: 0, options: undefined, post() {} });
    this.#app.start?.(this.#ix);
  }

  iterate(now: number): void {
    this.#now = now;
    const { spent } = this;
    const kernel = this.#kernel;
    const begin = performance.now();
    this.#backend.pump(now);
    const pumped = performance.now();
    const calls = this.#ix.pendingCalls;
    kernel.stage(0, now);
    kernel.stage(1, now);
    const sent = performance.now();
    kernel.stage(2, now);
    const received = performance.now();
    kernel.stage(3, now);
    const events = kernel.stage(4, now);
    const processed = performance.now();
    if (events !== 0 || calls !== 0) this.#app.handle(this.#ix, now);
    const end = performance.now();
    spent[NIC] += pumped - begin;
    spent[SEND] += sent - pumped;
    spent[RECEIVE] += received - sent;
    spent[TCP] += processed - received;
    spent[APP] += end - processed;
    this.looks += STAGES.length;
  }
}

/** Runs for a time, or until something is so. */
function run(threads: readonly StagedThread[], milliseconds: number, until = never): void {
  const clock = realClock();
  const end = clock() + milliseconds * 1000;
  for (let now = clock(); now < end && !until(); now = clock()) {
    for (const thread of threads) thread.iterate(now);
  }
}

function never(): boolean {
  return false;
}

/** Milliseconds that one look at the clock takes. */
function clockCost(): number {
  const LOOKS = 200_000;
  let last = 0;
  for (let i = 0; i < LOOKS; i++) last = performance.now();
  const begin = performance.now();
  for (let i = 0; i < LOOKS; i++) last = performance.now();
  return (last - begin) / LOOKS;
}
