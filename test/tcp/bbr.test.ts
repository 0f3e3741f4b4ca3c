/** BBR (draft-cardwell-iccrg-bbr-congestion-control-00) over a path of known rate and length. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Bottleneck, type Transfer } from "../support/bottleneck.ts";
import { kernels } from "../support/kernels.ts";
import { KernelHarness } from "../support/kernel.ts";
import { TcpPeer } from "../support/peer.ts";

const MSS = 1000;
const SECOND = 1_000_000;
/** 8 Mbit/s and 40 ms: forty segments fill the path. */
const RATE = 1_000_000;
const ROUND_TRIP = 40_000;
const PATH = (RATE * ROUND_TRIP) / SECOND;

describe.each(kernels)("$name kernel", (build) => {
  let sent: Transfer[] = [];
  let acknowledged = 0;
  let start = 0;
  let k: KernelHarness;

  beforeAll(() => {
    k = new KernelHarness(build, {
      references: 4096,
      applicationWindow: 4 << 20,
      tcp: { congestionControl: "bbr" },
    });
    const peer = TcpPeer.synReceived(k, {
      mss: MSS,
      windowScale: 7,
      window: 4 << 20,
      keepStream: false,
    });
    k.advance(ROUND_TRIP);
    peer.ack();
    peer.handle = k.event("knock").handle;
    k.accept(peer.handle);
    start = k.now;
    const path = new Bottleneck(k, peer, RATE, ROUND_TRIP);
    path.run(13 * SECOND);
    ({ sent, acknowledged } = path);
  });

  afterAll(() => k.finish());

  /** Transfers from one time to another, s after the start. */
  function between(from: number, to: number): Transfer[] {
    return sent.filter(({ at }) => at >= start + from * SECOND && at < start + to * SECOND);
  }

  function bytes(transfers: readonly Transfer[]): number {
    return transfers.reduce((sum, transfer) => sum + transfer.bytes, 0);
  }

  test("STARTUP doubles what is sent each round trip (section 4.3.2)", () => {
    const rounds = [0, 1].map((round) => {
      return bytes(between((round * ROUND_TRIP) / SECOND, ((round + 1) * ROUND_TRIP) / SECOND));
    });
    expect(rounds[0]).toBeGreaterThanOrEqual(10 * MSS);
    expect(rounds[1] / rounds[0]).toBeGreaterThan(1.8);
  });

  test("DRAIN empties the queue that STARTUP made (section 4.3.3)", () => {
    const early = Math.max(...between(0, 0.5).map(({ flight }) => flight));
    const settled = Math.max(...between(1, 2).map(({ flight }) => flight));
    expect(early).toBeGreaterThan(2 * PATH);
    expect(settled).toBeLessThan(early / 1.3);
  });

  test("PROBE_BW fills the path", () => {
    expect(acknowledged).toBeGreaterThan(0.93 * RATE * 13);
    expect(bytes(between(2, 9))).toBeGreaterThan(0.97 * RATE * 7);
  });

  test("and keeps little more in flight than the path holds (section 4.2.3)", () => {
    const flights = between(2, 9).map(({ flight }) => flight);
    const mean = flights.reduce((sum, flight) => sum + flight, 0) / flights.length;
    expect(mean).toBeGreaterThan(PATH * 0.95);
    expect(mean).toBeLessThan(PATH * 1.35);
    expect(Math.max(...flights)).toBeLessThanOrEqual(2 * PATH + 4 * 2 * MSS);
  });

  test("its cycle asks for more once in eight round trips (section 4.3.4)", () => {
    // Bytes by round trip: one up, one down, six level.
    const rounds = Array.from({ length: 64 }, (_, round) => {
      const from = 4 + (round * ROUND_TRIP) / SECOND;
      return bytes(between(from, from + ROUND_TRIP / SECOND)) / PATH;
    });
    expect(rounds.filter((share) => share > 1.1).length).toBeGreaterThanOrEqual(5);
    expect(rounds.filter((share) => share < 0.9).length).toBeGreaterThanOrEqual(5);
    expect(rounds.filter((share) => share > 1.1).length).toBeLessThanOrEqual(20);
  });

  test("PROBE_RTT comes after ten seconds and lasts a fifth of one (section 4.3.5)", () => {
    const small = between(9, 13).filter(({ flight }) => flight <= 4 * MSS);
    expect(small.length).toBeGreaterThan(0);
    const lasted = small.at(-1)!.at - small[0].at;
    expect(lasted).toBeGreaterThanOrEqual(0.15 * SECOND);
    expect(lasted).toBeLessThanOrEqual(0.4 * SECOND);
    expect(small[0].at - start).toBeGreaterThanOrEqual(9.9 * SECOND);
    // Afterwards the window is what it was.
    expect(bytes(between(12, 13))).toBeGreaterThan(0.9 * RATE);
  });

  test("nothing leaves in bursts above a quantum (section 4.2.2)", () => {
    const transfers = between(2, 9);
    let burst = 0;
    let largest = 0;
    for (const [index, { at, bytes: size }] of transfers.entries()) {
      burst = index > 0 && at === transfers[index - 1].at ? burst + size : size;
      largest = Math.max(largest, burst);
    }
    expect(largest).toBeLessThanOrEqual(3 * MSS);
  });

  describe("after a loss", () => {
    const LOST = 10;
    let peer: TcpPeer;
    let una = 0;
    let flight = 0;
    let arrived = 0;

    /** Bytes that the kernel has sent since the last look. */
    function taken(): number {
      return peer.takeAll().reduce((sum, { payload }) => sum + payload.length, 0);
    }

    /** The segment behind those that have arrived arrives too, a path's segment time times `slower` later. */
    function arrive(slower: number): number {
      k.advance((slower * MSS * SECOND) / RATE);
      const before = taken();
      arrived += MSS;
      const first = una + LOST * MSS;
      peer.send({ ack: una, sack: [[first, first + arrived]] });
      return before + taken();
    }

    beforeEach(() => {
      k = new KernelHarness(build, {
        references: 4096,
        applicationWindow: 4 << 20,
        tcp: { congestionControl: "bbr" },
      });
      const options = { mss: MSS, windowScale: 7, window: 4 << 20, keepStream: false };
      peer = TcpPeer.synReceived(k, { ...options, sack: true });
      k.advance(ROUND_TRIP);
      peer.ack();
      peer.handle = k.event("knock").handle;
      k.accept(peer.handle);
      const path = new Bottleneck(k, peer, RATE, ROUND_TRIP);
      path.run(3 * SECOND);
      una = 1 + path.acknowledged;
      flight = bytes(path.sent) - path.acknowledged;
      arrived = 0;
    });

    afterEach(() => k.finish());

    test("only what arrives makes room for a round trip (section 4.2.3.4)", () => {
      // Four times as slow as before: by the rate of the model alone four segments would go for each.
      for (let count = 0; count < 3; count++) arrive(4);
      let out = 0;
      const rounds = flight / MSS - LOST - 4;
      expect(rounds).toBeGreaterThan(20);
      for (let count = 0; count < rounds; count++) out += arrive(4);
      expect(out).toBeGreaterThanOrEqual((rounds - 2) * MSS);
      expect(out).toBeLessThanOrEqual((rounds + 2) * MSS);
    });

    test("the window is what it was, when all has arrived", () => {
      let out = 0;
      for (let count = 0; count < flight / MSS - LOST; count++) out += arrive(4);
      peer.send({ ack: una + flight });
      // What is sent from now on is not answered.
      k.advance(3 * ROUND_TRIP);
      expect(out + taken()).toBeGreaterThan(1.5 * PATH);
    });
  });
});
