import { describe, expect, it } from "vitest";
import {
  Arena,
  ARENA_CONTROL,
  CLASSES,
  classOf,
  classSize,
} from "../../examples/memcached/arena.ts";
import { Random } from "../support/random.ts";

const SIZE = 1 << 20;

function makeArena(): Arena {
  const arena = new Arena(new Uint32Array((SIZE + 4096) / 4), 64);
  arena.initialize(64 + ARENA_CONTROL, SIZE - 64 - ARENA_CONTROL);
  return arena;
}

/** The largest block that there is, in steps of 4 KiB. */
function largest(arena: Arena): number {
  for (let size = SIZE; size > 0; size -= 4096) {
    const block = arena.allocate(size);
    if (block === 0) continue;
    arena.free(block);
    return size;
  }
  return 0;
}

describe("the arena", () => {
  it("has classes that grow by an eighth", () => {
    for (let size = 64; size < 2 ** 30; size = Math.ceil(size * 1.01)) {
      expect(classSize(classOf(size))).toBeLessThanOrEqual(size);
      expect(classSize(classOf(size)) * 1.13).toBeGreaterThan(size);
      expect(classOf(size)).toBeLessThan(CLASSES);
    }
  });

  it("returns 0 when nothing is large enough", () => {
    const arena = makeArena();
    expect(arena.allocate(SIZE)).toBe(0);
    expect(arena.allocate(SIZE / 2)).not.toBe(0);
    expect(arena.allocate(SIZE / 2)).toBe(0);
    expect(arena.allocate(SIZE / 4)).not.toBe(0);
  });

  it("never hands out overlapping blocks, and is whole again when all are back", () => {
    const arena = makeArena();
    const whole = largest(arena);
    const random = new Random(5);
    const blocks = new Map<number, number>();
    for (let step = 0; step < 20_000; step++) {
      if (blocks.size > 0 && random.chance(0.5)) {
        const block = random.pick([...blocks.keys()]);
        arena.free(block);
        blocks.delete(block);
        continue;
      }
      const size = random.chance(0.1) ? random.between(1, 100_000) : random.between(1, 500);
      const block = arena.allocate(size);
      if (block === 0) continue;
      expect(block % 16).toBe(0);
      expect(arena.sizeOf(block)).toBeGreaterThanOrEqual(size);
      blocks.set(block, arena.sizeOf(block));
      if (step % 500 === 0) expectApart(blocks);
    }
    expectApart(blocks);
    for (const block of blocks.keys()) arena.free(block);
    expect(largest(arena)).toBe(whole);
  });
});

function expectApart(blocks: ReadonlyMap<number, number>): void {
  let end = 0;
  for (const [block, size] of [...blocks].sort(([a], [b]) => a - b)) {
    expect(block).toBeGreaterThanOrEqual(end);
    end = block + size;
  }
}
