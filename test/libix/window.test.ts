import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDataplane } from "../../host/node/index.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { AppWindow } from "../../host/libix/window.ts";

const BASE = 0x10000;

function makeWindow(size: number, base = BASE): AppWindow {
  const memory = new WebAssembly.Memory({ initial: 18, maximum: 18, shared: true });
  // What lies there is of no importance to the allocator.
  new Uint8Array(memory.buffer).fill(0xee);
  return new AppWindow(memory, base, size);
}

describe("the application window", () => {
  it("hands out aligned blocks of at least the size asked for", () => {
    const window = makeWindow(1 << 20);
    for (const size of [0, 1, 63, 64, 65, 1000, 4096, 5000]) {
      const block = window.allocate(size);
      expect(block % 64).toBe(0);
      expect(window.capacity(block)).toBeGreaterThanOrEqual(size);
    }
  });

  it("returns 0 when nothing is large enough, and goes on", () => {
    const window = makeWindow(4096);
    expect(window.allocate(4097)).toBe(0);
    const whole = window.allocate(4096);
    expect(whole).toBe(BASE);
    expect(window.allocate(1)).toBe(0);
    window.free(whole);
    expect(window.allocate(64)).not.toBe(0);
  });

  it("uses a share whose size is no power of two to the last granule", () => {
    const window = makeWindow(64 * 21, BASE + 64);
    const blocks = Array.from({ length: 21 }, () => window.allocate(64));
    expect(new Set(blocks).size).toBe(21);
    expect(Math.min(...blocks)).toBe(BASE + 64);
    expect(Math.max(...blocks)).toBe(BASE + 64 * 21);
    expect(window.allocate(1)).toBe(0);
  });

  it("rejects what is no allocated block", () => {
    const window = makeWindow(4096);
    const block = window.allocate(128);
    for (const address of [0, BASE - 64, block + 1, block + 64, BASE + 4096, block + 128]) {
      expect(() => window.free(address)).toThrow(RangeError);
    }
    window.free(block);
    expect(() => window.free(block)).toThrow(/no allocated block/);
    expect(() => window.capacity(block)).toThrow(RangeError);
  });

  it("rejects an address that is none", () => {
    expect(() => makeWindow(4096, BASE + 4)).toThrow(RangeError);
    expect(() => makeWindow(4096, 0)).toThrow(RangeError);
  });

  it("never hands out overlapping blocks, and is whole again when all are back", () => {
    const step = fc.oneof(
      fc.record({ size: fc.integer({ min: 0, max: 20_000 }) }),
      fc.record({ free: fc.nat() }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 1, max: 1024 }),
        (steps, granules) => {
          const size = granules * 64;
          const window = makeWindow(size);
          const live: { address: number; end: number }[] = [];
          for (const item of steps) {
            if ("size" in item) {
              const address = window.allocate(item.size);
              if (address === 0) continue;
              const end = address + window.capacity(address);
              expect(address >= BASE && end <= BASE + size).toBe(true);
              expect(end - address).toBeGreaterThanOrEqual(item.size);
              const clash = live.find((block) => address < block.end && block.address < end);
              expect(clash).toBeUndefined();
              live.push({ address, end });
            } else if (live.length > 0) {
              const [block] = live.splice(item.free % live.length, 1);
              window.free(block.address);
            }
            const used = live.reduce((sum, { address, end }) => sum + end - address, 0);
            expect(window.used).toBe(used);
          }
          for (const { address } of live) window.free(address);
          expect(window.used).toBe(0);
          // All of it is there again, in one piece as far as its size allows.
          const largest = 2 ** Math.floor(Math.log2(size));
          expect(window.allocate(largest)).toBe(BASE);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("the shared part of the window", () => {
  it("is the same for all cores and in no core's own part", () => {
    const sharedWindow = 3 << 20;
    const dataplane = createDataplane({
      ip: "10.0.0.1/24",
      cores: 3,
      applicationWindow: 4 << 20,
      sharedWindow,
    });
    const cores: Ix[] = [];
    const app = ({ ix }: { ix: Ix }) => {
      cores.push(ix);
      return { handle() {} };
    };
    new InlineRunner().add(dataplane, { backend: () => silence, app });
    const [{ shared }] = cores;
    expect(shared.size).toBe(sharedWindow);
    for (const ix of cores) {
      expect(ix.shared).toEqual(shared);
      const { address, size } = ix.window;
      expect(address).toBeGreaterThanOrEqual(shared.address + sharedWindow);
      expect(address + size).toBeLessThanOrEqual(shared.address + (4 << 20));
    }
  });
});

/** A backend that nothing comes from. */
const silence = { pump: () => 0, nextDeadline: () => Infinity };
