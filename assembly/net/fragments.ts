/**
 * Fragments of IPv4 and IPv6 datagrams on their way in (RFC 791, RFC 8200 section 4.5). A datagram is
 * put together in place, in a slot; a bitmap of 8-byte blocks says what has come, where RFC 815 keeps a
 * list of holes.
 *
 * Bounded in everything that a stranger could want: datagrams (the slots), how many of one sender (half
 * of them), time (60 s), bytes (64 KiB each). What overlaps is no accident but an attack: the datagram
 * is given up, and what still comes of it too (RFC 5722, RFC 3128).
 *
 * RSS sees only the addresses of a fragment, so all fragments of a datagram come to one core, which need
 * not be the one that has the connection or the port. A segment for another core is dropped there, and
 * counted as a stray one; TCP never sends fragments by itself, and repeats what was lost.
 */
import {
  CNT_DROP_FRAGMENT_LIMIT,
  CNT_DROP_FRAGMENT_OVERLAP,
  CNT_DROP_FRAGMENT_TIMEOUT,
  CNT_DROP_IP_FRAGMENT,
  CNT_FRAGMENTS_IN,
  CNT_REASSEMBLED,
  SLOT_SIZE,
} from "../abi";
import { count } from "../core/counters";
import { release } from "../mem/buffers";
import {
  allocSlot,
  asBuffer,
  GATHERING,
  REFUSED,
  Slot,
  slotBitmap,
  slotData,
  slotsBase,
  slotsEnd,
  SLOT_HEADER_MAX,
  WHOLE,
} from "../mem/slots";
import { now } from "../time/clock";
import { addTimer, isPending, TIMER_FRAGMENTS } from "../time/wheel";
import { reassemblyExpired } from "./icmp-errors";
import { NET_FRAGMENT_TIMER, netTimer } from "./net-state";

/** How long fragments wait for each other, µs (RFC 1122 section 3.3.2, RFC 8200 section 4.5). */
const LIFETIME: u32 = 60_000_000;

/**
 * Takes in a fragment, whose frame the caller may reuse afterwards.
 *
 * @param header, headerLength the part in front of the data, which is kept of the first fragment
 * @param data, length of this fragment
 * @param offset bytes into the datagram, a multiple of 8
 * @param most bytes that the datagram can have behind its header
 * @returns the slot of the datagram that is whole by it, with one hold; else null, and whatever was
 *   dropped is counted
 */
export function addFragment(
  sourceHigh: u64,
  sourceLow: u64,
  destinationHigh: u64,
  destinationLow: u64,
  identification: u32,
  protocol: u32,
  header: u32,
  headerLength: u32,
  data: u32,
  length: u32,
  offset: u32,
  more: bool,
  most: u32,
): Slot | null {
  const end = offset + length;
  if (length == 0 || (more && (length & 7) != 0) || headerLength > SLOT_HEADER_MAX || end > most) {
    count(CNT_DROP_IP_FRAGMENT);
    return null;
  }
  let slot = find(sourceHigh, sourceLow, destinationHigh, destinationLow, identification, protocol);
  if (slot == null) {
    slot = begin(sourceHigh, sourceLow);
    if (slot == null) {
      count(CNT_DROP_FRAGMENT_LIMIT);
      return null;
    }
    slot.sourceHigh = sourceHigh;
    slot.sourceLow = sourceLow;
    slot.destinationHigh = destinationHigh;
    slot.destinationLow = destinationLow;
    slot.identification = identification;
    slot.protocol = protocol;
  }
  if (slot.state == REFUSED) {
    count(CNT_DROP_FRAGMENT_OVERLAP);
    return null;
  }
  // Two ends, or data behind the end: no honest sender's.
  if (
    slot.total != 0
      ? end > slot.total || (!more && end != slot.total)
      : !more && isBeyond(slot, end)
  ) {
    return refuse(slot);
  }
  const seen = markBlocks(slotBitmap(slot), offset >> 3, (end + 7) >> 3);
  if (seen != 0) {
    // The same again is a duplicate of the network's; anything else is refused.
    if (seen == ((end + 7) >> 3) - (offset >> 3) && isSame(slotData(slot) + offset, data, length)) {
      return null;
    }
    return refuse(slot);
  }
  count(CNT_FRAGMENTS_IN);
  memory.copy(slotData(slot) + offset, data, length);
  slot.received += length;
  if (!more) slot.total = end;
  if (offset == 0) {
    slot.headerLength = headerLength;
    memory.copy(slotData(slot) - headerLength, header, headerLength);
  }
  if (slot.received != slot.total || slot.headerLength == 0) return null;
  slot.state = WHOLE;
  count(CNT_REASSEMBLED);
  return slot;
}

/** The wheel's upcall: gives up what has waited too long. */
export function fragmentTimer(): void {
  for (let at = slotsBase; at < slotsEnd; at += SLOT_SIZE) {
    const slot = changetype<Slot>(at);
    if (isWaiting(slot) && now - slot.since >= LIFETIME) {
      if (slot.state == GATHERING) {
        count(CNT_DROP_FRAGMENT_TIMEOUT);
        reassemblyExpired(slot);
      }
      release(asBuffer(slot));
    }
  }
  arm();
}

/** Arms the timer for the oldest datagram. */
function arm(): void {
  const timer = netTimer(NET_FRAGMENT_TIMER, TIMER_FRAGMENTS);
  if (isPending(timer)) return;
  const oldest = oldestSlot();
  if (oldest != null) addTimer(timer, oldest.since + LIFETIME);
}

function isWaiting(slot: Slot): bool {
  return slot.holds != 0 && (slot.state == GATHERING || slot.state == REFUSED);
}

function find(
  sourceHigh: u64,
  sourceLow: u64,
  destinationHigh: u64,
  destinationLow: u64,
  identification: u32,
  protocol: u32,
): Slot | null {
  for (let at = slotsBase; at < slotsEnd; at += SLOT_SIZE) {
    const slot = changetype<Slot>(at);
    if (
      isWaiting(slot) &&
      slot.identification == identification &&
      slot.protocol == protocol &&
      slot.sourceLow == sourceLow &&
      slot.sourceHigh == sourceHigh &&
      slot.destinationLow == destinationLow &&
      slot.destinationHigh == destinationHigh
    ) {
      return slot;
    }
  }
  return null;
}

/**
 * A slot for a new datagram: a free one, unless its sender has half of all already; else that of the
 * sender's oldest, or of the oldest of all.
 */
function begin(sourceHigh: u64, sourceLow: u64): Slot | null {
  let ofSender: u32 = 0;
  let oldest = changetype<Slot>(0);
  for (let at = slotsBase; at < slotsEnd; at += SLOT_SIZE) {
    const slot = changetype<Slot>(at);
    if (!isWaiting(slot) || slot.sourceLow != sourceLow || slot.sourceHigh != sourceHigh) continue;
    ofSender++;
    if (changetype<u32>(oldest) == 0 || now - slot.since > now - oldest.since) oldest = slot;
  }
  if (ofSender != 0 && ofSender << 1 >= (slotsEnd - slotsBase) / SLOT_SIZE) {
    giveUp(oldest);
  }
  let slot = allocSlot();
  if (slot == null) {
    const victim = oldestSlot();
    if (victim == null) return null;
    giveUp(victim);
    slot = allocSlot();
    if (slot == null) return null;
  }
  slot.state = GATHERING;
  slot.since = now;
  arm();
  return slot;
}

function giveUp(slot: Slot): void {
  count(CNT_DROP_FRAGMENT_LIMIT);
  release(asBuffer(slot));
}

/** The datagram that has waited longest; null when none waits. */
function oldestSlot(): Slot | null {
  let oldest = changetype<Slot>(0);
  for (let at = slotsBase; at < slotsEnd; at += SLOT_SIZE) {
    const slot = changetype<Slot>(at);
    if (!isWaiting(slot)) continue;
    if (changetype<u32>(oldest) == 0 || now - slot.since > now - oldest.since) oldest = slot;
  }
  return changetype<u32>(oldest) == 0 ? null : oldest;
}

/** Drops what has come of a datagram, and remembers to drop the rest. */
function refuse(slot: Slot): Slot | null {
  count(CNT_DROP_FRAGMENT_OVERLAP);
  slot.state = REFUSED;
  return null;
}

/** True when something has come already from behind `end`. */
function isBeyond(slot: Slot, end: u32): bool {
  const bitmap = slotBitmap(slot);
  for (let block = (end + 7) >> 3; block < 8192;) {
    if ((block & 7) == 0 && load<u8>(bitmap + (block >> 3)) == 0) {
      block += 8;
    } else {
      if (isMarked(bitmap, block)) return true;
      block++;
    }
  }
  return false;
}

/** Marks the blocks [first, end); returns how many were marked before. */
function markBlocks(bitmap: u32, first: u32, end: u32): u32 {
  let seen: u32 = 0;
  for (let block = first; block < end; block++) {
    const cell = bitmap + (block >> 3);
    const bits: u32 = load<u8>(cell);
    const bit: u32 = 1 << (block & 7);
    if (bits & bit) seen++;
    store<u8>(cell, bits | bit);
  }
  return seen;
}

function isMarked(bitmap: u32, block: u32): bool {
  return ((load<u8>(bitmap + (block >> 3)) >> (block & 7)) & 1) != 0;
}

function isSame(a: u32, b: u32, length: u32): bool {
  return memory.compare(a, b, length) == 0;
}
