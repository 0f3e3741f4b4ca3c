/**
 * IGMP on the way in (RFC 3376 section 4.1, RFC 2236): queries, of whichever version their length and
 * code say, and the reports of others.
 */
import { CNT_DROP_GROUP_MALFORMED, CNT_GROUP_IN } from "../abi";
import { count } from "../core/counters";
import { Buffer, release } from "../mem/buffers";
import { foldChecksum, sumBytes } from "../wire/checksum";
import {
  IGMP_QUERY,
  IGMP_SIZE,
  IGMP_V2_REPORT,
  IGMP_V3_QUERY_SIZE,
  igmpGroup,
  igmpResponseTime,
} from "../wire/group";
import { icmpType } from "../wire/icmp";
import { ipv4Ttl } from "../wire/ipv4";
import { mappedLow } from "../wire/ipv6";
import { heardReport } from "./groups";
import { learnForAll } from "./learned";
import { LINK_QUERY } from "./notices";

/** What an IGMPv1 router does not say: 10 s, in tenths (RFC 2236 section 4). */
const VERSION_1_RESPONSE: u32 = 100;

/** An IGMP message; takes the buffer over. */
export function igmpInput(buffer: Buffer, ip: u32, message: u32, length: u32): void {
  const sound =
    length >= IGMP_SIZE && ipv4Ttl(ip) == 1 && foldChecksum(sumBytes(message, length, 0)) == 0;
  count(sound ? CNT_GROUP_IN : CNT_DROP_GROUP_MALFORMED);
  if (sound) handle(message, length);
  release(buffer);
}

function handle(message: u32, length: u32): void {
  const type = icmpType(message);
  const group = mappedLow(igmpGroup(message));
  if (type == IGMP_V2_REPORT) {
    heardReport(0, group);
  } else if (type == IGMP_QUERY) {
    const v3 = length >= IGMP_V3_QUERY_SIZE;
    const tenths = igmpResponseTime(message, v3);
    const version: u32 = v3 ? 3 : tenths == 0 ? 1 : 2;
    const within = (version == 1 ? VERSION_1_RESPONSE : tenths) * 100;
    learnForAll(LINK_QUERY, 0, group, version, within, 0);
  }
}
