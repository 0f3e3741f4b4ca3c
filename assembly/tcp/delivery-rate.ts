/**
 * Delivery-rate estimation (draft-cheng-iccrg-delivery-rate-estimation-02): how fast the network took
 * what a flight sent, the slower of how fast it was sent and how fast it was acknowledged.
 *
 * Each buffer of the send queue notes what the connection knew when it was sent: `info` is `delivered`;
 * `extra` how long ago, at `sentAt`, the flight had begun and something was delivered, two short floats
 * (12 bits of mantissa and 4 of exponent: to 134 s, exact to 1/4096); LIMITED in its flags.
 */
import { Buffer } from "../mem/buffers";
import { now } from "../time/clock";
import { RateState, rateState } from "./control-state";
import { rateOf } from "./pacing";
import { coldOf, Tcb } from "./tcb";

/** Buffer flag: sent while the application had less to send than might have gone. */
const LIMITED: u32 = 1 << 12;
/** Buffer flag: known to have arrived, and counted. */
const COUNTED: u32 = 1 << 13;

// The sample of the ACK in hand.
/** Bytes a second; 0 when the ACK gave no sample. */
export let deliveryRate: u32 = 0;
/** Whether the application, not the network, may have set it. */
export let rateIsLimited: bool = false;
/** `delivered` when the segment was sent that the sample was taken from. */
export let priorDelivered: u32 = 0;
let hasSample: bool = false;
let interval: u32 = 0;

/** A segment goes out now, perhaps again (section 3.2); to be called before sndNxt moves. */
export function noteSent(tcb: Tcb, buffer: Buffer): void {
  const state = rateState(coldOf(tcb));
  if (tcb.sndNxt == tcb.sndUna) {
    state.firstSentAt = now;
    state.deliveredAt = now;
  }
  buffer.info = state.delivered;
  buffer.extra = encode(now - state.firstSentAt) | (encode(now - state.deliveredAt) << 16);
  const flags = buffer.flags & ~(LIMITED | COUNTED);
  buffer.flags = <u16>(state.appLimited != 0 ? flags | LIMITED : flags);
}

/**
 * The first `bytes` of a buffer are newly known to have arrived, by a cumulative or a selective ACK
 * (section 3.3). May be called again for what was counted.
 */
export function noteDelivered(tcb: Tcb, buffer: Buffer, bytes: u32): void {
  if (buffer.flags & COUNTED) return;
  if (bytes == buffer.length) buffer.flags |= <u16>COUNTED;
  const state = rateState(coldOf(tcb));
  state.delivered += bytes;
  state.deliveredAt = now;
  // The segment that was sent last tells most.
  if (hasSample && i32(buffer.info - priorDelivered) <= 0) return;
  hasSample = true;
  priorDelivered = buffer.info;
  rateIsLimited = (buffer.flags & LIMITED) != 0;
  const sentFor = decode(buffer.extra & 0xffff);
  const ackedFor = now - buffer.sentAt + decode(buffer.extra >> 16);
  interval = max<u32>(sentFor, ackedFor);
  state.firstSentAt = buffer.sentAt;
}

/**
 * When the ACK has been worked on: makes the sample, of whatever `noteDelivered` was told since the last.
 *
 * @param least µs; intervals below it are no measurement but ACKs that came in a heap
 */
export function endSample(state: RateState, least: u32): void {
  const fresh = hasSample;
  hasSample = false;
  deliveryRate = 0;
  if (state.appLimited != 0 && i32(state.delivered - state.appLimited) > 0) state.appLimited = 0;
  if (!fresh || interval == 0 || interval < least) return;
  deliveryRate = rateOf(state.delivered - priorDelivered, interval);
}

/** Less is sent than the window allows, for want of data (section 3.4), until this much is delivered. */
export function markLimited(state: RateState, flight: u32): void {
  state.appLimited = max<u32>(state.delivered + flight, 1);
}

function encode(micros: u32): u32 {
  const bits = 32 - clz<u32>(micros);
  if (bits <= 12) return micros;
  const exponent = min<u32>(bits - 12, 15);
  return min<u32>(micros >> exponent, 0xfff) | (exponent << 12);
}

function decode(short: u32): u32 {
  return (short & 0xfff) << (short >> 12);
}
