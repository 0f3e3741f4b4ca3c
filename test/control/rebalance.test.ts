/** Load-aware sharing of flow groups. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FLOW_GROUPS } from "../../assembly/abi.ts";
import { rebalance, type Move } from "../../host/control/rebalance.ts";

/** Groups dealt round robin to that many cores. */
function dealt(cores: number): number[] {
  return Array.from({ length: FLOW_GROUPS }, (_, group) => group % cores);
}

function coreLoads(loads: readonly number[], owners: readonly number[], cores: number): number[] {
  const sums = Array.from({ length: cores }, () => 0);
  owners.forEach((core, group) => (sums[core] += loads[group]));
  return sums;
}

function moved(owners: readonly number[], moves: readonly Move[]): number[] {
  const after = [...owners];
  for (const { group, to } of moves) after[group] = to;
  return after;
}

const cores = (n: number): number[] => Array.from({ length: n }, (_, core) => core);

describe("rebalance", () => {
  it("moves nothing while the load is even, or there is none", () => {
    const owners = dealt(4);
    expect(rebalance(Array(FLOW_GROUPS).fill(10), owners, cores(4))).toEqual([]);
    expect(rebalance(Array(FLOW_GROUPS).fill(0), owners, cores(4))).toEqual([]);
  });

  it("moves the one group that evens out two cores", () => {
    const loads = Array<number>(FLOW_GROUPS).fill(0);
    // Core 0: 60 + 20; core 1: 40.
    loads[0] = 60;
    loads[2] = 20;
    loads[1] = 40;
    expect(rebalance(loads, dealt(2), cores(2))).toEqual([{ group: 2, from: 0, to: 1 }]);
  });

  it("leaves alone what one group alone makes uneven", () => {
    const loads = Array<number>(FLOW_GROUPS).fill(0);
    loads[0] = 1000;
    expect(rebalance(loads, dealt(4), cores(4))).toEqual([]);
  });

  it("evens out a load that a few groups carry most of", () => {
    const loads = Array.from({ length: FLOW_GROUPS }, (_, group) => 1000 / (1 + (group >> 2)));
    const owners = Array.from({ length: FLOW_GROUPS }, (_, group) => group >> 5);
    const before = coreLoads(loads, owners, 4);
    const moves = rebalance(loads, owners, cores(4));
    const after = coreLoads(loads, moved(owners, moves), 4);
    const mean = before.reduce((sum, load) => sum + load) / 4;
    expect(Math.max(...before)).toBeGreaterThan(2 * mean);
    expect(Math.max(...after)).toBeLessThanOrEqual(1.1 * mean);
    expect(moves.length).toBeLessThanOrEqual(16);
  });

  it("moves at most as many groups as it may", () => {
    const loads = Array<number>(FLOW_GROUPS).fill(1);
    const owners = Array<number>(FLOW_GROUPS).fill(0);
    expect(rebalance(loads, owners, cores(8), { moves: 5 })).toHaveLength(5);
  });

  it("knows nothing of the groups of cores that are not active", () => {
    const loads = Array<number>(FLOW_GROUPS).fill(1);
    const owners = dealt(3);
    for (const { group, from, to } of rebalance(loads, owners, [0, 2], { tolerance: 0 })) {
      expect(owners[group]).toBe(from);
      expect([from, to]).not.toContain(1);
    }
  });

  it("never makes it worse, moves a group once, and says the truth about owners", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { minLength: FLOW_GROUPS, maxLength: FLOW_GROUPS }),
        fc.array(fc.nat(7), { minLength: FLOW_GROUPS, maxLength: FLOW_GROUPS }),
        (loads, owners) => {
          const moves = rebalance(loads, owners, cores(8));
          const before = Math.max(...coreLoads(loads, owners, 8));
          const after = Math.max(...coreLoads(loads, moved(owners, moves), 8));
          expect(after).toBeLessThanOrEqual(before);
          expect(new Set(moves.map(({ group }) => group)).size).toBe(moves.length);
          for (const { group, from } of moves) expect(owners[group]).toBe(from);
        },
      ),
    );
  });
});
