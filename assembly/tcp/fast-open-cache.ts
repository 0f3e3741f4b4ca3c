/**
 * What a client remembers of servers for Fast Open (RFC 7413 section 4.1.3): the cookie, the MSS, that the
 * server gave no cookie, and that SYNs with data got lost on the way to it. A table for each core, in
 * sets of four; of those the one that was used longest ago makes room. A cookie is good for one address
 * of ours.
 */
import { CFG_FAST_OPEN_CACHE, CFG_FAST_OPEN_ENTRIES, CORE_ID, FAST_OPEN_ENTRY_SIZE } from "../abi";
import { config, coreBlock } from "../core/config";
import { seconds } from "../time/clock";
import {
  COOKIE_MOST,
  optionCookieAt,
  optionCookieBytes,
  optionCookieKind,
} from "../wire/tcp-options";
import { addressHash } from "./isn";
import { localWord, remoteHigh, remoteLow } from "./tuple";

const WAYS: u32 = 4;
/** After that many losses in a row a server gets no data with SYNs, for BASE s doubled with each loss. */
const LOSSES: u32 = 2;
const LOSSES_MAX: u32 = 10;
const BASE: u32 = 60;

/** FAST_OPEN_ENTRY_SIZE bytes. */
@final
@unmanaged
export class KnownServer {
  high: u64;
  low: u64;
  /** COOKIE_MOST bytes, of which `cookieBytes` are the cookie. */
  cookieStart: u64;
  cookieEnd: u64;
  /** Our own address (tuple.ts). */
  local: u32;
  /** When it was asked for last, s, plus one; 0 in a free entry. */
  usedAt: u32;
  lostAt: u32;
  /** The MSS of its last SYN-ACK; 0: none. */
  mss: u16;
  cookieBytes: u8;
  /** The kind of option that the cookie came in. */
  kind: u8;
  /** How often a cookie was asked for in vain: after the first time it is by the experiment's option. */
  refusals: u8;
  losses: u8;
}

/** Where the cookie of a server lies. */
export function cookieOf(server: KnownServer): u32 {
  return changetype<u32>(server) + offsetof<KnownServer>("cookieStart");
}

/** What is known of the host in hand (tuple.ts), or null. */
export function findServer(): KnownServer | null {
  const set = setOfHost();
  for (let i: u32 = 0; i < WAYS; i++) {
    const server = changetype<KnownServer>(set + i * FAST_OPEN_ENTRY_SIZE);
    if (!isHost(server)) continue;
    server.usedAt = seconds() + 1;
    return server;
  }
  return null;
}

/** The entry of the host in hand; a new one when there was none. */
export function serverInHand(): KnownServer {
  const found = findServer();
  if (found != null) return found;
  const set = setOfHost();
  let server = changetype<KnownServer>(set);
  for (let i: u32 = 1; i < WAYS; i++) {
    const other = changetype<KnownServer>(set + i * FAST_OPEN_ENTRY_SIZE);
    if (other.usedAt < server.usedAt) server = other;
  }
  memory.fill(changetype<u32>(server), 0, FAST_OPEN_ENTRY_SIZE);
  server.high = remoteHigh;
  server.low = remoteLow;
  server.local = localWord;
  server.usedAt = seconds() + 1;
  return server;
}

/** Keeps the cookie that was read last. */
export function keepCookie(server: KnownServer): void {
  const at = cookieOf(server);
  memory.fill(at, 0, COOKIE_MOST);
  memory.copy(at, optionCookieAt, optionCookieBytes);
  server.cookieBytes = <u8>optionCookieBytes;
  server.kind = <u8>optionCookieKind;
}

export function noteLoss(server: KnownServer): void {
  if (server.losses < <u8>LOSSES_MAX) server.losses++;
  server.lostAt = seconds();
}

/** True while something on the way seems to swallow SYNs with data (RFC 7413 section 4.2.1). */
export function isBlackHole(server: KnownServer): bool {
  const losses: u32 = server.losses;
  return losses >= LOSSES && seconds() - server.lostAt < BASE << losses;
}

function isHost(server: KnownServer): bool {
  if (server.usedAt == 0 || server.local != localWord) return false;
  return server.low == remoteLow && server.high == remoteHigh;
}

function setOfHost(): u32 {
  const entries = config(CFG_FAST_OPEN_ENTRIES);
  const table =
    config(CFG_FAST_OPEN_CACHE) + load<u32>(coreBlock + CORE_ID) * entries * FAST_OPEN_ENTRY_SIZE;
  const set = addressHash(remoteHigh, remoteLow) & (entries / WAYS - 1);
  return table + set * WAYS * FAST_OPEN_ENTRY_SIZE;
}
