/**
 * The system calls on connections: each checks its descriptor completely, then acts. A call's address
 * is that of its 32-byte descriptor; what is returned becomes its result.
 */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_HANDLE,
  CALL_OP,
  CFG_FAST_OPEN,
  CONTROL_END,
  CONTROL_MASK,
  CONTROL_SHIFT,
  ENDPOINT_PORT,
  ENDPOINT_SIZE,
  FAST_OPEN_CLIENT,
  FLAG_DEFER,
  FLAG_MORE,
  FLAG_NAGLE,
  FLAG_QUIET,
  FLAG_RECORD_END,
  RC_AGAIN,
  RC_BADH,
  RC_CLOSED,
  RC_FAULT,
  RC_INVAL,
  RC_MOVED,
  RC_NOBUFS,
  RC_NOTSUP,
  RC_OK,
  RC_RESET,
  RC_UNREACHABLE,
  SG_MAX,
  SG_SIZE,
} from "../abi";
import { config } from "../core/config";
import { markInProgress } from "../core/state";
import { isCallable } from "../flow/groups";
import { Buffer } from "../mem/buffers";
import { isBroadcast } from "../net/routes";
import { scheduleNotice } from "../tcp/agenda";
import { takeBack } from "../tcp/deliver";
import { controlOf } from "../tcp/congestion";
import { sendSyn } from "../tcp/emit-syn";
import { abortByApp, bury, kill, limitFinWait2, orderlyEnd, reset } from "../tcp/end";
import { sendFirstSyn } from "../tcp/fast-open-client";
import { listen, listenHandle } from "../tcp/listeners";
import { accept, connect, connecting, reject } from "../tcp/open";
import { output } from "../tcp/output";
import { acceptable, enqueue, portion } from "../tcp/send";
import { MORE_FOLLOWS, RECORD_END } from "../tcp/send-queue";
import {
  CAN_SEND,
  CLOSE_WAIT,
  DONE,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
} from "../tcp/states";
import {
  coldOf,
  F_APP_CLOSED,
  F_BLOCKED,
  F_CONNECTING,
  F_FIN_QUEUED,
  F_KNOWN,
  F_MORE,
  F_NAGLE,
  F_OWNED,
  F_QUIET,
  F_STARVED,
  M_LEFT,
  Tcb,
} from "../tcp/tcb";
import { tcbOfHandle } from "../tcp/tcb-pool";
import { setPeer } from "../tcp/tuple";
import { isIpv6Unicast, isMapped, mappedIpv4 } from "../wire/ipv6";
import { inWindow, isReadable } from "./check";

export function sysConnect(call: u32): i32 {
  const ports = load<u32>(call, CALL_HANDLE);
  const high = load<u64>(call, CALL_A);
  const low = load<u64>(call, CALL_A + 8);
  const code = open(call, high, low, ports & 0xffff, ports >> 16);
  if (code != RC_OK) return code;
  sendSyn(connecting);
  store<u32>(call, connecting.handle, CALL_HANDLE);
  return RC_OK;
}

/** A connect whose SYN takes data along where it may (RFC 7413): returns how many bytes. */
export function sysConnectSend(call: u32): i32 {
  const endpoint = load<u32>(call, CALL_C);
  const address = load<u32>(call, CALL_A);
  const length = load<u32>(call, CALL_B);
  if (!(config(CFG_FAST_OPEN) & FAST_OPEN_CLIENT)) return RC_NOTSUP;
  if (!inWindow(endpoint, ENDPOINT_SIZE) || !isReadable(address, length)) return RC_FAULT;
  const high = load<u64>(endpoint);
  const low = load<u64>(endpoint, 8);
  const port: u32 = load<u16>(endpoint, ENDPOINT_PORT);
  const code = open(call, high, low, port, load<u32>(call, CALL_HANDLE));
  if (code != RC_OK) return code;
  const taken = sendFirstSyn(connecting, address, length);
  store<u32>(call, connecting.handle, CALL_HANDLE);
  return taken;
}

/** The checks of both, and the connection up to its SYN. */
function open(call: u32, high: u64, low: u64, port: u32, localPort: u32): i32 {
  if (port == 0 || localPort > 65535 || !isHost(high, low)) return RC_INVAL;
  const flags = load<u32>(call, CALL_OP) >> 16;
  const control = controlOf(flags);
  if (control >= CONTROL_END) return RC_INVAL;
  if (!setPeer(high, low)) return RC_UNREACHABLE;
  const remotePort: u32 = bswap<u16>(<u16>port);
  const ownPort: u32 = bswap<u16>(<u16>localPort);
  const cookie = load<u32>(call, CALL_COOKIE);
  return connect(remotePort, ownPort, cookie, connectionFlags(flags), control);
}

/** Neither "this host" nor multicast nor broadcast can be connected to. */
function isHost(high: u64, low: u64): bool {
  if (!isMapped(high, low)) return isIpv6Unicast(high, low);
  const remote = mappedIpv4(low);
  const first = remote & 0xff;
  return first != 0 && first < 224 && !isBroadcast(remote);
}

export function sysAccept(call: u32): i32 {
  const tcb = knownTcb(call);
  if (tcb == null) return wrongHandle(call);
  const flags = load<u32>(call, CALL_OP) >> 16;
  const control = controlOf(flags);
  if (control >= CONTROL_END) return RC_INVAL;
  return accept(tcb, load<u32>(call, CALL_COOKIE), connectionFlags(flags), control);
}

export function sysReject(call: u32): i32 {
  const tcb = knownTcb(call);
  if (tcb == null) return wrongHandle(call);
  return reject(tcb);
}

export function sysSend(call: u32): i32 {
  const tcb = ownedTcb(call);
  if (tcb == null) return wrongHandle(call);
  const address = load<u32>(call, CALL_A);
  const length = load<u32>(call, CALL_B);
  if (!isReadable(address, length)) return RC_FAULT;
  const refusal = mayNotSend(tcb);
  if (refusal != RC_OK) return refusal;
  const taken = enqueue(tcb, address, portion(tcb, length, acceptable(tcb)));
  return afterSend(tcb, call, length, taken);
}

/** All entries are checked before the first byte is taken. */
export function sysSendv(call: u32): i32 {
  const tcb = ownedTcb(call);
  if (tcb == null) return wrongHandle(call);
  const array = load<u32>(call, CALL_A);
  const entries = load<u32>(call, CALL_B);
  if (entries > SG_MAX) return RC_INVAL;
  if (!inWindow(array, entries * SG_SIZE)) return RC_FAULT;
  let requested: u64 = 0;
  for (let i: u32 = 0; i < entries; i++) {
    const entry = array + i * SG_SIZE;
    const length = load<u32>(entry, 4);
    if (!isReadable(load<u32>(entry), length)) return RC_FAULT;
    requested += u64(length);
  }
  if (requested > 0x7fffffff) return RC_INVAL;
  const refusal = mayNotSend(tcb);
  if (refusal != RC_OK) return refusal;
  let room = portion(tcb, u32(requested), acceptable(tcb));
  let taken: u32 = 0;
  for (let i: u32 = 0; i < entries && room != 0; i++) {
    const entry = array + i * SG_SIZE;
    const wanted = min<u32>(load<u32>(entry, 4), room);
    const got = enqueue(tcb, load<u32>(entry), wanted);
    taken += got;
    room -= got;
    if (got != wanted) break;
  }
  return afterSend(tcb, call, u32(requested), taken);
}

export function sysRecvDone(call: u32): i32 {
  const tcb = ownedTcb(call);
  if (tcb == null) return wrongHandle(call);
  return takeBack(tcb, load<u32>(call, CALL_A));
}

/** FIN after what was sent; receiving goes on. */
export function sysShutdown(call: u32): i32 {
  const tcb = ownedTcb(call);
  if (tcb == null) return wrongHandle(call);
  if (tcb.flags & F_FIN_QUEUED) return RC_CLOSED;
  const refusal = mayNotSend(tcb);
  if (refusal != RC_OK) return refusal;
  queueFin(tcb);
  return RC_OK;
}

/** FIN after what was sent, and the application's farewell. */
export function sysClose(call: u32): i32 {
  const tcb = ownedTcb(call);
  if (tcb == null) return wrongHandle(call);
  if (tcb.state & (SYN_SENT | SYN_RECEIVED)) {
    // Nothing was exchanged that a FIN could follow.
    tcb.flags &= ~F_CONNECTING;
    // But data may lie in the SYN.
    if (tcb.state == SYN_SENT) kill(tcb, tcb.txHead != 0 ? RC_RESET : RC_OK);
    else reset(tcb, RC_OK);
    return RC_OK;
  }
  tcb.flags |= F_APP_CLOSED;
  bury(tcb);
  if (tcb.state & (TIME_WAIT | DONE)) {
    orderlyEnd(tcb);
    return RC_OK;
  }
  if (tcb.state & CAN_SEND) {
    queueFin(tcb);
  } else if (tcb.state == FIN_WAIT_2) {
    // The FIN of an earlier shutdown is acknowledged already.
    orderlyEnd(tcb);
    limitFinWait2(tcb);
  }
  return RC_OK;
}

export function sysAbort(call: u32): i32 {
  const tcb = knownTcb(call);
  if (tcb == null) return wrongHandle(call);
  abortByApp(tcb);
  return RC_OK;
}

export function sysListen(call: u32): i32 {
  const port = load<u32>(call, CALL_A);
  const backlog = load<u32>(call, CALL_B);
  if (port == 0 || port > 65535 || backlog == 0) return RC_INVAL;
  const flags = load<u32>(call, CALL_OP) >> 16;
  if (controlOf(flags) >= CONTROL_END) return RC_INVAL;
  const kept = flags & (FLAG_DEFER | (CONTROL_MASK << CONTROL_SHIFT));
  const code = listen(port, backlog, load<u32>(call, CALL_COOKIE), kept, load<u32>(call, CALL_C));
  if (code == RC_OK) store<u32>(call, listenHandle, CALL_HANDLE);
  return code;
}

/** Stores a number that travels with the connection from core to core. */
export function sysTag(call: u32): i32 {
  const tcb = knownTcb(call);
  if (tcb == null) return wrongHandle(call);
  coldOf(tcb).tag = load<u32>(call, CALL_A);
  return RC_OK;
}

/** Why a handle names no connection of this application. */
export function wrongHandle(call: u32): i32 {
  const tcb = tcbOfHandle(load<u32>(call, CALL_HANDLE));
  if (tcb == null) return RC_BADH;
  const elsewhere = !isCallable(tcb.hash) || (coldOf(tcb).moving & M_LEFT) != 0;
  return elsewhere ? RC_MOVED : RC_BADH;
}

/** The live connection that a descriptor names, if the application has been told of it. */
export function knownTcb(call: u32): Tcb | null {
  const tcb = tcbOfHandle(load<u32>(call, CALL_HANDLE));
  if (tcb == null || !(tcb.flags & F_KNOWN) || !isCallable(tcb.hash)) return null;
  markInProgress(changetype<u32>(tcb));
  return tcb;
}

/** The same, if the application has accepted it and not closed it. */
export function ownedTcb(call: u32): Tcb | null {
  const tcb = knownTcb(call);
  if (tcb == null || (tcb.flags & (F_OWNED | F_APP_CLOSED)) != F_OWNED) return null;
  return tcb;
}

function connectionFlags(requested: u32): u32 {
  let flags: u32 = 0;
  if (requested & FLAG_NAGLE) flags |= F_NAGLE;
  if (requested & FLAG_QUIET) flags |= F_QUIET;
  return flags;
}

function mayNotSend(tcb: Tcb): i32 {
  if (tcb.state & (SYN_SENT | SYN_RECEIVED)) return RC_AGAIN;
  if (!(tcb.state & CAN_SEND) || tcb.flags & F_FIN_QUEUED) return RC_CLOSED;
  return RC_OK;
}

/** Sends what was queued, and remembers that the application wants to send more than it could. */
function afterSend(tcb: Tcb, call: u32, requested: u32, taken: u32): i32 {
  const wishes = load<u32>(call, CALL_OP) & ((FLAG_MORE | FLAG_RECORD_END) << 16);
  if (tcb.flags & F_MORE && (taken != 0 || !(wishes & (FLAG_MORE << 16)))) noMore(tcb);
  if (wishes != 0 && taken != 0) noteWishes(tcb, wishes >> 16, taken == requested);
  if (tcb.txNext != 0) output(tcb);
  if (taken == requested) return taken;
  tcb.flags |= F_BLOCKED;
  if (tcb.txHead == 0) {
    // No frame for even one segment, and no ACK will come to try again on.
    tcb.flags |= F_STARVED;
    scheduleNotice(tcb);
    return RC_NOBUFS;
  }
  return taken;
}

/** What was said to follow has come, or does not: what waits for it ends with PSH. */
function noMore(tcb: Tcb): void {
  tcb.flags &= ~F_MORE;
  if (tcb.txNext != 0) changetype<Buffer>(tcb.txTail).flags &= ~MORE_FOLLOWS;
}

/** Notes what the flags of a send, of which some was taken, say of its end. */
function noteWishes(tcb: Tcb, flags: u32, whole: bool): void {
  const last = changetype<Buffer>(tcb.txTail);
  if (flags & FLAG_RECORD_END && whole) last.flags |= RECORD_END;
  if (!(flags & FLAG_MORE)) return;
  tcb.flags |= F_MORE;
  last.flags |= MORE_FOLLOWS;
}

function queueFin(tcb: Tcb): void {
  tcb.flags = (tcb.flags | F_FIN_QUEUED) & ~F_MORE;
  tcb.state = <u16>(tcb.state == CLOSE_WAIT ? LAST_ACK : FIN_WAIT_1);
  output(tcb);
}
