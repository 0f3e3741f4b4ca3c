/**
 * The neighbour table: where the entries live. Each core has one of its own. An entry lies at or near
 * the place that its address hashes to; lookup is by chains whose heads are words of the entries
 * themselves:
 *
 *   place of an address ─ bucket ─→ entry ─ chain ─→ entry ─ chain ─→ 0
 *
 * Whoever keeps a pointer to an entry holds it: one with `users` is never given to another address.
 */
import { CFG_NEIGHBOUR_TABLE, CFG_NEIGHBOURS, NEIGHBOUR_SIZE } from "../abi";
import { config } from "../core/config";
import { now } from "../time/clock";
import { cancelTimer, Timer, TIMER_NEIGHBOUR } from "../time/wheel";

/** NEIGHBOUR_SIZE bytes; all zero while free, but for `bucket`. */
@final
@unmanaged
export class Neighbour {
  /** The entry's `Timer`, which must come first. */
  timerNext: u32;
  timerPrev: u32;
  timerTick: u32;
  timerKind: u32;
  /** 16-byte address, as two halves that lie as in memory. */
  high: u64;
  low: u64;
  macHead: u32;
  macTail: u16;
  /** The states, in the order of how much an entry is worth. */
  state: u8;
  /** Requests sent in this round of INCOMPLETE or PROBE. */
  requests: u8;
  /** How many keep a pointer to this entry: connections. */
  users: u32;
  /** Last of the circular list of frames that wait for the MAC address. */
  pending: u32;
  /** When the neighbour was last heard of for certain, µs. */
  confirmedAt: u32;
  /** When a packet last went its way, µs. */
  usedAt: u32;
  /** Head of the chain of entries whose address hashes to this one's place. */
  bucket: u32;
  /** Next entry in the chain that this one is in. */
  chain: u32;
}

export const FREE: u8 = 0;
export const UNRESOLVED: u8 = 1;
export const INCOMPLETE: u8 = 2;
export const STALE: u8 = 3;
export const PROBE: u8 = 4;
export const REACHABLE: u8 = 5;
export const STATIC: u8 = 6;

/** Entries looked at for the least useful one before the rest of a full table is. */
const RECYCLE_WINDOW: u32 = 32;

let table: u32 = 0;
let mask: u32 = 0;
/** Right shift that makes a table index of a 32-bit hash. */
let shift: u32 = 0;

/** Binds this instance to the table of a core. */
export function bindNeighbourTable(core: u32): void {
  mask = config(CFG_NEIGHBOURS) - 1;
  table = config(CFG_NEIGHBOUR_TABLE) + core * (mask + 1) * NEIGHBOUR_SIZE;
  shift = clz<u32>(mask);
}

/** Empties the table. */
export function clearNeighbourTable(): void {
  memory.fill(table, 0, (mask + 1) * NEIGHBOUR_SIZE);
}

/** The entry of an address, or null. */
export function findNeighbour(high: u64, low: u64): Neighbour | null {
  let at = placeOf(high, low).bucket;
  while (at != 0) {
    const entry = changetype<Neighbour>(at);
    if (entry.low == low && entry.high == high) return entry;
    at = entry.chain;
  }
  return null;
}

/** A new entry in state UNRESOLVED; null when only entries of state `worth` and above could go. */
export function makeNeighbour(high: u64, low: u64, worth: u32): Neighbour | null {
  const place = placeOf(high, low);
  const entry = findRoom(changetype<u32>(place), worth);
  if (entry == null) return null;
  if (entry.state != FREE) dropNeighbour(entry);
  entry.timerKind = TIMER_NEIGHBOUR;
  entry.high = high;
  entry.low = low;
  entry.state = UNRESOLVED;
  entry.usedAt = now;
  entry.chain = place.bucket;
  place.bucket = changetype<u32>(entry);
  return entry;
}

/** Takes an entry out of its chain and leaves it free. */
export function dropNeighbour(n: Neighbour): void {
  cancelTimer(timerOf(n));
  const place = placeOf(n.high, n.low);
  if (place.bucket == changetype<u32>(n)) {
    place.bucket = n.chain;
  } else {
    let at = changetype<Neighbour>(place.bucket);
    while (at.chain != changetype<u32>(n)) at = changetype<Neighbour>(at.chain);
    at.chain = n.chain;
  }
  n.chain = 0;
  n.state = FREE;
  n.users = 0;
  setMac(n, 0, 0);
}

/** Keeps an entry at its address until `releaseNeighbour`. */
export function holdNeighbour(n: Neighbour): void {
  n.users++;
}

export function releaseNeighbour(n: Neighbour): void {
  n.users--;
}

export function setMac(n: Neighbour, head: u32, tail: u32): void {
  n.macHead = head;
  n.macTail = <u16>tail;
}

/** The entry's own timer. */
export function timerOf(n: Neighbour): Timer {
  return changetype<Timer>(n);
}

/** The entry at the place that an address hashes to. Fibonacci hashing: hosts differ in few bits. */
function placeOf(high: u64, low: u64): Neighbour {
  const mixed = u32(high) ^ u32(high >> 32) ^ u32(low) ^ u32(low >> 32);
  const index = ((mixed * 0x9e3779b1) >> shift) & mask;
  return changetype<Neighbour>(table + index * NEIGHBOUR_SIZE);
}

/**
 * A free entry at or after a place, else the least useful one nobody holds below state `worth`: the
 * lowest state, and among those the longest unused. Looks on past RECYCLE_WINDOW only when it found
 * none so far.
 */
function findRoom(place: u32, worth: u32): Neighbour | null {
  let best = changetype<Neighbour>(0);
  let bestAge: u32 = 0;
  const end = table + (mask + 1) * NEIGHBOUR_SIZE;
  let at = place;
  for (let seen: u32 = 0; seen <= mask; seen++) {
    const entry = changetype<Neighbour>(at);
    if (entry.state == FREE) return entry;
    if (entry.state < worth && isRecyclable(entry)) {
      const age = now - entry.usedAt;
      if (
        changetype<u32>(best) == 0 ||
        entry.state < best.state ||
        (entry.state == best.state && age > bestAge)
      ) {
        best = entry;
        bestAge = age;
      }
    }
    if (seen >= RECYCLE_WINDOW && changetype<u32>(best) != 0) break;
    at += NEIGHBOUR_SIZE;
    if (at == end) at = table;
  }
  return changetype<u32>(best) != 0 ? best : null;
}

/** Frames that wait keep their entry for the few seconds that resolution takes. */
function isRecyclable(n: Neighbour): bool {
  return n.users == 0 && n.pending == 0;
}

/** True for the address of an entry of this core's table, wherever it comes from. */
export function isNeighbour(address: u32): bool {
  const offset = address - table;
  return offset < (mask + 1) * NEIGHBOUR_SIZE && offset % NEIGHBOUR_SIZE == 0;
}

/** Entry number `index` of the table; null behind the last. */
export function neighbourAt(index: u32): Neighbour | null {
  return index <= mask ? changetype<Neighbour>(table + index * NEIGHBOUR_SIZE) : null;
}
