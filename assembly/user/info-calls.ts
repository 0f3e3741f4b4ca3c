/** What an application is told of a connection when it asks: a record of words in its window. */
import {
  CALL_A,
  RC_FAULT,
  RC_OK,
  TCP_ECN_ACCURATE,
  TCP_ECN_CLASSIC,
  TCP_ECN_NONE,
  TCP_INFO_ACCECN_FAIL,
  TCP_INFO_ACCECN_OPTION,
  TCP_INFO_BACKOFF,
  TCP_INFO_CWND,
  TCP_INFO_ECN,
  TCP_INFO_IN_FLIGHT,
  TCP_INFO_MIN_RTT,
  TCP_INFO_MSS,
  TCP_INFO_RECEIVED_CE,
  TCP_INFO_RECEIVE_WINDOW,
  TCP_INFO_RECOVERY,
  TCP_INFO_RETRANSMITS,
  TCP_INFO_RTO,
  TCP_INFO_RTTVAR,
  TCP_INFO_SEND_WINDOW,
  TCP_INFO_SIZE,
  TCP_INFO_SRTT,
  TCP_INFO_SSTHRESH,
  TCP_INFO_STATE,
  TCP_RECOVERY_DISORDER,
  TCP_RECOVERY_FAST,
  TCP_RECOVERY_NONE,
  TCP_RECOVERY_TIMEOUT,
  TCP_STATE_SYN_RECEIVED,
} from "../abi";
import { ACCECN_COUNTERS, accecnOf } from "../tcp/accecn";
import { FAST_OPENED } from "../tcp/states";
import { C_ACCURATE, C_ECN, coldOf, F_RECOVERY, F_SCOREBOARD, R_LOSS, Tcb } from "../tcp/tcb";
import { inWindow } from "./check";
import { knownTcb, wrongHandle } from "./tcp-calls";

/** Writes TCP_INFO_SIZE bytes at the address that the descriptor names. */
export function sysTcpInfo(call: u32): i32 {
  const tcb = knownTcb(call);
  if (tcb == null) return wrongHandle(call);
  const info = load<u32>(call, CALL_A);
  if (!inWindow(info, TCP_INFO_SIZE)) return RC_FAULT;
  const cold = coldOf(tcb);
  memory.fill(info, 0, TCP_INFO_SIZE);
  const state = tcb.state == FAST_OPENED ? TCP_STATE_SYN_RECEIVED : u32(tcb.state);
  store<u32>(info, state, TCP_INFO_STATE);
  store<u32>(info, cold.srtt8 >> 3, TCP_INFO_SRTT);
  store<u32>(info, cold.rttvar4 >> 2, TCP_INFO_RTTVAR);
  store<u32>(info, cold.minRtt, TCP_INFO_MIN_RTT);
  store<u32>(info, cold.rto, TCP_INFO_RTO);
  store<u32>(info, tcb.backoff, TCP_INFO_BACKOFF);
  store<u32>(info, tcb.mss, TCP_INFO_MSS);
  store<u32>(info, tcb.cwnd, TCP_INFO_CWND);
  store<u32>(info, cold.ssthresh, TCP_INFO_SSTHRESH);
  store<u32>(info, tcb.sndNxt - tcb.sndUna, TCP_INFO_IN_FLIGHT);
  store<u32>(info, tcb.sndWnd, TCP_INFO_SEND_WINDOW);
  store<u32>(info, tcb.rcvWindow, TCP_INFO_RECEIVE_WINDOW);
  store<u32>(info, cold.resent, TCP_INFO_RETRANSMITS);
  store<u32>(info, recoveryOf(tcb), TCP_INFO_RECOVERY);
  store<u32>(info, tcb.controlFlags & C_ECN ? TCP_ECN_CLASSIC : TCP_ECN_NONE, TCP_INFO_ECN);
  if ((tcb.controlFlags & (C_ECN | C_ACCURATE)) == (C_ECN | C_ACCURATE)) tellAccecn(tcb, info);
  return RC_OK;
}

function tellAccecn(tcb: Tcb, info: u32): void {
  const record = accecnOf(tcb);
  store<u32>(info, TCP_ECN_ACCURATE, TCP_INFO_ECN);
  // Its counters have the order of the record.
  memory.copy(info + TCP_INFO_RECEIVED_CE, changetype<u32>(record), ACCECN_COUNTERS);
  store<u32>(info, record.failures, TCP_INFO_ACCECN_FAIL);
  store<u32>(info, record.optionSeen, TCP_INFO_ACCECN_OPTION);
}

function recoveryOf(tcb: Tcb): u32 {
  if (coldOf(tcb).repair & R_LOSS) return TCP_RECOVERY_TIMEOUT;
  if (tcb.flags & F_RECOVERY) return TCP_RECOVERY_FAST;
  return tcb.flags & F_SCOREBOARD ? TCP_RECOVERY_DISORDER : TCP_RECOVERY_NONE;
}
