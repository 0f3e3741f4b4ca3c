import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { balance } from "../../host/dataplane/balance.ts";

/** Owners after the moves. */
function apply(owners: readonly number[], active: readonly number[]): number[] {
  const after = [...owners];
  for (const { from, to, groups } of balance(owners, active)) {
    for (const group of groups) {
      expect(after[group]).toBe(from);
      after[group] = to;
    }
  }
  return after;
}

const count = (owners: readonly number[], core: number): number =>
  owners.filter((owner) => owner === core).length;

describe("sharing flow groups out", () => {
  it("moves nothing when all shares are equal already", () => {
    const owners = Array.from({ length: 128 }, (_, group) => group % 4);
    expect(balance(owners, [0, 1, 2, 3])).toEqual([]);
  });

  it("takes from each core as many as a new one needs", () => {
    const owners = Array.from({ length: 128 }, (_, group) => group % 3);
    const moves = balance(owners, [0, 1, 2, 3]);
    expect(moves.map(({ to }) => to)).toEqual([3, 3, 3]);
    expect(moves.flatMap(({ groups }) => groups)).toHaveLength(32);
  });

  it("leaves active cores equal shares and others none, with the fewest moves", () => {
    const cores = fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1 });
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 128, maxLength: 128 }),
        cores,
        (owners, active) => {
          const after = apply(owners, active);
          const shares = active.map((core) => count(after, core));
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
          expect(shares.reduce((a, b) => a + b)).toBe(128);
          const moved = after.filter((owner, group) => owner !== owners[group]).length;
          const needed = active.reduce((sum, core) => {
            return sum + Math.max(0, count(after, core) - count(owners, core));
          }, 0);
          expect(moved).toBe(needed);
          // A core that gains groups loses none.
          for (const core of active) {
            const gains = after.some((owner, group) => owner === core && owners[group] !== core);
            const loses = after.some((owner, group) => owner !== core && owners[group] === core);
            expect(gains && loses).toBe(false);
          }
        },
      ),
    );
  });
});
