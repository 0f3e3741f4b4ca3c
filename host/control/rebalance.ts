/**
 * Sharing out flow groups by what they cost, not by their number: RSS++ (Barbette et al., CoNEXT 2019).
 * A few connections may carry most of the packets, and RSS puts them where their hashes say. From the
 * packets that each group received since the last look, the groups are found whose move evens out the
 * cores best, moving as few as possible.
 */
import { FLOW_GROUPS } from "../../assembly/abi.ts";

export interface RebalanceOptions {
  /** How far above the mean the busiest core may be, as a share of it. Default 0.1. */
  readonly tolerance?: number;
  /** Most groups moved at once. Default 16. */
  readonly moves?: number;
}

/** A flow group that is to go to another core. */
export interface Move {
  readonly group: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The moves that even out the load; none when it is even enough.
 *
 * @param loads what each flow group cost lately: packets, or anything that adds up
 * @param owners the core of each flow group
 * @param cores the active ones
 */
export function rebalance(
  loads: ArrayLike<number>,
  owners: ArrayLike<number>,
  cores: readonly number[],
  { tolerance = 0.1, moves: limit = 16 }: RebalanceOptions = {},
): Move[] {
  const load = new Map(cores.map((core) => [core, 0]));
  const groups = new Map<number, number[]>(cores.map((core) => [core, []]));
  for (let group = 0; group < FLOW_GROUPS; group++) {
    const owner = owners[group];
    const own = groups.get(owner);
    // A group on its way, or of a core that is being given back, is not ours to move.
    if (!own) continue;
    own.push(group);
    load.set(owner, load.get(owner)! + loads[group]);
  }
  const total = cores.reduce((sum, core) => sum + load.get(core)!, 0);
  const most = (total / cores.length) * (1 + tolerance);
  const moves: Move[] = [];
  while (moves.length < limit) {
    const { from, to } = extremes(cores, load);
    if (load.get(from)! <= most) break;
    const group = bestGroup(groups.get(from)!, loads, load.get(from)! - load.get(to)!);
    if (group < 0) break;
    moves.push({ group, from, to });
    groups.set(
      from,
      groups.get(from)!.filter((other) => other !== group),
    );
    load.set(from, load.get(from)! - loads[group]);
    load.set(to, load.get(to)! + loads[group]);
  }
  return moves;
}

/** The busiest core and the least busy one. */
function extremes(
  cores: readonly number[],
  load: ReadonlyMap<number, number>,
): { from: number; to: number } {
  let [from] = cores;
  let [to] = cores;
  for (const core of cores) {
    if (load.get(core)! > load.get(from)!) from = core;
    if (load.get(core)! < load.get(to)!) to = core;
  }
  return { from, to };
}

/**
 * The group that, moved across a gap, leaves the smallest one behind; -1 when each would make it worse
 * or no better. A group that was moved is never moved on: the gap it was moved across has shrunk.
 */
function bestGroup(groups: readonly number[], loads: ArrayLike<number>, gap: number): number {
  let best = -1;
  let left = gap;
  for (const group of groups) {
    if (loads[group] <= 0) continue;
    const after = Math.abs(gap - 2 * loads[group]);
    if (after >= left) continue;
    left = after;
    best = group;
  }
  return best;
}
