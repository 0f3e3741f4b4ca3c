/**
 * The UDP system calls: every field of the descriptor is checked here before anything is done. Each
 * function takes the descriptor's address and returns what goes into its result: bytes or a code.
 */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_HANDLE,
  CALL_OP,
  ENDPOINT_PORT,
  ENDPOINT_SIZE,
  FLAG_DONT_FRAGMENT,
  RC_BADH,
  RC_FAULT,
  RC_INUSE,
  RC_INVAL,
  RC_MSGSIZE,
  RC_NOMEM,
  RC_OK,
  SG_MAX,
  SG_SIZE,
} from "../abi";
import { ALL_HOSTS, groupIndex, GROUPS, joinGroup, leaveGroupAt } from "../net/groups";
import { isIpv6Enabled } from "../net/interface";
import { maxUdpPayload, sendUdp } from "../net/udp-output";
import {
  anyUdpPort,
  bindUdpPort,
  drawUdpPort,
  findUdpPort,
  udpPortOfHandle,
  UdpPort,
  unbindUdpPort,
} from "../net/udp-ports";
import { takeBackAll, takeBackDatagram } from "../net/udp";
import { isIpv4Multicast } from "../wire/ipv4";
import { ALL_NODES, isIpv6Multicast, isMapped, LINK_GROUP, mappedIpv4 } from "../wire/ipv6";
import { inWindow, isReadable } from "./check";

/** udp_bind: the handle and, where port 0 asked for any, the port are written into the descriptor. */
export function sysUdpBind(call: u32): i32 {
  let port = load<u32>(call, CALL_A);
  if (port > 0xffff) return RC_INVAL;
  if (port == 0) {
    port = drawUdpPort();
    if (port == 0) return RC_INUSE;
  } else if (findUdpPort(port) != null) {
    return RC_INUSE;
  }
  const record = bindUdpPort(port, load<u32>(call, CALL_COOKIE));
  if (record == null) return RC_NOMEM;
  store<u32>(call, record.handle, CALL_HANDLE);
  store<u32>(call, port, CALL_A);
  return RC_OK;
}

/**
 * udp_unbind: whatever the application holds of the port's datagrams is taken back. `udp_sent` of
 * datagrams on their way still comes, because their memory is still in use.
 */
export function sysUdpUnbind(call: u32): i32 {
  const port = udpPortOfHandle(load<u32>(call, CALL_HANDLE));
  if (port == null) return RC_BADH;
  unbind(port);
  return RC_OK;
}

/** Ends all bindings of this core in the same way. */
export function unbindAll(): void {
  for (let port = anyUdpPort(); port != null; port = anyUdpPort()) unbind(port);
}

/** Takes back a port's datagrams, leaves its groups and frees it. */
function unbind(port: UdpPort): void {
  takeBackAll(port);
  for (let index: u32 = 0; index < GROUPS; index++) {
    if ((port.groups >> index) & 1) leaveGroupAt(index);
  }
  unbindUdpPort(port);
}

/** udp_connect: the port's one peer from now on, or with endpoint 0 anybody again. */
export function sysUdpConnect(call: u32): i32 {
  const port = udpPortOfHandle(load<u32>(call, CALL_HANDLE));
  if (port == null) return RC_BADH;
  const endpoint = load<u32>(call, CALL_C);
  if (endpoint == 0) {
    port.peerPort = 0;
    return RC_OK;
  }
  if (!isReadable(endpoint, ENDPOINT_SIZE)) return RC_FAULT;
  const remotePort: u32 = load<u16>(endpoint, ENDPOINT_PORT);
  if (remotePort == 0) return RC_INVAL;
  port.peerHigh = load<u64>(endpoint);
  port.peerLow = load<u64>(endpoint, 8);
  port.peerPort = remotePort;
  return RC_OK;
}

/** udp_join: the port receives what is sent to a group, from now on. */
export function sysUdpJoin(call: u32): i32 {
  const port = udpPortOfHandle(load<u32>(call, CALL_HANDLE));
  if (port == null) return RC_BADH;
  const high = load<u64>(call, CALL_A);
  const low = load<u64>(call, CALL_A + 8);
  if (!isGroup(high, low)) return RC_INVAL;
  const known = groupIndex(high, low);
  if (known != GROUPS && ((port.groups >> known) & 1) != 0) return RC_INUSE;
  const index = joinGroup(high, low, true);
  if (index == GROUPS) return RC_NOMEM;
  port.groups |= u64(1) << index;
  return RC_OK;
}

/** udp_leave: the reverse of `udp_join`. */
export function sysUdpLeave(call: u32): i32 {
  const port = udpPortOfHandle(load<u32>(call, CALL_HANDLE));
  if (port == null) return RC_BADH;
  const index = groupIndex(load<u64>(call, CALL_A), load<u64>(call, CALL_A + 8));
  if (index == GROUPS || ((port.groups >> index) & 1) == 0) return RC_INVAL;
  port.groups &= ~(u64(1) << index);
  leaveGroupAt(index);
  return RC_OK;
}

/** True for a group that hosts join: nobody joins or leaves that of all hosts. */
function isGroup(high: u64, low: u64): bool {
  if (isMapped(high, low)) {
    const group = mappedIpv4(low);
    return isIpv4Multicast(group) && group != ALL_HOSTS;
  }
  return isIpv6Enabled() && isIpv6Multicast(high) && !(high == LINK_GROUP && low == ALL_NODES);
}

/** udp_send: its address and length are one scatter-gather entry. */
export function sysUdpSend(call: u32): i32 {
  return sendChecked(call, call + CALL_A, 1);
}

/** udp_sendv: one datagram gathered from up to SG_MAX parts. */
export function sysUdpSendv(call: u32): i32 {
  const entries = load<u32>(call, CALL_B);
  if (entries > SG_MAX) return RC_INVAL;
  const segments = load<u32>(call, CALL_A);
  if (!inWindow(segments, entries * SG_SIZE)) return RC_FAULT;
  return sendChecked(call, segments, entries);
}

/** udp_recv_done: takes each token of a `udp_recv` once. */
export function sysUdpRecvDone(call: u32): i32 {
  const port = udpPortOfHandle(load<u32>(call, CALL_HANDLE));
  if (port == null) return RC_BADH;
  return takeBackDatagram(port, load<u32>(call, CALL_A)) ? RC_OK : RC_INVAL;
}

/** Checks handle, endpoint and parts, and sends. The endpoint may be the one of a received datagram. */
function sendChecked(call: u32, segments: u32, entries: u32): i32 {
  const port = udpPortOfHandle(load<u32>(call, CALL_HANDLE));
  if (port == null) return RC_BADH;
  const endpoint = load<u32>(call, CALL_C);
  if (!isReadable(endpoint, ENDPOINT_SIZE)) return RC_FAULT;
  const high = load<u64>(endpoint);
  const low = load<u64>(endpoint, 8);
  const remotePort: u32 = load<u16>(endpoint, ENDPOINT_PORT);
  if (remotePort == 0) return RC_INVAL;

  const limit = maxUdpPayload(isMapped(high, low));
  let total: u32 = 0;
  let referable = true;
  const end = segments + entries * SG_SIZE;
  for (let at = segments; at < end; at += SG_SIZE) {
    const address = load<u32>(at);
    const length = load<u32>(at, 4);
    // The address of an empty part means nothing.
    if (length == 0) continue;
    if (!isReadable(address, length)) return RC_FAULT;
    if (!inWindow(address, length)) referable = false;
    if (length > limit - total) return RC_MSGSIZE;
    total += length;
  }
  return sendUdp(
    port,
    load<u32>(call, CALL_COOKIE),
    high,
    low,
    remotePort,
    segments,
    entries,
    total,
    referable,
    (load<u32>(call, CALL_OP) & (FLAG_DONT_FRAGMENT << 16)) != 0,
  );
}
