/**
 * A TCP segment arrives: find its connection, take the short path when it is the in-order segment of
 * an established connection that most are, and go through RFC 9293 section 3.10.7 otherwise.
 */
import {
  CNT_DROP_TCP_MALFORMED,
  CNT_DROP_TCP_NO_CONNECTION,
  CNT_TCP_FAST_PATH,
  CNT_TCP_IN,
  CNT_TCP_RESETS_IN,
} from "../abi";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { markInProgress } from "../core/state";
import { setAside } from "../flow/backlog";
import { isHandedOver } from "../flow/departure";
import { findConnection, isForeign, notePacket } from "../flow/groups";
import { framesShort, release } from "../mem/buffers";
import { ACK, FIN, RST, SYN, URG } from "../wire/tcp";
import { timestampValue } from "../wire/tcp-options";
import { isDigest } from "../net/digest";
import { acknowledge } from "./ack";
import { scheduleOutput } from "./agenda";
import { sendCookie, takeCookie } from "./cookies";
import { deliver } from "./deliver";
import { ecnExpected } from "./ecn";
import { sendReset } from "./emit";
import { initialSequence } from "./isn";
import { noteHeard } from "./keep-alive";
import { findListener } from "./listeners";
import { openPassively } from "./open";
import { output } from "./output";
import { segmentArrives } from "./segment";
import { ESTABLISHED } from "./states";
import { C_ECN, C_KEEP_ALIVE, coldOf, F_ACK_PENDING, F_SLOW, Tcb } from "./tcb";
import { findTuple, localWord, remoteSecret, setSender } from "./tuple";
import { echoLater, hasFreshTimestamp } from "./timestamps";

/** Takes one parsed segment in. The packet's buffer is the caller's no longer. */
export function tcpInput(packet: Packet): void {
  if (isForeign(packet.hash)) setAside(packet, isHandedOver());
  else tcpSegment(packet);
}

/** Processes a segment of a flow group of this core. */
export function tcpSegment(packet: Packet): void {
  count(CNT_TCP_IN);
  notePacket(packet.hash);
  let tcb = connectionOf(packet);
  if (tcb == null && (packet.flags & (SYN | RST | ACK)) == ACK) tcb = takeCookie(packet);
  if (tcb == null) {
    noConnection(packet);
    release(packet.buffer);
    return;
  }
  markInProgress(changetype<u32>(tcb));
  if (isExpected(tcb, packet)) {
    count(CNT_TCP_FAST_PATH);
    takeExpected(tcb, packet);
    return;
  }
  segmentArrives(tcb, packet);
}

function connectionOf(packet: Packet): Tcb | null {
  if (isDigest(packet.destination)) {
    setSender(packet);
    return findTuple(packet.hash, packet.ports);
  }
  return findConnection(packet.hash, packet.ports, packet.source, packet.destination);
}

/** The in-order segment of an established connection with nothing special about it. */
function isExpected(tcb: Tcb, packet: Packet): bool {
  // Established, nothing lost, nothing out of order, all announced.
  if (tcb.state != ESTABLISHED || tcb.flags & F_SLOW) return false;
  // The next byte in sequence …
  if (packet.seq != tcb.rcvNxt) return false;
  // … with the options that were agreed on and no others …
  if (packet.options != tcb.optionBytes) return false;
  if (packet.options != 0 && !hasFreshTimestamp(tcb, packet)) return false;
  // … with ACK, perhaps PSH, and no other flag …
  if ((packet.flags & (FIN | SYN | RST | ACK | URG)) != ACK) return false;
  // … within the window that was offered, while there are frames for it …
  if (packet.length > tcb.rcvAdv - tcb.rcvNxt || framesShort()) return false;
  // … acknowledging something between what was acknowledged and what was sent …
  const acked = packet.ack - tcb.sndUna;
  if (acked > tcb.sndNxt - tcb.sndUna) return false;
  // … and not a pure ACK for nothing new, which may be a sign of loss or a window update.
  return acked != 0 || packet.length != 0;
}

function takeExpected(tcb: Tcb, packet: Packet): void {
  if (packet.options != 0) echoLater(tcb, packet.seq, timestampValue(packet.l4));
  if (tcb.controlFlags & (C_ECN | C_KEEP_ALIVE)) {
    if (tcb.controlFlags & C_ECN) ecnExpected(tcb, packet);
    if (tcb.controlFlags & C_KEEP_ALIVE) noteHeard(tcb);
  }
  tcb.sndWl1 = packet.seq;
  const window = packet.window << tcb.sndShift;
  if (window > tcb.sndWnd) noteWindow(tcb, window);
  tcb.sndWnd = window;
  if (packet.ack != tcb.sndUna) acknowledge(tcb, packet.ack);
  const length = packet.length;
  if (length == 0) {
    release(packet.buffer);
  } else {
    tcb.rcvNxt += length;
    tcb.flags |= F_ACK_PENDING;
    deliver(tcb, packet.buffer, packet.payload, length);
    scheduleOutput(tcb);
  }
  if (tcb.txNext != 0) output(tcb);
}

/** Remembers the largest window that the peer ever offered. */
function noteWindow(tcb: Tcb, window: u32): void {
  const cold = coldOf(tcb);
  if (window > cold.sndWndMax) cold.sndWndMax = window;
}

/** No connection has this tuple: a SYN may open one, all else is refused (section 3.10.7.1 and .2). */
function noConnection(packet: Packet): void {
  const flags = packet.flags;
  if ((packet.ports & 0xffff) == 0 || packet.ports >> 16 == 0) {
    // Port 0 is nobody's; no connection has it, so only here it needs a look.
    count(CNT_DROP_TCP_MALFORMED);
    return;
  }
  if (flags & RST) {
    count(CNT_TCP_RESETS_IN);
    return;
  }
  const listener = findListener(bswap<u16>(<u16>(packet.ports >> 16)));
  if (listener != null && (flags & (SYN | ACK | FIN)) == SYN) {
    setSender(packet);
    // In a flood this is all that a SYN costs: no memory, and no hash but the cookie's.
    if (listener.pending >= listener.backlog && sendCookie(packet, listener)) return;
    const iss = initialSequence(localWord, remoteSecret(), packet.ports);
    openPassively(packet, listener, iss);
    return;
  }
  count(CNT_DROP_TCP_NO_CONNECTION);
  // Neither SYN nor ACK makes no sense to a listener, which then says nothing (3.10.7.2, fourth step).
  if (listener == null || flags & ACK) refuse(packet);
}

/** Answers a segment with a RST that its sender will believe (section 3.10.7.1). */
export function refuse(packet: Packet): void {
  const flags = packet.flags;
  if (flags & RST) return;
  if (flags & ACK) {
    sendReset(packet, packet.ack, 0, 0);
    return;
  }
  let length = packet.length;
  if (flags & SYN) length++;
  if (flags & FIN) length++;
  sendReset(packet, 0, packet.seq + length, ACK);
}
