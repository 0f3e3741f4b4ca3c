/**
 * What the link teaches one core, for all cores of the dataplane. Each core has neighbours, addresses,
 * routers and groups of its own, but the NIC brings an ARP or ICMPv6 packet to one of them only, whoever
 * asked. So a core writes what it
 * learned into its block, a ring of LEARNED_SLOTS notes behind a running count, and every other core
 * reads on from where it last stopped. One writer per line, one atomic store per note; a core that was
 * away for more notes than the ring has resolves what it missed by itself.
 */
import {
  CFG_CORE_BLOCKS,
  CFG_CORES,
  CORE_DOORBELL,
  CORE_ID,
  CORE_LEARNED,
  CORE_LEARNED_COUNT,
  CORE_LEARNED_SEEN,
  CORE_PARKED,
  CORE_SIZE,
  LEARNED_SIZE,
  LEARNED_SLOTS,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { applyNotice } from "./notices";

const KIND: u32 = 0;
const FIRST: u32 = 4;
const SECOND: u32 = 8;
const THIRD: u32 = 12;
const HIGH: u32 = 16;
const LOW: u32 = 24;

let blocks: u32 = 0;
let cores: u32 = 1;
let ownCore: u32 = 0;

/** Binds this instance to the core's notes; how far it has read those of others is in the block. */
export function bindLearned(): void {
  blocks = config(CFG_CORE_BLOCKS);
  cores = config(CFG_CORES);
  ownCore = load<u32>(coreBlock + CORE_ID);
}

/**
 * Takes in what one packet has taught this core, and lets the other cores know.
 *
 * @param kind `LINK_*`, which says what the three words and the address mean
 */
export function learnForAll(kind: u32, high: u64, low: u64, a: u32, b: u32, c: u32): void {
  applyNotice(kind, high, low, a, b, c);
  if (cores == 1) return;
  const counter = coreBlock + CORE_LEARNED_COUNT;
  const count = load<u32>(counter);
  const note = noteOf(coreBlock, count);
  store<u32>(note, kind, KIND);
  store<u32>(note, a, FIRST);
  store<u32>(note, b, SECOND);
  store<u32>(note, c, THIRD);
  store<u64>(note, high, HIGH);
  store<u64>(note, low, LOW);
  atomic.store<u32>(counter, count + 1);
  for (let core: u32 = 0; core < cores; core++) wake(blocks + core * CORE_SIZE);
}

/** Learns what other cores noted since the last time. */
export function readLearned(): void {
  for (let core: u32 = 0; core < cores; core++) {
    if (core == ownCore) continue;
    const block = blocks + core * CORE_SIZE;
    const count = atomic.load<u32>(block + CORE_LEARNED_COUNT);
    const cell = seenCell(core);
    let seen = load<u32>(cell);
    if (seen == count) continue;
    // The slot that may be written just now is left out.
    if (count - seen >= LEARNED_SLOTS) seen = count - LEARNED_SLOTS + 1;
    for (; seen != count; seen++) learnNote(noteOf(block, seen));
    store<u32>(cell, count);
  }
}

function learnNote(note: u32): void {
  applyNotice(
    load<u32>(note, KIND),
    load<u64>(note, HIGH),
    load<u64>(note, LOW),
    load<u32>(note, FIRST),
    load<u32>(note, SECOND),
    load<u32>(note, THIRD),
  );
}

function noteOf(block: u32, index: u32): u32 {
  return block + CORE_LEARNED + (index & (LEARNED_SLOTS - 1)) * LEARNED_SIZE;
}

/** Rings the doorbell of a core that sleeps; its packets may wait for the address. */
function wake(block: u32): void {
  if (atomic.load<u32>(block + CORE_PARKED) == 0) return;
  atomic.add<u32>(block + CORE_DOORBELL, 1);
  atomic.notify(block + CORE_DOORBELL);
}

/** How far this core has read the notes of another. */
function seenCell(core: u32): u32 {
  return coreBlock + CORE_LEARNED_SEEN + (core << 2);
}
