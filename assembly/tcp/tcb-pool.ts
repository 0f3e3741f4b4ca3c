/**
 * Where TCBs come from and go to: each core's share of them, which a depot evens out between cores, and the
 * handles by which applications know them. A handle holds a generation, so that an old one names nothing.
 */
import {
  CFG_CONNECTIONS,
  CORE_TCB_END,
  CORE_TCB_FIRST,
  GAUGE_CONNECTIONS,
  HANDLE_INDEX_MASK,
  TCB_COLD_SIZE,
  TCB_HOT_SIZE,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { gauge } from "../core/counters";
import { STATE_TCBS } from "../core/state";
import { CHUNK, DEPOT_TCBS, giveChunk, takeChunk } from "../mem/depot";
import { firstHandle, KIND_CONNECTION, nextHandle } from "../mem/handles";
import { TIMER_TCP } from "../time/wheel";
import { CLOSED } from "./states";
import { asTcb, coldOf, F_ON_AGENDA, F_ON_NOTICES, hotBase, Tcb } from "./tcb";

let connectionCount: u32 = 0;

/** Free TCBs of this core; in its control block. */
@final
@unmanaged
class TcbPool {
  /** A list, and behind it those that were never used. */
  freeList: u32;
  fresh: u32;
  freshEnd: u32;
  available: u32;
}

let pool = changetype<TcbPool>(0);

/** Binds this instance to the core's pool. */
export function bindTcbPool(): void {
  pool = changetype<TcbPool>(coreBlock + STATE_TCBS);
  connectionCount = config(CFG_CONNECTIONS);
}

/** Fills the pool with the core's share. */
export function prepareTcbs(): void {
  pool.fresh = hotBase + load<u32>(coreBlock + CORE_TCB_FIRST) * TCB_HOT_SIZE;
  pool.freshEnd = hotBase + load<u32>(coreBlock + CORE_TCB_END) * TCB_HOT_SIZE;
  pool.available = (pool.freshEnd - pool.fresh) / TCB_HOT_SIZE;
}

/** A zeroed TCB with a new handle, or null. */
export function allocTcb(): Tcb | null {
  let at = pool.freeList;
  if (at != 0) {
    pool.freeList = asTcb(at).chain;
  } else {
    if (pool.fresh == pool.freshEnd) return null;
    at = pool.fresh;
    pool.fresh += TCB_HOT_SIZE;
  }
  pool.available--;
  const tcb = asTcb(at);
  let handle = tcb.handle;
  if (handle == 0) handle = firstHandle(KIND_CONNECTION, (at - hotBase) / TCB_HOT_SIZE);
  memory.fill(at, 0, TCB_HOT_SIZE);
  memory.fill(changetype<u32>(coldOf(tcb)), 0, TCB_COLD_SIZE);
  tcb.handle = handle;
  tcb.timerKind = <u8>TIMER_TCP;
  gauge(GAUGE_CONNECTIONS, 1);
  return tcb;
}

/** Returns a TCB that is in no list and holds nothing. */
export function freeTcb(tcb: Tcb): void {
  retireHandle(tcb);
  tcb.state = <u16>CLOSED;
  tcb.chain = pool.freeList;
  pool.freeList = changetype<u32>(tcb);
  pool.available++;
  gauge(GAUGE_CONNECTIONS, -1);
}

/** Makes the current handle stale. */
export function retireHandle(tcb: Tcb): void {
  tcb.handle = nextHandle(tcb.handle);
}

/** The TCB that a handle from the application names, or null: bounds, generation, liveness. */
export function tcbOfHandle(handle: u32): Tcb | null {
  const index = handle & HANDLE_INDEX_MASK;
  if (index >= connectionCount) return null;
  const tcb = asTcb(hotBase + index * TCB_HOT_SIZE);
  if (tcb.handle != handle || tcb.state == CLOSED || handle == 0) return null;
  return tcb;
}

/** True for the address of a TCB, wherever it comes from. */
export function isTcb(address: u32): bool {
  const offset = address - hotBase;
  return offset < connectionCount * TCB_HOT_SIZE && offset % TCB_HOT_SIZE == 0;
}

/**
 * Makes the free list right again when its core's thread was lost: it ends where it leads to a TCB that
 * is not free, or to one a second time. What lies behind is lost. Returns the cuts.
 */
export function repairTcbs(): u32 {
  let cuts: u32 = 0;
  if (pool.fresh > pool.freshEnd) {
    pool.fresh = pool.freshEnd;
    cuts++;
  }
  let length: u32 = 0;
  let last: u32 = 0;
  let at = pool.freeList;
  while (isTcb(at) && asTcb(at).state != SEEN && isIdle(asTcb(at))) {
    asTcb(at).state = <u16>SEEN;
    length++;
    last = at;
    at = asTcb(at).chain;
  }
  if (at != 0) cuts++;
  if (last == 0) pool.freeList = 0;
  else asTcb(last).chain = 0;
  for (at = pool.freeList; at != 0; at = asTcb(at).chain) asTcb(at).state = <u16>CLOSED;
  pool.available = length + (pool.freshEnd - pool.fresh) / TCB_HOT_SIZE;
  return cuts;
}

/** State of a free TCB that has been looked at; no connection's. */
const SEEN: u32 = 1 << 15;

/** True for what a free TCB looks like. */
function isIdle(tcb: Tcb): bool {
  return tcb.state == CLOSED && (tcb.flags & (F_ON_AGENDA | F_ON_NOTICES)) == 0;
}

/** Keeps this core's stock of TCBs near its share, as `balanceBuffers` does with buffers. */
export function balanceTcbs(idle: bool): void {
  const share = load<u32>(coreBlock + CORE_TCB_END) - load<u32>(coreBlock + CORE_TCB_FIRST);
  const most = idle ? CHUNK : share + CHUNK;
  while (pool.available > most) giveTcbs();
  if (!idle && pool.available < share >> 1) takeTcbs();
}

function giveTcbs(): void {
  let chunk: u32 = 0;
  for (let i: u32 = 0; i < CHUNK; i++) {
    let at = pool.freeList;
    if (at != 0) {
      pool.freeList = asTcb(at).chain;
    } else {
      at = pool.fresh;
      pool.fresh += TCB_HOT_SIZE;
    }
    pool.available--;
    asTcb(at).chain = chunk;
    chunk = at;
  }
  giveChunk(DEPOT_TCBS, chunk, offsetof<Tcb>("cookie"));
}

function takeTcbs(): void {
  let at = takeChunk(DEPOT_TCBS, offsetof<Tcb>("cookie"));
  while (at != 0) {
    const tcb = asTcb(at);
    at = tcb.chain;
    tcb.chain = pool.freeList;
    pool.freeList = changetype<u32>(tcb);
    pool.available++;
  }
}
