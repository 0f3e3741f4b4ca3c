/**
 * Mutated frames against a kernel at work: connections in every state, ports, an application that
 * accepts, answers and closes. Nothing may trap, break the contract, send nonsense or leak.
 *
 * FUZZ_SEED draws other frames, FUZZ_RUNS more of them. A failure names its seed and step.
 */
import { describe, test } from "vitest";
import { FLAG_DEFER } from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { KERNEL, KERNEL6, KernelHarness, PEER, type HarnessOptions } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import {
  arpReplyFrame,
  arpRequestFrame,
  fragmentExtension,
  icmpFrame,
  ICMP_ECHO_REQUEST,
  icmpv6Frame,
  ICMPV6_ECHO_REQUEST,
  ipBytes,
  linkLocal,
  ICMP_UNREACHABLE,
  mss,
  nop,
  optionsExtension,
  routingExtension,
  tcpFrame,
  udpFrame,
  ws,
  type Extension,
  type Path,
} from "../support/packet.ts";
import { TcpPeer, type Received, type Segment } from "../support/peer.ts";
import { Random } from "../support/random.ts";
import { cookiesIn, drawFastOpen, drawSack } from "./draws.ts";
import { mutate, randomBytes } from "./mutate.ts";

const SEED = Number(process.env.FUZZ_SEED ?? 19_810_901);
const RUNS = Number(process.env.FUZZ_RUNS ?? 4000);

const PEER6 = { mac: PEER.mac, ip: "2001:db8::2" };
const path: Path = { from: PEER, to: KERNEL };
const path6: Path = { from: PEER6, to: KERNEL6 };

class FrameFuzz {
  readonly #k: KernelHarness;
  readonly #seed: number;
  readonly #random: Random;
  #peers: TcpPeer[] = [];
  /** What the kernel sent lately, for quotations and replays. */
  #sent: Uint8Array[] = [];
  /** Fast Open's cookies that the kernel has given, the latest ones. */
  #cookies: Uint8Array[] = [];
  /** The frame of this step, for the report of a finding. */
  #frameNow = new Uint8Array();

  constructor(build: KernelBuild, seed: number, options: HarnessOptions) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#k = new KernelHarness(build, {
      maxConnections: 24,
      frames: 512,
      ringSize: 64,
      references: 256,
      ip6: { addresses: ["2001:db8::1/64"] },
      neighbours: [PEER, PEER6],
      ...options,
    });
    this.#k.listen(80, { backlog: 4, fastOpen: 3 });
    this.#k.listen(81, { backlog: 4, flags: FLAG_DEFER });
    this.#k.udpBind(53);
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      try {
        this.#step();
      } catch (error) {
        const hex = Buffer.from(this.#frameNow).toString("hex");
        const place = `FUZZ_SEED=${this.#seed}, step ${step}, frame ${hex}`;
        throw new Error(`${place}: ${String(error)}\n${this.#k.log()}`, { cause: error });
      }
    }
    this.#k.finish();
  }

  #step(): void {
    const random = this.#random;
    if (random.chance(this.#peers.length < 8 ? 0.3 : 0.02)) this.#newPeer();
    const friendly = this.#frame();
    const frame = random.chance(0.5) ? friendly : mutate(random, friendly);
    this.#frameNow = new Uint8Array(frame);
    // A NIC without empty frames drops.
    this.#k.nic.receive(frame, { checksumOk: random.chance(0.5) });
    if (random.chance(0.3)) this.#k.poll();
    if (random.chance(0.02)) this.#k.advance(random.pick([1, 1000, 50_000, 300_000, 5_000_000]));
    this.#application();
    this.#look();
  }

  /** Shows the peers what the kernel sent; those that were reset are gone. */
  #look(): void {
    for (const { frame } of this.#k.outbox) this.#sent.push(frame);
    this.#sent.splice(0, this.#sent.length - 20);
    this.#peers = this.#peers.filter((peer) => {
      const received = peer.takeAll();
      const last = received.at(-1);
      for (const segment of received) this.#learn(segment);
      // What was dropped on the way is forgotten: the next segment fits again.
      if (last?.flags.includes("A")) peer.sndNxt = last.ack;
      return received.every(({ flags }) => !flags.includes("R"));
    });
    this.#k.sent();
  }

  /** Keeps the cookies that a segment of the kernel's brings. */
  #learn(received: Received | undefined): void {
    if (received) this.#cookies.push(...cookiesIn(received.header.options));
    this.#cookies.splice(0, this.#cookies.length - 4);
  }

  /** One more connection, brought into some state, properly. */
  #newPeer(): void {
    const random = this.#random;
    const peer = new TcpPeer(this.#k, {
      kernelPort: random.pick([80, 80, 81]),
      port: random.between(30_000, 30_063),
      iss: random.below(2 ** 32),
      keepStream: false,
      windowScale: random.pick([null, 0, 7, 14]),
      window: random.pick([0, 1, 1000, 65_535, 65_535]),
      sack: random.chance(0.7),
      timestamps: random.pick([undefined, 1000, 0xffff_fff0]),
    });
    if (random.chance(0.3)) {
      const connected = random.chance(0.5)
        ? this.#k.connect(PEER.ip, peer.port)
        : this.#k.connectSend(PEER.ip, peer.port, pattern(random.pick([0, 1, 500, 1460, 5000])));
      const syn = this.#k.outbox.findLast(({ tcp }) => tcp?.flags === "S");
      if (connected.result < 0 || !syn) return;
      peer.kernelPort = syn.tcp!.sourcePort;
      peer.take();
      const ack = random.pick([1, 1, peer.rcvNxt, random.below(1500)]);
      const cookie = random.chance(0.5) ? drawFastOpen(random, this.#cookies) : [];
      const payload = pattern(random.pick([0, 0, 5, 500]));
      peer.sendSyn("SA", { ack, payload, options: cookie });
    } else {
      this.#sendSyn(peer);
      this.#application();
      this.#learn(peer.take());
      if (peer.irs !== undefined && random.chance(0.9)) peer.ack();
    }
    this.#peers = [...this.#peers.slice(-12), peer];
  }

  /** A SYN, often with Fast Open's option, data or both, and now and then another one right behind. */
  #sendSyn(peer: TcpPeer): void {
    const random = this.#random;
    do {
      const options = random.chance(0.5) ? drawFastOpen(random, this.#cookies) : [];
      const payload = pattern(random.pick([0, 0, 1, 100, 536, 1400]));
      peer.sndNxt = 0;
      peer.sendSyn("S", { options, payload });
      if (random.chance(0.8)) peer.sndNxt = 1;
    } while (random.chance(0.2));
  }

  /** A frame as a friend would send it. */
  #frame(): Uint8Array {
    const random = this.#random;
    if (this.#peers.length > 0 && random.chance(0.85)) {
      const peer = random.pick(this.#peers);
      const segment = this.#segment(peer);
      const frame = peer.frame(segment);
      if (random.chance(0.7) && !segment.flags?.includes("S")) {
        peer.sndNxt = Math.max(
          peer.sndNxt,
          (segment.seq ?? peer.sndNxt) + (segment.payload?.length ?? 0),
        );
      }
      return frame;
    }
    if (random.chance(0.4)) return this.#frame6();
    switch (random.below(7)) {
      case 0:
        return arpRequestFrame(PEER, random.pick([KERNEL.ip, "10.0.0.9"]));
      case 1:
        return arpReplyFrame(PEER, KERNEL);
      case 2:
        return icmpFrame(path, {
          type: ICMP_ECHO_REQUEST,
          id: 1,
          data: pattern(random.below(1400)),
        });
      case 3: {
        const data = (this.#sent.at(-1) ?? new Uint8Array(60)).subarray(
          14,
          14 + random.between(20, 80),
        );
        return icmpFrame(path, { type: ICMP_UNREACHABLE, code: random.below(16), data });
      }
      case 4:
        return this.#datagram(path, 1472);
      case 5:
        return this.#strayedSegment(path);
      default:
        return randomBytes(random, random.below(1514));
    }
  }

  /** A frame over IPv6, with or without extension headers, whole or in fragments. */
  #frame6(): Uint8Array {
    const random = this.#random;
    const id = random.below(4);
    const offset = random.below(40) * 8;
    const extensions = random.pick<Extension[]>([
      [],
      [],
      [],
      [optionsExtension(0, randomBytes(random, random.below(30)))],
      [optionsExtension(60, Uint8Array.of(0x1e, 0)), routingExtension(0, random.below(2))],
      [fragmentExtension({ offset, more: random.chance(0.7), id })],
    ]);
    const way: Path = { ...path6, ip6: { extensions } };
    const target = random.pick([KERNEL6.ip, linkLocal(KERNEL.mac), "2001:db8::9"]);
    const data = random.chance(0.7)
      ? ipBytes(target)
      : (this.#sent.at(-1) ?? new Uint8Array(60)).subarray(14, 14 + random.between(20, 120));
    switch (random.below(5)) {
      case 0:
        return icmpv6Frame(way, { type: ICMPV6_ECHO_REQUEST, data: pattern(random.below(1200)) });
      case 1:
        return icmpv6Frame(
          { ...way, ip6: { extensions, hopLimit: 255 } },
          { type: random.between(128, 144), word: random.below(2 ** 32), data },
        );
      case 2:
        return icmpv6Frame(way, {
          type: random.between(1, 4),
          code: random.below(8),
          word: random.below(2000),
          data,
        });
      case 3:
        return this.#datagram(way, 1200);
      default:
        return this.#strayedSegment(way);
    }
  }

  /** A datagram of less than `limit` bytes. */
  #datagram(way: Path, limit: number): Uint8Array {
    const random = this.#random;
    const ports = {
      sourcePort: 1 + random.below(65_535),
      destinationPort: random.pick([53, 54]),
    };
    return udpFrame(way, ports, pattern(random.below(limit)));
  }

  /** A segment of no connection, but by chance. */
  #strayedSegment(way: Path): Uint8Array {
    const random = this.#random;
    return tcpFrame(way, {
      sourcePort: random.between(30_000, 30_015),
      destinationPort: random.pick([80, 81, 82]),
      seq: random.below(2 ** 32),
      ack: random.below(2 ** 32),
      flags: random.pick(["S", "SA", "A", "R", "RA", "F", "FA", "", "FSRPAU"]),
      options: [mss(random.below(65_536)), nop, ws(random.below(256))],
    });
  }

  /** A segment of a live connection, sometimes early, late, overlapping or closing. */
  #segment(peer: TcpPeer): Segment {
    const random = this.#random;
    const off = random.pick([1, -1, 10, 100, -100, 500, 1460, 3000, 5000, 70_000, -70_000]);
    const flags = random.chance(0.9)
      ? random.pick(["A", "A", "A", "PA"])
      : random.pick(["FA", "FPA", "A", "A", "UA", "R", "RA", "S", "SA", ""]);
    return {
      flags,
      ...(random.chance(0.3) ? { seq: peer.sndNxt + off } : {}),
      // Less than has come, so that much is in flight.
      ...(random.chance(0.5) ? { ack: Math.max(1, peer.rcvNxt - random.below(20) * 1460) } : {}),
      ...(random.chance(0.25) ? drawSack(random, peer) : {}),
      ...(random.chance(0.2) ? { ack: peer.rcvNxt + random.pick([0, -1, 1, -1000, 1000]) } : {}),
      window: random.pick([0, 1, 100, 1460, 65_535, 65_535, 65_535]),
      payload: pattern(random.pick([0, 0, 1, 10, 536, 1460]), 0),
    };
  }

  /** Accepts most, answers some, gives back late, closes now and then. */
  #application(): void {
    const random = this.#random;
    const k = this.#k;
    for (const event of k.events()) {
      if (event.kind === "knock") {
        if (!k.contract.connections.has(event.handle)) continue;
        if (random.chance(0.9)) k.accept(event.handle);
        else k.reject(event.handle);
      } else if (event.kind === "udp_recv") {
        if (random.chance(0.9)) k.udpRecvDone(event.handle, event.token);
      }
    }
    if (!random.chance(0.3) || k.contract.connections.size === 0) return;
    const handle = random.pick([...k.contract.connections.keys()]);
    const held = k.contract.heldBytes(handle);
    switch (random.below(10)) {
      case 0:
        k.close(handle);
        break;
      case 1:
        k.abort(handle);
        break;
      case 2:
        k.shutdown(handle);
        break;
      case 3:
      case 4:
      case 5:
        k.send(handle, pattern(random.pick([1, 100, 1500, 10_000])));
        break;
      default:
        if (held > 0) k.recvDone(handle, random.between(1, held));
    }
  }
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([
    [0, "every checksum verified in software", {}],
    [
      1,
      "a NIC with all offloads",
      { offloads: { rxChecksum: true, txChecksum: true, rxHash: true } },
    ],
    [2, "a tiny event array", { batch: 1, events: 8 }],
    [3, "time about to wrap", { start: 2 ** 32 - 20_000_000 }],
    [4, "few frames", { frames: 160, ringSize: 64, txRingSize: 64 }],
  ])("seed + %i, %s", { timeout: 60_000 }, (offset, _what, options) => {
    new FrameFuzz(build, SEED + offset, options).run(RUNS);
  });
});
