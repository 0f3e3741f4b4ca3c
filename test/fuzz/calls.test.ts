/**
 * Random descriptors: any operation with any handle, address and length, mixed with sensible ones and
 * with traffic. Nothing may trap, break the contract, reach memory that is not the application's, or
 * leak.
 */
import { describe, expect, test } from "vitest";
import {
  CFG_FRAMES,
  CONFIG_BASE,
  CONFIG_SIZE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_END,
  SYS_LISTEN,
  SYS_OPTION,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { addressWords, type Call } from "../support/application.ts";
import { KernelHarness, PEER } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { udpFrame } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { Random } from "../support/random.ts";

const SEED = Number(process.env.FUZZ_SEED ?? 19_810_901);
const RUNS = Number(process.env.FUZZ_RUNS ?? 4000) / 2;

class CallFuzz {
  readonly #k: KernelHarness;
  readonly #seed: number;
  readonly #random: Random;
  /** Handles that were given out, whatever became of them. */
  readonly #handles: number[] = [];
  readonly #config: Uint8Array;
  #peers: TcpPeer[] = [];

  constructor(build: KernelBuild, seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#k = new KernelHarness(build, {
      maxConnections: 16,
      frames: 512,
      ringSize: 64,
      references: 128,
      timers: 16,
      tables: { listeners: 8, udpPorts: 8, neighbours: 16 },
    });
    this.#config = this.#k.bytes.slice(CONFIG_BASE, CONFIG_BASE + CONFIG_SIZE);
    this.#handles.push(this.#k.listen(80).handle, this.#k.udpBind(53).handle);
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      try {
        this.#step();
      } catch (error) {
        const place = `FUZZ_SEED=${this.#seed}, step ${step}`;
        throw new Error(`${place}: ${String(error)}\n${this.#k.log()}`, { cause: error });
      }
    }
    const config = this.#k.bytes.slice(CONFIG_BASE, CONFIG_BASE + CONFIG_SIZE);
    expect(config).toEqual(this.#config);
    this.#k.finish();
  }

  #step(): void {
    const random = this.#random;
    const k = this.#k;
    if (random.chance(0.1)) this.#traffic();
    const calls = Array.from({ length: random.between(1, 8) }, () => this.#call());
    const results = random.chance(0.2) ? k.dispatch(calls) : k.batch(calls);
    for (const { handle } of results) if (handle !== 0) this.#handles.push(handle);
    for (const event of k.events()) this.#handles.push(event.handle);
    this.#handles.splice(0, this.#handles.length - 60);
    if (random.chance(0.02)) k.advance(random.pick([1000, 300_000, 4_000_000]));
    k.sent();
  }

  #traffic(): void {
    const random = this.#random;
    const k = this.#k;
    const path = { from: PEER, to: { mac: "02:00:0a:00:00:01", ip: "10.0.0.1" } };
    k.deliver(udpFrame(path, { sourcePort: 9, destinationPort: 53 }, pattern(random.below(1400))));
    if (random.chance(0.5)) {
      const peer = new TcpPeer(k, {
        port: random.between(20_000, 20_031),
        iss: random.below(2 ** 32),
      });
      peer.sendSyn();
      peer.takeAll();
      if (peer.irs !== undefined) peer.ack();
      this.#peers = [...this.#peers.slice(-8), peer];
    }
    for (const peer of this.#peers) {
      peer.takeAll();
      if (random.chance(0.5)) peer.send({ payload: pattern(random.below(1400)) });
    }
  }

  #call(): Call {
    const random = this.#random;
    const op = random.chance(0.95) ? random.below(SYS_END) : random.below(0x10000);
    const call = {
      op,
      handle: this.#handle(),
      cookie: random.below(2 ** 32),
      flags: random.chance(0.5) ? 0 : random.below(0x10000),
      a: this.#address(),
      b: this.#length(),
      c: this.#address(),
      d: random.below(2 ** 32),
    };
    if (random.chance(0.3)) return call;
    // Sensible arguments where nonsense is refused at once.
    switch (op) {
      case SYS_CONNECT: {
        const ip = random.pick([PEER.ip, "10.0.0.9", "10.0.0.10"]);
        const [a, b, c, d] = addressWords(ip);
        const sourcePort = random.chance(0.5) ? 0 : random.between(1, 65_535);
        return {
          ...call,
          handle: (random.between(1, 65_535) | (sourcePort << 16)) >>> 0,
          a,
          b,
          c,
          d,
        };
      }
      case SYS_CONNECT_SEND: {
        const port = random.between(1, 65_535);
        return { ...call, handle: 0, c: this.#k.writeEndpoint(PEER.ip, port) };
      }
      case SYS_LISTEN:
        return { ...call, a: random.between(1, 100), b: random.between(1, 4), c: random.below(4) };
      case SYS_UDP_BIND:
        return { ...call, a: random.pick([0, 53, 54, 55, 56]) };
      case SYS_OPTION:
        return { ...call, a: random.below(8), b: random.below(4), c: random.below(9), d: 1 << 16 };
      case SYS_TIMER_SET:
        return { ...call, a: random.below(10_000_000) };
      default:
        return call;
    }
  }

  #handle(): number {
    const random = this.#random;
    if (this.#handles.length > 0 && random.chance(0.8)) {
      const handle = random.pick(this.#handles);
      return random.chance(0.9) ? handle : (handle ^ (1 << random.below(32))) >>> 0;
    }
    return random.pick([0, 1, 0xfffff, 0x100000, 0xffff_ffff, random.below(2 ** 32)]);
  }

  /** Addresses of and around everything that has one. */
  #address(): number {
    const random = this.#random;
    const k = this.#k;
    const { address, size } = k.dataplane.window;
    const frames = k.view.getUint32(CONFIG_BASE + CFG_FRAMES, true);
    const tokens = [...k.contract.udpPorts.values()].flatMap((held) => [...held.keys()]);
    switch (random.below(9)) {
      case 0:
        return k.write(pattern(random.pick([0, 8, 100, 2000])));
      case 1:
        return k.writeEndpoint(PEER.ip, random.below(65_536));
      case 2:
        return k.writeEntries(
          Array.from({ length: random.below(8) }, () => [
            random.chance(0.9) ? k.alloc(64) : random.below(2 ** 32),
            random.pick([0, 1, 64, 1000, 5000]),
          ]),
        );
      case 3:
        return address + random.below(size);
      case 4:
        return (address + size - random.below(64)) >>> 0;
      case 5:
        return frames + random.below(1 << 20);
      case 6:
        return random.pick([0, k.block, CONFIG_BASE, 0xffff_ffff, address - 1]);
      case 7:
        return tokens.length > 0 ? random.pick(tokens) : 1;
      default:
        return random.below(2 ** 32);
    }
  }

  #length(): number {
    const random = this.#random;
    return random.chance(0.7)
      ? random.pick([0, 1, 2, 3, 8, 64, 100, 1023, 1024, 1460, 5000])
      : random.pick([
          65,
          0xffff,
          0x10000,
          0x7fff_ffff,
          0x8000_0000,
          0xffff_ffff,
          random.below(2 ** 32),
        ]);
  }
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([0, 1, 2])("descriptors of seed + %i", { timeout: 60_000 }, (offset) => {
    new CallFuzz(build, SEED + offset).run(RUNS);
  });
});
