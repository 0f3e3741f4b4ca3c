/** Sets of flow groups: FLOW_GROUPS bits in four words of memory. */
import { FLOW_GROUPS } from "../abi";

const WORDS: u32 = FLOW_GROUPS >> 5;

/** The first group of the set at or after `from`; FLOW_GROUPS when there is none. */
export function nextInSet(set: u32, from: u32): u32 {
  let at = from;
  while (at < FLOW_GROUPS) {
    const bits = load<u32>(set + ((at >> 5) << 2)) >> (at & 31);
    if (bits != 0) return at + ctz<u32>(bits);
    at = ((at >> 5) + 1) << 5;
  }
  return FLOW_GROUPS;
}

export function addToSet(set: u32, group: u32): void {
  const word = set + ((group >> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << (group & 31)));
}

export function removeFromSet(set: u32, group: u32): void {
  const word = set + ((group >> 5) << 2);
  store<u32>(word, load<u32>(word) & ~(1 << (group & 31)));
}

export function isInSet(set: u32, group: u32): bool {
  return ((load<u32>(set + ((group >> 5) << 2)) >> (group & 31)) & 1) != 0;
}

export function isSetEmpty(set: u32): bool {
  return nextInSet(set, 0) == FLOW_GROUPS;
}

export function clearSet(set: u32): void {
  memory.fill(set, 0, WORDS << 2);
}

export function copySet(to: u32, from: u32): void {
  memory.copy(to, from, WORDS << 2);
}

/** Adds all groups of another set. */
export function unite(set: u32, other: u32): void {
  for (let word: u32 = 0; word < WORDS; word++) {
    const at = word << 2;
    store<u32>(set + at, load<u32>(set + at) | load<u32>(other + at));
  }
}
