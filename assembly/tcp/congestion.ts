/**
 * Congestion control behind one interface: what recovery, output and ACK processing tell it, and one
 * switch on the connection's control for each of them. A control answers by three numbers: `cwnd`,
 * `ssthresh` and, where it paces, its rate. Everything is in bytes and µs.
 *
 * Who calls what: `onInit` once the handshake is over; `onAck` for every ACK that delivers something,
 * in recovery too; `onLoss` once for each flight in which something was lost, on entering recovery, and
 * `onRecoveryEnd` on leaving it; `onTimeout` for a retransmission timeout; `onUndo` when either proves to
 * have been unnecessary; `onEcnEcho` when the peer echoes a mark; `onIdleRestart` before sending after a
 * pause; `onSend` and `onDataEnd` where `controlFlags` asks for them. During recovery the window is
 * recovery's own business, unless the control has a model of the path (C_SAMPLED) and there is SACK: then
 * `onRecoveryAck` sets it.
 */
import {
  CFG_CONGESTION_CONTROL,
  CFG_INITIAL_WINDOW,
  CFG_PACING,
  CNT_TCP_ECN_REDUCTIONS,
  CONTROL_BBR,
  CONTROL_CUBIC,
  CONTROL_DCTCP,
  CONTROL_MASK,
  CONTROL_NEWRENO,
  CONTROL_SHIFT,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { now } from "../time/clock";
import {
  bbrInit,
  bbrOnAck,
  bbrOnLoss,
  bbrRecover,
  bbrRestart,
  bbrRestore,
  bbrTimeout,
} from "./bbr";
import { baseState, controlState, rateState, windowState } from "./control-state";
import { cubicGrow, cubicInit, cubicPause, cubicReduce, cubicTimeout, cubicUndo } from "./cubic";
import { dctcpInit, dctcpObserve, dctcpReduce } from "./dctcp";
import { markLimited, noteSent } from "./delivery-rate";
import { CWND_MAX, renoGrow, renoReduce, restorePrior, UNLIMITED } from "./newreno";
import { paceCharge, rateOf, setPacingRate } from "./pacing";
import { seqAfter } from "./seq";
import { SYN_RECEIVED, SYN_SENT } from "./states";
import {
  C_CWR,
  C_ECN,
  C_ECT,
  C_PACED,
  C_SAMPLED,
  CONTROL_STATE_SIZE,
  coldOf,
  F_RECOVERY,
  R_LOSS,
  Tcb,
  TcbCold,
} from "./tcb";

/** The control that the flags of a system call name, or 0. */
export function controlOf(flags: u32): u32 {
  return (flags >> CONTROL_SHIFT) & CONTROL_MASK;
}

/** Gives a connection that has sent no data yet its control; 0 stands for the configured one. */
export function selectControl(tcb: Tcb, control: u32): void {
  tcb.control = <u8>(control != 0 ? control : config(CFG_CONGESTION_CONTROL));
  if (!(tcb.state & (SYN_SENT | SYN_RECEIVED))) onInit(tcb);
}

/** The connection is established. */
export function onInit(tcb: Tcb): void {
  const cold = coldOf(tcb);
  // A SYN that had to be repeated starts with one segment (RFC 5681 section 3.1).
  tcb.cwnd = cold.synCount > 1 ? tcb.mss : initialWindow(tcb);
  cold.ssthresh = UNLIMITED;
  tcb.controlFlags &= ~(<u16>(C_PACED | C_SAMPLED | C_ECT));
  memory.fill(controlState(cold), 0, CONTROL_STATE_SIZE);
  switch (u32(tcb.control)) {
    case CONTROL_CUBIC:
      cubicInit(tcb, cold);
      break;
    case CONTROL_DCTCP:
      dctcpInit(tcb, cold);
      break;
    case CONTROL_BBR:
      bbrInit(tcb, cold);
      return;
  }
  windowState(cold).ecnEnd = tcb.sndUna;
  if (tcb.controlFlags & C_ECN) tcb.controlFlags |= <u16>C_ECT;
  if (config(CFG_PACING)) paceWindow(tcb, cold);
}

/**
 * An ACK delivered `acked` bytes that were not known to have arrived. The round trip that it measured
 * is `roundTrip` of rtt.ts.
 *
 * @param flight bytes in flight before it
 */
export function onAck(tcb: Tcb, acked: u32, flight: u32): void {
  const controlFlags: u32 = tcb.controlFlags;
  if (controlFlags & C_SAMPLED) {
    bbrOnAck(tcb, coldOf(tcb), acked, flight);
    return;
  }
  if (controlFlags & C_PACED) paceWindow(tcb, coldOf(tcb));
  if (controlFlags & C_ECT && tcb.control == CONTROL_DCTCP) dctcpObserve(tcb, coldOf(tcb), acked);
  const cwnd = tcb.cwnd;
  if (tcb.flags & F_RECOVERY || cwnd >= CWND_MAX) return;
  const cold = coldOf(tcb);
  if (!isUsed(cold, cwnd, flight)) return;
  // Nor while there is a gap that may be a loss (RFC 5681 section 3.2); after a timeout that is known, and
  // on a path that reorders far it need not be one.
  if (cold.sackedBytes != 0 && !(cold.repair & R_LOSS) && cold.reordering == 0) return;
  switch (u32(tcb.control)) {
    case CONTROL_NEWRENO:
    case CONTROL_DCTCP:
      renoGrow(tcb, cold, acked);
      break;
    case CONTROL_CUBIC:
      cubicGrow(tcb, cold, acked);
      break;
  }
}

/**
 * Whether the sender needs the window (RFC 7661 section 4.1): in slow start it grows to twice what was
 * ever in flight, later while half of it is.
 */
function isUsed(cold: TcbCold, cwnd: u32, flight: u32): bool {
  if (cwnd >= cold.ssthresh) return flight << 1 >= cwnd;
  if (flight > cold.cwndCredit) cold.cwndCredit = flight;
  return cwnd < cold.cwndCredit << 1;
}

/**
 * Something of this flight was lost: lowers `ssthresh`, which recovery brings the window down to.
 *
 * @param flight bytes in flight, without those that limited transmit sent (RFC 5681 section 3.2)
 */
export function onLoss(tcb: Tcb, flight: u32): void {
  reduce(tcb, coldOf(tcb), flight);
}

/**
 * An ACK in recovery with SACK, or the end of its reordering window, on a connection with C_SAMPLED; after
 * `onAck`.
 *
 * @param flight bytes in flight after it, without those that `arrived` by it or are thought `lost`
 */
export function onRecoveryAck(tcb: Tcb, flight: u32, arrived: u32, lost: u32): void {
  bbrRecover(tcb, coldOf(tcb), flight, arrived, lost);
}

/** All that was in flight when recovery began is acknowledged. */
export function onRecoveryEnd(tcb: Tcb): void {
  const cold = coldOf(tcb);
  cold.cwndCredit = 0;
  if (tcb.control == CONTROL_BBR) bbrRestore(tcb, cold);
  else tcb.cwnd = cold.ssthresh;
}

/**
 * The retransmission timer has run out: one segment, slow start (RFC 5681 section 3.1). To be called
 * before `retries` counts it: repeated ones keep ssthresh.
 */
export function onTimeout(tcb: Tcb, flight: u32): void {
  const cold = coldOf(tcb);
  if (cold.retries == 0) reduce(tcb, cold, flight);
  tcb.cwnd = tcb.mss;
  cold.cwndCredit = 0;
  switch (u32(tcb.control)) {
    case CONTROL_CUBIC:
      cubicTimeout(cold);
      break;
    case CONTROL_BBR:
      bbrTimeout(cold);
      break;
  }
}

/** The last `onLoss` or `onTimeout` was a mistake: the segments had arrived. */
export function onUndo(tcb: Tcb): void {
  const cold = coldOf(tcb);
  cold.cwndCredit = 0;
  switch (u32(tcb.control)) {
    case CONTROL_NEWRENO:
    case CONTROL_DCTCP:
      restorePrior(tcb, cold);
      break;
    case CONTROL_CUBIC:
      cubicUndo(tcb, cold);
      break;
    case CONTROL_BBR:
      bbrRestore(tcb, cold);
      break;
  }
}

/**
 * The peer echoes a mark in an ACK up to `ack`: as a loss, but nothing has to be sent again, and once a
 * flight (RFC 3168 section 6.1.2). Recovery has reduced the window already. Only with C_ECT.
 */
export function onEcnEcho(tcb: Tcb, ack: u32): void {
  const cold = coldOf(tcb);
  const state = windowState(cold);
  if (tcb.flags & F_RECOVERY || !seqAfter(ack, state.ecnEnd)) return;
  count(CNT_TCP_ECN_REDUCTIONS);
  if (tcb.control == CONTROL_DCTCP) dctcpReduce(tcb, cold);
  else reduce(tcb, cold, cold.sndMax - tcb.sndUna);
  tcb.cwnd = min<u32>(tcb.cwnd, cold.ssthresh);
  cold.cwndCredit = 0;
  state.ecnEnd = cold.sndMax;
  tcb.controlFlags |= <u16>C_CWR;
}

/**
 * Nothing was sent for longer than a timeout, which ran out at `due` (µs): what the window stood for is
 * forgotten by half for each further one (RFC 5681 section 4.1, RFC 2861 section 3.1). `ssthresh` keeps
 * most of it.
 */
export function onIdleRestart(tcb: Tcb, due: u32): void {
  const cold = coldOf(tcb);
  if (tcb.control == CONTROL_BBR) return;
  const cwnd = tcb.cwnd;
  const floor = initialWindow(tcb);
  if (cwnd <= floor) return;
  cold.ssthresh = max<u32>(cold.ssthresh, cwnd - (cwnd >> 2));
  const halvings = min<u32>((now - due) / cold.rto + 1, 31);
  tcb.cwnd = max<u32>(cwnd >> halvings, floor);
  cold.cwndCredit = 0;
  switch (u32(tcb.control)) {
    case CONTROL_CUBIC:
      cubicPause(cold);
      break;
  }
}

/**
 * A segment of a connection with C_PACED or C_SAMPLED goes out now, perhaps again; to be called before
 * sndNxt moves.
 */
export function onSend(tcb: Tcb, buffer: Buffer): void {
  const controlFlags: u32 = tcb.controlFlags;
  if (controlFlags & C_PACED) paceCharge(tcb, buffer.length);
  if (!(controlFlags & C_SAMPLED)) return;
  if (tcb.sndNxt == tcb.sndUna) bbrRestart(tcb, coldOf(tcb));
  noteSent(tcb, buffer);
}

/** A connection with C_SAMPLED has sent all it had; what the window would still take is not used. */
export function onDataEnd(tcb: Tcb): void {
  const flight = tcb.sndNxt - tcb.sndUna;
  if (flight < tcb.cwnd) markLimited(rateState(coldOf(tcb)), flight);
}

/** Paces a window over its round trip: twice as fast in slow start, by a fifth faster later. */
function paceWindow(tcb: Tcb, cold: TcbCold): void {
  const rtt = cold.srtt8 >> 3;
  const rate = rateOf(tcb.cwnd, rtt);
  const margin = tcb.cwnd < cold.ssthresh >> 1 ? rate : rate / 5;
  setPacingRate(tcb, baseState(cold), rate + min<u32>(margin, u32.MAX_VALUE - rate));
}

/** RFC 6928. */
function initialWindow(tcb: Tcb): u32 {
  return config(CFG_INITIAL_WINDOW) * tcb.mss;
}

function reduce(tcb: Tcb, cold: TcbCold, flight: u32): void {
  switch (u32(tcb.control)) {
    case CONTROL_NEWRENO:
    case CONTROL_DCTCP:
      renoReduce(tcb, cold, flight);
      break;
    case CONTROL_CUBIC:
      cubicReduce(tcb, cold, flight);
      break;
    case CONTROL_BBR:
      bbrOnLoss(tcb, cold);
      break;
  }
}
