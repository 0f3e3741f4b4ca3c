/**
 * The handshake of both kinds of open (RFC 9293 section 3.5): what the peer's SYN says, what both SYNs agree on,
 * and what begins when both are acknowledged.
 */
import {
  CFG_TCP_OPTIONS,
  EV_CONNECTED,
  EV_KNOCK,
  RC_OK,
  TCP_OPTION_SACK,
  TCP_OPTION_TIMESTAMPS,
} from "../abi";
import { config, rtoInitial } from "../core/config";
import { Packet } from "../core/packet";
import { now } from "../time/clock";
import { extendEvent, pushEvent } from "../user/events";
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
import { onInit } from "./congestion";
import { clearDeadline } from "./deadlines";
import { learnEcn } from "./ecn";
import { leaveBacklog, noteReady } from "./listeners";
import { beginOpenState } from "./open-state";
import { beginQuickAcks } from "./quick-acks";
import { sampleRtt } from "./rtt";
import { ESTABLISHED } from "./states";
import { coldOf, F_CONNECTING, F_IN_BACKLOG, F_KNOWN, F_OWNED, F_SCALED, R_SACK, Tcb } from "./tcb";
import { echoedRtt, noteTimestamp } from "./timestamps";
import { defaultMss, pathMss, remoteHigh, remoteLow, setConnection, setSender } from "./tuple";
import { windowShift } from "./window";

/** Smaller ones that a peer announces are taken as this, lest it make us send confetti (as Linux does). */
export const LEAST_ANNOUNCED_MSS: u32 = 48;

/** Takes over what a SYN or SYN-ACK says: sequence number, window, options. */
export function learnSyn(tcb: Tcb, packet: Packet): void {
  const cold = coldOf(tcb);
  parseTcpOptions(packet.l4, packet.options);
  learnEcn(tcb, packet);
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
  const announced = optionMss == 0 ? defaultMss() : max<u32>(optionMss, LEAST_ANNOUNCED_MSS);
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
export function knock(tcb: Tcb): void {
  tcb.flags |= F_KNOWN;
  const ports = u32(bswap<u16>(<u16>tcb.ports)) | (u32(bswap<u16>(<u16>(tcb.ports >> 16))) << 16);
  setConnection(tcb);
  const first = u32(remoteHigh);
  const second = u32(remoteHigh >> 32);
  const event = pushEvent(EV_KNOCK, tcb.handle, tcb.cookie, ports, first, second);
  extendEvent(event, u32(remoteLow), u32(remoteLow >> 32));
}

/** What both sides' window-scale options come to. */
export function takeScale(tcb: Tcb, scale: u32): void {
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
