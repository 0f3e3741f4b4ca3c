/**
 * SEGMENT ARRIVES in SYN-SENT (RFC 9293 section 3.10.7.3), and what an acknowledgment of our SYN does, be it
 * there or in SYN-RECEIVED.
 */
import { CNT_DROP_TCP_BAD_ACK, CNT_DROP_TCP_BAD_RST, CNT_TCP_RESETS_IN, RC_REFUSED } from "../abi";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { ACK, RST, SYN } from "../wire/tcp";
import { accecnOf, reserveRoom } from "./accecn";
import { reflectSynAck } from "./accecn-feedback";
import { scheduleOutput } from "./agenda";
import { sendSyn } from "./emit-syn";
import { kill } from "./end";
import { acknowledgeSyn, learnServer } from "./fast-open-client";
import { establish, learnSyn } from "./handshake";
import { refuse } from "./input";
import { reportSent } from "./notices";
import { seqAfter, seqBeforeEq } from "./seq";
import { SYN_RECEIVED } from "./states";
import { coldOf, C_ACCURATE, F_ACK_NOW, F_ACK_PENDING, R_COOKIE, R_SYN_DATA, Tcb } from "./tcb";
import { textArrives } from "./text";

/** Returns true when the packet's buffer was kept. */
export function inSynSent(tcb: Tcb, packet: Packet): bool {
  const flags = packet.flags;
  const cold = coldOf(tcb);
  // First, check the ACK bit.
  const acceptable = acknowledgesSyn(tcb, packet.ack);
  if (flags & ACK && !acceptable) {
    count(CNT_DROP_TCP_BAD_ACK);
    refuse(packet);
    return false;
  }
  // Second, check the RST bit.
  if (flags & RST) {
    if (flags & ACK) {
      count(CNT_TCP_RESETS_IN);
      kill(tcb, RC_REFUSED);
    } else {
      count(CNT_DROP_TCP_BAD_RST);
    }
    return false;
  }
  // Fourth, check the SYN bit.
  if (!(flags & SYN)) return false;
  learnSyn(tcb, packet);
  if (flags & ACK) {
    const fast = (cold.repair & (R_COOKIE | R_SYN_DATA)) != 0;
    if (fast) learnServer(tcb, packet.ack);
    synAcknowledged(tcb, packet.ack);
    if (tcb.controlFlags & C_ACCURATE) {
      // No data may carry this ACK (RFC 9768 section 3.2.2.1).
      reserveRoom(tcb, accecnOf(tcb));
      reflectSynAck(tcb);
    } else {
      // What the application sends now answers it, as far as quick ACKs are concerned.
      const waits = fast && tcb.txNext == 0;
      tcb.flags |= waits ? F_ACK_NOW | F_ACK_PENDING : F_ACK_NOW;
    }
    scheduleOutput(tcb);
    return fast && textOfSynAck(tcb, packet);
  }
  // Both sides opened at once (section 3.5, figure 7).
  tcb.state = <u16>SYN_RECEIVED;
  cold.synCount++;
  sendSyn(tcb);
  return false;
}

/** Whether an ACK covers our SYN, perhaps with data that went along, and nothing that was never sent. */
export function acknowledgesSyn(tcb: Tcb, ack: u32): bool {
  return seqAfter(ack, tcb.sndUna) && seqBeforeEq(ack, coldOf(tcb).sndMax);
}

/** Both SYNs are acknowledged now, and perhaps data of ours with them. */
export function synAcknowledged(tcb: Tcb, ack: u32): void {
  const bytes = acknowledgeSyn(tcb, ack);
  establish(tcb);
  if (bytes != 0) reportSent(tcb, bytes);
}

/** The server may answer data of our SYN in its SYN-ACK (RFC 7413 section 4.2.2). */
function textOfSynAck(tcb: Tcb, packet: Packet): bool {
  packet.seq++;
  return textArrives(tcb, packet);
}
