/**
 * Explicit congestion notification (RFC 3168 section 6.1): agreed on in the handshake, a router's mark
 * (CE) on the way here goes back as ECE in ACKs, and an ECE from the peer reduces the window once a
 * flight. Between two ends of DCTCP the echo says exactly which segments were marked (RFC 8257 section
 * 3.2): it follows the marks, and an ACK that was held back goes out before the echo changes. Accurate ECN, which
 * SYNs ask for with one bit more, has files of its own (accecn.ts).
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
import { aceOf } from "../wire/accecn";
import { CE, ipv4Ecn } from "../wire/ipv4";
import { ipv6Ecn } from "../wire/ipv6";
import { ACK, CWR, ECE } from "../wire/tcp";
import { accecnOf, hasAccecn } from "./accecn";
import { countMark } from "./accecn-feedback";
import { beginAccurate, synAckAce } from "./accecn-handshake";
import { coveredSegments, marksAreTold } from "./accecn-sender";
import { onEcnEcho } from "./congestion";
import { sendAck } from "./output";
import { SYN_SENT } from "./states";
import {
  C_ACCURATE,
  C_CWR,
  C_ECHO,
  C_ECN,
  C_ECT,
  coldOf,
  F_ACK_NOW,
  F_ACK_PENDING,
  Tcb,
} from "./tcb";

/** ACE fields (AE, CWR, ECE): of SYNs that ask for classic and accurate ECN, and of an answer that grants the first. */
const ACE_CLASSIC_SYN: u32 = 3;
const ACE_ACCURATE_SYN: u32 = 7;
const ACE_CLASSIC_ANSWER: u32 = 1;

/** SYNs that ask for accurate ECN before those which others lost. */
const ACCURATE_TRIES: u32 = 2;

/** Whether the ACK in hand echoes a mark; only for connections with C_ECN. */
export let isEchoed: bool = false;

/**
 * The ACE field of a SYN or SYN-ACK (section 6.1.1, RFC 9768 section 3.1.1). A SYN that has to be repeated asks
 * for less.
 */
export function synAce(tcb: Tcb, answers: bool): u32 {
  if (answers) {
    if (tcb.controlFlags & C_ACCURATE) return synAckAce(accecnOf(tcb));
    return tcb.controlFlags & C_ECN ? ACE_CLASSIC_ANSWER : 0;
  }
  if (asksForAccurate(tcb)) {
    // Granted it may still be to one of the SYNs before that did ask.
    tcb.controlFlags |= <u16>C_ACCURATE;
    const lost: bool = u32(coldOf(tcb).synCount) > ACCURATE_TRIES;
    return lost && config(CFG_ECN_FALLBACK) ? 0 : ACE_ACCURATE_SYN;
  }
  return asksForEcn(tcb) ? ACE_CLASSIC_SYN : 0;
}

/** Takes over what a SYN or SYN-ACK says, whose options were just read; to be called before the state changes. */
export function learnEcn(tcb: Tcb, packet: Packet): void {
  const ace = aceOf(packet.l4);
  const asked: bool = (tcb.controlFlags & C_ACCURATE) != 0;
  const answers = tcb.state == SYN_SENT;
  tcb.controlFlags &= ~(<u16>C_ACCURATE);
  // When both sides open at once nobody answers.
  if (answers && !(packet.flags & ACK)) return;
  if (answers ? asked && grants(ace) : grantsAccurate(ace)) beginAccurate(tcb, packet);
  else if (answers ? grantsClassic(tcb, ace, asked) : acceptsClassic(tcb, ace)) {
    tcb.controlFlags |= <u16>C_ECN;
  }
}

/** Whether a SYN-ACK grants accurate ECN that was asked for, by saying how the SYN has arrived. */
function grants(ace: u32): bool {
  return ace != 0 && ace != ACE_ACCURATE_SYN && ace != ACE_CLASSIC_ANSWER;
}

function grantsClassic(tcb: Tcb, ace: u32, asked: bool): bool {
  if (asked) return ace == ACE_CLASSIC_ANSWER;
  return (ace & 3) == ACE_CLASSIC_ANSWER && asksForEcn(tcb);
}

function acceptsClassic(tcb: Tcb, ace: u32): bool {
  if ((ace & 3) != ACE_CLASSIC_SYN) return false;
  return config(CFG_ECN) != ECN_OFF || tcb.control == CONTROL_DCTCP;
}

/** Whether a SYN with such an ACE field is granted accurate ECN: all that do not ask for the classic one, or none. */
export function grantsAccurate(ace: u32): bool {
  return allowsAccurate() && ace != 0 && ace != ACE_CLASSIC_SYN;
}

export function allowsAccurate(): bool {
  return config(CFG_ECN) >= ECN_ACCURATE && hasAccecn();
}

function asksForAccurate(tcb: Tcb): bool {
  return config(CFG_ECN) == ECN_ACCURATE && hasAccecn() && tcb.control != CONTROL_BBR;
}

function asksForEcn(tcb: Tcb): bool {
  if (tcb.control == CONTROL_BBR) return false;
  if (coldOf(tcb).synCount > 1 && config(CFG_ECN_FALLBACK)) return false;
  const mode = config(CFG_ECN);
  return tcb.control == CONTROL_DCTCP || mode == ECN_ON || mode == ECN_ACCURATE_ASK_CLASSIC;
}

/**
 * A segment within the window arrives on a connection with C_ECN; to be called before its ACK and its
 * text are worked on. `packet.ack` acknowledges nothing that was not sent.
 */
export function ecnArrives(tcb: Tcb, packet: Packet): void {
  if (tcb.controlFlags & C_ACCURATE) {
    isEchoed = false;
    countMark(tcb, accecnOf(tcb), packet);
  } else {
    classicArrives(tcb, packet);
  }
}

/** The same where the segment is the one expected, whose ACK covers what it covers without more ado. */
export function ecnExpected(tcb: Tcb, packet: Packet): void {
  ecnArrives(tcb, packet);
  const bytes = packet.ack - tcb.sndUna;
  if (bytes == 0 || !(tcb.controlFlags & C_ACCURATE)) return;
  marksAreTold(tcb, packet, coveredSegments(tcb, packet.ack), bytes, false);
}

function classicArrives(tcb: Tcb, packet: Packet): void {
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
export function ecnOf(packet: Packet): u32 {
  return isDigest(packet.destination) ? ipv6Ecn(packet.ip) : ipv4Ecn(packet.ip);
}
