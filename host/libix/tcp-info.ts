/** What the kernel knows of a connection, read on request: nothing is kept up for it per packet. */
import {
  RC_OK,
  TCP_ECN_ACCURATE,
  TCP_ECN_CLASSIC,
  TCP_INFO_ACCECN_FAIL,
  TCP_INFO_ACCECN_OPTION,
  TCP_INFO_BACKOFF,
  TCP_INFO_CWND,
  TCP_INFO_DELIVERED_CE,
  TCP_INFO_DELIVERED_CE_BYTES,
  TCP_INFO_DELIVERED_E0_BYTES,
  TCP_INFO_DELIVERED_E1_BYTES,
  TCP_INFO_ECN,
  TCP_INFO_IN_FLIGHT,
  TCP_INFO_MIN_RTT,
  TCP_INFO_MSS,
  TCP_INFO_RECEIVED_CE,
  TCP_INFO_RECEIVED_CE_BYTES,
  TCP_INFO_RECEIVED_E0_BYTES,
  TCP_INFO_RECEIVED_E1_BYTES,
  TCP_INFO_RECEIVE_WINDOW,
  TCP_INFO_RETRANSMITS,
  TCP_INFO_RTO,
  TCP_INFO_RTTVAR,
  TCP_INFO_SEND_WINDOW,
  TCP_INFO_SIZE,
  TCP_INFO_SRTT,
  TCP_INFO_SSTHRESH,
  TCP_INFO_STATE,
  TCP_STATE_CLOSE_WAIT,
  TCP_STATE_CLOSING,
  TCP_STATE_ESTABLISHED,
  TCP_STATE_FIN_WAIT_1,
  TCP_STATE_FIN_WAIT_2,
  TCP_STATE_LAST_ACK,
  TCP_STATE_SYN_RECEIVED,
  TCP_STATE_SYN_SENT,
  TCP_STATE_TIME_WAIT,
} from "../../assembly/abi.ts";
import type { Ix } from "./ix.ts";

/** The states of RFC 9293 section 3.3.2. */
export type TcpState =
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "closing"
  | "time-wait"
  | "close-wait"
  | "last-ack"
  | "closed";

const STATES = new Map<number, TcpState>([
  [TCP_STATE_SYN_SENT, "syn-sent"],
  [TCP_STATE_SYN_RECEIVED, "syn-received"],
  [TCP_STATE_ESTABLISHED, "established"],
  [TCP_STATE_FIN_WAIT_1, "fin-wait-1"],
  [TCP_STATE_FIN_WAIT_2, "fin-wait-2"],
  [TCP_STATE_CLOSING, "closing"],
  [TCP_STATE_TIME_WAIT, "time-wait"],
  [TCP_STATE_CLOSE_WAIT, "close-wait"],
  [TCP_STATE_LAST_ACK, "last-ack"],
]);

/** From here on an ssthresh is none. */
const NO_SSTHRESH = 0x3fffffff;

/** Counted since the handshake, modulo 2^32: segments with CE, and payload bytes by their mark. */
export interface EcnCounts {
  readonly ceSegments: number;
  readonly ceBytes: number;
  readonly ect0Bytes: number;
  readonly ect1Bytes: number;
}

/** What accurate ECN (RFC 9768) knows. */
export interface AccurateEcnInfo {
  /** Of what was sent, by the peer's account; bytes only as far as its options tell of them. */
  readonly delivered: EcnCounts;
  readonly received: EcnCounts;
  /** `ACCECN_FAIL_*`: what on the path loses or changes it. */
  readonly failures: number;
  /** `ACCECN_OPTION_*`: what was seen of the peer's options. */
  readonly optionSeen: number;
}

/** Times in µs, amounts in bytes. */
export interface ConnectionInfo {
  readonly state: TcpState;
  /** Smoothed round-trip time and its variation (RFC 6298), and the least of all; 0 before the first. */
  readonly rtt: number;
  readonly rttVariance: number;
  readonly minRtt: number;
  /** Retransmission timeout, without its doublings, and how many there were. */
  readonly rto: number;
  readonly backoff: number;
  /** Largest segment that is sent. */
  readonly mss: number;
  readonly congestionWindow: number;
  /** Infinity before the first loss. */
  readonly slowStartThreshold: number;
  /** Sent and not acknowledged. */
  readonly inFlight: number;
  /** What the peer allows, and the receive window as auto-tuning has it. */
  readonly sendWindow: number;
  readonly receiveWindow: number;
  /** Segments that were sent again, up to 65,535. */
  readonly retransmits: number;
  /** How congestion marks are fed back (RFC 3168, RFC 9768). */
  readonly ecn: "none" | "classic" | "accurate";
  /** Null unless `ecn` is "accurate". */
  readonly accurateEcn: AccurateEcnInfo | null;
}

/**
 * Asks the kernel at once; other calls that wait are run before. May be called wherever calls may be made.
 * Null when the handle names no connection any more, or the window has no room for the record.
 */
export function readTcpInfo(ix: Ix, handle: number): ConnectionInfo | null {
  const record = ix.window.allocate(TCP_INFO_SIZE);
  if (record === 0) return null;
  const index = ix.tcpInfo(handle, record);
  ix.flush();
  const info = ix.result(index) === RC_OK ? recordAt(ix.words, record) : null;
  ix.window.free(record);
  return info;
}

function recordAt(words: Uint32Array, record: number): ConnectionInfo {
  const word = (offset: number): number => words[(record + offset) >>> 2];
  const threshold = word(TCP_INFO_SSTHRESH);
  const ecn = word(TCP_INFO_ECN);
  return {
    state: STATES.get(word(TCP_INFO_STATE)) ?? "closed",
    rtt: word(TCP_INFO_SRTT),
    rttVariance: word(TCP_INFO_RTTVAR),
    minRtt: word(TCP_INFO_MIN_RTT),
    rto: word(TCP_INFO_RTO),
    backoff: word(TCP_INFO_BACKOFF),
    mss: word(TCP_INFO_MSS),
    congestionWindow: word(TCP_INFO_CWND),
    slowStartThreshold: threshold >= NO_SSTHRESH ? Infinity : threshold,
    inFlight: word(TCP_INFO_IN_FLIGHT),
    sendWindow: word(TCP_INFO_SEND_WINDOW),
    receiveWindow: word(TCP_INFO_RECEIVE_WINDOW),
    retransmits: word(TCP_INFO_RETRANSMITS),
    ecn: ecn === TCP_ECN_ACCURATE ? "accurate" : ecn === TCP_ECN_CLASSIC ? "classic" : "none",
    accurateEcn: ecn === TCP_ECN_ACCURATE ? accurateEcn(word) : null,
  };
}

function accurateEcn(word: (offset: number) => number): AccurateEcnInfo {
  return {
    delivered: {
      ceSegments: word(TCP_INFO_DELIVERED_CE),
      ceBytes: word(TCP_INFO_DELIVERED_CE_BYTES),
      ect0Bytes: word(TCP_INFO_DELIVERED_E0_BYTES),
      ect1Bytes: word(TCP_INFO_DELIVERED_E1_BYTES),
    },
    received: {
      ceSegments: word(TCP_INFO_RECEIVED_CE),
      ceBytes: word(TCP_INFO_RECEIVED_CE_BYTES),
      ect0Bytes: word(TCP_INFO_RECEIVED_E0_BYTES),
      ect1Bytes: word(TCP_INFO_RECEIVED_E1_BYTES),
    },
    failures: word(TCP_INFO_ACCECN_FAIL),
    optionSeen: word(TCP_INFO_ACCECN_OPTION),
  };
}
