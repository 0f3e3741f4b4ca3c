/**
 * Listening ports of this core, as every core listens for itself. A table of entries chained by port;
 * each counts the connections that it brought
 * forth and that nobody has accepted yet.
 */
import {
  CFG_LISTENER_TABLE,
  CFG_LISTENERS,
  CNT_DROP_TCP_BACKLOG,
  CORE_ID,
  HANDLE_INDEX_MASK,
  LISTENER_SIZE,
  RC_BADH,
  RC_INUSE,
  RC_NOMEM,
  RC_OK,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { count } from "../core/counters";
import { firstHandle, KIND_LISTENER, nextHandle } from "../mem/handles";
import { SYN_RECEIVED } from "./states";
import { coldOf, F_IN_BACKLOG, Tcb } from "./tcb";

/** LISTENER_SIZE bytes; `bucket` heads the chain of ports that hash to this entry's index. */
@final
@unmanaged
export class Listener {
  bucket: u32;
  next: u32;
  /** Host order; 0 in a free entry. */
  port: u32;
  handle: u32;
  cookie: u32;
  backlog: u32;
  /** Connections in SYN-RECEIVED, or established and not accepted. */
  pending: u32;
  /** FLAG_DEFER, and a congestion control (CONTROL_SHIFT). */
  flags: u32;
  /** Those of `pending` that are established. */
  ready: u32;
  /** When a cookie was sent last, s, plus one; 0: never. */
  cookieAt: u32;
  /** Fast Open: most connections whose handshake is not over, those there are, and … */
  fastOpenLimit: u32;
  fastOpen: u32;
  /** … those that were reset in it, which count for a while longer, and when the last one was, s. */
  fastOpenResets: u32;
  fastOpenResetAt: u32;
  /** Keys of its own: their number, and FAST_OPEN_KEYS_MAX of FAST_OPEN_KEY_SIZE. */
  keyCount: u32;
  key0: u64;
  key1: u64;
  key2: u64;
  key3: u64;
}

let table: u32 = 0;
let entries: u32 = 0;

export function bindListeners(): void {
  entries = config(CFG_LISTENERS);
  table = config(CFG_LISTENER_TABLE) + load<u32>(coreBlock + CORE_ID) * entries * LISTENER_SIZE;
}

/** Forgets the ports of a lost thread's application. */
export function abandonListeners(): void {
  memory.fill(table, 0, entries * LISTENER_SIZE);
}

/** Opens a port. Returns RC_OK and leaves the handle in `listenHandle`. */
export function listen(port: u32, backlog: u32, cookie: u32, flags: u32, fastOpenLimit: u32): i32 {
  if (findListener(port) != null) return RC_INUSE;
  for (let index: u32 = 0; index < entries; index++) {
    const listener = entry(index);
    if (listener.port != 0) continue;
    listener.port = port;
    const before = listener.handle;
    listener.handle = before == 0 ? firstHandle(KIND_LISTENER, index) : nextHandle(before);
    listener.cookie = cookie;
    listener.backlog = backlog;
    listener.pending = 0;
    listener.ready = 0;
    listener.cookieAt = 0;
    listener.fastOpenLimit = fastOpenLimit;
    listener.fastOpen = 0;
    listener.fastOpenResets = 0;
    listener.keyCount = 0;
    listener.flags = flags;
    const head = entry(port % entries);
    listener.next = head.bucket;
    head.bucket = changetype<u32>(listener);
    listenHandle = listener.handle;
    return RC_OK;
  }
  return RC_NOMEM;
}

/** Handle of the port that `listen` opened last. */
export let listenHandle: u32 = 0;

/** Closes a port. Connections that it brought forth go on. */
export function unlisten(handle: u32): i32 {
  const listener = listenerOfHandle(handle);
  if (listener == null) return RC_BADH;
  const head = entry(listener.port % entries);
  if (head.bucket == changetype<u32>(listener)) {
    head.bucket = listener.next;
  } else {
    let before = changetype<Listener>(head.bucket);
    while (before.next != changetype<u32>(listener)) before = changetype<Listener>(before.next);
    before.next = listener.next;
  }
  listener.port = 0;
  return RC_OK;
}

/** Closes all ports of this core. */
export function unlistenAll(): void {
  for (let index: u32 = 0; index < entries; index++) {
    const listener = entry(index);
    if (listener.port != 0) unlisten(listener.handle);
  }
}

/** The listener that a handle names, while it listens. */
export function listenerOfHandle(handle: u32): Listener | null {
  const index = handle & HANDLE_INDEX_MASK;
  if (index >= entries) return null;
  const listener = entry(index);
  return listener.port != 0 && listener.handle == handle ? listener : null;
}

/** The listener on a port (host order), or null. */
export function findListener(port: u32): Listener | null {
  let at = entry(port % entries).bucket;
  while (at != 0) {
    const listener = changetype<Listener>(at);
    if (listener.port == port) return listener;
    at = listener.next;
  }
  return null;
}

/** True when the listener may have one more connection that nobody has accepted; counts the refusal. */
export function hasBacklogRoom(listener: Listener): bool {
  if (listener.pending < listener.backlog) return true;
  count(CNT_DROP_TCP_BACKLOG);
  return false;
}

/** Counts a new connection against its listener. */
export function enterBacklog(tcb: Tcb, listener: Listener): void {
  listener.pending++;
  if (tcb.state > SYN_RECEIVED) listener.ready++;
  coldOf(tcb).listener = listener.handle;
  tcb.flags |= F_IN_BACKLOG;
}

/** The connection was accepted, or ended before. The listener may be gone by now. */
export function leaveBacklog(tcb: Tcb): void {
  tcb.flags &= ~F_IN_BACKLOG;
  const listener = listenerOf(tcb);
  if (listener == null) return;
  listener.pending--;
  if (tcb.state > SYN_RECEIVED) listener.ready--;
}

/** A connection in a backlog is established now. */
export function noteReady(tcb: Tcb): void {
  const listener = listenerOf(tcb);
  if (listener != null) listener.ready++;
}

/** The listener that a connection came from, while it still listens. */
export function listenerOf(tcb: Tcb): Listener | null {
  return listenerOfHandle(coldOf(tcb).listener);
}

function entry(index: u32): Listener {
  return changetype<Listener>(table + index * LISTENER_SIZE);
}
