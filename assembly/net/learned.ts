/**
 * What ARP teaches one core, for all cores of the dataplane. Each core has a neighbour table of its
 * own, but the NIC brings an ARP packet to one of them only, whoever asked. So a core writes what it
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
import { learnNeighbour } from "./neighbours";

const IP: u32 = 0;
const MAC_HEAD: u32 = 4;
const MAC_TAIL: u32 = 8;
const FLAGS: u32 = 12;
const ANSWER: u32 = 1;
const CREATE: u32 = 2;

let blocks: u32 = 0;
let cores: u32 = 1;
let ownCore: u32 = 0;

/** Binds this instance to the core's notes; how far it has read those of others is in the block. */
export function bindLearned(): void {
  blocks = config(CFG_CORE_BLOCKS);
  cores = config(CFG_CORES);
  ownCore = load<u32>(coreBlock + CORE_ID);
}

/** Learns from an ARP packet (see `learnNeighbour`) and lets the other cores know. */
export function learnForAll(ip: u32, head: u32, tail: u32, answer: bool, create: bool): void {
  learnNeighbour(ip, head, tail, answer, create);
  if (cores == 1) return;
  const counter = coreBlock + CORE_LEARNED_COUNT;
  const count = load<u32>(counter);
  const note = noteOf(coreBlock, count);
  store<u32>(note, ip, IP);
  store<u32>(note, head, MAC_HEAD);
  store<u32>(note, tail, MAC_TAIL);
  store<u32>(note, (answer ? ANSWER : 0) | (create ? CREATE : 0), FLAGS);
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
  const flags = load<u32>(note, FLAGS);
  learnNeighbour(
    load<u32>(note, IP),
    load<u32>(note, MAC_HEAD),
    load<u32>(note, MAC_TAIL),
    (flags & ANSWER) != 0,
    (flags & CREATE) != 0,
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
