/**
 * Explicit congestion notification (RFC 3168 section 6.1): agreed on in the handshake, a router's mark
 * (CE) on the way here goes back as ECE in ACKs, and an ECE from the peer reduces the window once a
 * flight. Between two ends of DCTCP the echo says exactly which segments were marked (RFC 8257 section
 * 3.2): it follows the marks, and an ACK that was held back goes out before the echo changes.
 */
import {
  CFG_ECN,
  CFG_ECN_FALLBACK,
  CNT_TCP_CE_IN,
  CONTROL_BBR,
  CONTROL_DCTCP,
  ECN_ACCURATE,
  ECN_ACCURATE_ASK_CLASSIC,
  ECN_OFF,
  ECN_ON,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { isDigest } from "../net/digest";
import { CE, ipv4Ecn } from "../wire/ipv4";
import { ipv6Ecn } from "../wire/ipv6";
import { ACK, CWR, ECE, SYN } from "../wire/tcp";
import { onEcnEcho } from "./congestion";
import { sendAck } from "./output";
import { SYN_SENT } from "./states";
import { C_CWR, C_ECHO, C_ECN, C_ECT, coldOf, F_ACK_NOW, F_ACK_PENDING, Tcb } from "./tcb";

/** Whether the ACK in hand echoes a mark; only for connections with C_ECN. */
export let isEchoed: bool = false;

/** Bits of a SYN or SYN-ACK (section 6.1.1). A SYN that has to be repeated does without. */
export function ecnSynFlags(tcb: Tcb, flags: u32): u32 {
  if (flags & ACK) return tcb.controlFlags & C_ECN ? ECE : 0;
  return asksForEcn(tcb) ? ECE | CWR : 0;
}

/** Takes over what a SYN or SYN-ACK says; to be called before the state changes. */
export function learnEcn(tcb: Tcb, flags: u32): void {
  const bits = flags & (ECE | CWR);
  if (tcb.state == SYN_SENT) {
    const agreed: bool = (flags & (SYN | ACK)) == (SYN | ACK) && bits == ECE && asksForEcn(tcb);
    if (agreed) tcb.controlFlags |= <u16>C_ECN;
    return;
  }
  const willing: bool = config(CFG_ECN) != ECN_OFF || tcb.control == CONTROL_DCTCP;
  if (bits == (ECE | CWR) && willing) tcb.controlFlags |= <u16>C_ECN;
}

function asksForEcn(tcb: Tcb): bool {
  if (tcb.control == CONTROL_BBR) return false;
  if (coldOf(tcb).synCount > 1 && config(CFG_ECN_FALLBACK)) return false;
  const mode = config(CFG_ECN);
  if (tcb.control == CONTROL_DCTCP || mode == ECN_ON) return true;
  return mode == ECN_ACCURATE || mode == ECN_ACCURATE_ASK_CLASSIC;
}

/**
 * A segment within the window arrives on a connection with C_ECN; to be called before its ACK and its
 * text are worked on. `packet.ack` acknowledges nothing that was not sent.
 */
export function ecnArrives(tcb: Tcb, packet: Packet): void {
  const marked: bool = ecnOf(packet) == CE;
  if (marked) count(CNT_TCP_CE_IN);
  if (tcb.control == CONTROL_DCTCP) followMarks(tcb, marked, packet.length);
  else latchMark(tcb, marked, packet.flags);
  isEchoed = (packet.flags & ECE) != 0;
  if (isEchoed && tcb.controlFlags & C_ECT) onEcnEcho(tcb, packet.ack);
}

/** Echo until the peer says that it has reduced its window (RFC 3168 section 6.1.3). */
function latchMark(tcb: Tcb, marked: bool, flags: u32): void {
  if (flags & CWR) tcb.controlFlags &= ~(<u16>C_ECHO);
  if (!marked) return;
  tcb.controlFlags |= <u16>C_ECHO;
  tcb.flags |= F_ACK_NOW;
}

/** DCTCP.CE (RFC 8257 section 3.2, figure 1). Segments without data carry no mark to echo. */
function followMarks(tcb: Tcb, marked: bool, length: u32): void {
  const echo: bool = (tcb.controlFlags & C_ECHO) != 0;
  if (length == 0 || marked == echo) return;
  if (tcb.flags & F_ACK_PENDING) sendAck(tcb);
  if (marked) tcb.controlFlags |= <u16>C_ECHO;
  else tcb.controlFlags &= ~(<u16>C_ECHO);
}

/** Bits for a segment of a connection with C_ECN. @param isNew it carries data, for the first time */
export function ecnFlags(tcb: Tcb, isNew: bool): u32 {
  let bits: u32 = tcb.controlFlags & C_ECHO ? ECE : 0;
  if (isNew && tcb.controlFlags & C_CWR) {
    bits |= CWR;
    tcb.controlFlags &= ~(<u16>C_CWR);
  }
  return bits;
}

/** The mark in the IP header. */
function ecnOf(packet: Packet): u32 {
  return isDigest(packet.destination) ? ipv6Ecn(packet.ip) : ipv4Ecn(packet.ip);
}
