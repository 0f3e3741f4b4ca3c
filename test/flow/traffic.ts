/**
 * A dataplane of several cores and one of a single core, joined by a perfect link, while flow groups
 * move between the cores at random. The NIC's RETA changes at one instant, the kernel hears of it at a
 * later one, and what travels on the link comes to whichever queue the RETA says when it arrives.
 */
import {
  CORE_MIGRATION_TARGET,
  CORE_REQUEST,
  FLOW_GROUPS,
  RC_BADH,
  RC_MOVED,
  RC_NOBUFS,
  RC_OK,
  REQUEST_STEER,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { Dispatcher } from "../property/application.ts";
import { firstDifference, pattern } from "../support/bytes.ts";
import type { KernelEvent } from "../support/events.ts";
import { KernelHarness, type HarnessOptions } from "../support/kernel.ts";
import type { KernelBuild } from "../support/kernels.ts";
import type { Host } from "../support/packet.ts";
import type { Random } from "../support/random.ts";
import { rssHash } from "../support/toeplitz.ts";
import { Cores } from "./cores.ts";
import { Losses } from "./losses.ts";

export const SERVER: Host = { ip: "10.0.0.1", mac: "02:00:0a:00:00:01" };
export const CLIENT: Host = { ip: "10.0.0.2", mac: "02:00:0a:00:00:02" };

const RING = 64 * 1024;
const INSTANTS_MAX = 200_000;

/** One connection's end on the dataplane of many cores; it goes where its flow group goes. */
export class Traveller {
  readonly #random: Random;
  readonly #sends: number;
  /** Number of the stream that it sends. */
  readonly stream: number;
  readonly #expects: number;
  readonly #ring: number;
  handle = 0;
  /** The core that it is on; undefined while it travels. */
  k: KernelHarness | undefined;
  sent = 0;
  received = 0;
  givenBack = 0;
  moves = 0;
  ended = false;
  reason: number | undefined;
  #acked = 0;
  #blocked = false;
  #shut = false;

  /** @param k whose part of the application's window its sends come from: the same for all */
  constructor(k: KernelHarness, random: Random, sends: number, stream: number, expects: number) {
    this.#random = random;
    this.#sends = sends;
    this.stream = stream;
    this.#expects = expects;
    this.#ring = k.alloc(RING);
  }

  take(event: KernelEvent, k: KernelHarness): void {
    switch (event.kind) {
      case "left":
        this.k = undefined;
        break;
      case "arrived":
        this.k = k;
        this.moves++;
        // The memory is free, and what was not given back is announced again.
        this.#acked = this.sent;
        this.#blocked = false;
        this.received = this.givenBack;
        this.ended = false;
        this.#accept(k);
        break;
      case "recv":
        this.#receive(event.data, k);
        break;
      case "sent":
        this.#acked += event.acked;
        this.#blocked = false;
        break;
      case "dead":
        this.reason = event.reason;
        this.k = undefined;
        break;
    }
  }

  /** The thread of its core was lost: it hears of the connection at the next one, if at all. */
  lose(k: KernelHarness): void {
    if (this.k === k) this.k = undefined;
  }

  /** Does something, or not; true when it did. */
  step(): boolean {
    if (this.k === undefined || this.reason !== undefined) return false;
    if (this.#random.chance(0.3)) return false;
    return this.#giveBack(this.k) || this.#send(this.k);
  }

  #accept(k: KernelHarness): void {
    const code = k.accept(this.handle);
    // It goes on at once: `left` follows.
    if (code === RC_MOVED) return;
    // What came while it moved may have ended it: `dead` follows.
    if (code === RC_BADH && !k.contract.connections.has(this.handle)) return;
    expectOk(code, "accept", k);
  }

  #receive(data: Uint8Array, k: KernelHarness): void {
    if (data.length === 0) {
      this.ended = true;
      return;
    }
    const expected = pattern(data.length, this.received, this.#expects);
    if (firstDifference(data, expected) >= 0) {
      throw new Error(`stream is wrong from byte ${this.received}\n${k.log()}`);
    }
    this.received += data.length;
  }

  #giveBack(k: KernelHarness): boolean {
    const held = this.received - this.givenBack;
    if (held === 0) return false;
    const bytes = this.#random.chance(0.5) ? held : this.#random.between(1, held);
    const result = k.recvDone(this.handle, bytes);
    // A call that comes too late changes nothing: the bytes are announced again.
    if (result !== RC_OK) return false;
    this.givenBack += bytes;
    return true;
  }

  #send(k: KernelHarness): boolean {
    if (this.#shut || this.#blocked) return false;
    if (this.sent === this.#sends) {
      this.#shut = k.shutdown(this.handle) === RC_OK;
      return this.#shut;
    }
    const at = this.sent % RING;
    const room = Math.min(RING - (this.sent - this.#acked), RING - at);
    const size = this.#random.pick([1, 100, 1460, 5000, 20_000]);
    const wanted = Math.min(this.#random.between(1, size), this.#sends - this.sent, room);
    if (wanted === 0) return false;
    k.bytes.set(pattern(wanted, this.sent, this.stream), this.#ring + at);
    const [{ result }] = k.batch([
      { op: SYS_SEND, handle: this.handle, a: this.#ring + at, b: wanted },
    ]);
    if (result === RC_NOBUFS || result >= 0) this.#blocked = result < wanted;
    this.sent += Math.max(result, 0);
    return result > 0;
  }
}

interface Travelling {
  readonly at: number;
  readonly frame: Uint8Array;
}

export interface MoveOptions {
  /** One-way delay of the link, µs. */
  readonly delay: number;
  /** Mean time between commands, µs; 0: none. */
  readonly every: number;
  /** Longest time from the request to the RETA's change, and from there to `steered`, µs. */
  readonly steering: number;
  /** Mean time between losses of a core's thread, µs; absent: none. */
  readonly losses?: number;
}

/** The two dataplanes, the link and whoever moves the groups. */
export class MovingCores {
  readonly cores: Cores;
  readonly client: KernelHarness;
  readonly clients: Dispatcher;
  readonly travellers = new Map<number, Traveller>();
  onKnock: (event: { handle: number; remotePort: number }, k: KernelHarness) => void = () => {};
  readonly #random: Random;
  readonly #options: MoveOptions;
  readonly #toServer: Travelling[] = [];
  readonly #toClient: Travelling[] = [];
  readonly losses: Losses | undefined;
  /** Per core: when its RETA entries change, and when it is told. */
  readonly #changes = new Map<number, { change: number; tell: number; changed: boolean }>();
  #nextMove: number;
  now: number;

  constructor(
    build: KernelBuild,
    count: number,
    random: Random,
    move: MoveOptions,
    options: HarnessOptions = {},
  ) {
    this.cores = new Cores(build, count, {
      ...options,
      ip: `${SERVER.ip}/24`,
      mac: SERVER.mac,
      neighbours: [CLIENT],
    });
    this.client = new KernelHarness(build, {
      ...options,
      ip: `${CLIENT.ip}/24`,
      mac: CLIENT.mac,
      neighbours: [SERVER],
    });
    this.clients = new Dispatcher(this.client);
    this.#random = random;
    this.#options = move;
    this.now = this.client.now;
    this.#nextMove = move.every === 0 ? Infinity : this.now;
    if (move.losses !== undefined) {
      this.losses = new Losses(this.cores, random, move.losses, (core) => this.#lose(core));
    }
  }

  /** Runs until all is done and no migration is under way, for `limit` µs at most. */
  run(limit: number): void {
    const end = this.now + limit;
    for (let instants = 0; this.now <= end; instants++) {
      if (instants > INSTANTS_MAX) throw new Error(`no end in sight\n${this.log()}`);
      while (this.#instant()) continue;
      if (this.#isDone()) return;
      this.now = Math.max(this.#next(), this.now);
      if (this.now === Infinity) throw new Error(`nothing will happen any more\n${this.log()}`);
    }
    throw new Error(`not done in time\n${this.log()}`);
  }

  log(): string {
    return [this.client, ...this.cores.all].map((k) => k.log()).join("\n--\n");
  }

  #isDone(): boolean {
    const over = [...this.travellers.values()].every(({ reason }) => reason !== undefined);
    // What a lost thread was told nobody has heard.
    if ((!over && this.losses === undefined) || !this.clients.done()) return false;
    this.#nextMove = Infinity;
    if (this.losses !== undefined && !this.losses.end()) return false;
    return this.cores.all.every((_, core) => this.cores.isOver(core));
  }

  #next(): number {
    const deadlines = [this.client, ...this.cores.all].map((k) => k.deadline() ?? Infinity);
    const steering = [...this.#changes.values()].map(({ change, tell, changed }) =>
      changed ? tell : change,
    );
    return Math.min(
      ...deadlines,
      ...steering,
      this.#toServer[0]?.at ?? Infinity,
      this.#toClient[0]?.at ?? Infinity,
      this.clients.next(),
      this.losses?.next ?? Infinity,
      this.#nextMove,
      this.now + 1000,
    );
  }

  /** Everything that happens at one instant, once around; true when something did. */
  #instant(): boolean {
    let busy = this.#arrive();
    const { all } = this.cores;
    for (const k of [this.client, ...all]) {
      k.now = this.now;
      k.poll();
      const out = k === this.client ? this.#toServer : this.#toClient;
      for (const { frame } of k.sent()) {
        out.push({ at: this.now + this.#options.delay, frame });
        busy = true;
      }
    }
    for (const k of all) if (this.#dispatch(k)) busy = true;
    for (const traveller of this.travellers.values()) if (traveller.step()) busy = true;
    if (this.clients.step(this.now)) busy = true;
    if (this.losses?.step(this.now)) busy = true;
    return this.#steer() || this.#command() || busy;
  }

  #lacksThread(...cores: readonly number[]): boolean {
    return cores.some((core) => this.losses?.isLost(core));
  }

  #lose(core: number): void {
    const k = this.cores.at(core);
    for (const traveller of this.travellers.values()) traveller.lose(k);
    this.#changes.delete(core);
    k.events();
  }

  #arrive(): boolean {
    let busy = false;
    for (; (this.#toServer[0]?.at ?? Infinity) <= this.now; busy = true) {
      const { frame } = this.#toServer.shift()!;
      const hash = rssHash(frame);
      const core = hash === undefined ? 0 : this.cores.reta[hash % FLOW_GROUPS];
      const k = this.cores.at(core);
      k.now = this.now;
      if (k.nic.rx.free === 0 || k.nic.fill.used === 0) k.poll();
      k.inject(frame);
    }
    for (; (this.#toClient[0]?.at ?? Infinity) <= this.now; busy = true) {
      if (this.client.nic.rx.free === 0 || this.client.nic.fill.used === 0) this.client.poll();
      this.client.inject(this.#toClient.shift()!.frame);
    }
    return busy;
  }

  #dispatch(k: KernelHarness): boolean {
    const events = k.events();
    // Nobody is there to hear them.
    if (this.losses?.isLost(this.cores.all.indexOf(k))) return false;
    for (const event of events) {
      const traveller = this.travellers.get(event.handle);
      // A knock that a lost thread was told of and nobody heard is an arrival of what is not known.
      if (event.kind === "knock") this.onKnock(event, k);
      else if (event.kind === "arrived" && traveller === undefined) this.onKnock(event, k);
      else traveller?.take(event, k);
    }
    return events.length > 0;
  }

  /** Rewrites the RETA for those who asked, and tells them later. */
  #steer(): boolean {
    let busy = false;
    for (const [core, k] of this.cores.all.entries()) {
      const pending = this.#changes.get(core);
      if (pending === undefined) {
        if (k.word(CORE_REQUEST) !== REQUEST_STEER) continue;
        const change = this.now + this.#random.below(this.#options.steering + 1);
        const tell = change + this.#random.below(this.#options.steering + 1);
        this.#changes.set(core, { change, tell, changed: false });
        busy = true;
      } else if (!pending.changed && this.now >= pending.change) {
        const target = k.word(CORE_MIGRATION_TARGET);
        for (const group of this.cores.groupsUnderWay(core)) this.cores.reta[group] = target;
        pending.changed = true;
        busy = true;
      } else if (pending.changed && this.now >= pending.tell) {
        expectOk(k.steered(), "steered", k);
        this.#changes.delete(core);
        busy = true;
      }
    }
    return busy;
  }

  /** Gives a command at random to a core that has none. */
  #command(): boolean {
    if (this.now < this.#nextMove) return false;
    this.#nextMove = this.now + 1 + this.#random.below(2 * this.#options.every);
    const count = this.cores.all.length;
    const from = this.#random.below(count);
    const to = (from + 1 + this.#random.below(count - 1)) % count;
    if (!this.cores.isOver(from) || this.#lacksThread(from, to)) return false;
    const share = this.#random.pick([0.1, 0.5, 1]);
    const groups = Array.from({ length: FLOW_GROUPS }, (_, group) => group);
    this.cores.command(
      from,
      to,
      groups.filter(() => this.#random.chance(share)),
    );
    return true;
  }
}

function expectOk(code: number, what: string, k: KernelHarness): void {
  if (code !== RC_OK) throw new Error(`${what} said ${code}\n${k.log()}`);
}
