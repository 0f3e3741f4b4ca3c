import { describe, expect, it } from "vitest";
import { createLoadState, bucketOf, loadBlock, readLoad } from "../../host/node/cli/load-state.ts";
import type { CoreSnapshot, Snapshot } from "../../host/node/cli/snapshot.ts";
import { compact, grouped, tableLines } from "../../host/node/cli/table.ts";
import { topFrame, topLines } from "../../host/node/cli/top-view.ts";

const average = (slow: number) => ({ fast: 0, medium: 0, slow });

/** A core that has done `times` as much as it does in a second. */
function coreSnapshot(core: number, times: number): CoreSnapshot {
  const busyTime = times * 250_000;
  return {
    core,
    state: core === 0 ? "active" : "idle",
    groups: 64,
    metrics: {
      ...{ batch: average(3.5), queueSize: average(4), queueDelay: average(20), loop: average(1) },
      ...{
        idle: average(0),
        delayNow: 0,
        queueNow: 0,
        waiting: 0,
        waited: 0,
        lastPoll: 0,
        packets: 0,
      },
      ...{ busyTime, idleTime: times * 750_000 },
    },
    incidents: {} as CoreSnapshot["incidents"],
    counters: {
      ...{ rxPackets: 20_000 * times, rxBytes: 125_000 * times, dropTcpWindow: 2 * times },
      ...{ txPackets: 10_000 * times, txBytes: 250_000 * times, dropIpTtl: times },
    } as CoreSnapshot["counters"],
    gauges: { connections: 5 } as CoreSnapshot["gauges"],
    nic: {
      ...{ noFillDescriptor: times, badFillDescriptor: 0, rxRingFull: 3 * times, badChecksum: 0 },
    } as CoreSnapshot["nic"],
  };
}

function snapshot(seconds: number, load?: Snapshot["load"]): Snapshot {
  return {
    ...{ name: "n", pid: 1, version: "1", app: "echo", nic: "emulated", ip: "10.0.0.1/24" },
    ...{ time: 1e15 + seconds * 1e6, uptime: 3700 + seconds, port: {} as Snapshot["port"], load },
    policy: { policy: "off", changes: 0 },
    cores: [coreSnapshot(0, seconds), coreSnapshot(1, seconds)],
  };
}

describe("top", () => {
  it("shows what happened between two snapshots, per second", () => {
    const frame = topFrame(snapshot(10), snapshot(12));
    expect(frame.seconds).toBe(2);
    expect(frame.cores[1]).toEqual({
      ...{
        core: 1,
        state: "idle",
        rxPackets: 20_000,
        txPackets: 10_000,
        rxBits: 1e6,
        txBits: 2e6,
      },
      ...{ drops: 7, batch: 3.5, queue: 4, delay: 20, idle: 0.75, groups: 64, connections: 5 },
    });
  });

  it("is a line for each core", () => {
    expect(topLines(topFrame(snapshot(10), snapshot(12)))).toEqual([
      "n: echo at 10.0.0.1/24, emulated, up 1:01:52",
      "",
      "core     rx/s   tx/s  bit/s  batch  queue  wait µs  idle%  groups  conns  drop/s",
      "0       20.0k  10.0k  3.00M   3.50      4       20     75      64      5       7",
      "1 idle  20.0k  10.0k  3.00M   3.50      4       20     75      64      5       7",
    ]);
  });

  it("has the load's round trips of that time only", () => {
    const load = (messages: number, slow: number) => ({
      ...{ messages, opened: 4, failed: 1, open: 3, oldest: 0 },
      roundTrips: [
        [10, messages],
        [100, slow],
      ] as const,
    });
    const { load: rates } = topFrame(snapshot(10, load(1000, 900)), snapshot(12, load(1300, 902)));
    expect(rates).toEqual({ messages: 150, open: 3, failed: 0, p50: 10, p99: 10 });
    const quiet = topFrame(snapshot(1, load(5, 5)), snapshot(2, load(5, 5))).load;
    expect(quiet).toMatchObject({ messages: 0, p50: 0, p99: 0 });
  });
});

describe("the load's counts", () => {
  it("are the sum over its cores, round trips in buckets a ninth wide at most", () => {
    const state = createLoadState(2);
    for (const [core, micros] of [
      [0, 0.1],
      [0, 50],
      [1, 50],
      [1, 1e12],
    ]) {
      const block = loadBlock(state, core);
      block[0]++;
      block[bucketOf(micros)]++;
    }
    const { messages, roundTrips } = readLoad(state);
    expect(messages).toBe(4);
    expect(roundTrips.map(([, count]) => count)).toEqual([1, 2, 1]);
    expect(roundTrips[0][0]).toBe(1);
    expect(roundTrips[1][0]).toBeGreaterThanOrEqual(50);
    expect(roundTrips[1][0]).toBeLessThan(50 * 1.1);
  });
});

describe("tables", () => {
  it.each([
    [0, "0"],
    [1e-21, "0"],
    [0.01234, "0.0123"],
    [31.99999, "32.0"],
    [99.96, "100"],
    [250, "250"],
    [9999, "9999"],
    [9999.6, "10.0k"],
    [12_345, "12.3k"],
    [999_600, "1.00M"],
    [1.5e9, "1.50G"],
  ])("show %d as %s", (value, text) => {
    expect(compact(value)).toBe(text);
  });

  it("group digits and align columns", () => {
    expect([grouped(1), grouped(1234), grouped(1234567)]).toEqual(["1", "1 234", "1 234 567"]);
    expect(tableLines(["a", "b"], [["long", "1"]])).toEqual(["a     b", "long  1"]);
  });
});
