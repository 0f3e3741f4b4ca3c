/**
 * Buffers: 32-byte records that describe packet memory. The first CFG_FRAME_COUNT records own the
 * 2 KiB frame of the same index; the others own none and describe application memory that a send
 * refers to. Each core allocates from its own share: a LIFO free list, so that the warmest frame is
 * used next, in front of a part that was never touched.
 *
 *   records  | 0 | 1 | … | frames-1 |  frames … count-1  |
 *              ↓   ↓         ↓          (no frame)
 *   frames   | 0 | 1 | … | frames-1 |
 *
 * `holds` counts who needs the record: a queue it is linked into, the application, and every
 * descriptor of it in a TX ring. The last `release` frees it.
 */
import {
  CFG_BUFFER_COUNT,
  CFG_BUFFER_RECORDS,
  CFG_FRAME_COUNT,
  CFG_RECEIVE_RESERVE,
  CORE_FRAME_END,
  CORE_FRAME_FIRST,
  CORE_RECORD_END,
  CORE_RECORD_FIRST,
  FRAME_HEADROOM,
  GAUGE_BUFFERS,
} from "../abi";
import { config, coreBlock, framesBase } from "../core/config";
import { gauge } from "../core/counters";
import { STATE_BUFFERS } from "../core/state";
import { CHUNK, DEPOT_FRAMES, DEPOT_RECORDS, giveChunk, takeChunk } from "./depot";

@final
@unmanaged
export class Buffer {
  /** Next record in whatever list this one is in. */
  next: u32;
  /** TCP: sequence number of the first payload byte (or of the SYN or FIN). */
  seq: u32;
  /** Payload: where it lies and how many bytes. */
  address: u32;
  length: u32;
  /** Meaning belongs to the list's owner. */
  flags: u16;
  holds: u16;
  /** When it was last sent, µs. */
  sentAt: u32;
  /** For the list's owner. */
  info: u32;
  extra: u32;
}

/** What this core may hand out; in its control block. */
@final
@unmanaged
class Pools {
  /** Free records with a frame: a list, and behind it those that were never used. */
  frameFree: u32;
  frameFresh: u32;
  frameEnd: u32;
  framesAvailable: u32;
  /** The same without frames. */
  recordFree: u32;
  recordFresh: u32;
  recordEnd: u32;
  recordsAvailable: u32;
}

let pools = changetype<Pools>(0);
let records: u32 = 0;
let frameRecordsEnd: u32 = 0;
let recordsEnd: u32 = 0;
let reserve: u32 = 0;

/** Binds this instance to the core's pools. */
export function bindBuffers(): void {
  pools = changetype<Pools>(coreBlock + STATE_BUFFERS);
  records = config(CFG_BUFFER_RECORDS);
  frameRecordsEnd = records + (config(CFG_FRAME_COUNT) << 5);
  recordsEnd = records + (config(CFG_BUFFER_COUNT) << 5);
  reserve = config(CFG_RECEIVE_RESERVE);
}

/** Fills the pools with the core's share. */
export function prepareBuffers(): void {
  pools.frameFresh = records + (load<u32>(coreBlock + CORE_FRAME_FIRST) << 5);
  pools.frameEnd = records + (load<u32>(coreBlock + CORE_FRAME_END) << 5);
  pools.framesAvailable = (pools.frameEnd - pools.frameFresh) >> 5;
  pools.recordFresh = records + (load<u32>(coreBlock + CORE_RECORD_FIRST) << 5);
  pools.recordEnd = records + (load<u32>(coreBlock + CORE_RECORD_END) << 5);
  pools.recordsAvailable = (pools.recordEnd - pools.recordFresh) >> 5;
}

/** A buffer with a frame and one hold, for receiving; null when none is left. */
export function allocReceiveFrame(): Buffer | null {
  let at = pools.frameFree;
  if (at != 0) {
    pools.frameFree = changetype<Buffer>(at).next;
  } else {
    if (pools.frameFresh == pools.frameEnd) return null;
    at = pools.frameFresh;
    pools.frameFresh += 32;
  }
  pools.framesAvailable--;
  const buffer = changetype<Buffer>(at);
  buffer.next = 0;
  buffer.flags = 0;
  buffer.holds = 1;
  return buffer;
}

/**
 * A buffer with a frame and one hold, for a segment that frees others: an ACK, a RST, a reply. It may
 * take half of the receive reserve; null when no more than the other half is left.
 */
export function allocControlFrame(): Buffer | null {
  if (pools.framesAvailable <= reserve >> 1) return null;
  gauge(GAUGE_BUFFERS, 1);
  return allocReceiveFrame();
}

/** A buffer with a frame and one hold, for data; null when only the receive reserve is left. */
export function allocFrame(): Buffer | null {
  if (pools.framesAvailable <= reserve) return null;
  gauge(GAUGE_BUFFERS, 1);
  return allocReceiveFrame();
}

/** A record without a frame, with one hold; null when none is left. */
export function allocRecord(): Buffer | null {
  let at = pools.recordFree;
  if (at != 0) {
    pools.recordFree = changetype<Buffer>(at).next;
  } else {
    if (pools.recordFresh == pools.recordEnd) return null;
    at = pools.recordFresh;
    pools.recordFresh += 32;
  }
  pools.recordsAvailable--;
  gauge(GAUGE_BUFFERS, 1);
  const buffer = changetype<Buffer>(at);
  buffer.next = 0;
  buffer.flags = 0;
  buffer.holds = 1;
  return buffer;
}

export function hold(buffer: Buffer): void {
  buffer.holds++;
}

/** Gives one hold back; the last one frees the record and its frame. */
export function release(buffer: Buffer): void {
  const holds = buffer.holds - 1;
  buffer.holds = <u16>holds;
  if (holds != 0) return;
  gauge(GAUGE_BUFFERS, -1);
  if (hasFrame(buffer)) {
    buffer.next = pools.frameFree;
    pools.frameFree = changetype<u32>(buffer);
    pools.framesAvailable++;
  } else if (changetype<u32>(buffer) < recordsEnd) {
    buffer.next = pools.recordFree;
    pools.recordFree = changetype<u32>(buffer);
    pools.recordsAvailable++;
  }
  // What lies beyond is a slot (mem/slots.ts), which is free by having no holds.
}

/** Releases every buffer of a `next`-linked list. */
export function releaseList(first: u32): void {
  while (first != 0) {
    const buffer = changetype<Buffer>(first);
    first = buffer.next;
    release(buffer);
  }
}

/** Frames this core could still hand out, the receive reserve included. */
export function freeFrames(): u32 {
  return pools.framesAvailable;
}

/** True when receiving itself may soon run out: only half of its reserve is left. */
export function framesShort(): bool {
  return pools.framesAvailable < reserve >> 1;
}

/** Segments of data that could be sent now, for all the frames they take: records can be done without. */
export function sendableSegments(): u32 {
  return pools.framesAvailable > reserve ? pools.framesAvailable - reserve : 0;
}

export function hasFrame(buffer: Buffer): bool {
  return changetype<u32>(buffer) < frameRecordsEnd;
}

/** Start of the frame that the record owns. */
export function frameOf(buffer: Buffer): u32 {
  return framesBase + ((changetype<u32>(buffer) - records) << 6);
}

/** Where a packet starts in the record's frame. */
export function packetOf(buffer: Buffer): u32 {
  return frameOf(buffer) + FRAME_HEADROOM;
}

/** The record that owns the frame around `address`, which must lie in the frames region. */
export function bufferAt(address: u32): Buffer {
  return changetype<Buffer>(records + (((address - framesBase) >> 11) << 5));
}

/** True for the address of a record, wherever it comes from. */
export function isRecord(address: u32): bool {
  return address >= records && address < recordsEnd && ((address - records) & 31) == 0;
}

/** True for the address of a record that somebody holds. */
export function isHeld(address: u32): bool {
  return isRecord(address) && changetype<Buffer>(address).holds != 0;
}

/** Releases a list of whose links nothing is certain, as far as they lead to held records. */
export function releaseHeld(first: u32): void {
  let at = first;
  while (isHeld(at)) {
    const buffer = changetype<Buffer>(at);
    at = buffer.next;
    release(buffer);
  }
}

/**
 * Makes the free lists right again when their core's thread was lost: each ends where it leads to a
 * record that cannot be free, or to one a second time. What lies behind is lost. Returns the cuts.
 */
export function repairPools(): u32 {
  let cuts: u32 = 0;
  if (pools.frameEnd > frameRecordsEnd || pools.frameFresh > pools.frameEnd) {
    pools.frameFresh = pools.frameEnd;
    cuts++;
  }
  if (pools.recordEnd > recordsEnd || pools.recordFresh > pools.recordEnd) {
    pools.recordFresh = pools.recordEnd;
    cuts++;
  }
  const frames = sound(pools.frameFree, records, frameRecordsEnd);
  cuts += cutBehind(pools.frameFree, frames);
  if (frames == 0) pools.frameFree = 0;
  pools.framesAvailable = frames + ((pools.frameEnd - pools.frameFresh) >> 5);
  const frameless = sound(pools.recordFree, frameRecordsEnd, recordsEnd);
  cuts += cutBehind(pools.recordFree, frameless);
  if (frameless == 0) pools.recordFree = 0;
  pools.recordsAvailable = frameless + ((pools.recordEnd - pools.recordFresh) >> 5);
  return cuts;
}

/** How many records of a free list, all in [low, high), come before the first fault in it. */
function sound(first: u32, low: u32, high: u32): u32 {
  let length: u32 = 0;
  let at = first;
  while (at >= low && at < high && isRecord(at)) {
    const buffer = changetype<Buffer>(at);
    if (buffer.holds != 0) break;
    // Marks it as seen; nobody else looks at the holds of a free record.
    buffer.holds = 1;
    length++;
    at = buffer.next;
  }
  at = first;
  for (let i: u32 = 0; i < length; i++) {
    changetype<Buffer>(at).holds = 0;
    at = changetype<Buffer>(at).next;
  }
  return length;
}

/** Ends a list behind its first `length` records; 1 when it went on there. */
function cutBehind(first: u32, length: u32): u32 {
  if (length == 0) return u32(first != 0);
  let at = first;
  for (let i: u32 = 1; i < length; i++) at = changetype<Buffer>(at).next;
  const goesOn = changetype<Buffer>(at).next != 0;
  changetype<Buffer>(at).next = 0;
  return u32(goesOn);
}

/**
 * Keeps this core's stock near its share: gives a chunk to the others of what it has in excess, takes one
 * when less than half of its share is left.
 *
 * @param idle true for a core that needs none for itself: it gives all that makes up a chunk
 */
export function balanceBuffers(idle: bool): void {
  const frames = load<u32>(coreBlock + CORE_FRAME_END) - load<u32>(coreBlock + CORE_FRAME_FIRST);
  const most = idle ? reserve + CHUNK : frames + CHUNK;
  while (pools.framesAvailable > most) giveFrames();
  if (!idle && pools.framesAvailable < frames >> 1) takeFrames();
  const share = load<u32>(coreBlock + CORE_RECORD_END) - load<u32>(coreBlock + CORE_RECORD_FIRST);
  const mostRecords = idle ? CHUNK : share + CHUNK;
  while (pools.recordsAvailable > mostRecords) giveRecords();
  if (!idle && pools.recordsAvailable < share >> 1) takeRecords();
}

function giveFrames(): void {
  let chunk: u32 = 0;
  for (let i: u32 = 0; i < CHUNK; i++) {
    const buffer = allocReceiveFrame();
    if (buffer == null) return;
    chunk = pushed(buffer, chunk);
  }
  giveChunk(DEPOT_FRAMES, chunk, offsetof<Buffer>("info"));
}

function giveRecords(): void {
  let chunk: u32 = 0;
  for (let i: u32 = 0; i < CHUNK; i++) {
    const buffer = allocRecord();
    if (buffer == null) return;
    chunk = pushed(buffer, chunk);
  }
  gauge(GAUGE_BUFFERS, -i32(CHUNK));
  giveChunk(DEPOT_RECORDS, chunk, offsetof<Buffer>("info"));
}

function takeFrames(): void {
  let at = takeChunk(DEPOT_FRAMES, offsetof<Buffer>("info"));
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    at = buffer.next;
    buffer.next = pools.frameFree;
    pools.frameFree = changetype<u32>(buffer);
    pools.framesAvailable++;
  }
}

function takeRecords(): void {
  let at = takeChunk(DEPOT_RECORDS, offsetof<Buffer>("info"));
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    at = buffer.next;
    buffer.next = pools.recordFree;
    pools.recordFree = changetype<u32>(buffer);
    pools.recordsAvailable++;
  }
}

/** Puts a free record in front of a chunk in the making. */
function pushed(buffer: Buffer, chunk: u32): u32 {
  buffer.holds = 0;
  buffer.next = chunk;
  return changetype<u32>(buffer);
}
