/**
 * TCP options (RFC 9293 section 3.2, RFC 2018, RFC 7323, RFC 7413), bytes and meaning only. What is written has
 * Linux's layout, every option on a word of its own:
 *
 *   SYN          mss │ sackOK, timestamps │ nop, window scale      with timestamps
 *                mss │ nop, nop, sackOK   │ nop, window scale      without
 *                AccECN of a SYN-ACK goes before what is without timestamps, or behind them
 *                … │ Fast Open cookie, nop, nop                     at the end of either
 *   all others   nop, nop, timestamps │ AccECN, nop │ nop, nop, sack
 */
import {
  ACCECN_FIELD_BYTES,
  ACCECN_FIELDS,
  ACCECN_HEAD_BYTES,
  OPTION_ACCECN_0,
  OPTION_ACCECN_1,
} from "./accecn";
import { TCP_HEADER_SIZE } from "./tcp";

const OPTION_END: u32 = 0;
const OPTION_NOP: u32 = 1;
const OPTION_MSS: u32 = 2;
const OPTION_WINDOW_SCALE: u32 = 3;
const OPTION_SACK_PERMITTED: u32 = 4;
const OPTION_SACK: u32 = 5;
const OPTION_TIMESTAMPS: u32 = 8;
/** Fast Open, and what it was while it was an experiment: kind 254 (RFC 6994) with a number of its own. */
export const OPTION_COOKIE: u32 = 34;
export const OPTION_COOKIE_TRIAL: u32 = 254;
const TRIAL_NUMBER: u32 = 0xf989;
const COOKIE_LEAST: u32 = 4;
export const COOKIE_MOST: u32 = 16;

/** Most bytes of options that a header has room for. */
export const OPTIONS_MAX: u32 = 40;
/** Bytes of the timestamps option with the two NOPs that align it. */
export const TIMESTAMPS_BYTES: u32 = 12;
/** A SACK option with its two NOPs, before its first block, and each of its blocks. */
export const SACK_HEAD_BYTES: u32 = 4;
export const SACK_BLOCK_BYTES: u32 = 8;

/** Words as they lie in memory, lowest byte first. */
const NOP_NOP_TIMESTAMPS: u32 =
  OPTION_NOP | (OPTION_NOP << 8) | (OPTION_TIMESTAMPS << 16) | (10 << 24);
const SACK_PERMITTED_TIMESTAMPS: u32 =
  OPTION_SACK_PERMITTED | (2 << 8) | (OPTION_TIMESTAMPS << 16) | (10 << 24);
const NOP_NOP_SACK_PERMITTED: u32 =
  OPTION_NOP | (OPTION_NOP << 8) | (OPTION_SACK_PERMITTED << 16) | (2 << 24);

// What the options of the segment read last said; they pass it to whoever had them read.
export let optionMss: u32 = 0;
/** Shift count of the window-scale option; 255 when the option is absent. */
export let optionWindowScale: u32 = 255;
export let optionSackPermitted: bool = false;
export let optionHasTimestamps: bool = false;
export let optionTsValue: u32 = 0;
export let optionTsEcho: u32 = 0;
/** Where the blocks of the SACK option lie, and how many there are. */
export let optionSackAt: u32 = 0;
export let optionSackBlocks: u32 = 0;
/** Where the AccECN option begins, 0 without one, and its whole fields, up to 3. */
export let optionAccecnAt: u32 = 0;
export let optionAccecnFields: u32 = 0;
/** The Fast Open cookie: its bytes, 0 when one is asked for, -1 without an option that makes sense. */
export let optionCookieBytes: i32 = -1;
export let optionCookieAt: u32 = 0;
/** OPTION_COOKIE or OPTION_COOKIE_TRIAL, with `optionCookieBytes` >= 0. */
export let optionCookieKind: u32 = 0;

/**
 * Reads the options of a segment into the variables above (MSS 0 when absent). Unknown options are
 * skipped by their length; a malformed length ends the walk (RFC 9293 section 3.2, MUST-7).
 */
export function parseTcpOptions(header: u32, optionBytes: u32): void {
  optionMss = 0;
  optionWindowScale = 255;
  optionSackPermitted = false;
  optionHasTimestamps = false;
  optionSackBlocks = 0;
  optionAccecnAt = 0;
  optionCookieBytes = -1;
  let at = header + TCP_HEADER_SIZE;
  const end = at + optionBytes;
  while (at < end) {
    const kind: u32 = load<u8>(at);
    if (kind == OPTION_END) return;
    if (kind == OPTION_NOP) {
      at++;
      continue;
    }
    if (end - at < 2) return;
    const length: u32 = load<u8>(at, 1);
    if (length < 2 || length > end - at) return;
    parseOption(kind, at, length);
    at += length;
  }
}

function parseOption(kind: u32, at: u32, length: u32): void {
  if (kind == OPTION_MSS && length == 4) {
    optionMss = bswap<u16>(load<u16>(at, 2));
  } else if (kind == OPTION_WINDOW_SCALE && length == 3) {
    // RFC 7323 section 2.3: a larger shift is taken as 14.
    optionWindowScale = min<u32>(load<u8>(at, 2), 14);
  } else if (kind == OPTION_SACK_PERMITTED && length == 2) {
    optionSackPermitted = true;
  } else if (kind == OPTION_TIMESTAMPS && length == 10) {
    optionHasTimestamps = true;
    optionTsValue = bswap<u32>(load<u32>(at, 2));
    optionTsEcho = bswap<u32>(load<u32>(at, 6));
  } else if (kind == OPTION_SACK && length >= 10 && ((length - 2) & 7) == 0) {
    optionSackAt = at + 2;
    optionSackBlocks = (length - 2) >> 3;
  } else if (kind == OPTION_ACCECN_0 || kind == OPTION_ACCECN_1) {
    // What a later version appends is not for us (RFC 9768 section 3.2.3).
    optionAccecnAt = at;
    optionAccecnFields = min<u32>((length - ACCECN_HEAD_BYTES) / ACCECN_FIELD_BYTES, ACCECN_FIELDS);
  } else if (kind == OPTION_COOKIE) {
    takeCookieOption(kind, at + 2, length - 2);
  } else if (kind == OPTION_COOKIE_TRIAL && length >= 4) {
    if (bswap<u16>(load<u16>(at, 2)) == TRIAL_NUMBER) takeCookieOption(kind, at + 4, length - 4);
  }
}

/** An odd length makes no option at all, one out of bounds no cookie (RFC 7413 section 4.1.1). */
function takeCookieOption(kind: u32, at: u32, length: u32): void {
  if (length & 1) return;
  const fits = length == 0 || (length >= COOKIE_LEAST && length <= COOKIE_MOST);
  optionCookieBytes = fits ? length : -1;
  optionCookieAt = at;
  optionCookieKind = kind;
}

/** True when the 12 bytes behind a header are a timestamps option in the usual layout. */
export function isTimestampsOnly(header: u32): bool {
  return load<u32>(header, TCP_HEADER_SIZE) == NOP_NOP_TIMESTAMPS;
}

/** The timestamp value of a segment for which `isTimestampsOnly` is true. */
export function timestampValue(header: u32): u32 {
  return bswap<u32>(load<u32>(header, TCP_HEADER_SIZE + 4));
}

/** Edges of block `index` of the SACK option read last: [left, right). */
export function sackLeft(index: u32): u32 {
  return bswap<u32>(load<u32>(optionSackAt + index * SACK_BLOCK_BYTES));
}

export function sackRight(index: u32): u32 {
  return bswap<u32>(load<u32>(optionSackAt + index * SACK_BLOCK_BYTES, 4));
}

/** Bytes that `emitSynOptions` writes. */
export function synOptionBytes(sack: bool, timestamps: bool, scale: bool): u32 {
  let bytes: u32 = 4;
  if (timestamps) bytes += TIMESTAMPS_BYTES;
  else if (sack) bytes += 4;
  if (scale) bytes += 4;
  return bytes;
}

/**
 * Options of a SYN or SYN-ACK.
 *
 * @param shift of the window scale, written when `scale`
 * @param value, echo timestamps, written when `timestamps`
 * @param gap bytes behind MSS and timestamps that are left to the caller
 * @returns where the gap begins
 */
export function emitSynOptions(
  header: u32,
  mss: u32,
  sack: bool,
  timestamps: bool,
  scale: bool,
  shift: u32,
  value: u32,
  echo: u32,
  gap: u32,
): u32 {
  let at = header + TCP_HEADER_SIZE;
  store<u32>(at, OPTION_MSS | (4 << 8) | (u32(bswap<u16>(<u16>mss)) << 16));
  at += 4;
  if (timestamps) {
    store<u32>(at, sack ? SACK_PERMITTED_TIMESTAMPS : NOP_NOP_TIMESTAMPS);
    store<u32>(at, bswap<u32>(value), 4);
    store<u32>(at, bswap<u32>(echo), 8);
    at += TIMESTAMPS_BYTES;
  }
  const begin = at;
  at += gap;
  if (sack && !timestamps) {
    store<u32>(at, NOP_NOP_SACK_PERMITTED);
    at += 4;
  }
  if (scale) store<u32>(at, OPTION_NOP | (OPTION_WINDOW_SCALE << 8) | (3 << 16) | (shift << 24));
  return begin;
}

/** Bytes that `emitCookie` writes: a whole number of words. */
export function cookieOptionBytes(kind: u32, length: u32): u32 {
  return (length + (kind == OPTION_COOKIE ? 2 : 4) + 3) & ~3;
}

/** Writes a Fast Open option with the cookie of `length` bytes that lies at `cookie`. */
export function emitCookie(at: u32, kind: u32, cookie: u32, length: u32): void {
  const end = at + cookieOptionBytes(kind, length);
  store<u32>(end - 4, OPTION_NOP * 0x01010101);
  let to = at + 2;
  if (kind == OPTION_COOKIE_TRIAL) {
    store<u16>(to, bswap<u16>(<u16>TRIAL_NUMBER));
    to += 2;
  }
  store<u16>(at, <u16>(kind | ((to - at + length) << 8)));
  memory.copy(to, cookie, length);
}

/** Writes TIMESTAMPS_BYTES right behind a header. */
export function emitTimestamps(header: u32, value: u32, echo: u32): void {
  store<u32>(header, NOP_NOP_TIMESTAMPS, TCP_HEADER_SIZE);
  store<u32>(header, bswap<u32>(value), TCP_HEADER_SIZE + 4);
  store<u32>(header, bswap<u32>(echo), TCP_HEADER_SIZE + 8);
}

/** Writes the head of a SACK option of that many blocks; they follow at `at + SACK_HEAD_BYTES`. */
export function emitSackHead(at: u32, blocks: u32): void {
  const length = 2 + blocks * SACK_BLOCK_BYTES;
  store<u32>(at, OPTION_NOP | (OPTION_NOP << 8) | (OPTION_SACK << 16) | (length << 24));
}

export function emitSackBlock(at: u32, left: u32, right: u32): void {
  store<u32>(at, bswap<u32>(left));
  store<u32>(at, bswap<u32>(right), 4);
}
