/**
 * Who talks to whom, over either IP: the addresses of the connection that is in hand, set by one of the
 * first four functions and good until the next of them is called. A TCB has one word for each address:
 * an IPv4 address itself, or a digest of an IPv6 one (net/digest.ts); the IPv6 address of the peer
 * lies in a table beside the TCBs, and ours is among our own.
 */
import { CFG_TCB_HOT, CFG_TCB_REMOTES, TCB_HOT_SIZE, TCB_REMOTE_SIZE } from "../abi";
import { config, localIp, mtu } from "../core/config";
import { Packet } from "../core/packet";
import { findConnection, findConnection6 } from "../flow/groups";
import { chooseSource, ownAddressOf, sourceHigh, sourceLow } from "../net/interface";
import { digest, isDigest, localDigest } from "../net/digest";
import { Neighbour, neighbourOf } from "../net/neighbours";
import { pathMtuTo } from "../net/path-mtu";
import { linkMtu6 } from "../net/routers";
import { findNextHop6, nextHop, nextHopHigh, nextHopLow } from "../net/routes";
import {
  destinationPortIpv4,
  destinationPortIpv6,
  toeplitzIpv4,
  toeplitzIpv6,
} from "../net/toeplitz";
import { IPV4_HEADER_SIZE } from "../wire/ipv4";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6SourceHigh,
  ipv6SourceLow,
  IPV6_HEADER_SIZE,
  isMapped,
  mappedIpv4,
  mappedLow,
} from "../wire/ipv6";
import { TCP_HEADER_SIZE } from "../wire/tcp";
import { addressHash } from "./isn";
import { Tcb } from "./tcb";

const DEFAULT_MSS: u32 = 536;
const DEFAULT_MSS6: u32 = 1220;

/** The addresses as a TCB has them. */
export let remoteWord: u32 = 0;
export let localWord: u32 = 0;
/** The same as 16 bytes. */
export let remoteHigh: u64 = 0;
export let remoteLow: u64 = 0;
export let localHigh: u64 = 0;
export let localLow: u64 = 0;
/** Where packets to the peer are handed to, after `tupleNeighbour`. */
export let hopHigh: u64 = 0;
export let hopLow: u64 = 0;

let hotBase: u32 = 0;
let remotes: u32 = 0;

/** Binds this instance to the table of IPv6 addresses. */
export function bindTuples(): void {
  hotBase = config(CFG_TCB_HOT);
  remotes = config(CFG_TCB_REMOTES);
}

/** A peer that is to be spoken to. False when we have no address to speak from. */
export function setPeer(high: u64, low: u64): bool {
  if (isMapped(high, low)) {
    setIpv4(mappedIpv4(low), localIp);
    return true;
  }
  if (!chooseSource(high, low)) return false;
  setTuple(sourceHigh, sourceLow, high, low);
  return true;
}

/** The sender of a segment. */
export function setSender(packet: Packet): void {
  if (!isDigest(packet.destination)) {
    setIpv4(packet.source, packet.destination);
    return;
  }
  const ip = packet.ip;
  setTuple(ipv6DestinationHigh(ip), ipv6DestinationLow(ip), ipv6SourceHigh(ip), ipv6SourceLow(ip));
}

/** The peer of a connection. */
export function setConnection(tcb: Tcb): void {
  if (!isDigest(tcb.localIp)) {
    setIpv4(tcb.remoteIp, tcb.localIp);
    return;
  }
  const at = remoteOf(tcb);
  remoteHigh = load<u64>(at);
  remoteLow = load<u64>(at, 8);
  remoteWord = tcb.remoteIp;
  localWord = tcb.localIp;
  ownAddressOf(tcb.localIp);
  localHigh = sourceHigh;
  localLow = sourceLow;
}

/** Two addresses of one version. */
export function setTuple(fromHigh: u64, fromLow: u64, toHigh: u64, toLow: u64): void {
  if (isMapped(toHigh, toLow)) {
    setIpv4(mappedIpv4(toLow), mappedIpv4(fromLow));
    return;
  }
  remoteHigh = toHigh;
  remoteLow = toLow;
  localHigh = fromHigh;
  localLow = fromLow;
  remoteWord = digest(toHigh, toLow);
  localWord = localDigest(fromHigh, fromLow);
}

function setIpv4(remote: u32, local: u32): void {
  remoteWord = remote;
  localWord = local;
  remoteHigh = 0;
  remoteLow = mappedLow(remote);
  localHigh = 0;
  localLow = mappedLow(local);
}

/** True when the peer of an IPv6 connection has that address. */
export function isPeer(tcb: Tcb, high: u64, low: u64): bool {
  const at = remoteOf(tcb);
  return load<u64>(at, 8) == low && load<u64>(at) == high;
}

/** Gives the addresses to a new connection. */
export function storeTuple(tcb: Tcb): void {
  tcb.remoteIp = remoteWord;
  tcb.localIp = localWord;
  if (!isDigest(localWord)) return;
  const at = remoteOf(tcb);
  store<u64>(at, remoteHigh);
  store<u64>(at, remoteLow, 8);
}

/** RSS hash of the peer's segments. `ports`: remote port low half, local port high half. */
export function tupleHash(ports: u32): u32 {
  return isDigest(localWord)
    ? toeplitzIpv6(remoteHigh, remoteLow, localHigh, localLow, ports)
    : toeplitzIpv4(remoteWord, localWord, ports);
}

/** What the local port, as it lies in memory, adds to `tupleHash` of port 0: the hash is linear. */
export function localPortShare(port: u32): u32 {
  return isDigest(localWord) ? destinationPortIpv6(port) : destinationPortIpv4(port);
}

/** The connection between the two, or null. */
export function findTuple(hash: u32, ports: u32): Tcb | null {
  return isDigest(localWord)
    ? findConnection6(hash, ports, remoteWord, localWord, remoteHigh, remoteLow)
    : findConnection(hash, ports, remoteWord, localWord);
}

/** True when there is a way to the peer; `hopHigh` and `hopLow` say which. */
export function isRoutable(): bool {
  if (isDigest(localWord)) {
    if (!findNextHop6(remoteHigh, remoteLow)) return false;
    hopHigh = nextHopHigh;
    hopLow = nextHopLow;
    return true;
  }
  const hop = nextHop(remoteWord);
  hopHigh = 0;
  hopLow = mappedLow(hop);
  return hop != 0;
}

/** The next hop, after `isRoutable`; null when the table has no room for it. */
export function hopNeighbour(): Neighbour | null {
  return neighbourOf(hopHigh, hopLow);
}

/** What an unpredictable number about the peer is made of. */
export function remoteSecret(): u32 {
  return isDigest(localWord) ? addressHash(remoteHigh, remoteLow) : remoteWord;
}

/** The MSS that we announce: what fits the MTU. */
export function localMss(): u32 {
  return linkMtu() - headers();
}

/** The largest segment, options included, that the path to the peer is known to take. */
export function pathMss(): u32 {
  return min<u32>(linkMtu(), pathMtuTo(remoteHigh, remoteLow)) - headers();
}

/** The MSS of a peer that names none (RFC 9293 section 3.7.1). */
export function defaultMss(): u32 {
  return isDigest(localWord) ? DEFAULT_MSS6 : DEFAULT_MSS;
}

function linkMtu(): u32 {
  return isDigest(localWord) ? linkMtu6() : mtu;
}

function headers(): u32 {
  return TCP_HEADER_SIZE + (isDigest(localWord) ? IPV6_HEADER_SIZE : IPV4_HEADER_SIZE);
}

function remoteOf(tcb: Tcb): u32 {
  return remotes + ((changetype<u32>(tcb) - hotBase) / TCB_HOT_SIZE) * TCB_REMOTE_SIZE;
}
