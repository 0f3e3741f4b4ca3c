/**
 * How connections begin: actively by `connect`, passively by a SYN for a listening port, and what the
 * handshake's end does for both (RFC 9293 section 3.5).
 */
import {
  CFG_EPHEMERAL_HIGH,
  CFG_EPHEMERAL_LOW,
  CFG_RECEIVE_WINDOW,
  CFG_TCP_OPTIONS,
  CNT_DROP_NO_ROUTE,
  CNT_DROP_TCP_NO_MEMORY,
  CNT_TCP_ACCEPTS,
  CNT_TCP_CONNECTS,
  EV_CONNECTED,
  EV_KNOCK,
  FLAG_DEFER,
  RC_BADH,
  RC_INUSE,
  RC_NOMEM,
  RC_OK,
  RC_UNREACHABLE,
  TCP_OPTION_SACK,
  TCP_OPTION_TIMESTAMPS,
} from "../abi";
import { config, coreBlock, rtoInitial } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { STATE_PORTS } from "../core/state";
import { insertConnection, isCallable } from "../flow/groups";
import { holdNeighbour, Neighbour } from "../net/neighbour-table";
import { now } from "../time/clock";
import { extendEvent, pushEvent } from "../user/events";
import { ACK, SYN } from "../wire/tcp";
import {
  optionHasTimestamps,
  optionMss,
  optionSackPermitted,
  optionTsEcho,
  optionTsValue,
  optionWindowScale,
  parseTcpOptions,
  TIMESTAMPS_BYTES,
} from "../wire/tcp-options";
import { scheduleNotice } from "./agenda";
import { controlOf, onInit, selectControl } from "./congestion";
import { clearDeadline, setDeadline } from "./deadlines";
import { sendSyn } from "./emit-syn";
import { learnEcn } from "./ecn";
import { abortByApp, recycleTimeWait } from "./end";
import { answerSyn, openHalf, opensFast, takeSynData } from "./fast-open";
import { sendFirstSyn } from "./fast-open-client";
import { initialSequence, portOffset, timestampOffset } from "./isn";
import { enterBacklog, hasBacklogRoom, leaveBacklog, Listener, noteReady } from "./listeners";
import { beginOpenState } from "./open-state";
import { beginQuickAcks } from "./quick-acks";
import { backedOffRto, sampleRtt } from "./rtt";
import {
  allocTcb,
  coldOf,
  ESTABLISHED,
  F_CONNECTING,
  F_DEFER,
  F_IN_BACKLOG,
  F_KNOWN,
  F_OWNED,
  F_PASSIVE,
  F_SCALED,
  F_UNANNOUNCED,
  M_HANDSHAKE,
  R_SACK,
  SYN_RECEIVED,
  SYN_SENT,
  Tcb,
  TcbCold,
} from "./tcb";
import { echoedRtt, noteTimestamp } from "./timestamps";
import {
  findTuple,
  hopNeighbour,
  isRoutable,
  localPortShare,
  localWord,
  pathMss,
  remoteHigh,
  remoteLow,
  remoteSecret,
  setConnection,
  setPeer,
  setSender,
  storeTuple,
  tupleHash,
} from "./tuple";
import { windowShift } from "./window";

/** The MSS of a peer that names none (RFC 9293 section 3.7.1). */
const DEFAULT_MSS: u32 = 536;
/** Smaller ones are taken as this, so that no peer makes us send confetti (as Linux does). */
export const LEAST_MSS: u32 = 48;

/** What `connect` made. */
export let connectHandle: u32 = 0;
let connecting = changetype<Tcb>(0);

/** What choosing ports remembers; in the core's control block. */
@final
@unmanaged
class PortSearch {
  /** Ports tried since the start, so that successive searches begin apart (RFC 6056 section 3.3.3). */
  tried: u32;
}

let search = changetype<PortSearch>(0);

/** Binds this instance to the core. */
export function bindOpen(): void {
  search = changetype<PortSearch>(coreBlock + STATE_PORTS);
}

/**
 * Opens a connection actively.
 *
 * @param high, low address of the peer
 * @param remotePort network order
 * @param localPort network order; 0 lets the kernel choose
 * @param flags F_NAGLE, F_QUIET
 * @param control CONTROL_*, or 0 for the configured one
 */
export function connect(
  high: u64,
  low: u64,
  remotePort: u32,
  localPort: u32,
  cookie: u32,
  flags: u32,
  control: u32,
): i32 {
  const code = beginActively(high, low, remotePort, localPort, cookie, flags, control);
  if (code == RC_OK) sendSyn(connecting, connecting.sndUna, SYN);
  return code;
}

/**
 * The same, with data that its SYN takes along as far as it may (RFC 7413): returns how many bytes, or why
 * there is no connection. The range has been checked.
 */
export function connectSending(
  high: u64,
  low: u64,
  remotePort: u32,
  localPort: u32,
  cookie: u32,
  flags: u32,
  control: u32,
  address: u32,
  length: u32,
): i32 {
  const code = beginActively(high, low, remotePort, localPort, cookie, flags, control);
  return code == RC_OK ? sendFirstSyn(connecting, address, length) : code;
}

/** Everything but the SYN. */
function beginActively(
  high: u64,
  low: u64,
  remotePort: u32,
  localPort: u32,
  cookie: u32,
  flags: u32,
  control: u32,
): i32 {
  if (!setPeer(high, low) || !isRoutable()) return RC_UNREACHABLE;
  const neighbour = hopNeighbour();
  if (neighbour == null) return RC_NOMEM;
  const ports = localPort != 0 ? chosenPorts(remotePort, localPort) : freePorts(remotePort);
  if (ports == 0) return RC_INUSE;
  const tcb = newTcb(ports, tupleHash(ports), neighbour);
  if (tcb == null) return RC_NOMEM;
  const cold = coldOf(tcb);
  tcb.state = <u16>SYN_SENT;
  tcb.cookie = cookie;
  tcb.flags = flags | F_KNOWN | F_OWNED | F_CONNECTING;
  tcb.mss = <u16>min<u32>(DEFAULT_MSS, pathMss());
  selectControl(tcb, control);
  startHandshake(tcb, cold, initialSequence(localWord, remoteSecret(), ports));
  count(CNT_TCP_CONNECTS);
  connecting = tcb;
  connectHandle = tcb.handle;
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
  const tcb = newTcb(packet.ports, packet.hash, neighbour);
  if (tcb == null) {
    count(CNT_DROP_TCP_NO_MEMORY);
    return;
  }
  const cold = coldOf(tcb);
  tcb.state = <u16>SYN_RECEIVED;
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
  answerSyn(tcb, iss);
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
  const tcb = newTcb(packet.ports, packet.hash, neighbour);
  if (tcb == null) {
    count(CNT_DROP_TCP_NO_MEMORY);
    return null;
  }
  const cold = coldOf(tcb);
  tcb.state = <u16>SYN_RECEIVED;
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

/** What both sides' window-scale options come to. */
function takeScale(tcb: Tcb, scale: u32): void {
  if (scale != 255) {
    tcb.flags |= F_SCALED;
    tcb.sndShift = <u8>scale;
    tcb.rcvShift = <u8>windowShift();
  } else {
    tcb.flags &= ~F_SCALED;
    tcb.sndShift = 0;
    tcb.rcvShift = 0;
    tcb.rcvWindow = min<u32>(tcb.rcvWindow, 65535);
  }
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
    sendSyn(tcb, tcb.sndUna, SYN | ACK);
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

/** Takes over what a SYN or SYN-ACK says: sequence number, window, options. */
export function learnSyn(tcb: Tcb, packet: Packet): void {
  const cold = coldOf(tcb);
  parseTcpOptions(packet.l4, packet.options);
  learnEcn(tcb, packet.flags);
  tcb.rcvNxt = packet.seq + 1;
  // What a SYN of ours offered, which is never scaled.
  tcb.rcvAdv = tcb.rcvNxt + min<u32>(tcb.rcvWindow, 65535);
  tcb.rcvAcked = packet.seq;
  const wanted = config(CFG_TCP_OPTIONS);
  const timestamps = optionHasTimestamps && (wanted & TCP_OPTION_TIMESTAMPS) != 0;
  tcb.optionBytes = <u8>(timestamps ? TIMESTAMPS_BYTES : 0);
  if (timestamps) noteTimestamp(cold, optionTsValue);
  if (optionSackPermitted && wanted & TCP_OPTION_SACK) cold.repair |= R_SACK;
  else cold.repair &= ~R_SACK;
  setSender(packet);
  const announced = optionMss == 0 ? DEFAULT_MSS : max<u32>(optionMss, LEAST_MSS);
  // The MSS does not count options (RFC 9293 section 3.7.1, RFC 6691).
  tcb.mss = <u16>(min<u32>(announced, pathMss()) - tcb.optionBytes);
  takeScale(tcb, optionWindowScale);
  tcb.sndWnd = packet.window;
  tcb.sndWl1 = packet.seq;
  cold.sndWndMax = packet.window;
}

/** Both sides' SYNs are acknowledged. */
export function establish(tcb: Tcb): void {
  const cold = coldOf(tcb);
  const echoed = optionHasTimestamps && tcb.optionBytes != 0 ? echoedRtt(cold, optionTsEcho) : 0;
  clearDeadline(tcb);
  tcb.state = <u16>ESTABLISHED;
  tcb.backoff = 0;
  if (cold.synCount == 1) sampleRtt(cold, now - cold.synSentAt);
  else if (echoed != 0) sampleRtt(cold, echoed);
  // RFC 6298 section 5.7: a SYN that timed out leaves 3 s without a sample.
  else if (cold.srtt8 == 0) cold.rto = max<u32>(cold.rto, rtoInitial * 3);
  if (tcb.flags & F_IN_BACKLOG) noteReady(tcb);
  beginOpenState(tcb);
  onInit(tcb);
  beginQuickAcks(tcb);
  cold.tuneStart = now;
  if (tcb.flags & F_CONNECTING) {
    tcb.flags &= ~F_CONNECTING;
    pushEvent(EV_CONNECTED, tcb.handle, tcb.cookie, RC_OK, bswap<u16>(<u16>(tcb.ports >> 16)), 0);
  } else if (tcb.flags & F_OWNED) {
    // Accepted in its handshake, whose end the application waits for.
    if (tcb.flags & F_IN_BACKLOG) leaveBacklog(tcb);
    cold.moving = 0;
    pushEvent(EV_CONNECTED, tcb.handle, tcb.cookie, RC_OK, bswap<u16>(<u16>(tcb.ports >> 16)), 0);
  } else if (!(tcb.flags & F_KNOWN)) {
    // One that `arrived` announced in its handshake hears of the end of it after accept.
    knock(tcb);
  }
}

/** Tells the application of a new connection. */
function knock(tcb: Tcb): void {
  tcb.flags |= F_KNOWN;
  const ports = u32(bswap<u16>(<u16>tcb.ports)) | (u32(bswap<u16>(<u16>(tcb.ports >> 16))) << 16);
  setConnection(tcb);
  const first = u32(remoteHigh);
  const second = u32(remoteHigh >> 32);
  const event = pushEvent(EV_KNOCK, tcb.handle, tcb.cookie, ports, first, second);
  extendEvent(event, u32(remoteLow), u32(remoteLow >> 32));
}

/** A TCB between the two in hand. */
function newTcb(ports: u32, hash: u32, neighbour: Neighbour): Tcb | null {
  let tcb = allocTcb();
  while (tcb == null && recycleTimeWait()) tcb = allocTcb();
  if (tcb == null) return null;
  storeTuple(tcb);
  tcb.ports = ports;
  tcb.hash = hash;
  tcb.neighbour = neighbour;
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

/** The port pair with a chosen local port, or 0 when that tuple is taken or another core's. */
function chosenPorts(remotePort: u32, localPort: u32): u32 {
  const ports = remotePort | (localPort << 16);
  return isFree(ports, tupleHash(ports)) ? ports : 0;
}

function isFree(ports: u32, hash: u32): bool {
  return isCallable(hash) && findTuple(hash, ports) == null;
}

/**
 * A port pair that is free and whose replies the NIC brings to this core (RFC 6056 section 3.3.3 with
 * the hash of RSS as a further condition); 0 when there is none. The hash is linear, so a port costs two
 * lookups to try, and as many as there are cores have to be tried on average.
 */
function freePorts(remotePort: u32): u32 {
  const low = config(CFG_EPHEMERAL_LOW);
  const range = config(CFG_EPHEMERAL_HIGH) - low + 1;
  const base = tupleHash(remotePort);
  let at = (portOffset(localWord, remoteSecret(), remotePort) + search.tried) % range;
  for (let tried: u32 = 0; tried < range; tried++) {
    search.tried++;
    const port: u32 = bswap<u16>(<u16>(low + at));
    const ports = remotePort | (port << 16);
    if (isFree(ports, base ^ localPortShare(port))) return ports;
    at = at + 1 == range ? 0 : at + 1;
  }
  return 0;
}
