/**
 * Bound UDP ports: a table of UDP_PORT_SIZE records, found by port number through chains whose heads
 * are words of the records themselves, and by handle through the index in it. One core writes it.
 */
import {
  CFG_EPHEMERAL_HIGH,
  CFG_EPHEMERAL_LOW,
  CFG_UDP_PORTS,
  CFG_UDP_TABLE,
  CORE_ID,
  HANDLE_INDEX_MASK,
  UDP_PORT_SIZE,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { firstHandle, KIND_UDP_PORT, nextHandle } from "../mem/handles";
import { drawBelow } from "./random";

/** UDP_PORT_SIZE bytes, of which these are used. */
@final
@unmanaged
export class UdpPort {
  /** Index and generation; the generation outlives the binding. 0 before the first one. */
  handle: u32;
  /** The application's own. */
  cookie: u32;
  /** Host order; 0 while not bound. */
  port: u32;
  /** First of the doubly linked list of buffers that the application holds, and their number. */
  held: u32;
  heldCount: u32;
  /** Head of the chain of ports that hash to this record's place. */
  bucket: u32;
  /** Next record in the chain that this one is in. */
  chain: u32;
  /** The peer of a connected port, host order; 0: not connected. */
  peerPort: u32;
  peerHigh: u64;
  peerLow: u64;
  /** Groups that were joined through the port, one bit each by their index (groups.ts). */
  groups: u64;
}

let table: u32 = 0;
let capacity: u32 = 0;
/** Binds this instance to the core's table. */
export function bindUdpPorts(): void {
  capacity = config(CFG_UDP_PORTS);
  table = config(CFG_UDP_TABLE) + load<u32>(coreBlock + CORE_ID) * capacity * UDP_PORT_SIZE;
}

/** Empties the core's table. */
export function prepareUdpPorts(): void {
  memory.fill(table, 0, capacity * UDP_PORT_SIZE);
}

/** The record that a port is bound to, or null. */
export function findUdpPort(port: u32): UdpPort | null {
  let at = placeOf(port).bucket;
  while (at != 0) {
    const record = changetype<UdpPort>(at);
    if (record.port == port) return record;
    at = record.chain;
  }
  return null;
}

/** The port that a handle from the application names, or null: bounds, generation, liveness. */
export function udpPortOfHandle(handle: u32): UdpPort | null {
  const index = handle & HANDLE_INDEX_MASK;
  if (index >= capacity) return null;
  const record = changetype<UdpPort>(table + index * UDP_PORT_SIZE);
  return record.port != 0 && record.handle == handle ? record : null;
}

/** Record number `index` of the table; null behind the last. */
export function udpPortAt(index: u32): UdpPort | null {
  return index < capacity ? changetype<UdpPort>(table + index * UDP_PORT_SIZE) : null;
}

/** Binds a port that is not bound, with a new handle; null when the table is full. */
export function bindUdpPort(port: u32, cookie: u32): UdpPort | null {
  const place = placeOf(port);
  const record = findRoom(changetype<u32>(place));
  if (record == null) return null;
  record.handle =
    record.handle == 0
      ? firstHandle(KIND_UDP_PORT, (changetype<u32>(record) - table) / UDP_PORT_SIZE)
      : nextHandle(record.handle);
  record.cookie = cookie;
  record.port = port;
  record.held = 0;
  record.heldCount = 0;
  record.peerPort = 0;
  record.groups = 0;
  record.chain = place.bucket;
  place.bucket = changetype<u32>(record);
  return record;
}

/** Ends a binding; the handle is stale from now on. */
export function unbindUdpPort(record: UdpPort): void {
  const place = placeOf(record.port);
  if (place.bucket == changetype<u32>(record)) {
    place.bucket = record.chain;
  } else {
    let at = changetype<UdpPort>(place.bucket);
    while (at.chain != changetype<u32>(record)) at = changetype<UdpPort>(at.chain);
    at.chain = record.chain;
  }
  record.chain = 0;
  record.port = 0;
}

/** A port of this core that is bound, or null when there is none. */
export function anyUdpPort(): UdpPort | null {
  for (let index: u32 = 0; index < capacity; index++) {
    const record = changetype<UdpPort>(table + index * UDP_PORT_SIZE);
    if (record.port != 0) return record;
  }
  return null;
}

/** A port of the ephemeral range that is not bound, at random (RFC 6056 section 3.3.1); 0: there is none. */
export function drawUdpPort(): u32 {
  const low = config(CFG_EPHEMERAL_LOW);
  const range = config(CFG_EPHEMERAL_HIGH) - low + 1;
  let offset = drawBelow(range);
  for (let tried: u32 = 0; tried < range; tried++) {
    if (findUdpPort(low + offset) == null) return low + offset;
    if (++offset == range) offset = 0;
  }
  return 0;
}

/** The record at the place that a port hashes to, for any size of the table. */
function placeOf(port: u32): UdpPort {
  const index = (((port * 40503) & 0xffff) * capacity) >> 16;
  return changetype<UdpPort>(table + index * UDP_PORT_SIZE);
}

/** The first record at or after a place that is not bound. */
function findRoom(place: u32): UdpPort | null {
  const end = table + capacity * UDP_PORT_SIZE;
  let at = place;
  for (let seen: u32 = 0; seen < capacity; seen++) {
    const record = changetype<UdpPort>(at);
    if (record.port == 0) return record;
    at += UDP_PORT_SIZE;
    if (at == end) at = table;
  }
  return null;
}
