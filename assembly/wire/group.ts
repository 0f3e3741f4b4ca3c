/**
 * Group membership messages: IGMP (RFC 2236, RFC 3376) for IPv4 and MLD (RFC 2710, RFC 3810) for IPv6,
 * bytes and meaning only.
 *
 *   IGMP   | type | max response | checksum | group (4) |          v3 query: | … QRV | QQIC | sources |
 *   MLD    | type | code | checksum | max response (2) | 0 | group (16) |   v2 query: the same
 *
 *   IGMPv3 report   | 0x22 | 0 | checksum | 0 | records |   record: | kind | 0 | sources | group |
 *   MLDv2 report    |  143 | 0 | checksum | 0 | records |
 *
 * A member of all sources has the record kinds below and no sources.
 */

export const IGMP_PROTOCOL: u32 = 2;
export const IGMP_QUERY: u32 = 0x11;
export const IGMP_V2_REPORT: u32 = 0x16;
export const IGMP_LEAVE: u32 = 0x17;
export const IGMP_V3_REPORT: u32 = 0x22;

/** Bytes of an IGMPv1 or v2 message, and the least of an IGMPv3 query. */
export const IGMP_SIZE: u32 = 8;
export const IGMP_V3_QUERY_SIZE: u32 = 12;
export const IGMP_V3_REPORT_SIZE: u32 = 16;
export const MLD_SIZE: u32 = 24;
export const MLD2_QUERY_SIZE: u32 = 28;
export const MLD2_REPORT_SIZE: u32 = 28;

/** Record kinds: the answer to a query, joining, leaving. */
export const MODE_IS_EXCLUDE: u32 = 2;
export const TO_INCLUDE: u32 = 3;
export const TO_EXCLUDE: u32 = 4;

/** IPv4 router alert option, which every IGMP message carries (RFC 2113). */
export const ROUTER_ALERT_OPTION: u32 = 0x00000494;
/** Hop-by-hop header with the router alert for MLD and a PadN (RFC 2711), its next header aside. */
export const ROUTER_ALERT_HOP_BY_HOP: u64 = 0x0001000002050000;

/** Group of an IGMP message, as it lies in memory; 0 in a query about all groups. */
export function igmpGroup(message: u32): u32 {
  return load<u32>(message, 4);
}

/**
 * Time within which to answer an IGMP query, tenths of a second; 0 from an IGMPv1 router.
 *
 * @param v3 whether the code is a floating-point one from 128 on (RFC 3376 section 4.1.1)
 */
export function igmpResponseTime(message: u32, v3: bool): u32 {
  const code: u32 = load<u8>(message, 1);
  return v3 && code >= 128 ? ((code & 15) | 16) << (((code >> 4) & 7) + 3) : code;
}

/** Time within which to answer an MLD query, ms (RFC 3810 section 5.1.3). */
export function mldResponseTime(message: u32, v2: bool): u32 {
  const code: u32 = bswap<u16>(load<u16>(message, 4));
  return v2 && code >= 32768 ? ((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3) : code;
}

/** Writes an IGMPv2 report or leave with a zero checksum. */
export function emitIgmp(message: u32, type: u32, group: u32): void {
  store<u32>(message, type);
  store<u32>(message, group, 4);
}

/** Writes an IGMPv3 report of one record with a zero checksum. */
export function emitIgmpV3Report(message: u32, kind: u32, group: u32): void {
  store<u32>(message, IGMP_V3_REPORT);
  store<u32>(message, 0x01000000, 4);
  store<u32>(message, kind, 8);
  store<u32>(message, group, 12);
}

/** Writes an MLDv1 report or done with a zero checksum. */
export function emitMld(message: u32, type: u32, groupHigh: u64, groupLow: u64): void {
  store<u64>(message, u64(type));
  store<u64>(message, groupHigh, 8);
  store<u64>(message, groupLow, 16);
}

/** Writes an MLDv2 report of one record with a zero checksum. */
export function emitMld2Report(
  message: u32,
  type: u32,
  kind: u32,
  groupHigh: u64,
  groupLow: u64,
): void {
  store<u32>(message, type);
  store<u32>(message, 0x01000000, 4);
  store<u32>(message, kind, 8);
  store<u64>(message, groupHigh, 12);
  store<u64>(message, groupLow, 20);
}
