/**
 * What Linux' TCP_INFO says, from the fields of a connection in the kernel's memory. A name that this
 * kernel keeps nothing for is missing, and a script that asks for it unsupported.
 */
import type { Value } from "./code.ts";
import type { Times } from "./chronicle.ts";
import type { TcbView } from "./tcb.ts";

const CONSTANTS: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
  // FreeBSD's names for the same states.
  TCPI_CLOSED: 7,
  TCPI_LISTEN: 10,
  TCPI_SYN_SENT: 2,
  TCPI_SYN_RECEIVED: 3,
  TCPI_ESTABLISHED: 1,
  TCPI_CLOSE_WAIT: 8,
  TCPI_FIN_WAIT_1: 4,
  TCPI_CLOSING: 11,
  TCPI_LAST_ACK: 9,
  TCPI_FIN_WAIT_2: 5,
  TCPI_TIME_WAIT: 6,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
};

const STATES: Readonly<Record<string, number>> = {
  SYN_SENT: 2,
  SYN_RECEIVED: 3,
  FAST_OPENED: 3,
  ESTABLISHED: 1,
  FIN_WAIT_1: 4,
  FIN_WAIT_2: 5,
  CLOSING: 11,
  TIME_WAIT: 6,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  CLOSED: 7,
};

/** What Linux calls an ssthresh that nothing has set. */
const INFINITE_SSTHRESH = 0x7fffffff;
/** Linux begins with RFC 5681's duplicate threshold. */
const USUAL_REORDERING = 3;
const INFINITE_FROM = 0x3fffffff;

type Reader = (tcb: TcbView) => number | undefined;

function field(
  name: string,
  use: (value: number, tcb: TcbView) => number = (value) => value,
): Reader {
  return (tcb) => {
    const value = tcb.get(name);
    return value === undefined ? undefined : use(value, tcb);
  };
}

function segments(bytes: number, tcb: TcbView): number {
  return Math.floor(bytes / Math.max(tcb.get("mss") ?? 1, 1));
}

/** The bits that the handshake settled, as far as the kernel has a flag for each. */
export function optionBits(tcb: TcbView): number {
  let bits = 0;
  if ((tcb.get("optionBytes") ?? 0) > 0) bits |= 1;
  if (tcb.flag("R_SACK", "repair")) bits |= 2;
  if (tcb.flag("F_SCALED")) bits |= 4;
  if (tcb.flag("R_SYN_DATA", "repair") && !isOpening(tcb)) bits |= CONSTANTS.TCPI_OPT_SYN_DATA;
  return bits;
}

/** Whether it is still open which data of the SYN the server takes. */
function isOpening({ state }: TcbView): boolean {
  return state === "SYN_SENT" || state === "SYN_RECEIVED";
}

const READERS: Readonly<Record<string, Reader>> = {
  tcpi_state: (tcb) => STATES[tcb.state],
  tcpi_options: optionBits,
  tcpi_snd_wscale: field("sndShift"),
  tcpi_rcv_wscale: field("rcvShift"),
  tcpi_rto: field("rto"),
  tcpi_snd_mss: field("mss"),
  tcpi_backoff: field("backoff"),
  tcpi_retransmits: field("retries"),
  tcpi_probes: (tcb) => (tcb.flag("F_PERSIST") ? tcb.get("retries") : 0),
  tcpi_rtt: field("srtt8", (value) => value >> 3),
  tcpi_rttvar: field("rttvar4", (value) => value >> 2),
  tcpi_min_rtt: field("minRtt"),
  tcpi_snd_cwnd: field("cwnd", segments),
  tcpi_snd_ssthresh: field("ssthresh", (value, tcb) =>
    value > INFINITE_FROM ? INFINITE_SSTHRESH : segments(value, tcb),
  ),
  tcpi_unacked: (tcb) => unacked(tcb),
  tcpi_sacked: (tcb) => tcb.inFlightWith("SACKED"),
  tcpi_retrans: (tcb) => tcb.inFlightWith("SENT_AGAIN"),
  // Linux counts what was sent again as lost until it is acknowledged.
  tcpi_lost: (tcb) => sum(tcb.inFlightWith("LOST"), tcb.inFlightWith("SENT_AGAIN")),
  tcpi_reordering: field("reordering", (value) => Math.max(value, USUAL_REORDERING)),
  tcpi_reord_seen: field("reorderings"),
  tcpi_ca_state: congestionState,
};

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}

/** Open, Disorder, Recovery or Loss. */
function congestionState(tcb: TcbView): number {
  if (tcb.flag("R_LOSS", "repair")) return CONSTANTS.TCP_CA_Loss;
  if (tcb.flag("F_RECOVERY")) return CONSTANTS.TCP_CA_Recovery;
  const disordered = (tcb.get("dupAcks") ?? 0) + (tcb.inFlightWith("SACKED") ?? 0) > 0;
  return disordered ? CONSTANTS.TCP_CA_Disorder : CONSTANTS.TCP_CA_Open;
}

function unacked(tcb: TcbView): number | undefined {
  const [next, una] = [tcb.get("sndNxt"), tcb.get("sndUna")];
  if (next === undefined || una === undefined) return undefined;
  return Math.ceil(((next - una) >>> 0) / Math.max(tcb.get("mss") ?? 1, 1));
}

/** Names for times, in Linux' units. */
const TIMES: Readonly<Record<string, (times: Times) => number>> = {
  tcpi_busy_time: ({ busy }) => busy,
  tcpi_rwnd_limited: ({ windowLimited }) => windowLimited,
  tcpi_sndbuf_limited: ({ bufferLimited }) => bufferLimited,
  tcpi_last_data_recv: ({ sinceReceived }) => Math.floor(sinceReceived / 1000),
};

/**
 * Names that a block of code may use; `tcb` is undefined when there is no connection. `others` is asked for
 * what no field of a control block says.
 */
export function infoNames(
  tcb: TcbView | undefined,
  listening: boolean,
  times: Times,
  flow: { readonly options: number; readonly delivered: { readonly count: number } } | undefined,
  others: (name: string) => number | undefined,
): { get(name: string): Value | undefined } {
  return {
    get(name) {
      if (Object.hasOwn(CONSTANTS, name)) return CONSTANTS[name];
      if (Object.hasOwn(TIMES, name)) return tcb && TIMES[name](times);
      if (name === "tcpi_delivered") return flow?.delivered.count;
      if (!Object.hasOwn(READERS, name)) return others(name);
      if (tcb) return READERS[name](tcb);
      // What the handshake settled is known beyond the connection's end.
      if (name === "tcpi_options") return flow?.options;
      if (name !== "tcpi_state") return undefined;
      return listening ? CONSTANTS.TCP_LISTEN : CONSTANTS.TCP_CLOSE;
    },
  };
}
