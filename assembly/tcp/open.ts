/**
 * How connections begin: actively by `connect`, passively by a SYN for a listening port or by the ACK of a cookie,
 * and what the application says to the latter.
 */
import {
  CFG_RECEIVE_WINDOW,
  CNT_DROP_NO_ROUTE,
  CNT_DROP_TCP_NO_MEMORY,
  CNT_TCP_ACCEPTS,
  CNT_TCP_CONNECTS,
  FLAG_DEFER,
  RC_BADH,
  RC_INUSE,
  RC_NOMEM,
  RC_OK,
  RC_UNREACHABLE,
} from "../abi";
import { config, rtoInitial } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { markInProgress } from "../core/state";
import { insertConnection } from "../flow/groups";
import { holdNeighbour, Neighbour } from "../net/neighbour-table";
import { now } from "../time/clock";
import { optionHasTimestamps, optionTsValue, TIMESTAMPS_BYTES } from "../wire/tcp-options";
import { scheduleNotice } from "./agenda";
import { controlOf, selectControl } from "./congestion";
import { clearDeadline, setDeadline } from "./deadlines";
import { sendSyn } from "./emit-syn";
import { abortByApp, recycleTimeWait } from "./end";
import { answerSyn, openHalf, opensFast, takeSynData } from "./fast-open";
import { knock, learnSyn, takeScale } from "./handshake";
import { initialSequence, timestampOffset } from "./isn";
import { enterBacklog, hasBacklogRoom, leaveBacklog, Listener } from "./listeners";
import { portsFor } from "./ports";
import { backedOffRto } from "./rtt";
import { SYN_RECEIVED, SYN_SENT } from "./states";
import {
  coldOf,
  F_CONNECTING,
  F_DEFER,
  F_IN_BACKLOG,
  F_KNOWN,
  F_OWNED,
  F_PASSIVE,
  F_UNANNOUNCED,
  M_HANDSHAKE,
  R_SACK,
  Tcb,
  TcbCold,
} from "./tcb";
import { allocTcb } from "./tcb-pool";
import { noteTimestamp } from "./timestamps";
import {
  defaultMss,
  hopNeighbour,
  isRoutable,
  localWord,
  pathMss,
  remoteSecret,
  storeTuple,
  tupleHash,
} from "./tuple";
import { windowShift } from "./window";

/** What `connect` made, whose SYN is still to be sent: by `sendSyn`, or with data by `sendFirstSyn`. */
export let connecting = changetype<Tcb>(0);

/**
 * Opens a connection actively to the peer in hand (tuple.ts), up to its SYN.
 *
 * @param remotePort network order
 * @param localPort network order; 0 lets the kernel choose
 * @param flags F_NAGLE, F_QUIET
 * @param control CONTROL_*, or 0 for the configured one
 */
export function connect(
  remotePort: u32,
  localPort: u32,
  cookie: u32,
  flags: u32,
  control: u32,
): i32 {
  if (!isRoutable()) return RC_UNREACHABLE;
  const neighbour = hopNeighbour();
  if (neighbour == null) return RC_NOMEM;
  const ports = portsFor(remotePort, localPort);
  if (ports == 0) return RC_INUSE;
  const tcb = newTcb(SYN_SENT, ports, tupleHash(ports), neighbour);
  if (tcb == null) return RC_NOMEM;
  const cold = coldOf(tcb);
  tcb.cookie = cookie;
  tcb.flags = flags | F_KNOWN | F_OWNED | F_CONNECTING;
  tcb.mss = <u16>min<u32>(defaultMss(), pathMss());
  selectControl(tcb, control);
  startHandshake(tcb, cold, initialSequence(localWord, remoteSecret(), ports));
  count(CNT_TCP_CONNECTS);
  connecting = tcb;
  return RC_OK;
}

/**
 * A SYN for a listening port (RFC 9293 section 3.10.7.2, third step).
 *
 * @param packet whose sender is in hand (tuple.ts)
 * @param iss our first sequence number
 */
export function openPassively(packet: Packet, listener: Listener, iss: u32): void {
  if (!hasBacklogRoom(listener)) return;
  if (!isRoutable()) {
    count(CNT_DROP_NO_ROUTE);
    return;
  }
  const neighbour = hopNeighbour();
  if (neighbour == null) {
    count(CNT_DROP_TCP_NO_MEMORY);
    return;
  }
  const tcb = newTcb(SYN_RECEIVED, packet.ports, packet.hash, neighbour);
  if (tcb == null) {
    count(CNT_DROP_TCP_NO_MEMORY);
    return;
  }
  const cold = coldOf(tcb);
  tcb.flags = F_PASSIVE;
  tcb.cookie = listener.cookie;
  enterBacklog(tcb, listener);
  selectControl(tcb, controlOf(listener.flags));
  learnSyn(tcb, packet);
  startHandshake(tcb, cold, iss);
  if (listener.flags & FLAG_DEFER) {
    tcb.flags |= F_DEFER;
    clearDeadline(tcb);
    knock(tcb);
    return;
  }
  if (opensFast(listener, packet)) {
    openHalf(tcb, listener);
    knock(tcb);
    takeSynData(tcb, packet);
  }
  answerSyn(tcb);
}

/**
 * A connection that an ACK brings forth, because it carries a cookie of ours; its sender is in hand.
 *
 * @param iss the cookie
 * @param mss that the SYN announced; SACK and window scaling (255: none) as it offered them
 */
export function openByCookie(
  packet: Packet,
  listener: Listener,
  iss: u32,
  mss: u32,
  sack: bool,
  scale: u32,
): Tcb | null {
  if (!isRoutable()) return null;
  const neighbour = hopNeighbour();
  if (neighbour == null) return null;
  const tcb = newTcb(SYN_RECEIVED, packet.ports, packet.hash, neighbour);
  if (tcb == null) {
    count(CNT_DROP_TCP_NO_MEMORY);
    return null;
  }
  const cold = coldOf(tcb);
  tcb.flags = F_PASSIVE;
  tcb.cookie = listener.cookie;
  enterBacklog(tcb, listener);
  selectControl(tcb, controlOf(listener.flags));
  tcb.rcvNxt = packet.seq;
  tcb.rcvAcked = packet.seq;
  if (optionHasTimestamps) {
    tcb.optionBytes = <u8>TIMESTAMPS_BYTES;
    noteTimestamp(cold, optionTsValue);
  }
  if (sack) cold.repair |= R_SACK;
  tcb.mss = <u16>(min<u32>(mss, pathMss()) - tcb.optionBytes);
  takeScale(tcb, scale);
  tcb.rcvAdv = tcb.rcvNxt + min<u32>(tcb.rcvWindow, 65535);
  startHandshake(tcb, cold, iss);
  // When the SYN-ACK went out nobody knows: the round trip is that of an echo, or none.
  cold.synCount = 0;
  return tcb;
}

/**
 * accept: the application takes the connection that knocked.
 *
 * @param control CONTROL_*, or 0 to leave it as `listen` or the configuration has it
 */
export function accept(tcb: Tcb, cookie: u32, flags: u32, control: u32): i32 {
  if (tcb.flags & F_OWNED) return RC_BADH;
  tcb.cookie = cookie;
  tcb.flags |= flags | F_OWNED;
  if (control != 0) selectControl(tcb, control);
  count(CNT_TCP_ACCEPTS);
  if (tcb.flags & F_DEFER) {
    tcb.flags &= ~F_DEFER;
    const cold = coldOf(tcb);
    // The round trip begins now, however long the application has thought.
    cold.synSentAt = now;
    setDeadline(tcb, now + backedOffRto(tcb, cold));
    sendSyn(tcb);
    return RC_OK;
  }
  if (tcb.flags & F_IN_BACKLOG) leaveBacklog(tcb);
  if (coldOf(tcb).moving & M_HANDSHAKE && tcb.state > SYN_RECEIVED) {
    // Its data waits behind `connected`.
    tcb.flags |= F_UNANNOUNCED;
  }
  if (tcb.flags & F_UNANNOUNCED) scheduleNotice(tcb);
  return RC_OK;
}

/** reject: refuses the connection that knocked, with a RST. */
export function reject(tcb: Tcb): i32 {
  if (tcb.flags & F_OWNED) return RC_BADH;
  abortByApp(tcb);
  return RC_OK;
}

/** A TCB between the two in hand. Should this thread die while it is being made, it is not to be trusted. */
function newTcb(state: u32, ports: u32, hash: u32, neighbour: Neighbour): Tcb | null {
  let tcb = allocTcb();
  while (tcb == null && recycleTimeWait()) tcb = allocTcb();
  if (tcb == null) return null;
  markInProgress(changetype<u32>(tcb));
  storeTuple(tcb);
  tcb.ports = ports;
  tcb.hash = hash;
  tcb.neighbour = neighbour;
  // What is in the table without a state ends its chain (rescue.ts).
  tcb.state = <u16>state;
  holdNeighbour(neighbour);
  insertConnection(tcb);
  tcb.rcvWindow = config(CFG_RECEIVE_WINDOW);
  return tcb;
}

function startHandshake(tcb: Tcb, cold: TcbCold, iss: u32): void {
  cold.recover = iss;
  tcb.sndUna = iss;
  tcb.sndNxt = iss + 1;
  cold.sndMax = iss + 1;
  cold.sndEnd = iss + 1;
  cold.rto = rtoInitial;
  cold.synSentAt = now;
  cold.synCount = 1;
  cold.tsOffset = timestampOffset(tcb.localIp, tcb.remoteIp);
  if (tcb.state == SYN_SENT) tcb.rcvShift = <u8>windowShift();
  setDeadline(tcb, now + rtoInitial);
}
