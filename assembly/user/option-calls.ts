/** The system call that changes how a connection, or a listener, behaves while it is open. */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_D,
  CALL_HANDLE,
  CFG_KEEP_ALIVE_IDLE,
  CFG_KEEP_ALIVE_INTERVAL,
  CFG_KEEP_ALIVE_PROBES,
  CONTROL_END,
  FAST_OPEN_KEY_SIZE,
  FAST_OPEN_KEYS_MAX,
  KEEP_ALIVE_IDLE_MAX,
  KEEP_ALIVE_INTERVAL_MAX,
  KEEP_ALIVE_PROBES_MAX,
  OPTION_CONGESTION_CONTROL,
  OPTION_CORK,
  OPTION_FAST_OPEN,
  OPTION_FAST_OPEN_KEYS,
  OPTION_KEEP_ALIVE,
  OPTION_NAGLE,
  OPTION_QUIET,
  OPTION_USER_TIMEOUT,
  RC_AGAIN,
  RC_BADH,
  RC_CLOSED,
  RC_FAULT,
  RC_INVAL,
  RC_OK,
  USER_TIMEOUT_MAX,
} from "../abi";
import { config } from "../core/config";
import { selectControl } from "../tcp/congestion";
import { rearm } from "../tcp/deadlines";
import { beginKeepAlive } from "../tcp/keep-alive";
import { Listener, listenerOfHandle } from "../tcp/listeners";
import { openState } from "../tcp/open-state";
import { output, uncork } from "../tcp/output";
import { DONE, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "../tcp/states";
import { C_CORKED, C_KEEP_ALIVE, coldOf, F_NAGLE, F_QUIET, R_HALF_OPEN, Tcb } from "../tcp/tcb";
import { inWindow } from "./check";
import { ownedTcb, wrongHandle } from "./tcp-calls";

export function sysOption(call: u32): i32 {
  const option = load<u32>(call, CALL_A);
  const value = load<u32>(call, CALL_B);
  if (option == OPTION_FAST_OPEN || option == OPTION_FAST_OPEN_KEYS) {
    const listener = listenerOfHandle(load<u32>(call, CALL_HANDLE));
    if (listener == null) return RC_BADH;
    if (option == OPTION_FAST_OPEN_KEYS) return setKeys(listener, value, load<u32>(call, CALL_C));
    listener.fastOpenLimit = value;
    return RC_OK;
  }
  const tcb = ownedTcb(call);
  if (tcb == null) return wrongHandle(call);
  if (tcb.state & (TIME_WAIT | DONE)) return RC_CLOSED;
  switch (option) {
    case OPTION_NAGLE:
      return setNagle(tcb, value);
    case OPTION_QUIET:
      return setQuiet(tcb, value);
    case OPTION_CORK:
      return setCork(tcb, value);
    case OPTION_KEEP_ALIVE:
      return setKeepAlive(tcb, value, load<u32>(call, CALL_C), load<u32>(call, CALL_D));
    case OPTION_USER_TIMEOUT:
      return setUserTimeout(tcb, value);
    case OPTION_CONGESTION_CONTROL:
      return setControl(tcb, value);
    default:
      return RC_INVAL;
  }
}

function setKeys(listener: Listener, address: u32, keys: u32): i32 {
  if (keys > FAST_OPEN_KEYS_MAX) return RC_INVAL;
  const length = keys * FAST_OPEN_KEY_SIZE;
  if (keys != 0) {
    if (!inWindow(address, length)) return RC_FAULT;
    memory.copy(changetype<u32>(listener) + offsetof<Listener>("key0"), address, length);
  }
  listener.keyCount = keys;
  return RC_OK;
}

function setNagle(tcb: Tcb, value: u32): i32 {
  if (value > 1) return RC_INVAL;
  if (value == 1) {
    tcb.flags |= F_NAGLE;
  } else {
    tcb.flags &= ~F_NAGLE;
    uncork(tcb);
  }
  return RC_OK;
}

function setQuiet(tcb: Tcb, value: u32): i32 {
  if (value > 1) return RC_INVAL;
  if (value == 1) tcb.flags |= F_QUIET;
  else tcb.flags &= ~F_QUIET;
  return RC_OK;
}

function setCork(tcb: Tcb, value: u32): i32 {
  if (value > 1) return RC_INVAL;
  if (value == 1) {
    tcb.controlFlags |= <u16>C_CORKED;
  } else {
    tcb.controlFlags &= ~(<u16>C_CORKED);
    if (tcb.txNext != 0) output(tcb);
  }
  return RC_OK;
}

function setKeepAlive(tcb: Tcb, on: u32, idle: u32, pace: u32): i32 {
  const interval = pace & 0xffff;
  const probes = pace >> 16;
  if (on > 1 || idle > KEEP_ALIVE_IDLE_MAX) return RC_INVAL;
  if (interval > KEEP_ALIVE_INTERVAL_MAX || probes > KEEP_ALIVE_PROBES_MAX) return RC_INVAL;
  if (isOpening(tcb)) return RC_AGAIN;
  if (on == 0) {
    tcb.controlFlags &= ~(<u16>C_KEEP_ALIVE);
    return RC_OK;
  }
  beginKeepAlive(
    tcb,
    idle != 0 ? idle : config(CFG_KEEP_ALIVE_IDLE),
    interval != 0 ? interval : config(CFG_KEEP_ALIVE_INTERVAL),
    probes != 0 ? probes : config(CFG_KEEP_ALIVE_PROBES),
  );
  rearm(tcb);
  return RC_OK;
}

function setUserTimeout(tcb: Tcb, seconds: u32): i32 {
  if (seconds > USER_TIMEOUT_MAX) return RC_INVAL;
  if (isOpening(tcb)) return RC_AGAIN;
  openState(tcb).userTimeout = <u16>seconds;
  return RC_OK;
}

function setControl(tcb: Tcb, control: u32): i32 {
  if (control == 0 || control >= CONTROL_END) return RC_INVAL;
  // What is in flight was sent, and noted, as the old control wants it.
  if (!isShaking(tcb) && tcb.sndUna != coldOf(tcb).sndMax) return RC_AGAIN;
  selectControl(tcb, control);
  return RC_OK;
}

/** True until its handshake is over, whatever it may do before. */
function isOpening(tcb: Tcb): bool {
  return isShaking(tcb) || (coldOf(tcb).repair & R_HALF_OPEN) != 0;
}

function isShaking(tcb: Tcb): bool {
  return (tcb.state & (SYN_SENT | SYN_RECEIVED)) != 0;
}
