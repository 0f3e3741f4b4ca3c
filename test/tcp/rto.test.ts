/** The retransmission timeout (RFC 6298), in virtual time and to the microsecond. */
import { describe, expect, test } from "vitest";
import { CNT_TCP_RETRANSMITS, CNT_TCP_TIMEOUTS, RC_TIMEOUT } from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { startKernel, type HarnessOptions, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const MILLISECOND = 1000;
const SECOND = 1_000_000;
/** Two ticks of the wheel. */
const TICK = 32;

/** A connection whose handshake took a round trip of `rtt` µs: the first sample. */
function withRtt(
  build: KernelBuild,
  rtt: number,
  options: HarnessOptions = {},
): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, options);
  const peer = TcpPeer.synReceived(k);
  k.advance(rtt);
  peer.ack();
  peer.handle = k.event("knock").handle;
  k.accept(peer.handle);
  return { k, peer };
}

/** Sends one segment and acknowledges it `rtt` µs later: one more sample. */
function exchange(k: KernelHarness, peer: TcpPeer, rtt: number): void {
  k.send(peer.handle, text("x"));
  peer.expect({ length: 1 });
  k.advance(rtt);
  peer.ack();
  peer.expectNothing();
}

/** How long after a send its first retransmission comes, µs. */
function measureRto(k: KernelHarness, peer: TcpPeer): number {
  const at = k.now;
  k.send(peer.handle, text("timed"));
  const { seq } = peer.expect({ length: 5 });
  while (k.outbox.length === 0) k.advanceToDeadline();
  const again = peer.expect({ seq, length: 5 });
  return again.at - at;
}

function near(actual: number, expected: number): void {
  expect(actual).toBeGreaterThanOrEqual(expected * 0.98 - TICK);
  expect(actual).toBeLessThanOrEqual(expected * 1.02 + 2 * TICK);
}

describe.each(kernels)("$name kernel", (build) => {
  describe("computation (section 2)", () => {
    test("the first sample: RTO = R + 4 R/2 (2.2)", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      near(measureRto(k, peer), 300 * MILLISECOND);
    });

    test("later samples: RTTVAR before SRTT, alpha 1/8, beta 1/4 (2.3)", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND, { tcp: { minRto: 1000 } });
      let srtt = 100;
      let rttvar = 50;
      for (const rtt of [200, 100, 100, 150, 90]) {
        exchange(k, peer, rtt * MILLISECOND);
        rttvar = 0.75 * rttvar + 0.25 * Math.abs(srtt - rtt);
        srtt = 0.875 * srtt + 0.125 * rtt;
      }
      near(measureRto(k, peer), (srtt + 4 * rttvar) * MILLISECOND);
    });

    test("a steady round trip brings it down to the minimum, not below (2.4)", () => {
      const { k, peer } = withRtt(build, 1 * MILLISECOND);
      for (let i = 0; i < 20; i++) exchange(k, peer, 1 * MILLISECOND);
      near(measureRto(k, peer), 200 * MILLISECOND);
    });

    test("the minimum counts from the round trip on, so that a delayed ACK finds room", () => {
      const { k, peer } = withRtt(build, 190 * MILLISECOND);
      for (let i = 0; i < 30; i++) exchange(k, peer, 190 * MILLISECOND);
      near(measureRto(k, peer), 390 * MILLISECOND);
    });

    test("the LAN profile has microseconds: the minimum is 1 ms", () => {
      const { k, peer } = withRtt(build, 50, { tcp: { profile: "lan", delayedAck: 0 } });
      for (let i = 0; i < 20; i++) exchange(k, peer, 50);
      const rto = measureRto(k, peer);
      expect(rto).toBeGreaterThanOrEqual(1000);
      expect(rto).toBeLessThanOrEqual(1000 + 3 * TICK);
    });

    test("a sample is of the segment that was acknowledged, however many were in flight", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND, { tcp: { minRto: 1000 } });
      k.send(peer.handle, pattern(1460));
      k.advance(50 * MILLISECOND);
      k.send(peer.handle, pattern(1460, 1460));
      peer.takeAll();
      k.advance(50 * MILLISECOND);
      peer.send({ ack: 1461 });
      k.advance(50 * MILLISECOND);
      peer.send({ ack: 2921 });
      // Both round trips were 100 ms: R = 100, RTTVAR = 50 * 0.75 * 0.75.
      near(measureRto(k, peer), (100 + 4 * 28.125) * MILLISECOND);
    });

    test("before any sample it is the initial one, and 3 s after a SYN that timed out (5.7)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synReceived(k);
      k.advance(1.5 * SECOND);
      peer.expect({ flags: "SA" });
      peer.ack();
      peer.handle = k.event("knock").handle;
      k.accept(peer.handle);
      near(measureRto(k, peer), 3 * SECOND);
    });
  });

  describe("management of the timer (section 5)", () => {
    test("every timeout doubles it, up to the maximum (5.5)", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND, {
        tcp: { maxRto: 5 * SECOND, dataRetries: 8 },
      });
      const start = k.now;
      k.send(peer.handle, text("data"));
      peer.expect({ length: 4 });
      let at = start;
      for (const interval of [300, 600, 1200, 2400, 4800, 5000, 5000, 5000]) {
        k.advance(at + interval * MILLISECOND * 1.03 - k.now);
        const again = peer.expect({ seq: 1, payload: text("data") });
        near(again.at - at, interval * MILLISECOND);
        at = again.at;
      }
      k.advance(6 * SECOND);
      expect(k.event("dead").reason).toBe(RC_TIMEOUT);
    });

    test("it is stopped when everything is acknowledged (5.2)", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      k.send(peer.handle, text("data"));
      peer.takeAll();
      k.advance(100 * MILLISECOND);
      peer.ack();
      const [timeouts] = k.counts([CNT_TCP_TIMEOUTS], () => k.advance(10 * SECOND));
      expect(timeouts).toBe(0);
      peer.expectNothing();
      expect(k.deadline()).toBeUndefined();
    });

    test("it is restarted by an ACK of new data (5.3)", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      k.send(peer.handle, pattern(2920));
      peer.takeAll();
      k.advance(200 * MILLISECOND);
      const at = k.now;
      peer.send({ ack: 1461 });
      while (k.outbox.length === 0) k.advanceToDeadline();
      const again = peer.expect({ seq: 1461 });
      // R' = 200 ms: RTTVAR = 0.75 * 50 + 0.25 * 100, SRTT = 112.5.
      near(again.at - at, (112.5 + 4 * 62.5) * MILLISECOND);
    });

    test("a duplicate ACK does not restart it", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      const at = k.now;
      k.send(peer.handle, pattern(2920));
      peer.takeAll();
      k.advance(200 * MILLISECOND);
      peer.send({ ack: 1 });
      while (k.outbox.length === 0) k.advanceToDeadline();
      near(peer.expect({ seq: 1 }).at - at, 300 * MILLISECOND);
    });

    test("the oldest segment is sent again, and it alone (5.4)", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      k.send(peer.handle, pattern(7300));
      expect(peer.takeAll()).toHaveLength(5);
      const [retransmits] = k.counts([CNT_TCP_RETRANSMITS], () => k.advance(310 * MILLISECOND));
      expect(retransmits).toBe(1);
      expect(peer.expect({ seq: 1 }).payload).toEqual(pattern(1460));
      peer.expectNothing();
    });

    test("an ACK of everything after the timeout ends it: nothing more is sent again", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      k.send(peer.handle, pattern(7300));
      peer.takeAll();
      k.advance(310 * MILLISECOND);
      peer.expect({ seq: 1 });
      peer.send({ ack: 7301 });
      k.advance(10 * SECOND);
      peer.expectNothing();
    });

    test("an ACK of what had arrived after all skips it", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND);
      k.send(peer.handle, pattern(7300));
      peer.takeAll();
      k.advance(310 * MILLISECOND);
      peer.expect({ seq: 1 });
      // Only the first was lost up to the fourth; the fifth was lost, too.
      peer.send({ ack: 5841 });
      expect(peer.expect({ seq: 5841 }).payload).toEqual(pattern(1460, 5840));
      peer.expectNothing();
    });
  });

  describe("Karn's algorithm (section 3)", () => {
    test("a segment that was sent twice gives no sample", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND, { tcp: { minRto: 1000 } });
      k.send(peer.handle, text("data"));
      peer.takeAll();
      k.advance(305 * MILLISECOND);
      peer.expect({ seq: 1 });
      // 5 ms after the copy: as a round trip that would be nonsense.
      k.advance(5 * MILLISECOND);
      peer.ack();
      exchange(k, peer, 100 * MILLISECOND);
      near(measureRto(k, peer), (100 + 4 * 37.5) * MILLISECOND);
    });

    test("an ACK that covers a repeated segment gives no sample, whatever else it covers", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND, { tcp: { minRto: 1000 } });
      // The first of two is lost; the second waits for it at the peer.
      k.send(peer.handle, pattern(2920));
      peer.takeAll();
      k.advance(310 * MILLISECOND);
      peer.expect({ seq: 1, length: 1460 });
      k.advance(100 * MILLISECOND);
      peer.send({ ack: 2921 });
      // Had the second been timed, it would have taken 410 ms.
      exchange(k, peer, 100 * MILLISECOND);
      near(measureRto(k, peer), (100 + 4 * 37.5) * MILLISECOND);
    });

    test("nor does one that ends a fast retransmit", () => {
      const { k, peer } = withRtt(build, 100 * MILLISECOND, { tcp: { minRto: 1000 } });
      k.send(peer.handle, pattern(5 * 1460));
      peer.takeAll();
      k.advance(250 * MILLISECOND);
      for (let i = 0; i < 3; i++) peer.send({ ack: 1 });
      peer.expect({ seq: 1 });
      k.advance(20 * MILLISECOND);
      peer.send({ ack: 5 * 1460 + 1 });
      exchange(k, peer, 100 * MILLISECOND);
      near(measureRto(k, peer), (100 + 4 * 37.5) * MILLISECOND);
    });

    test("the backed-off timeout stays until there is a new sample (5.5, note)", () => {
      const { k, peer } = withRtt(build, 10 * MILLISECOND);
      // The path has grown to 500 ms for good.
      k.send(peer.handle, text("one"));
      k.advance(500 * MILLISECOND);
      expect(peer.takeAll().length).toBe(2);
      peer.ack();
      k.send(peer.handle, text("two"));
      peer.expect({ payload: text("two") });
      // RTO was 200 ms and was doubled once; 400 ms pass at least.
      k.advance(390 * MILLISECOND);
      peer.expectNothing();
    });
  });

  test("time may wrap around 2^32 µs in the middle of a timeout", () => {
    const start = 2 ** 32 - 250 * MILLISECOND;
    const { k, peer } = withRtt(build, 100 * MILLISECOND, { start });
    near(measureRto(k, peer), 300 * MILLISECOND);
    k.advance(20 * SECOND);
    peer.takeAll();
    peer.ack();
    k.send(peer.handle, pattern(3000));
    for (let i = 0; i < 4; i++) {
      peer.takeAll();
      peer.ack();
    }
    assertSameBytes(peer.stream().slice(5), pattern(3000));
    k.advance(4000 * SECOND);
    peer.expectNothing();
    exchange(k, peer, 100 * MILLISECOND);
  });

  describe("acknowledgments during go-back-N", () => {
    test("have a sequence number that the peer accepts", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(4000));
      peer.takeAll();
      k.advance(2 * SECOND);
      peer.takeAll();
      // The peer has it all, its ACKs were lost; now it sends data with an old ACK number.
      peer.send({ ack: 1, payload: text("data") });
      k.advance(50_000);
      const acks = peer.takeAll().filter(({ payload, ack }) => payload.length === 0 && ack === 5);
      expect(acks[0].seq).toBe(4001);
    });
  });
});
