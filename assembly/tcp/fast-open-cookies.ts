/**
 * The cookies that this host gives to Fast Open clients and recognises (RFC 7413 section 4.1.2): SipHash-2-4
 * of both addresses under a secret key, 8 bytes, as Linux makes them, so that hosts that share an address
 * and a key share cookies. A second key, of before or of after a change of keys, is recognised too.
 */
import {
  CFG_FAST_OPEN_KEYS,
  CFG_FAST_OPEN_KEY_COUNT,
  CONFIG_BASE,
  FAST_OPEN_KEY_SIZE,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { STATE_COOKIE } from "../core/state";
import { isDigest } from "../net/digest";
import { optionCookieAt, optionCookieBytes } from "../wire/tcp-options";
import { Listener } from "./listeners";
import { sipAbsorbTwice, sipBegin, sipEnd } from "./siphash";
import { localHigh, localLow, localWord, remoteHigh, remoteLow, remoteWord } from "./tuple";

/** Bytes of our cookies. */
export const COOKIE_SIZE: u32 = 8;

/** Makes the cookie of the host in hand (tuple.ts). Returns where it lies until the next one is made. */
export function makeCookie(listener: Listener): u32 {
  const at = coreBlock + STATE_COOKIE;
  store<u64>(at, cookieBy(keysOf(listener)));
  return at;
}

/** By which key the cookie that was read last is that of the host in hand: 0 the first; -1: by none. */
export function keyOfCookie(listener: Listener): i32 {
  if (u32(optionCookieBytes) != COOKIE_SIZE) return -1;
  const cookie = load<u64>(optionCookieAt);
  const keys = keysOf(listener);
  const count = listener.keyCount != 0 ? listener.keyCount : config(CFG_FAST_OPEN_KEY_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    if (cookieBy(keys + i * FAST_OPEN_KEY_SIZE) == cookie) return i;
  }
  return -1;
}

function keysOf(listener: Listener): u32 {
  if (listener.keyCount == 0) return CONFIG_BASE + CFG_FAST_OPEN_KEYS;
  return changetype<u32>(listener) + offsetof<Listener>("key0");
}

function cookieBy(key: u32): u64 {
  sipBegin(load<u64>(key), load<u64>(key, 8));
  // The addresses as they lie in a packet, and the number of their bytes.
  if (isDigest(localWord)) {
    sipAbsorbTwice(remoteHigh);
    sipAbsorbTwice(remoteLow);
    sipAbsorbTwice(localHigh);
    sipAbsorbTwice(localLow);
    sipAbsorbTwice(u64(32) << 56);
  } else {
    sipAbsorbTwice(u64(remoteWord) | (u64(localWord) << 32));
    sipAbsorbTwice(u64(8) << 56);
  }
  return sipEnd(4);
}
