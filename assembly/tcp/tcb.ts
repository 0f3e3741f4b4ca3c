/**
 * The transmission control block (RFC 9293 section 3.3.1), in two parts of equal index: `Tcb` holds
 * what every segment of an established connection touches, two cache lines of it; `TcbCold` the rest.
 * Names follow the RFC: snd.una is sndUna.
 */
import { CFG_TCB_COLD, CFG_TCB_HOT, TCB_COLD_SIZE, TCB_HOT_SIZE } from "../abi";
import { config } from "../core/config";
import { Neighbour } from "../net/neighbour-table";

/** An ACK goes out at the end of the batch. */
export const F_ACK_NOW: u32 = 1;
/** Data was received that no ACK has covered yet. */
export const F_ACK_PENDING: u32 = 2;
/** Linked into the agenda of connections that want output at the end of the batch. */
export const F_ON_AGENDA: u32 = 4;
/** The reassembly queue is not empty. */
export const F_OUT_OF_ORDER: u32 = 8;
/** The application has sent its last byte: a FIN follows sndEnd. */
export const F_FIN_QUEUED: u32 = 16;
export const F_FIN_SENT: u32 = 32;
/** `close` was called: nothing received is announced any more. */
export const F_APP_CLOSED: u32 = 64;
/** Small segments wait for outstanding ones (RFC 896). */
export const F_NAGLE: u32 = 128;
/** `sent` only when it says something to do (FLAG_QUIET). */
export const F_QUIET: u32 = 256;
/** A send was cut short: the next room is told by `sent`. */
export const F_BLOCKED: u32 = 512;
/** Received data or the FIN waits to be announced. */
export const F_UNANNOUNCED: u32 = 1024;
/** The application has accepted the connection, or opened it. */
export const F_OWNED: u32 = 2048;
/** In fast recovery (RFC 6582). */
export const F_RECOVERY: u32 = 4096;
/** The deadline is that of the persist timer. */
export const F_PERSIST: u32 = 8192;
/** The peer's FIN was received and takes its turn after the data. */
export const F_EOF: u32 = 1 << 14;
/** The application was told of the peer's FIN. */
export const F_EOF_ANNOUNCED: u32 = 1 << 15;
/** A partial segment waits for more data, or an ACK (FLAG_MORE). */
export const F_MORE: u32 = 1 << 16;
/** Some queued bytes are references to application memory. */
export const F_REFERENCES: u32 = 1 << 17;
/** Opened by a SYN from outside; counts against its listener until accepted. */
export const F_PASSIVE: u32 = 1 << 18;
/** The SYN is answered only after accept (FLAG_DEFER). */
export const F_DEFER: u32 = 1 << 19;
/** The window-scale option was exchanged. */
export const F_SCALED: u32 = 1 << 20;
/** Bytes were sent again after a timeout: sndNxt lies behind sndMax. */
export const F_RESENDING: u32 = 1 << 21;
/** A listener still counts this connection in its backlog. */
export const F_IN_BACKLOG: u32 = 1 << 22;
/** Linked into the list of connections with something to announce. */
export const F_ON_NOTICES: u32 = 1 << 23;
/** The application knows the handle and has not been told of its end. */
export const F_KNOWN: u32 = 1 << 24;
/** An active open whose outcome was not reported yet. */
export const F_CONNECTING: u32 = 1 << 25;
/** `deadline` is set. */
export const F_DEADLINE: u32 = 1 << 26;
/** `ackDeadline` is set. */
export const F_ACK_DEADLINE: u32 = 1 << 27;
/** The application is to be told of the connection's end, with `reason`. */
export const F_DIE: u32 = 1 << 28;
/** A send was refused for want of a frame while nothing in flight would bring an ACK. */
export const F_STARVED: u32 = 1 << 29;
/** Something in flight was selectively acknowledged, or is thought lost: the scoreboard says what. */
export const F_SCOREBOARD: u32 = 1 << 30;
/** Acknowledged bytes wait for room in the event array to be reported. */
export const F_UNREPORTED: u32 = 1 << 31;
// Bits of `moving`, for a connection that travels to another core.
/** It is frozen: no list, timer or call leads to it. */
export const M_LEFT: u32 = 1;
/** An application knows it. */
export const M_KNOWN: u32 = 2;
/** It counted against a listener. */
export const M_IN_BACKLOG: u32 = 4;
/** It arrived in its handshake, whose end the application has not been told of. */
export const M_HANDSHAKE: u32 = 8;
/** What is known of it cannot be trusted: the new core resets it. */
export const M_CONDEMNED: u32 = 16;
/** Looked at already, while a table is checked. */
export const M_SEEN: u32 = 32;

/** Conditions under which a segment never takes the short path. */
export const F_SLOW: u32 =
  F_OUT_OF_ORDER |
  F_RECOVERY |
  F_PERSIST |
  F_UNANNOUNCED |
  F_APP_CLOSED |
  F_RESENDING |
  F_SCOREBOARD;

// Bits of `repair`: how losses are found and mended.
/** Both sides can acknowledge selectively (RFC 2018). */
export const R_SACK: u32 = 1;
/** Without SACK: a partial ACK has come in this recovery. */
export const R_PARTIAL: u32 = 2;
// All others with SACK only.
/** `rackXmit` and what goes with it are set. */
export const R_RACK: u32 = 4;
/** Segments were seen to arrive in another order than they were sent (RFC 8985 section 6.2). */
export const R_REORDERED: u32 = 8;
/** The deadline is when segments in flight count as lost unless they arrive. */
export const R_REORDERING_TIMER: u32 = 16;
/** A tail loss probe is out; R_PROBE_AGAIN: it repeated a segment. `recover` is where it ended. */
export const R_PROBE: u32 = 32;
export const R_PROBE_AGAIN: u32 = 64;
/** The timer has run out: recovery begins anew from one segment. */
export const R_LOSS: u32 = 128;
/** What has arrived since the timeout does not prove yet that it was right (RFC 5682). */
export const R_DOUBT: u32 = 256;
/** The window can be restored, should all that was sent again prove needless. */
export const R_UNDO: u32 = 512;
/** `dsackRound` is set. */
export const R_DSACK_ROUND: u32 = 1024;
/** Something in flight was sent again, so that `resentStamp` and `resentUnproved` go on. */
export const R_RESENT: u32 = 2048;
// With Fast Open (RFC 7413), with or without SACK.
/** As client: the SYN had the option; R_COOKIE_TRIAL: as the experiment had it. */
export const R_COOKIE: u32 = 1 << 12;
export const R_COOKIE_TRIAL: u32 = 1 << 13;
/** The SYN carried data; once the SYN-ACK is there, data that was taken. */
export const R_SYN_DATA: u32 = 1 << 14;
/** As server: the SYN-ACK is not acknowledged; sndUna lies behind it all the same. */
export const R_HALF_OPEN: u32 = 1 << 15;
/** From here on, `reoPersist`. */
const R_PERSIST_SHIFT: u32 = 24;
const R_PERSIST_MASK: u32 = 255 << R_PERSIST_SHIFT;

// Bits of `controlFlags`.
/** What is sent is spread over time (pacing.ts). */
export const C_PACED: u32 = 1;
/** Something waits for its time to be sent; the timer is armed for that. */
export const C_PACE_WAIT: u32 = 2;
/** Every segment sent notes what its ACK needs to measure the delivery rate (delivery-rate.ts). */
export const C_SAMPLED: u32 = 4;
/** Both sides speak ECN (ecn.ts). */
export const C_ECN: u32 = 8;
/** New data is sent ECN-capable. */
export const C_ECT: u32 = 16;
/** ACKs echo that a mark was received. */
export const C_ECHO: u32 = 32;
/** The next new data says that the window was reduced. */
export const C_CWR: u32 = 64;
/** What is received is acknowledged at once, until `quickAcks` are used up or an answer is sent. */
export const C_QUICK: u32 = 128;
/** The peer is asked whether it is still there when nothing was heard of it for long (keep-alive.ts). */
export const C_KEEP_ALIVE: u32 = 256;
/** A partial segment waits until the application takes this off (OPTION_CORK). */
export const C_CORKED: u32 = 512;
/** Segments are smaller than they might be, because full ones did not get through (mtu-probe.ts). */
export const C_LOWERED: u32 = 1024;
/** With C_ECN: by RFC 9768 (accecn.ts). In SYN-SENT without it: that was asked for. */
export const C_ACCURATE: u32 = 2048;

/** Bytes at the end of the cold part that belong to congestion control (control-state.ts). */
export const CONTROL_STATE_SIZE: u32 = 60;

/** The part that every segment touches: TCB_HOT_SIZE bytes. */
@final
@unmanaged
export class Tcb {
  /** The connection's one timer; it may fire early, `deadline` and `ackDeadline` say what is due. */
  timerNext: u32;
  timerPrev: u32;
  timerTick: u32;
  timerKind: u8;
  /** The congestion control of this connection, `CONTROL_*`. */
  control: u8;
  /** What congestion control asks of every segment, `C_*`. */
  controlFlags: u16;
  /** RSS hash of the received tuple, and the next TCB in the same bucket. */
  hash: u32;
  chain: u32;
  /** Addresses and ports as they lie in received packets: remote port low half, local high half. */
  remoteIp: u32;
  localIp: u32;
  ports: u32;
  state: u16;
  /** Largest payload we send: the peer's MSS bounded by our MTU. */
  mss: u16;
  flags: u32;
  /** Index and generation; what the application knows the connection by. */
  handle: u32;
  cookie: u32;
  sndUna: u32;
  sndNxt: u32;
  /** The peer's window, scaled. */
  sndWnd: u32;
  sndWl1: u32;
  cwnd: u32;
  rcvNxt: u32;
  /** Right edge of the window that was advertised last. */
  rcvAdv: u32;
  /** What the last segment sent acknowledged. */
  rcvAcked: u32;
  /** In-order bytes that the application has not given back. */
  rxQueued: u32;
  /** Size of the receive window, as auto-tuning set it. */
  rcvWindow: u32;
  sndShift: u8;
  rcvShift: u8;
  /** Bytes of options in every segment: those of timestamps, or 0 when they were not agreed on. */
  optionBytes: u8;
  /** Doublings of the timeout. */
  backoff: u8;
  /** Sent and unsent buffers in order; txNext is the first unsent one. */
  txHead: u32;
  txTail: u32;
  txNext: u32;
  /** In-order buffers up to what the application gave back. */
  rxHead: u32;
  rxTail: u32;
  /** When retransmission, persist or TIME-WAIT is due, µs; only with F_DEADLINE. */
  deadline: u32;
  neighbour: Neighbour;
  /** Next on the agenda. */
  agenda: u32;
}

/**
 * The part that connection set-up, losses and timers touch: TCB_COLD_SIZE bytes, the last
 * CONTROL_STATE_SIZE of which are not described here. Its first cache line holds what most segments of
 * an established connection need besides. Words with two uses that exclude each other have the second one
 * by an accessor, which says why they do.
 */
@final
@unmanaged
export class TcbCold {
  /** Sequence number after the last queued byte (the FIN's, once queued). */
  sndEnd: u32;
  /** Highest sequence number sent so far, exclusive. */
  sndMax: u32;
  /** RFC 6298, µs: srtt times 8, rttvar times 4, and the timeout before back-off. */
  srtt8: u32;
  rttvar4: u32;
  rto: u32;
  /** When a held-back ACK is due, µs; only with F_ACK_DEADLINE. */
  ackDeadline: u32;
  /** Timestamps: the value to echo, and what is added to ours (RFC 7323 sections 4.3 and 5.4). */
  tsRecent: u32;
  tsOffset: u32;
  /** Bits `R_*`, and `reoPersist` above them. */
  repair: u32;
  /** When `tsRecent` came, in hours: it is too old to judge by after 24 days. */
  tsRecentHour: u16;
  /** Without SACK: duplicate ACKs in a row. */
  dupAcks: u8;
  /** Consecutive timeouts and probes without an answer. */
  retries: u8;
  /** How often the SYN (or SYN-ACK) was sent. */
  synCount: u8;
  /** What ICMP said meanwhile; makes a later timeout more precise (RFC 1122 4.2.3.9). */
  softError: i8;
  /** What F_DIE reports. */
  reason: i8;
  /** RFC 8985's RACK.reo_wnd_mult less one: how far D-SACKs have widened the reordering window. */
  reoGrown: u8;
  /** Bytes acknowledged that no `sent` has reported. */
  unreported: u32;
  /** First buffer that was not announced, and bytes from there on. */
  rxAnnounce: u32;
  rxUnannounced: u32;
  ssthresh: u32;
  /**
   * In congestion avoidance: bytes acknowledged towards the next growth. In slow start: the most bytes that
   * were in flight. In recovery nothing grows, and `prrOut` is here.
   */
  cwndCredit: u32;
  /** How far had been sent when the recovery began; it ends there (RFC 6582's recover). */
  recover: u32;
  /** Largest window the peer ever offered. */
  sndWndMax: u32;
  /** Auto-tuning of the receive window: bytes given back since `tuneStart` (µs). */
  tuneBytes: u32;
  tuneStart: u32;
  /** Reassembly queue in sequence order: its buffers, and the runs without a gap that they form. */
  outOfOrder: u32;
  outOfOrderCount: u16;
  outOfOrderRuns: u16;
  /**
   * With F_OUT_OF_ORDER: first buffers of the runs that grew last, latest first (RFC 2018 section 4). Without
   * it: where runs of arrived segments begin that the peer named last (landmarks.ts), which only save time.
   */
  sackRecent0: u32;
  sackRecent1: u32;
  sackRecent2: u32;
  sackRecent3: u32;
  /** Next on the list of connections with something to announce. */
  noticeNext: u32;
  // From here four words that an open connection uses otherwise (open-state.ts).
  /** In the handshake: time of the SYN (or SYN-ACK) sent first, µs. */
  synSentAt: u32;
  /** With F_IN_BACKLOG: handle of the listener that this came from. */
  listener: u32;
  /** TIME-WAIT: neighbours in the list, oldest first. */
  timeWaitNext: u32;
  timeWaitPrev: u32;
  /**
   * Without SACK: bytes that limited transmit sent beyond the window (RFC 3042). With it, `dsackRound` is here.
   */
  limitedBytes: u32;
  /** Scoreboard: bytes between sndUna and sndNxt that have arrived, and that are lost and not yet sent again. */
  sackedBytes: u32;
  lostBytes: u32;
  /** The last buffer of which it was decided, as it was sent first, whether it is lost; 0: none. */
  lastJudged: u32;
  /** The first buffer that is lost and not yet sent again; 0: none. */
  nextLost: u32;
  /** The end of the highest segment known to have arrived. */
  highestArrived: u32;
  /** RACK: of the segment sent last of those that arrived, when it was sent, its end, its round trip. */
  rackXmit: u32;
  rackEnd: u32;
  rackRtt: u32;
  /** The shortest round trip ever, µs; 0: none. */
  minRtt: u32;
  /** Our timestamp of the first segment sent again since all in flight had arrived; 0: none. */
  resentStamp: u32;
  /** Buffers with SACKED. */
  sackedSegments: u16;
  /** Retransmissions since then that no D-SACK has shown to be needless. */
  resentUnproved: u8;
  /** By how many segments what arrived was out of order at most, up to 255; 0: never by more than 3. */
  reordering: u8;
  /** The application's number that travels along. */
  tag: u32;
  /** Bits `M_*`. */
  moving: u8;
  /** How often segments were seen to arrive in another order than they were sent, modulo 2^8. */
  reorderings: u8;
  /** Segments that were sent again so far, up to 65,535. */
  resent: u16;
  /** Where RACK's look at what was sent again goes on; 0: at the front. */
  againNext: u32;
  /** With C_LOWERED: the largest segment before, and the least one that was lost since (mtu-probe.ts). */
  mssFull: u16;
  mssCeiling: u16;
  /** Of the last probe: its size while it is in flight, when the one before ended, in 64 ms, and where it ends. */
  probeSize: u16;
  probedAt: u16;
  probeEnd: u32;

  /**
   * With SACK: bytes sent in this recovery (RFC 6937's prr_out). Growth, which `cwndCredit` is for, has paused,
   * and begins again from 0 however recovery ends.
   */
  get prrOut(): u32 {
    return this.cwndCredit;
  }

  set prrOut(bytes: u32) {
    this.cwndCredit = bytes;
  }

  /** With R_DSACK_ROUND, and so with SACK: D-SACKs widen the reordering window once until this is acknowledged. */
  get dsackRound(): u32 {
    return this.limitedBytes;
  }

  set dsackRound(end: u32) {
    this.limitedBytes = end;
  }

  /** Recoveries until the reordering window shrinks again, up to 255 (RFC 8985: RACK.reo_wnd_persist). */
  get reoPersist(): u32 {
    return this.repair >> R_PERSIST_SHIFT;
  }

  set reoPersist(recoveries: u32) {
    this.repair = (this.repair & ~R_PERSIST_MASK) | (recoveries << R_PERSIST_SHIFT);
  }
}

/** Where the two parts lie: arrays of all cores' TCBs. */
export let hotBase: u32 = 0;
let coldBase: u32 = 0;

/** Binds this instance to the arrays. */
export function bindTcbs(): void {
  hotBase = config(CFG_TCB_HOT);
  coldBase = config(CFG_TCB_COLD);
}

/** The other part of a connection's state. */
export function coldOf(tcb: Tcb): TcbCold {
  return changetype<TcbCold>(
    coldBase + ((changetype<u32>(tcb) - hotBase) / TCB_HOT_SIZE) * TCB_COLD_SIZE,
  );
}

export function asTcb(address: u32): Tcb {
  return changetype<Tcb>(address);
}
