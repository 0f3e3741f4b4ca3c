/**
 * Slots: memory for datagrams that are larger than a frame. Each holds one while its fragments come in,
 * and afterwards for as long as whoever it was handed to needs it. A slot begins like a buffer record,
 * so that it can be held, listed and released as one; it is free by having no holds.
 *
 *   + 0 record   + 128 endpoint   + 256 bitmap of 8-byte blocks   … header → + 1792 ← 64 KiB of data
 *
 * The header of the first fragment ends where the data begins, so that the datagram lies as it would
 * have come in one piece.
 */
import { CORE_SLOTS, CORE_SLOT_COUNT, GAUGE_BUFFERS, SLOT_SIZE } from "../abi";
import { coreBlock } from "../core/config";
import { gauge } from "../core/counters";
import { Buffer } from "./buffers";

@final
@unmanaged
export class Slot {
  /** As in `Buffer`. */
  next: u32;
  seq: u32;
  address: u32;
  length: u32;
  flags: u16;
  holds: u16;
  sentAt: u32;
  info: u32;
  extra: u32;
  /** Whose datagram: 16-byte addresses, identification, protocol (IPv4; 0 for IPv6). */
  sourceHigh: u64;
  sourceLow: u64;
  destinationHigh: u64;
  destinationLow: u64;
  identification: u32;
  protocol: u32;
  /** `GATHERING`, `REFUSED` or `WHOLE`. */
  state: u32;
  /** When the first fragment came, µs. */
  since: u32;
  /** Bytes received, and bytes in all, 0 before the last fragment has come. */
  received: u32;
  total: u32;
  /** Bytes of the header in front of the data, 0 before the first fragment has come. */
  headerLength: u32;
}

/** Fragments are missing. */
export const GATHERING: u32 = 1;
/** Fragments overlapped: all of them are dropped until its time is over (RFC 5722). */
export const REFUSED: u32 = 2;
/** Handed on. */
export const WHOLE: u32 = 3;

/** Most bytes of a header that a slot keeps. */
export const SLOT_HEADER_MAX: u32 = 512;
const ENDPOINT: u32 = 128;
const BITMAP: u32 = 256;
const BITMAP_SIZE: u32 = 1024;
const DATA: u32 = 1792;

export let slotsBase: u32 = 0;
export let slotsEnd: u32 = 0;

/** Binds this instance to the core's slots. */
export function bindSlots(): void {
  slotsBase = load<u32>(coreBlock + CORE_SLOTS);
  slotsEnd = slotsBase + load<u32>(coreBlock + CORE_SLOT_COUNT) * SLOT_SIZE;
}

/** Frees all slots. */
export function prepareSlots(): void {
  for (let at = slotsBase; at < slotsEnd; at += SLOT_SIZE) changetype<Slot>(at).holds = 0;
}

/** A free slot with one hold and an empty bitmap, or null. */
export function allocSlot(): Slot | null {
  for (let at = slotsBase; at < slotsEnd; at += SLOT_SIZE) {
    const slot = changetype<Slot>(at);
    if (slot.holds != 0) continue;
    memory.fill(at, 0, BITMAP + BITMAP_SIZE);
    slot.holds = 1;
    gauge(GAUGE_BUFFERS, 1);
    return slot;
  }
  return null;
}

/** Where the data begins. */
export function slotData(slot: Slot): u32 {
  return changetype<u32>(slot) + DATA;
}

/** One bit for each eight bytes of the data that have come. */
export function slotBitmap(slot: Slot): u32 {
  return changetype<u32>(slot) + BITMAP;
}

/** Room for an endpoint record; what the application knows a datagram in a slot by. */
export function slotEndpoint(slot: Slot): u32 {
  return changetype<u32>(slot) + ENDPOINT;
}

/** The slot whose endpoint record is at `token`, as a buffer; null when that is none. */
export function slotOfToken(token: u32): Buffer | null {
  if (token < slotsBase || token >= slotsEnd) return null;
  const at = token - ENDPOINT;
  return (at - slotsBase) % SLOT_SIZE == 0 ? changetype<Buffer>(at) : null;
}

/** A slot seen as a buffer. */
export function asBuffer(slot: Slot): Buffer {
  return changetype<Buffer>(slot);
}

/** True for a buffer that is a slot. */
export function isSlot(buffer: Buffer): bool {
  const at = changetype<u32>(buffer);
  return at >= slotsBase && at < slotsEnd;
}
