/**
 * Fast Open as client (RFC 7413 section 4.2): data in the SYN for a server whose cookie is known, the
 * wish for a cookie for all others. A SYN that has to be repeated goes without either. What the
 * SYN-ACK leaves of the data is sent at once as if it had never been sent.
 */
import {
  CFG_FAST_OPEN,
  CNT_TCP_FAST_OPENS_OUT,
  CNT_TCP_FAST_OPENS_OUT_FAILED,
  CNT_TCP_FAST_OPEN_BLACK_HOLES,
  FAST_OPEN_CLIENT_BARE,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { allocFrame, Buffer } from "../mem/buffers";
import { now } from "../time/clock";
import {
  optionCookieBytes,
  optionMss,
  OPTIONS_MAX,
  OPTION_COOKIE,
  OPTION_COOKIE_TRIAL,
} from "../wire/tcp-options";
import { releaseAcknowledged } from "./ack";
import { payloadPlace } from "./emit";
import { sendSyn, sendSynWithCookie, sendSynWithData } from "./emit-syn";
import {
  cookieOf,
  findServer,
  isBlackHole,
  keepCookie,
  KnownServer,
  noteLoss,
  serverInHand,
} from "./fast-open-cache";
import { LEAST_ANNOUNCED_MSS } from "./handshake";
import { countResent } from "./output";
import { RECORD_END, SENT_AGAIN } from "./send-queue";
import { coldOf, R_COOKIE, R_COOKIE_TRIAL, R_SYN_DATA, Tcb } from "./tcb";
import { localMss, pathMss, setConnection } from "./tuple";

/**
 * Sends the first SYN of a connection that has data to send, whose peer is in hand (tuple.ts); the range has
 * been checked. Returns how many bytes went along.
 */
export function sendFirstSyn(tcb: Tcb, address: u32, length: u32): u32 {
  const server = findServer();
  if (server != null && isBlackHole(server)) {
    count(CNT_TCP_FAST_OPEN_BLACK_HOLES);
    sendSyn(tcb);
    return 0;
  }
  const bare = (config(CFG_FAST_OPEN) & FAST_OPEN_CLIENT_BARE) != 0;
  if (bare) return sendWith(tcb, address, length, server, 0);
  if (server == null || server.cookieBytes == 0) {
    askForCookie(tcb, server);
    return 0;
  }
  noteOption(tcb, server.kind);
  return sendWith(tcb, address, length, server, server.kind);
}

/** A server that gave none is asked once more by the other option, and then by the usual one again. */
function askForCookie(tcb: Tcb, server: KnownServer | null): void {
  const again = server != null && server.refusals == 1;
  const kind = again ? OPTION_COOKIE_TRIAL : OPTION_COOKIE;
  noteOption(tcb, kind);
  sendSynWithCookie(tcb, kind, 0, 0);
}

function noteOption(tcb: Tcb, kind: u32): void {
  const trial = kind == OPTION_COOKIE_TRIAL;
  coldOf(tcb).repair |= trial ? R_COOKIE | R_COOKIE_TRIAL : R_COOKIE;
}

/** A SYN with data, or without when there is no frame for it, and with the server's cookie if `kind` is one. */
function sendWith(tcb: Tcb, address: u32, length: u32, server: KnownServer | null, kind: u32): u32 {
  const cookie = server != null ? cookieOf(server) : 0;
  const cookieBytes: u32 = kind != 0 ? u32(server!.cookieBytes) : 0;
  const taken = min<u32>(length, roomInSyn(server));
  const buffer = taken != 0 ? allocFrame() : null;
  if (buffer == null) {
    sendSynWithCookie(tcb, kind, cookie, cookieBytes);
    return 0;
  }
  queue(tcb, buffer, address, taken);
  // Should the TX ring be full, it is as if the SYN had been lost.
  sendSynWithData(tcb, buffer, kind, cookie, cookieBytes);
  return taken;
}

/** With room for all options that middleboxes might add, as Linux has it. */
function roomInSyn(server: KnownServer | null): u32 {
  const known: u32 = server != null ? u32(server.mss) : 0;
  const mss = known != 0 ? max<u32>(known, LEAST_ANNOUNCED_MSS) : localMss();
  return min<u32>(mss, pathMss()) - OPTIONS_MAX;
}

/** Puts the data into the send queue, as sent. */
function queue(tcb: Tcb, buffer: Buffer, address: u32, length: u32): void {
  const cold = coldOf(tcb);
  buffer.address = payloadPlace(tcb, buffer);
  memory.copy(buffer.address, address, length);
  buffer.length = length;
  buffer.seq = tcb.sndNxt;
  buffer.sentAt = now;
  buffer.info = 0;
  buffer.extra = 0;
  // Its round trip is measured by the SYN, and it ends a write.
  buffer.flags = SENT_AGAIN | RECORD_END;
  tcb.txHead = changetype<u32>(buffer);
  tcb.txTail = changetype<u32>(buffer);
  const end = tcb.sndNxt + length;
  tcb.sndNxt = end;
  cold.sndMax = end;
  cold.sndEnd = end;
  cold.repair |= R_SYN_DATA;
}

/**
 * The SYN is acknowledged, and of its data what comes before `ack`: the rest counts as never sent. Returns
 * how many bytes the application is to be told of.
 */
export function acknowledgeSyn(tcb: Tcb, ack: u32): u32 {
  const first = tcb.sndUna + 1;
  tcb.sndUna = ack;
  if (tcb.txHead == 0) return 0;
  const cold = coldOf(tcb);
  const bytes = ack != first ? releaseAcknowledged(tcb, ack) : 0;
  if (tcb.txHead == 0) {
    count(CNT_TCP_FAST_OPENS_OUT);
    return bytes;
  }
  count(CNT_TCP_FAST_OPENS_OUT_FAILED);
  countResent(tcb);
  cold.repair &= ~R_SYN_DATA;
  tcb.txNext = tcb.txHead;
  tcb.sndNxt = ack;
  cold.sndMax = ack;
  return bytes;
}

/**
 * Learns from the SYN-ACK whose options were just read; before `acknowledgeSyn`.
 *
 * @param ack what it acknowledges
 */
export function learnServer(tcb: Tcb, ack: u32): void {
  const cold = coldOf(tcb);
  if (!(cold.repair & (R_COOKIE | R_SYN_DATA))) return;
  setConnection(tcb);
  const server = serverInHand();
  const asked = (cold.repair & R_COOKIE) != 0;
  const given = asked && optionCookieBytes > 0;
  const repeated = cold.synCount > 1;
  server.mss = <u16>optionMss;
  if (given) {
    keepCookie(server);
    server.refusals = 0;
  } else if (!repeated && asked && server.cookieBytes == 0) {
    // No cookie, whichever option asked for it.
    server.refusals = cold.repair & R_COOKIE_TRIAL ? 2 : max<u8>(server.refusals, 1);
  }
  // Neither data nor option of the first SYN had an effect: it was the second that arrived.
  const lost = repeated && !given && tcb.txHead != 0 && ack == tcb.sndUna + 1;
  if (lost) noteLoss(server);
  else server.losses = 0;
}
