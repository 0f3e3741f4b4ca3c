/**
 * Sharing flow groups out to cores. Pure functions: what moves where follows from who owns what.
 */

/** Flow groups that go from one core to another. */
export interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly groups: readonly number[];
}

/**
 * The fewest moves after which the `active` cores own all groups, each as many as the others or one
 * more (IX: Set-cpus). Whoever has too many gives its last ones away.
 *
 * @param owners the core that owns each group
 * @param active at least one core
 */
export function balance(owners: ArrayLike<number>, active: readonly number[]): Transfer[] {
  const held = new Map<number, number[]>();
  for (let group = 0; group < owners.length; group++) {
    const groups = held.get(owners[group]);
    if (groups) groups.push(group);
    else held.set(owners[group], [group]);
  }
  const count = (core: number): number => held.get(core)?.length ?? 0;
  // The cores that have most may keep one more, which saves moves.
  const ranked = active.toSorted((a, b) => count(b) - count(a) || a - b);
  const least = Math.floor(owners.length / active.length);
  const withMore = owners.length % active.length;
  const share = new Map(ranked.map((core, rank) => [core, least + (rank < withMore ? 1 : 0)]));

  const surplus: [group: number, from: number][] = [];
  for (const [core, groups] of [...held].toSorted(([a], [b]) => a - b)) {
    for (const group of groups.slice(share.get(core) ?? 0)) surplus.push([group, core]);
  }
  const transfers = new Map<string, Transfer & { groups: number[] }>();
  for (const to of active) {
    for (let missing = share.get(to)! - count(to); missing > 0; missing--) {
      const [group, from] = surplus.pop()!;
      const key = `${from} ${to}`;
      const transfer = transfers.get(key) ?? { from, to, groups: [] };
      transfer.groups.push(group);
      transfers.set(key, transfer);
    }
  }
  return [...transfers.values()];
}
