/**
 * Neighbour discovery on the way in (RFC 4861 sections 6.1, 7.1). Everything here must come from the
 * link itself, which its hop limit proves, and make sense as a whole; redirects are not obeyed.
 */
import { CNT_DROP_ND_MALFORMED, CNT_ND_IN } from "../abi";
import { count } from "../core/counters";
import { ethernetSourceHead, ethernetSourceTail, isGroupMac } from "../wire/ethernet";
import { LINK_HOP_LIMIT, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION } from "../wire/icmpv6";
import { icmpCode, icmpType } from "../wire/icmp";
import {
  ipv6DestinationHigh,
  ipv6HopLimit,
  ipv6SourceHigh,
  ipv6SourceLow,
  isIpv6Multicast,
  isIpv6Unicast,
  isLinkLocal,
} from "../wire/ipv6";
import {
  ADVERTISED_OVERRIDE,
  ADVERTISED_ROUTER,
  ADVERTISED_SOLICITED,
  advertisedFlags,
  advertisedHopLimit,
  areOptionsSound,
  findOption,
  OPTION_MTU,
  OPTION_PREFIX,
  OPTION_SOURCE_MAC,
  OPTION_TARGET_MAC,
  optionLength,
  optionMacHead,
  optionMacTail,
  optionMtu,
  prefixBits,
  prefixFlags,
  prefixHigh,
  prefixLow,
  prefixPreferred,
  prefixValid,
  ROUTER_ADVERTISEMENT_SIZE,
  routerLifetime,
  SOLICITATION_SIZE,
  targetHigh,
  targetLow,
} from "../wire/ndp";
import { isAutoconfigured, isOwnAddress, isTentative } from "./interface";
import { learnForAll } from "./learned";
import {
  LINK_ADVERTISED,
  LINK_MTU,
  LINK_NEIGHBOUR,
  LINK_PREFIX,
  LINK_ROUTER,
  LINK_TAKEN,
  NOTE_CREATE,
  NOTE_NAMED,
  NOTE_OVERRIDE,
  NOTE_ROUTER,
  NOTE_SOLICITED,
} from "./notices";
import { sendAdvertisement } from "./solicit";

/** Prefixes that are read of one advertisement. */
const MAX_PREFIXES: u32 = 8;

/**
 * A message of neighbour discovery; the caller keeps the buffer.
 *
 * @param frame, ip, message where the headers begin
 * @param length bytes of the message
 */
export function discoveryInput(frame: u32, ip: u32, message: u32, length: u32): void {
  if (ipv6HopLimit(ip) == LINK_HOP_LIMIT && icmpCode(message) == 0) {
    const type = icmpType(message);
    const sound =
      type == NEIGHBOUR_SOLICITATION
        ? solicited(frame, ip, message, length)
        : type == NEIGHBOUR_ADVERTISEMENT
          ? advertised(ip, message, length)
          : routerSpeaks(ip, message, length);
    if (sound) {
      count(CNT_ND_IN);
      return;
    }
  }
  count(CNT_DROP_ND_MALFORMED);
}

/** RFC 4861 sections 7.1.1 and 7.2.3. False when the message makes no sense. */
function solicited(frame: u32, ip: u32, message: u32, length: u32): bool {
  const options = message + SOLICITATION_SIZE;
  const end = message + length;
  if (length < SOLICITATION_SIZE || !areOptionsSound(options, end)) return false;
  const high = targetHigh(message);
  const low = targetLow(message);
  const fromHigh = ipv6SourceHigh(ip);
  const fromLow = ipv6SourceLow(ip);
  const option = findOption(options, end, OPTION_SOURCE_MAC);
  if (isIpv6Multicast(high)) return false;
  const anonymous = (fromHigh | fromLow) == 0;
  // Only a probe has no sender, and it goes to a group and names no MAC.
  if (anonymous && (option != 0 || !isIpv6Multicast(ipv6DestinationHigh(ip)))) return false;
  if (isTentative(high, low)) {
    // Somebody else is after the same address (RFC 4862 section 5.4.3).
    if (anonymous) learnForAll(LINK_TAKEN, high, low, 0, 0, 0);
    return true;
  }
  if (!isOwnAddress(high, low)) return true;
  let head = ethernetSourceHead(frame);
  let tail = ethernetSourceTail(frame);
  if (option != 0) {
    head = optionMacHead(option);
    tail = optionMacTail(option);
    if (isGroupMac(head)) return false;
    learnForAll(LINK_NEIGHBOUR, fromHigh, fromLow, head, tail, NOTE_CREATE);
  }
  sendAdvertisement(high, low, fromHigh, fromLow, head, tail);
  return true;
}

/** RFC 4861 sections 7.1.2 and 7.2.5. */
function advertised(ip: u32, message: u32, length: u32): bool {
  const options = message + SOLICITATION_SIZE;
  const end = message + length;
  if (length < SOLICITATION_SIZE || !areOptionsSound(options, end)) return false;
  const high = targetHigh(message);
  const low = targetLow(message);
  const flags = advertisedFlags(message);
  if (isIpv6Multicast(high)) return false;
  if (flags & ADVERTISED_SOLICITED && isIpv6Multicast(ipv6DestinationHigh(ip))) return false;
  if (isTentative(high, low)) {
    learnForAll(LINK_TAKEN, high, low, 0, 0, 0);
    return true;
  }
  if (isOwnAddress(high, low)) return true;
  const option = findOption(options, end, OPTION_TARGET_MAC);
  let note: u32 = 0;
  if (flags & ADVERTISED_SOLICITED) note |= NOTE_SOLICITED;
  if (flags & ADVERTISED_OVERRIDE) note |= NOTE_OVERRIDE;
  if (flags & ADVERTISED_ROUTER) note |= NOTE_ROUTER;
  if (option != 0) {
    if (isGroupMac(optionMacHead(option))) return false;
    note |= NOTE_NAMED;
    learnForAll(LINK_ADVERTISED, high, low, optionMacHead(option), optionMacTail(option), note);
  } else {
    learnForAll(LINK_ADVERTISED, high, low, 0, 0, note);
  }
  return true;
}

/** RFC 4861 sections 6.1.2 and 6.3.4. */
function routerSpeaks(ip: u32, message: u32, length: u32): bool {
  const end = message + length;
  let at = message + ROUTER_ADVERTISEMENT_SIZE;
  const high = ipv6SourceHigh(ip);
  const low = ipv6SourceLow(ip);
  if (length < ROUTER_ADVERTISEMENT_SIZE || !areOptionsSound(at, end)) return false;
  if (!isLinkLocal(high) || !isIpv6Unicast(high, low)) return false;
  if (!isAutoconfigured() || isOwnAddress(high, low)) return true;
  const mac = findOption(at, end, OPTION_SOURCE_MAC);
  if (mac != 0 && !isGroupMac(optionMacHead(mac))) {
    learnForAll(LINK_NEIGHBOUR, high, low, optionMacHead(mac), optionMacTail(mac), NOTE_CREATE);
  }
  learnForAll(LINK_ROUTER, high, low, routerLifetime(message), advertisedHopLimit(message), 0);
  const size = findOption(at, end, OPTION_MTU);
  if (size != 0) learnForAll(LINK_MTU, high, low, optionMtu(size), 0, 0);
  for (let prefixes: u32 = 0; prefixes < MAX_PREFIXES; prefixes++) {
    const prefix = findOption(at, end, OPTION_PREFIX);
    if (prefix == 0) break;
    const bits = prefixBits(prefix) | (prefixFlags(prefix) << 8);
    learnForAll(
      LINK_PREFIX,
      prefixHigh(prefix),
      prefixLow(prefix),
      bits,
      prefixValid(prefix),
      prefixPreferred(prefix),
    );
    at = prefix + optionLength(prefix);
  }
  return true;
}
