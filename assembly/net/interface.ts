/**
 * Our own IPv6 addresses and the prefixes of the link (RFC 4862, RFC 4861 section 6.3.4). Each core has
 * the same ones: all begin with what was configured and hear of the same advertisements. Core 0 speaks
 * for them; the others only watch the time.
 *
 *   TENTATIVE ── nobody has it, 1 s ──→ PREFERRED ── preferred lifetime over ──→ DEPRECATED ── valid … ─→ FREE
 *       └────── somebody has it ──→ DUPLICATE
 */
import {
  CFG_IP6,
  CFG_IP6_ADDRESSES,
  CFG_IP6_COUNT,
  CNT_DUPLICATE_ADDRESS,
  CONFIG_BASE,
  CORE_ID,
  IP6_ADDRESS_PREFIX,
  IP6_ADDRESS_SIZE,
  IP6_AUTOCONFIGURED,
  IP6_DETECT_DUPLICATES,
  IP6_ENABLED,
} from "../abi";
import { config, coreBlock, macHead, macTail } from "../core/config";
import { count } from "../core/counters";
import { nowWide } from "../time/clock";
import {
  commonPrefix,
  eui64,
  isIpv6Multicast,
  isIpv6Unicast,
  isLinkLocal,
  LINK_GROUP,
  linkLocalHigh,
  samePrefix,
  solicitedLow,
  ipv6MulticastScope,
} from "../wire/ipv6";
import { PREFIX_AUTONOMOUS, PREFIX_ON_LINK } from "../wire/ndp";
import { joinGroup, leaveGroup } from "./groups";
import { localDigest } from "./digest";
import { armInterface } from "./interface-timer";
import { NET_ADDRESSES, NET_PREFIXES, netState } from "./net-state";
import { drawBelow } from "./random";
import { sendProbe } from "./solicit";

@final
@unmanaged
export class Address {
  high: u64;
  low: u64;
  /** When a tentative address is to be asked for or is free; µs. */
  dueAt: u64;
  /** Until when it may be used, and until when for new connections, µs; all ones for ever. */
  validUntil: u64;
  preferredUntil: u64;
  state: u32;
  /** Probes to send before it counts as ours. */
  probes: u32;
}

@final
@unmanaged
class Prefix {
  high: u64;
  low: u64;
  /** µs; all ones for ever, 0 in a free entry. */
  validUntil: u64;
  bits: u32;
  unused: u32;
}

const FREE: u32 = 0;
const TENTATIVE: u32 = 1;
const PREFERRED: u32 = 2;
const DEPRECATED: u32 = 3;
const DUPLICATE: u32 = 4;

const ADDRESSES: u32 = 8;
const ADDRESS_SIZE: u32 = 48;
const PREFIXES: u32 = 8;
const PREFIX_SIZE: u32 = 32;

const FOR_EVER: u64 = u64.MAX_VALUE;
const SECOND: u64 = 1_000_000;
/** One probe, and a second in which to object to it (RFC 4862 section 5.1). */
const PROBE_INTERVAL: u64 = 1_000_000;
/** A shorter valid lifetime is not believed of an address in use (RFC 4862 section 5.5.3 e). */
const TWO_HOURS: u64 = 7_200_000_000;

let addresses: u32 = 0;
let addressesEnd: u32 = 0;
let prefixes: u32 = 0;
let prefixesEnd: u32 = 0;
let flags: u32 = 0;
/** Whether this core is the one that speaks. */
let speaks = false;

/** What `chooseSource` chose. */
export let sourceHigh: u64 = 0;
export let sourceLow: u64 = 0;

/** Binds this instance to the core's addresses. */
export function bindInterface(): void {
  addresses = netState(NET_ADDRESSES);
  addressesEnd = addresses + ADDRESSES * ADDRESS_SIZE;
  prefixes = netState(NET_PREFIXES);
  prefixesEnd = prefixes + PREFIXES * PREFIX_SIZE;
  flags = config(CFG_IP6);
  speaks = load<u32>(coreBlock + CORE_ID) == 0;
}

/** Begins with the link-local address and the configured ones. */
export function prepareInterface(): void {
  if (!isIpv6Enabled()) return;
  addAddress(linkLocalHigh(), eui64(macHead, macTail), FOR_EVER, FOR_EVER);
  for (let i: u32 = 0; i < config(CFG_IP6_COUNT); i++) {
    const entry = CONFIG_BASE + CFG_IP6_ADDRESSES + i * IP6_ADDRESS_SIZE;
    const high = load<u64>(entry);
    const low = load<u64>(entry, 8);
    addAddress(high, low, FOR_EVER, FOR_EVER);
    addPrefix(high, low, load<u32>(entry, IP6_ADDRESS_PREFIX), FOR_EVER);
  }
}

export function isIpv6Enabled(): bool {
  return (flags & IP6_ENABLED) != 0;
}

export function isAutoconfigured(): bool {
  return (flags & IP6_AUTOCONFIGURED) != 0;
}

/** True on the one core that sends what all of them have in common. */
export function isSpeaker(): bool {
  return speaks;
}

/** True for an address of ours that packets may be sent to. */
export function isOwnAddress(high: u64, low: u64): bool {
  const address = find(high, low);
  return address != null && (address.state == PREFERRED || address.state == DEPRECATED);
}

/** The address of ours with that digest, into `sourceHigh` and `sourceLow`; the last one when it is gone. */
export function ownAddressOf(local: u32): void {
  for (let at = addresses; at < addressesEnd; at += ADDRESS_SIZE) {
    const address = changetype<Address>(at);
    if (localDigest(address.high, address.low) != local) continue;
    sourceHigh = address.high;
    sourceLow = address.low;
    if (address.state == PREFERRED) return;
  }
}

/** True for an address that we would like to have. */
export function isTentative(high: u64, low: u64): bool {
  const address = find(high, low);
  return address != null && address.state == TENTATIVE;
}

/** True when an address of ours has this solicited-node address. */
export function isSolicited(low: u64): bool {
  for (let at = addresses; at < addressesEnd; at += ADDRESS_SIZE) {
    const address = changetype<Address>(at);
    if (address.state != FREE && solicitedLow(address.low) == low) return true;
  }
  return false;
}

/** True when an address is on the attached link. */
export function isOnLink(high: u64, low: u64): bool {
  if (isLinkLocal(high)) return true;
  for (let at = prefixes; at < prefixesEnd; at += PREFIX_SIZE) {
    const prefix = changetype<Prefix>(at);
    if (prefix.validUntil <= nowWide) continue;
    if (samePrefix(prefix.high, prefix.low, high, low, prefix.bits)) return true;
  }
  return false;
}

/**
 * Chooses the address to send from (RFC 6724 section 5: scope, then preferred, then the longest prefix
 * in common) into `sourceHigh` and `sourceLow`. False when we have none that would do.
 */
export function chooseSource(high: u64, low: u64): bool {
  const local = isLinkLocal(high) || (isIpv6Multicast(high) && ipv6MulticastScope(high) <= 2);
  let best: u32 = 0;
  for (let at = addresses; at < addressesEnd; at += ADDRESS_SIZE) {
    const address = changetype<Address>(at);
    if (address.state != PREFERRED && address.state != DEPRECATED) continue;
    let worth = commonPrefix(address.high, address.low, high, low) + 1;
    if (address.state == PREFERRED) worth += 256;
    if (isLinkLocal(address.high) == local) worth += 512;
    else if (!local) continue;
    if (worth <= best) continue;
    best = worth;
    sourceHigh = address.high;
    sourceLow = address.low;
  }
  return best != 0;
}

/**
 * Takes in a prefix that a router announced (RFC 4861 section 6.3.4, RFC 4862 section 5.5.3).
 *
 * @param flagBits `PREFIX_*`
 * @param valid, preferred seconds, all ones for ever
 */
export function prefixAdvertised(
  high: u64,
  low: u64,
  bits: u32,
  flagBits: u32,
  valid: u32,
  preferred: u32,
): void {
  if (!isAutoconfigured() || isLinkLocal(high) || bits > 128) return;
  if (flagBits & PREFIX_ON_LINK) addPrefix(high, low, bits, instantAfter(valid));
  // The identifier made of a MAC is 64 bits long.
  if (!(flagBits & PREFIX_AUTONOMOUS) || bits != 64 || preferred > valid) return;
  const own = eui64(macHead, macTail);
  const address = find(high, own);
  if (address == null) {
    if (valid != 0 && isIpv6Unicast(high, own)) {
      addAddress(high, own, instantAfter(valid), instantAfter(preferred));
    }
    return;
  }
  if (
    address.validUntil == FOR_EVER &&
    address.preferredUntil == FOR_EVER &&
    valid != u32.MAX_VALUE
  ) {
    // Configured, or announced for ever: nobody on the link takes it away.
    return;
  }
  const until = instantAfter(valid);
  const left = address.validUntil - nowWide;
  if (until > nowWide + TWO_HOURS || until > address.validUntil) address.validUntil = until;
  else if (left > TWO_HOURS) address.validUntil = nowWide + TWO_HOURS;
  address.preferredUntil = instantAfter(preferred);
  if (address.state == DEPRECATED && address.preferredUntil > nowWide) address.state = PREFERRED;
  armInterface(min<u64>(address.preferredUntil, address.validUntil));
}

/** Another host has an address of ours: a tentative one is given up (RFC 4862 section 5.4.5). */
export function addressTaken(high: u64, low: u64): void {
  const address = find(high, low);
  if (address == null || address.state != TENTATIVE) return;
  address.state = DUPLICATE;
  if (speaks) count(CNT_DUPLICATE_ADDRESS);
  leaveGroup(LINK_GROUP, solicitedLow(low));
}

/** Does what is due of addresses, and returns when the next is, µs. */
export function runAddresses(): u64 {
  let next: u64 = FOR_EVER;
  for (let at = addresses; at < addressesEnd; at += ADDRESS_SIZE) {
    const address = changetype<Address>(at);
    if (address.state == TENTATIVE) probeAddress(address);
    if (address.state == TENTATIVE) next = min<u64>(next, address.dueAt);
    else if (address.state != FREE) next = min<u64>(next, ageAddress(address));
  }
  return next;
}

/** Asks for a tentative address when it is time, and takes it when nobody has objected. */
function probeAddress(address: Address): void {
  if (nowWide < address.dueAt) return;
  if (address.probes == 0) {
    address.state = PREFERRED;
    return;
  }
  address.probes--;
  address.dueAt = nowWide + PROBE_INTERVAL;
  if (speaks) sendProbe(address.high, address.low);
}

/** Deprecates and forgets; returns when that is due again. */
function ageAddress(address: Address): u64 {
  if (address.validUntil <= nowWide) {
    if (address.state != DUPLICATE) leaveGroup(LINK_GROUP, solicitedLow(address.low));
    address.state = FREE;
    return FOR_EVER;
  }
  if (address.state == PREFERRED) {
    if (address.preferredUntil > nowWide)
      return min<u64>(address.preferredUntil, address.validUntil);
    address.state = DEPRECATED;
  }
  return address.validUntil;
}

function addAddress(high: u64, low: u64, validUntil: u64, preferredUntil: u64): void {
  for (let at = addresses; at < addressesEnd; at += ADDRESS_SIZE) {
    const address = changetype<Address>(at);
    if (address.state != FREE) continue;
    address.high = high;
    address.low = low;
    address.validUntil = validUntil;
    address.preferredUntil = preferredUntil;
    // A multicast advertisement makes all hosts of a link begin at once (section 5.4.2).
    const detect = (flags & IP6_DETECT_DUPLICATES) != 0;
    address.probes = detect ? 1 : 0;
    address.dueAt = detect ? nowWide + drawBelow(u32(SECOND)) : nowWide;
    address.state = detect ? TENTATIVE : PREFERRED;
    joinGroup(LINK_GROUP, solicitedLow(low), speaks);
    armInterface(detect ? address.dueAt : min<u64>(preferredUntil, validUntil));
    return;
  }
}

function addPrefix(high: u64, low: u64, bits: u32, validUntil: u64): void {
  let free: u32 = 0;
  for (let at = prefixes; at < prefixesEnd; at += PREFIX_SIZE) {
    const prefix = changetype<Prefix>(at);
    if (prefix.validUntil <= nowWide) {
      if (free == 0) free = at;
    } else if (prefix.bits == bits && samePrefix(prefix.high, prefix.low, high, low, bits)) {
      if (prefix.validUntil != FOR_EVER) prefix.validUntil = validUntil;
      return;
    }
  }
  if (free == 0 || validUntil <= nowWide) return;
  const prefix = changetype<Prefix>(free);
  prefix.high = high;
  prefix.low = low;
  prefix.bits = bits;
  prefix.validUntil = validUntil;
}

function find(high: u64, low: u64): Address | null {
  for (let at = addresses; at < addressesEnd; at += ADDRESS_SIZE) {
    const address = changetype<Address>(at);
    if (address.low == low && address.high == high && address.state != FREE) return address;
  }
  return null;
}

function instantAfter(seconds: u32): u64 {
  return seconds == u32.MAX_VALUE ? FOR_EVER : nowWide + u64(seconds) * SECOND;
}
