/**
 * SYN cookies (RFC 4987 section 3.6, in Linux's encoding): when half-open connections have filled a
 * backlog, a SYN is answered without a word being kept of it. What is needed lies in the sequence number
 * of the SYN-ACK and in the low bits of its timestamp, and comes back with the client's ACK:
 *
 *   cookie = hash + SYN's sequence number + (minute << 24) + ((hash(minute) + MSS index) mod 2^24)
 *
 *   timestamp …│ECN│SACK│window scale: 4 bits, 15: none│     without timestamps there is neither
 */
import {
  CFG_SYN_COOKIES,
  CFG_TCP_OPTIONS,
  CNT_TCP_COOKIES_BAD,
  CNT_TCP_COOKIES_IN,
  CNT_TCP_COOKIES_OUT,
  FLAG_DEFER,
  TCP_OPTION_SACK,
  TCP_OPTION_TIMESTAMPS,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { nowMillis, nowWide, seconds } from "../time/clock";
import { aceOf } from "../wire/accecn";
import {
  optionHasTimestamps,
  optionMss,
  optionSackPermitted,
  optionTsEcho,
  optionWindowScale,
  parseTcpOptions,
} from "../wire/tcp-options";
import { beginAccurate } from "./accecn-handshake";
import { allowsAccurate } from "./ecn";
import { sendSynAck } from "./emit-syn";
import { cookieHash, timestampOffset } from "./isn";
import { findListener, Listener } from "./listeners";
import { openByCookie } from "./open";
import { Tcb } from "./tcb";
import { localWord, remoteSecret, remoteWord, setSender } from "./tuple";

/** How many minutes a cookie is good for, the one in which it was made included. */
const LIFETIME: u32 = 2;
const MSS_CHOICES: u32 = 4;
const LOW: u32 = 0xffffff;

const SCALE_MASK: u32 = 15;
const NO_SCALE: u32 = 15;
const HAS_SACK: u32 = 16;
const OPTION_BITS: u32 = 63;

/**
 * Answers a SYN that found no room with a cookie; its sender is in hand. False when it is to be dropped:
 * cookies are switched off, or connections that nobody accepts are what fills the backlog.
 */
export function sendCookie(packet: Packet, listener: Listener): bool {
  if (!config(CFG_SYN_COOKIES) || listener.flags & FLAG_DEFER) return false;
  if (listener.ready >= listener.backlog) return false;
  parseTcpOptions(packet.l4, packet.options);
  const wanted = config(CFG_TCP_OPTIONS);
  const timestamps = optionHasTimestamps && (wanted & TCP_OPTION_TIMESTAMPS) != 0;
  const sack = timestamps && optionSackPermitted && (wanted & TCP_OPTION_SACK) != 0;
  const scale = timestamps && optionWindowScale != 255;
  const bits = (scale ? optionWindowScale : NO_SCALE) | (sack ? HAS_SACK : 0);
  const cookie = cookieOf(packet.ports, packet.seq, minuteNow(), mssIndex());
  if (!sendSynAck(packet, cookie, sack, timestamps, scale, stamp(bits))) return true;
  count(CNT_TCP_COOKIES_OUT);
  listener.cookieAt = seconds() + 1;
  return true;
}

/** The connection that the cookie in an ACK stands for; null when it carries none. */
export function takeCookie(packet: Packet): Tcb | null {
  const listener = findListener(bswap<u16>(<u16>(packet.ports >> 16)));
  if (listener == null || listener.cookieAt == 0) return null;
  // Long after the last cookie no number is one.
  if (seconds() + 1 - listener.cookieAt > LIFETIME * 60) return null;
  setSender(packet);
  const index = indexIn(packet.ports, packet.seq - 1, packet.ack - 1);
  if (index >= MSS_CHOICES) {
    count(CNT_TCP_COOKIES_BAD);
    return null;
  }
  if (listener.ready >= listener.backlog) return null;
  parseTcpOptions(packet.l4, packet.options);
  const bits = optionHasTimestamps ? optionTsEcho & OPTION_BITS : NO_SCALE;
  const shift = bits & SCALE_MASK;
  const scale: u32 = shift == NO_SCALE ? 255 : shift;
  const sack = (bits & HAS_SACK) != 0;
  const tcb = openByCookie(packet, listener, packet.ack - 1, mssAt(index), sack, scale);
  if (tcb == null) return null;
  count(CNT_TCP_COOKIES_IN);
  // What was granted the ACK says itself, in the first words of accurate ECN (RFC 9768 section 5.1).
  if (aceOf(packet.l4) > 1 && allowsAccurate()) beginAccurate(tcb, packet);
  return tcb;
}

function cookieOf(ports: u32, seq: u32, minute: u32, index: u32): u32 {
  const remote = remoteSecret();
  const aged = cookieHash(localWord, remote, ports, minute);
  return cookieHash(localWord, remote, ports, 0) + seq + (minute << 24) + ((aged + index) & LOW);
}

/** The MSS index that a cookie hides; MSS_CHOICES or more when it is none, or too old. */
function indexIn(ports: u32, seq: u32, cookie: u32): u32 {
  const remote = remoteSecret();
  const open = cookie - cookieHash(localWord, remote, ports, 0) - seq;
  const minute = minuteNow();
  const age = (minute - (open >> 24)) & 0xff;
  if (age >= LIFETIME) return MSS_CHOICES;
  return (open - cookieHash(localWord, remote, ports, minute - age)) & LOW;
}

/** Never 0, which stands for no minute. */
function minuteNow(): u32 {
  return (u32(nowWide / 60_000_000) & 0x7fffff) + 1;
}

/** The newest timestamp of ours that ends in `bits` and does not lie in the future. */
function stamp(bits: u32): u32 {
  const clock = nowMillis + timestampOffset(localWord, remoteWord);
  const value = (clock & ~OPTION_BITS) | bits;
  return i32(value - clock) > 0 ? value - OPTION_BITS - 1 : value;
}

/** The largest choice that the SYN's MSS allows. */
function mssIndex(): u32 {
  if (optionMss >= 1460) return 3;
  if (optionMss >= 1440) return 2;
  return optionMss >= 1300 ? 1 : 0;
}

function mssAt(index: u32): u32 {
  if (index == 3) return 1460;
  if (index == 2) return 1440;
  return index == 1 ? 1300 : 536;
}
