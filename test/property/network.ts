/**
 * Two dataplanes in virtual time, joined by a path that loses, repeats, reorders, delays and corrupts.
 * Frames go through both kernels' rings; every one that a kernel sends is parsed strictly.
 */
import { KernelHarness, type HarnessOptions } from "../support/kernel.ts";
import type { KernelBuild } from "../support/kernels.ts";
import type { Host } from "../support/packet.ts";
import { Random } from "../support/random.ts";

export interface PathOptions {
  /** One-way delay, µs, and a uniform addition to it that lets frames overtake each other. */
  readonly delay: number;
  readonly jitter: number;
  /** Probabilities per frame. */
  readonly loss: number;
  readonly duplicate: number;
  /** One bit of the frame is flipped. */
  readonly corrupt: number;
  /** Per instant: the sender's NIC stops to read its TX ring, for up to PAUSE µs. */
  readonly pause?: number;
}

const PAUSE = 20_000;

interface Travelling {
  readonly at: number;
  readonly frame: Uint8Array;
}

/** One direction. */
export class Path {
  readonly #random: Random;
  readonly #options: PathOptions;
  readonly #travelling: Travelling[] = [];

  constructor(random: Random, options: PathOptions) {
    this.#random = random;
    this.#options = options;
  }

  send(frame: Uint8Array, now: number): void {
    const { loss, duplicate } = this.#options;
    if (this.#random.chance(loss)) return;
    this.#launch(frame, now);
    if (this.#random.chance(duplicate)) this.#launch(frame, now);
  }

  /** Takes the frames that have arrived, in the order of their arrival. */
  arrived(now: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    while (this.#travelling.length > 0 && this.#travelling[0].at <= now) {
      frames.push(this.#travelling.shift()!.frame);
    }
    return frames;
  }

  next(): number {
    return this.#travelling[0]?.at ?? Infinity;
  }

  #launch(frame: Uint8Array, now: number): void {
    const { delay, jitter, corrupt } = this.#options;
    const at = now + delay + this.#random.below(jitter + 1);
    const copy = frame.slice();
    if (this.#random.chance(corrupt)) {
      copy[this.#random.below(copy.length)] ^= 1 << this.#random.below(8);
    }
    let place = this.#travelling.length;
    while (place > 0 && this.#travelling[place - 1].at > at) place--;
    this.#travelling.splice(place, 0, { at, frame: copy });
  }
}

/** A NIC that stops to send now and then. */
class Pauses {
  readonly #random: Random;
  readonly #chance: number;
  #until = 0;

  constructor(random: Random, chance: number) {
    this.#random = random;
    this.#chance = chance;
  }

  /** Stops the NIC, or lets it go on. */
  step({ nic }: KernelHarness, now: number): void {
    if (nic.stalled) {
      nic.stalled = now < this.#until;
    } else if (this.#random.chance(this.#chance)) {
      nic.stalled = true;
      this.#until = now + 1 + this.#random.below(PAUSE);
    }
  }

  next({ nic }: KernelHarness): number {
    return nic.stalled ? this.#until : Infinity;
  }
}

/** What an application does on one side of the network. */
export interface Application {
  /** Called when something may have happened; true when it did something itself. */
  step(now: number): boolean;
  /** When it wants to be called next, µs; Infinity when only events concern it. */
  next(): number;
  /** True when it wants nothing more. */
  done(): boolean;
}

export const LEFT: Host = { ip: "10.0.0.1", mac: "02:00:0a:00:00:01" };
export const RIGHT: Host = { ip: "10.0.0.2", mac: "02:00:0a:00:00:02" };

/** Instants at most, before a run counts as stuck. */
const INSTANTS_MAX = 400_000;

export class Network {
  readonly left: KernelHarness;
  readonly right: KernelHarness;
  readonly #there: Path;
  readonly #back: Path;
  readonly #leftPauses: Pauses;
  readonly #rightPauses: Pauses;
  now: number;

  constructor(build: KernelBuild, path: PathOptions, seed: number, options: HarnessOptions = {}) {
    const random = new Random(seed);
    const own = (host: Host, other: Host): HarnessOptions => ({
      ...options,
      ip: `${host.ip}/24`,
      mac: host.mac,
      neighbours: [other],
    });
    this.left = new KernelHarness(build, own(LEFT, RIGHT));
    this.right = new KernelHarness(build, own(RIGHT, LEFT));
    this.#there = new Path(new Random(random.below(2 ** 32)), path);
    this.#back = new Path(new Random(random.below(2 ** 32)), path);
    this.#leftPauses = new Pauses(new Random(random.below(2 ** 32)), path.pause ?? 0);
    this.#rightPauses = new Pauses(new Random(random.below(2 ** 32)), path.pause ?? 0);
    this.now = this.left.now;
  }

  /** Runs until both applications are done and the network is silent, or for `limit` µs. */
  run(applications: readonly Application[], limit: number): void {
    const end = this.now + limit;
    for (let instants = 0; this.now <= end; instants++) {
      if (instants > INSTANTS_MAX) throw new Error(`no end in sight\n${this.log()}`);
      while (this.#instant(applications)) continue;
      const next = Math.min(
        this.#there.next(),
        this.#back.next(),
        this.#leftPauses.next(this.left),
        this.#rightPauses.next(this.right),
        this.left.deadline() ?? Infinity,
        this.right.deadline() ?? Infinity,
        ...applications.map((application) => application.next()),
      );
      if (next === Infinity) return;
      if (applications.every((application) => application.done()) && this.#silent()) return;
      this.now = Math.max(next, this.now);
    }
  }

  /** Ends both sides and asserts that neither holds anything. */
  finish(): void {
    this.left.finish();
    this.right.finish();
  }

  log(): string {
    return `left:\n${this.left.log()}\nright:\n${this.right.log()}`;
  }

  #silent(): boolean {
    const { left, right } = this;
    const isPaused = left.nic.stalled || right.nic.stalled;
    return !isPaused && this.#there.next() === Infinity && this.#back.next() === Infinity;
  }

  /** Everything that happens at one instant, once around; true when something did. */
  #instant(applications: readonly Application[]): boolean {
    let busy = false;
    for (const [kernel, out, path, pauses] of [
      [this.left, this.#there, this.#back, this.#leftPauses],
      [this.right, this.#back, this.#there, this.#rightPauses],
    ] as const) {
      kernel.now = this.now;
      pauses.step(kernel, this.now);
      for (const frame of path.arrived(this.now)) {
        // A NIC without an empty frame drops; that is one more loss.
        kernel.nic.receive(frame);
        busy = true;
        if (kernel.nic.fill.used === 0) kernel.poll();
      }
      kernel.poll();
      for (const packet of kernel.sent()) {
        out.send(packet.frame, this.now);
        busy = true;
      }
    }
    for (const application of applications) if (application.step(this.now)) busy = true;
    return busy;
  }
}
