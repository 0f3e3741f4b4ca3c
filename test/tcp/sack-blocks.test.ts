/** What a receiver reports of segments that came early (RFC 2018 section 4) or twice (RFC 2883). */
import { describe, expect, test } from "vitest";
import { CNT_DROP_TCP_REASSEMBLY, CNT_TCP_DSACKS_OUT } from "../../assembly/abi.ts";
import { assertSameBytes, concat, pattern } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer, type PeerOptions } from "../support/peer.ts";
import { Random } from "../support/random.ts";

type Range = readonly [number, number];

function start(build: KernelBuild, options: PeerOptions = {}): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, { receiveReserve: 64 });
  return { k, peer: TcpPeer.established(k, { sack: true, ...options }) };
}

function received(k: KernelHarness): Uint8Array {
  return concat(
    ...k.events().map((event) => (event.kind === "recv" ? event.data : new Uint8Array())),
  );
}

/** Sends bytes [from, to) of the stream, numbered from 1. */
function send(peer: TcpPeer, [from, to]: Range): void {
  peer.send({ seq: from, payload: pattern(to - from, from - 1) });
}

/** Sends a range and returns the blocks of the ACK that follows at once. */
function report(peer: TcpPeer, range: Range): string {
  send(peer, range);
  const { sack } = peer.expect({ flags: "A", length: 0 });
  peer.expectNothing();
  return sack.map(([left, right]) => `${left}:${right}`).join(" ");
}

describe.each(kernels)("$name kernel", (build) => {
  test("the run that grew last comes first, then the others by how lately they grew", () => {
    const { peer } = start(build);
    expect(report(peer, [101, 201])).toBe("101:201");
    expect(report(peer, [301, 401])).toBe("301:401 101:201");
    expect(report(peer, [501, 601])).toBe("501:601 301:401 101:201");
    expect(report(peer, [201, 251])).toBe("101:251 501:601 301:401");
    expect(report(peer, [701, 801])).toBe("701:801 101:251 501:601 301:401");
    expect(report(peer, [901, 951])).toBe("901:951 701:801 101:251 501:601");
  });

  test("with timestamps there is room for three", () => {
    const { peer } = start(build, { timestamps: 9 });
    for (const from of [101, 301, 501]) report(peer, [from, from + 100]);
    expect(report(peer, [701, 801])).toBe("701:801 501:601 301:401");
  });

  test("runs that a segment joins become one", () => {
    const { k, peer } = start(build);
    report(peer, [101, 201]);
    report(peer, [301, 401]);
    expect(report(peer, [201, 301])).toBe("101:401");
    send(peer, [1, 101]);
    peer.expect({ flags: "A", ack: 401, sack: [] });
    assertSameBytes(received(k), pattern(400));
  });

  test("what fills a gap ends the report of the run behind it alone", () => {
    const { peer } = start(build);
    report(peer, [101, 201]);
    report(peer, [301, 401]);
    send(peer, [1, 101]);
    peer.expect({ flags: "A", ack: 201, sack: [[301, 401]] });
  });

  test("an early FIN is reported with the number that it takes", () => {
    const { peer } = start(build);
    peer.send({ seq: 101, payload: pattern(100, 100), flags: "FA" });
    peer.expect({ flags: "A", ack: 1, sack: [[101, 202]] });
    peer.send({ seq: 1, payload: pattern(100) });
    peer.expect({ flags: "A", ack: 202, sack: [] });
  });

  test("a peer that cannot SACK is told nothing", () => {
    const { peer } = start(build, { sack: false });
    expect(report(peer, [101, 201])).toBe("");
    expect(report(peer, [101, 201])).toBe("");
  });

  describe("duplicates (RFC 2883 section 4)", () => {
    test("of what was delivered", () => {
      const { k, peer } = start(build);
      send(peer, [1, 201]);
      k.advance(50_000);
      peer.expect({ ack: 201 });
      const [sent] = k.counts([CNT_TCP_DSACKS_OUT], () => {
        expect(report(peer, [1, 101])).toBe("1:101");
      });
      expect(sent).toBe(1);
      // It is said once.
      send(peer, [201, 301]);
      k.advance(50_000);
      peer.expect({ ack: 301, sack: [] });
    });

    test("of what waits behind a gap: its run follows", () => {
      const { peer } = start(build);
      report(peer, [101, 201]);
      report(peer, [301, 401]);
      expect(report(peer, [101, 151])).toBe("101:151 101:201 301:401");
    });

    test("in part: old bytes in front", () => {
      const { k, peer } = start(build);
      send(peer, [1, 101]);
      k.advance(50_000);
      peer.takeAll();
      expect(report(peer, [51, 151])).toBe("51:101");
    });

    test("in part: over the edges of a run", () => {
      const { peer } = start(build);
      report(peer, [201, 301]);
      expect(report(peer, [251, 351])).toBe("251:301 201:351");
      expect(report(peer, [151, 221])).toBe("201:221 151:351");
      expect(report(peer, [101, 401])).toBe("151:351 101:401");
    });
  });

  test("however many holes, a bound", () => {
    const { k, peer } = start(build, { windowScale: 7 });
    const [refused] = k.counts([CNT_DROP_TCP_REASSEMBLY], () => {
      for (let i = 0; i < 600; i++) send(peer, [11 + 20 * i, 21 + 20 * i]);
    });
    peer.takeAll();
    expect(refused).toBeGreaterThanOrEqual(88);
  });

  test.each([1, 2, 3, 4])(
    "ranges at random, seed %i: every block was received, and all arrives",
    (seed) => {
      const { k, peer } = start(build);
      const random = new Random(seed);
      const total = 3000;
      const got = new Uint8Array(total + 2);
      for (let i = 0; i < 150; i++) {
        const from = random.between(1, total - 1);
        const range: Range = [from, Math.min(from + random.between(1, 300), total + 1)];
        send(peer, range);
        got.fill(1, range[0], range[1]);
        for (const { sack, ack } of peer.takeAll()) {
          let next = 1;
          while (got[next]) next++;
          expect(ack).toBe(next);
          const runs = sack.filter(([left]) => left >= ack);
          for (const [left, right] of runs) {
            expect(got.subarray(left, right).every((byte) => byte === 1)).toBe(true);
          }
          // A run is reported whole; only the first block, a duplicate, may be a part of one.
          for (const [left, right] of runs.slice(1))
            expect([got[left - 1], got[right]]).toEqual([0, 0]);
        }
        if (random.chance(0.2)) k.advance(50_000);
      }
      for (let from = 1; from <= total; from += 500) send(peer, [from, from + 500]);
      assertSameBytes(received(k), pattern(total));
      peer.takeAll();
    },
  );
});
