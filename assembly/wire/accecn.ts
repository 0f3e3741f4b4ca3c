/**
 * Accurate ECN in the TCP header (RFC 9768 sections 3.2.2 and 3.2.3), bytes and meaning only.
 *
 *    0                   1
 *   | offset| rsvd|A|C|E|U|A|P|R|S|F|       ACE: the three bits A (AE), C (CWR) and E (ECE) as one number
 *
 *   | 172 | length |  EE0B  |  ECEB  |  EE1B  |       the option, in either order: counters of 24 bits, of which
 *   | 174 | length |  EE1B  |  ECEB  |  EE0B  |       the last ones may be left out
 *
 * IP-ECN codepoints are numbers as in the IP header: 1 for ECT(1), 2 for ECT(0), 3 for CE.
 */

/** Kinds of the option: EE0B first, EE1B first. */
export const OPTION_ACCECN_0: u32 = 172;
export const OPTION_ACCECN_1: u32 = 174;
export const ACCECN_HEAD_BYTES: u32 = 2;
export const ACCECN_FIELD_BYTES: u32 = 3;
export const ACCECN_FIELDS: u32 = 3;
/** What the option with all its fields takes, filled up to a word. */
export const ACCECN_BYTES: u32 = 12;

/** Where counting begins, so that a middlebox that sets fields to zero is noticed (sections 3.2.1, 3.2.3). */
export const ACE_START: u32 = 5;

const NOPS: u32 = 0x01010101;

/** The ACE field of a header. */
export function aceOf(header: u32): u32 {
  return (u32(load<u8>(header, 12) & 1) << 2) | (load<u8>(header, 13) >> 6);
}

/** Adds the ACE field to a header that has none yet, nor a checksum. */
export function setAce(header: u32, ace: u32): void {
  store<u8>(header, load<u8>(header, 12) | (ace >> 2), 12);
  store<u8>(header, load<u8>(header, 13) | ((ace & 3) << 6), 13);
}

/** How a codepoint on a SYN or SYN-ACK is told by the answer's ACE field (section 3.1.2, table 2). */
export function aceOfEcn(ecn: u32): u32 {
  if (ecn == 0) return 2;
  return ecn == 1 ? 3 : ecn << 1;
}

/** The codepoint that such an ACE field tells: of those that no answer has, one that was not sent. */
export function ecnOfAce(ace: u32): u32 {
  if (ace == 2) return 0;
  if (ace == 6) return 3;
  return ace == 0 || ace == 4 ? 2 : 1;
}

/** Codepoint that field `index` of an option counts. */
export function ecnOfField(kind: u32, index: u32): u32 {
  if (index == 1) return 3;
  return (index == 0) == (kind == OPTION_ACCECN_0) ? 2 : 1;
}

/** Fields that an option of kind 174 needs to have that of a codepoint. */
export function fieldsFor(ecn: u32): u32 {
  return ecn == 2 ? 3 : ecn == 3 ? 2 : ecn;
}

/** The first value of a codepoint's field. */
export function fieldStart(ecn: u32): u32 {
  return ecn == 3 ? 0 : 1;
}

/** Value of field `index` of the option at `at`. */
export function accecnField(at: u32, index: u32): u32 {
  const field = at + ACCECN_HEAD_BYTES + index * ACCECN_FIELD_BYTES;
  return (u32(bswap<u16>(load<u16>(field))) << 8) | load<u8>(field, 2);
}

/**
 * Writes an option of kind 174 into `space` bytes, a multiple of 4 that may be shorter than the option by the
 * NOPs which follow there.
 *
 * @param e1, ce, e0 values of the fields, of which the first `fields` are written
 */
export function emitAccecn(at: u32, space: u32, fields: u32, e1: u32, ce: u32, e0: u32): void {
  for (let i: u32 = 0; i < space; i += 4) store<u32>(at + i, NOPS);
  const length = ACCECN_HEAD_BYTES + fields * ACCECN_FIELD_BYTES;
  store<u16>(at, <u16>(OPTION_ACCECN_1 | (length << 8)));
  if (fields > 0) storeField(at + 2, e1);
  if (fields > 1) storeField(at + 5, ce);
  if (fields > 2) storeField(at + 8, e0);
}

function storeField(at: u32, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>(value >> 8)));
  store<u8>(at, <u8>value, 2);
}
