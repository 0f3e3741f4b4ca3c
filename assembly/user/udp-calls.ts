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
  ENDPOINT_PORT,
  ENDPOINT_SIZE,
  RC_BADH,
  RC_FAULT,
  RC_INUSE,
  RC_INVAL,
  RC_MSGSIZE,
  RC_NOMEM,
  RC_NOTSUP,
  RC_OK,
  SG_MAX,
  SG_SIZE,
} from "../abi";
import { maxUdpPayload, sendUdp } from "../net/udp-output";
import {
  anyUdpPort,
  bindUdpPort,
  drawUdpPort,
  findUdpPort,
  udpPortOfHandle,
  unbindUdpPort,
} from "../net/udp-ports";
import { takeBackAll, takeBackDatagram } from "../net/udp";
import { MAPPED_PREFIX } from "../wire/ipv4";
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
  takeBackAll(port);
  unbindUdpPort(port);
  return RC_OK;
}

/** Ends all bindings of this core in the same way. */
export function unbindAll(): void {
  for (let port = anyUdpPort(); port != null; port = anyUdpPort()) {
    takeBackAll(port);
    unbindUdpPort(port);
  }
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
  if (load<u64>(endpoint) != 0 || load<u32>(endpoint, 8) != MAPPED_PREFIX) return RC_NOTSUP;
  const destination = load<u32>(endpoint, 12);
  const remotePort: u32 = load<u16>(endpoint, ENDPOINT_PORT);
  if (remotePort == 0) return RC_INVAL;

  const limit = maxUdpPayload();
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
    destination,
    remotePort,
    segments,
    entries,
    total,
    referable,
  );
}
