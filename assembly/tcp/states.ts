/**
 * The states of a connection (RFC 9293 section 3.3.2), as bits, so that a set of them is one mask test. An
 * application is told those of the RFC as they are; the others are the kernel's own.
 */
import {
  TCP_STATE_CLOSE_WAIT,
  TCP_STATE_CLOSING,
  TCP_STATE_ESTABLISHED,
  TCP_STATE_FIN_WAIT_1,
  TCP_STATE_FIN_WAIT_2,
  TCP_STATE_LAST_ACK,
} from "../abi";

export {
  TCP_STATE_CLOSE_WAIT as CLOSE_WAIT,
  TCP_STATE_CLOSING as CLOSING,
  TCP_STATE_ESTABLISHED as ESTABLISHED,
  TCP_STATE_FIN_WAIT_1 as FIN_WAIT_1,
  TCP_STATE_FIN_WAIT_2 as FIN_WAIT_2,
  TCP_STATE_LAST_ACK as LAST_ACK,
  TCP_STATE_SYN_RECEIVED as SYN_RECEIVED,
  TCP_STATE_SYN_SENT as SYN_SENT,
  TCP_STATE_TIME_WAIT as TIME_WAIT,
} from "../abi";
/** No connection. */
export const CLOSED: u32 = 0;
/** Over, but for received data that the application still holds. */
export const DONE: u32 = 512;
/** Opened by a SYN with a cookie: SYN-RECEIVED that may already do what ESTABLISHED may (RFC 7413). */
export const FAST_OPENED: u32 = 1024;

/** States in which the application may still send. */
export const CAN_SEND: u32 = TCP_STATE_ESTABLISHED | TCP_STATE_CLOSE_WAIT | FAST_OPENED;
/** States in which the peer may still send. */
export const CAN_RECEIVE: u32 =
  TCP_STATE_ESTABLISHED | TCP_STATE_FIN_WAIT_1 | TCP_STATE_FIN_WAIT_2 | FAST_OPENED;
/** States in which our FIN is still to be acknowledged, once it was sent. */
export const FIN_OUTSTANDING: u32 = TCP_STATE_FIN_WAIT_1 | TCP_STATE_CLOSING | TCP_STATE_LAST_ACK;
