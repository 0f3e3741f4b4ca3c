/**
 * The system-call array: what the application asks of the kernel, run in order, results written over
 * the requests.
 */
import {
  CALL_A,
  CALL_COOKIE,
  CALL_HANDLE,
  CALL_OP,
  CALL_RESULT,
  CALL_SIZE,
  CNT_REFUSED_ADDRESS,
  CNT_REFUSED_ARGUMENT,
  CNT_REFUSED_HANDLE,
  CNT_REFUSED_OPERATION,
  CNT_SYSCALLS,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  RC_BADH,
  RC_FAULT,
  RC_INVAL,
  RC_NOSYS,
  RC_OK,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_LISTEN,
  SYS_NOP,
  SYS_OPTION,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_TAG,
  SYS_TCP_INFO,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
  SYS_UDP_CONNECT,
  SYS_UDP_JOIN,
  SYS_UDP_LEAVE,
  SYS_UDP_RECV_DONE,
  SYS_UDP_SEND,
  SYS_UDP_SENDV,
  SYS_UDP_UNBIND,
  SYS_UNLISTEN,
} from "../abi";
import { coreBlock } from "../core/config";
import { count, countBy } from "../core/counters";
import { markInProgress } from "../core/state";
import { unlisten } from "../tcp/listeners";
import { sysOption } from "./option-calls";
import {
  sysAbort,
  sysAccept,
  sysClose,
  sysConnect,
  sysConnectSend,
  sysListen,
  sysRecvDone,
  sysReject,
  sysSend,
  sysSendv,
  sysShutdown,
  sysTag,
} from "./tcp-calls";
import { sysTcpInfo } from "./info-calls";
import { cancelUserTimer, setTimer, timerHandle } from "./timers";
import {
  sysUdpBind,
  sysUdpConnect,
  sysUdpJoin,
  sysUdpLeave,
  sysUdpRecvDone,
  sysUdpSend,
  sysUdpSendv,
  sysUdpUnbind,
} from "./udp-calls";

/** Runs what waits in the array and empties it. Returns how many calls there were. */
export function runSyscalls(): u32 {
  const waiting = coreBlock + CORE_SYSCALL_COUNT;
  // The count is the application's word: never more than the array holds.
  const calls = min<u32>(load<u32>(waiting), load<u32>(coreBlock + CORE_SYSCALL_CAPACITY));
  if (calls == 0) return 0;
  let call = load<u32>(coreBlock + CORE_SYSCALLS);
  const end = call + calls * CALL_SIZE;
  while (call != end) {
    const result = run(call);
    store<i32>(call, result, CALL_RESULT);
    if (result < 0) countRefusal(result);
    call += CALL_SIZE;
  }
  markInProgress(0);
  store<u32>(waiting, 0);
  countBy(CNT_SYSCALLS, calls);
  return calls;
}

function run(call: u32): i32 {
  const operation: u32 = load<u16>(call, CALL_OP);
  switch (operation) {
    case SYS_NOP:
      return RC_OK;
    case SYS_CONNECT:
      return sysConnect(call);
    case SYS_CONNECT_SEND:
      return sysConnectSend(call);
    case SYS_ACCEPT:
      return sysAccept(call);
    case SYS_REJECT:
      return sysReject(call);
    case SYS_SEND:
      return sysSend(call);
    case SYS_SENDV:
      return sysSendv(call);
    case SYS_RECV_DONE:
      return sysRecvDone(call);
    case SYS_SHUTDOWN:
      return sysShutdown(call);
    case SYS_CLOSE:
      return sysClose(call);
    case SYS_ABORT:
      return sysAbort(call);
    case SYS_UDP_SEND:
      return sysUdpSend(call);
    case SYS_UDP_SENDV:
      return sysUdpSendv(call);
    case SYS_UDP_RECV_DONE:
      return sysUdpRecvDone(call);
    case SYS_LISTEN:
      return sysListen(call);
    case SYS_UNLISTEN:
      return unlisten(load<u32>(call, CALL_HANDLE));
    case SYS_UDP_BIND:
      return sysUdpBind(call);
    case SYS_UDP_UNBIND:
      return sysUdpUnbind(call);
    case SYS_UDP_CONNECT:
      return sysUdpConnect(call);
    case SYS_UDP_JOIN:
      return sysUdpJoin(call);
    case SYS_UDP_LEAVE:
      return sysUdpLeave(call);
    case SYS_TIMER_SET:
      return sysTimerSet(call);
    case SYS_TIMER_CANCEL:
      return cancelUserTimer(load<u32>(call, CALL_HANDLE));
    case SYS_TAG:
      return sysTag(call);
    case SYS_TCP_INFO:
      return sysTcpInfo(call);
    case SYS_OPTION:
      return sysOption(call);
    default:
      return RC_NOSYS;
  }
}

function sysTimerSet(call: u32): i32 {
  const code = setTimer(load<u32>(call, CALL_A), load<u32>(call, CALL_COOKIE));
  if (code == RC_OK) store<u32>(call, timerHandle, CALL_HANDLE);
  return code;
}

function countRefusal(code: i32): void {
  if (code == RC_BADH) count(CNT_REFUSED_HANDLE);
  else if (code == RC_FAULT) count(CNT_REFUSED_ADDRESS);
  else if (code == RC_INVAL) count(CNT_REFUSED_ARGUMENT);
  else if (code == RC_NOSYS) count(CNT_REFUSED_OPERATION);
}
