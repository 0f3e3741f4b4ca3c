import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import {
  COUNTER_OFFSETS,
  GAUGE_OFFSETS,
  readCounters,
  readGauges,
  sum,
} from "../../host/dataplane/counters.ts";

/** rxPackets for CNT_RX_PACKETS. */
function camelCase(constant: string): string {
  const [, ...words] = constant.toLowerCase().split("_");
  return words.map((word, i) => (i === 0 ? word : word[0].toUpperCase() + word.slice(1))).join("");
}

/** Constants of the ABI with this prefix, as they should appear in a table of names. */
function named(prefix: string): Record<string, number> {
  const entries = Object.entries(abi).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(
    entries
      .filter(([name]) => name !== "CNT_END")
      .map(([name, offset]) => [camelCase(name), offset]),
  );
}

describe("names of counters and gauges", () => {
  it("are those of the ABI, all of them", () => {
    expect(COUNTER_OFFSETS).toEqual(named("CNT_"));
    expect(GAUGE_OFFSETS).toEqual(named("GAUGE_"));
  });

  it("stand for cells of their own within the core block", () => {
    const counters = Object.values(COUNTER_OFFSETS);
    expect(new Set(counters).size).toBe(counters.length);
    expect(Math.min(...counters)).toBe(abi.CORE_COUNTERS);
    expect(Math.max(...counters) + 8).toBe(abi.CNT_END);
    expect(abi.CNT_END).toBeLessThanOrEqual(abi.CORE_SIZE);
    for (const offset of counters) expect(offset % 8).toBe(0);
    for (const offset of Object.values(GAUGE_OFFSETS)) {
      expect(Math.floor(offset / abi.CACHE_LINE)).toBe(abi.GAUGE_BUFFERS / abi.CACHE_LINE);
    }
  });
});

describe("reading them", () => {
  const block = abi.CORE_SIZE;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const view = new DataView(memory.buffer);

  it("gives counters of 64 bits, exact below 2^53", () => {
    view.setBigUint64(block + abi.CNT_RX_BYTES, 0x1f_ffff_ffff_fffen, true);
    view.setBigUint64(block + abi.CNT_REFUSED_ARGUMENT, 7n, true);
    const counters = readCounters(memory, block);
    expect(counters.rxBytes).toBe(2 ** 53 - 2);
    expect(counters.refusedArgument).toBe(7);
    expect(counters.txBytes).toBe(0);
  });

  it("gives gauges with their sign, which betrays what was freed twice", () => {
    view.setInt32(block + abi.GAUGE_BUFFERS, -1, true);
    view.setInt32(block + abi.GAUGE_CONNECTIONS, 5, true);
    expect(readGauges(memory, block)).toMatchObject({ buffers: -1, connections: 5, timers: 0 });
  });

  it("adds up cores", () => {
    expect(
      sum([
        { a: 1, b: 2 },
        { a: 10, b: 20 },
        { a: 100, b: 200 },
      ]),
    ).toEqual({ a: 111, b: 222 });
  });
});
