import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { layOutMemory, type MemoryMap, type Region } from "../../host/dataplane/memory-map.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import { resolveOptions } from "../../host/dataplane/resolve-options.ts";

function layOut(options: Partial<DataplaneOptions> = {}): MemoryMap {
  return layOutMemory(resolveOptions({ ip: "10.0.0.1/24", ...options }));
}

const power = (min: number, max: number) => fc.integer({ min, max }).map((log) => 2 ** log);

/** Options of all sizes, of which some do not fit. */
const anyOptions = fc.record(
  {
    cores: fc.integer({ min: 1, max: 64 }),
    queuesPerCore: fc.integer({ min: 1, max: 8 }),
    ringSize: power(6, 12),
    txRingSize: power(6, 13),
    maxConnections: fc.integer({ min: 64, max: 1 << 20 }),
    references: fc.integer({ min: 64, max: 100_000 }),
    applicationWindow: power(16, 30),
    events: fc.integer({ min: 512, max: 10_000 }),
    calls: fc.integer({ min: 1, max: 10_000 }),
    timers: fc.integer({ min: 1, max: 10_000 }),
  },
  { requiredKeys: [] },
);

/** The layout, or undefined when it is refused as too large. */
function tryLayOut(options: Partial<DataplaneOptions>): MemoryMap | undefined {
  try {
    return layOut(options);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toMatch(/a linear memory must have at most 65535/);
    return undefined;
  }
}

function end(region: Region): number {
  return region.address + region.size;
}

describe("any layout", () => {
  it("has regions in order, aligned, apart, and within the memory", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        const map = tryLayOut(options);
        if (!map) return;
        let previous = abi.WASM_PAGE;
        for (const region of map.regions) {
          expect(region.size, region.name).toBeGreaterThan(0);
          expect(region.address % region.alignment, region.name).toBe(0);
          expect(region.alignment % abi.CACHE_LINE, region.name).toBe(0);
          expect(region.address, region.name).toBeGreaterThanOrEqual(previous);
          previous = end(region);
        }
        expect(previous).toBeLessThanOrEqual(map.size);
        expect(map.size).toBe(map.pages * abi.WASM_PAGE);
        expect(map.size).toBeLessThan(2 ** 32);
        expect(map.config.address).toBe(abi.CONFIG_BASE);
      }),
    );
  });

  it("has whole pages for rings and frames, and a window aligned to its size", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        const map = tryLayOut(options);
        if (!map) return;
        expect(map.frames.address % 4096).toBe(0);
        expect(map.window.address % map.window.size).toBe(0);
        for (const core of map.cores) {
          for (const { block, fill, rx, tx, completion } of core.queues) {
            expect(block % abi.QUEUE_SIZE).toBe(0);
            const sizes = [8, 16, 16, 8];
            for (const [index, ring] of [fill, rx, tx, completion].entries()) {
              expect(ring.address % 4096).toBe(0);
              expect(ring.size % 4096).toBe(0);
              const words = [ring.producer, ring.consumer, ring.flags, ring.descriptors];
              const lines = words.map((address) => Math.floor(address / abi.CACHE_LINE));
              expect(new Set(lines).size).toBe(4);
              expect(ring.descriptors + ring.entries * sizes[index]).toBeLessThanOrEqual(end(ring));
            }
          }
        }
      }),
    );
  });

  it("deals out every frame, record and connection once", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        const map = tryLayOut(options);
        if (!map) return;
        const { frames, references, maxConnections } = resolveOptions({
          ip: "10.0.0.1/24",
          ...options,
        });
        const dealt = (kind: "frames" | "records" | "tcbs", first: number, last: number): void => {
          let next = first;
          for (const core of map.cores) {
            expect(core[kind].first).toBe(next);
            expect(core[kind].end).toBeGreaterThan(next);
            next = core[kind].end;
          }
          expect(next).toBe(last);
        };
        dealt("frames", 0, frames);
        dealt("records", frames, frames + references);
        dealt("tcbs", 0, maxConnections);
        expect(map.bufferRecords.size).toBe((frames + references) * abi.BUFFER_SIZE);
      }),
    );
  });

  it("has room for two buckets a connection", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: abi.MAX_CONNECTIONS }), (maxConnections) => {
        const { bucketsPerGroup, buckets } = layOut({ maxConnections });
        expect(Number.isInteger(Math.log2(bucketsPerGroup))).toBe(true);
        expect(bucketsPerGroup * abi.FLOW_GROUPS).toBeGreaterThanOrEqual(2 * maxConnections);
        expect(buckets.size).toBe(bucketsPerGroup * abi.FLOW_GROUPS * 4);
      }),
    );
  });
});

describe("a million connections", () => {
  const million = { maxConnections: abi.MAX_CONNECTIONS };

  it("fit, in less than 512 bytes each", () => {
    const { size } = layOut(million);
    expect(size / abi.MAX_CONNECTIONS).toBeLessThan(512);
  });

  it("fit on 64 cores of 8 queues", () => {
    expect(layOut({ ...million, cores: 64, queuesPerCore: 8 }).size).toBeLessThan(2 ** 32);
  });
});

describe("a layout that does not fit", () => {
  it("is refused, naming the largest parts", () => {
    const options = { frames: 1 << 20, applicationWindow: 1 << 29, references: 1 << 20 };
    expect(() => layOut(options)).not.toThrow();
    const tooMuch = { ...options, frames: 1 << 21 };
    expect(() => layOut(tooMuch)).toThrow(RangeError);
    expect(() => layOut(tooMuch)).toThrow(
      /The largest parts: frames 4096 MiB, application window 512 MiB, buffer records 96 MiB/,
    );
  });
});
