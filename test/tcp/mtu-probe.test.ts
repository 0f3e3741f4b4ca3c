/** Black holes (RFC 4821, RFC 8899): paths that take less than the link, and say nothing of it. */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_BLACK_HOLES,
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_MTU_PROBES,
  CNT_TCP_TIMEOUTS,
  FLAG_RECORD_END,
  GAUGE_BUFFERS,
  SYS_TCP_INFO,
  TCP_INFO_CWND,
  TCP_INFO_SIZE,
} from "../../assembly/abi.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer, type PeerOptions } from "../support/peer.ts";

const SECOND = 1_000_000;
const STEP = 50_000;
const FULL = 1460;
/** Bytes of a send. */
const BLOCK = 8192;

/** A path that drops what is larger than `limit` bytes of payload, and a peer that acknowledges the rest. */
class NarrowPath {
  readonly k: KernelHarness;
  readonly peer: TcpPeer;
  readonly #sack: boolean;
  limit: number;
  /** The next byte the peer waits for, and what has arrived beyond it. */
  next = 1;
  #early: [number, number][] = [];
  #behindLarge = false;
  /** Sizes of what has arrived lately. */
  largest = 0;
  /** Sent over and over: the harness's window is used in turn. */
  readonly #chunk: Uint8Array;
  /** Of the sends from now on. */
  flags = 0;
  block: number;
  /** Whether the path loses what comes behind the next segment that is too large. */
  losesNext = false;

  constructor(build: KernelBuild, limit: number, sack: boolean, chunk = BLOCK, tcp = {}) {
    this.k = startKernel(build, { references: 4096, applicationWindow: 4 << 20, tcp });
    const options: PeerOptions = { mss: FULL, window: 1 << 20, windowScale: 7, sack };
    this.peer = TcpPeer.established(this.k, options);
    this.#sack = sack;
    this.limit = limit;
    this.#chunk = new Uint8Array(chunk);
    this.block = chunk;
  }

  /** Lets the stream go on for so long, µs. */
  run(micros: number): void {
    this.largest = 0;
    for (let time = 0; time < micros; time += STEP) {
      const sends = Math.floor(this.#chunk.length / this.block);
      for (let i = 0; i < sends; i++) {
        this.k.send(this.peer.handle, this.#chunk.subarray(0, this.block), { flags: this.flags });
      }
      this.carry();
      this.k.advance(STEP);
    }
  }

  carry(): void {
    for (const { seq, payload } of this.peer.takeAll()) {
      if (payload.length === 0 || !this.#passes(payload.length)) continue;
      this.largest = Math.max(this.largest, payload.length);
      this.#early.push([seq, seq + payload.length]);
      this.#early.sort(([a], [b]) => a - b);
      for (const [from, to] of this.#early)
        if (from <= this.next) this.next = Math.max(this.next, to);
      this.#early = this.#early.filter(([, to]) => to > this.next);
      const sack = this.#sack && this.#early.length > 0 ? { sack: [this.#run()] } : {};
      this.peer.send({ ack: this.next, ...sack });
    }
    this.k.events();
  }

  #passes(length: number): boolean {
    const small = length <= this.limit;
    const lost = small && this.#behindLarge && this.losesNext;
    if (lost) this.losesNext = false;
    this.#behindLarge = !small;
    return small && !lost;
  }

  /** What the kernel tells of the search and of losses. */
  told(): { probes: number; recoveries: number; timeouts: number; cwnd: number } {
    const record = this.k.alloc(TCP_INFO_SIZE);
    this.k.call({ op: SYS_TCP_INFO, handle: this.peer.handle, a: record });
    return {
      probes: this.k.counter(CNT_TCP_MTU_PROBES),
      recoveries: this.k.counter(CNT_TCP_FAST_RETRANSMITS),
      timeouts: this.k.counter(CNT_TCP_TIMEOUTS),
      cwnd: this.k.view.getUint32(record + TCP_INFO_CWND, true),
    };
  }

  /** The first run of what is early. */
  #run(): [number, number] {
    const [first, ...others] = this.#early;
    let to = first[1];
    for (const [begin, end] of others) if (begin <= to) to = Math.max(to, end);
    return [first[0], to];
  }
}

describe.each(kernels)("$name kernel", (build) => {
  describe.each([
    ["with SACK", true],
    ["without", false],
  ])("%s", (_, sack) => {
    test.each([576, 1100, 1400])(
      "a path of %i bytes: smaller segments go, then the largest that fit",
      (limit) => {
        const path = new NarrowPath(build, limit, sack);
        path.run(25 * SECOND);
        expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(1);
        const before = path.next;
        path.run(5 * SECOND);
        expect(path.next).toBeGreaterThan(before + 50 * BLOCK);
        expect(path.largest).toBeLessThanOrEqual(limit);
        expect(path.largest).toBeGreaterThan(limit - 66);
      },
    );

    test("when the path takes more again, so do segments: ten minutes later", () => {
      const path = new NarrowPath(build, 1200, sack);
      path.run(25 * SECOND);
      path.limit = FULL;
      const probes = path.k.counter(CNT_TCP_MTU_PROBES);
      path.run(5 * SECOND);
      expect(path.largest).toBeLessThan(1210);
      path.k.advance(600 * SECOND);
      path.run(10 * SECOND);
      expect(path.largest).toBe(FULL);
      expect(path.k.counter(CNT_TCP_MTU_PROBES)).toBe(probes + 1);
    });

    test("a probe that is lost alone goes again in pieces, and the window stays", () => {
      const path = new NarrowPath(build, 1100, sack);
      path.run(3.5 * SECOND);
      const before = path.told();
      expect(before.probes).toBe(0);
      path.run(20 * SECOND);
      const after = path.told();
      expect(after.probes).toBeGreaterThan(2);
      expect(after.recoveries).toBe(before.recoveries);
      expect(after.timeouts).toBe(before.timeouts);
      expect(after.cwnd).toBeGreaterThanOrEqual(before.cwnd);
    });

    test("a probe that is lost with the segment behind it is a sign of congestion", () => {
      const path = new NarrowPath(build, 1100, sack);
      path.run(3.5 * SECOND);
      const before = path.told();
      path.losesNext = true;
      path.run(SECOND);
      const after = path.told();
      expect(path.losesNext).toBe(false);
      expect(after.recoveries).toBe(before.recoveries + 1);
      expect(after.timeouts).toBe(before.timeouts);
      expect(after.cwnd).toBeLessThan(before.cwnd);
    });
  });

  test("a path that was gone for a while: full segments again with the first probe", () => {
    const path = new NarrowPath(build, FULL, true);
    path.run(SECOND);
    path.limit = 0;
    path.run(5 * SECOND);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(1);
    path.limit = FULL;
    path.run(20 * SECOND);
    expect(path.largest).toBe(FULL);
    expect(path.k.counter(CNT_TCP_MTU_PROBES)).toBe(1);
  });

  test("small ones lost as often as full ones: full ones again, and suspected later", () => {
    const path = new NarrowPath(build, FULL, true);
    path.run(SECOND);
    path.limit = 0;
    path.run(150 * SECOND);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(1);
    path.limit = FULL;
    path.run(60 * SECOND);
    expect(path.largest).toBe(FULL);
    expect(path.k.counter(CNT_TCP_MTU_PROBES)).toBe(0);
    path.limit = 1200;
    path.run(5 * SECOND);
    expect(path.k.counter(CNT_TCP_TIMEOUTS)).toBeGreaterThan(12);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(1);
    path.run(30 * SECOND);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(2);
    expect(path.largest).toBeGreaterThan(1134);
  });

  test("no probe joins records", () => {
    const path = new NarrowPath(build, 1200, true);
    path.run(5 * SECOND);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(1);
    path.flags = FLAG_RECORD_END;
    path.block = 800;
    path.run(SECOND);
    const probes = path.k.counter(CNT_TCP_MTU_PROBES);
    path.run(5 * SECOND);
    expect(path.largest).toBe(800);
    expect(path.k.counter(CNT_TCP_MTU_PROBES)).toBe(probes);
  });

  test("small segments that are lost are no sign of it", () => {
    const path = new NarrowPath(build, 0, true, 400);
    path.run(5 * SECOND);
    expect(path.k.counter(CNT_TCP_TIMEOUTS)).toBeGreaterThan(3);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(0);
  });

  test("switched off, full segments go again and again", () => {
    const path = new NarrowPath(build, 1200, true, BLOCK, { mtuProbing: false });
    path.run(25 * SECOND);
    expect(path.next).toBe(1);
    expect(path.k.counter(CNT_TCP_BLACK_HOLES)).toBe(0);
  });

  test("copied data makes probes too, and nothing is held in the end", () => {
    const path = new NarrowPath(build, 1200, true, BLOCK, { copyBreak: 65_536 });
    path.run(25 * SECOND);
    expect(path.k.counter(CNT_TCP_MTU_PROBES)).toBeGreaterThan(1);
    expect(path.largest).toBeGreaterThan(1134);
    path.k.abort(path.peer.handle);
    path.peer.takeAll();
    path.k.events();
    path.k.poll();
    expect(path.k.gauge(GAUGE_BUFFERS)).toBe(0);
  });
});
