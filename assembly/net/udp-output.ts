/**
 * UDP on the way out. A datagram shorter than the copy break is copied behind its headers, and the
 * application's memory is free again when the call has run. The memory of a longer one is referenced
 * by further TX descriptors, if it lies in the application's window and the neighbour is known:
 *
 *   TX ring   | headers, in a frame | part | part | …
 *
 * Every datagram of at least the copy break, referenced or not, is reported by `udp_sent` once the
 * NIC no longer needs the memory, in the order of the calls. One that is larger than a packet is copied
 * into fragments. What is still to be reported is a list
 * of buffers: of a referenced datagram its header frame, which the TX ring holds as long as it needs
 * it; of a copied one a frameless record that nobody else holds.
 */
import {
  CNT_TX_NO_FRAME,
  CNT_UDP_OUT,
  DESC_CONTINUED,
  EV_UDP_SENT,
  OFFLOAD_TX_CHECKSUM,
  RC_AGAIN,
  RC_MSGSIZE,
  RC_NOBUFS,
  RC_OK,
  SG_SIZE,
} from "../abi";
import { copyBreak, coreBlock, offloads } from "../core/config";
import { count } from "../core/counters";
import { STATE_UDP_SENT } from "../core/state";
import {
  allocFrame,
  allocRecord,
  Buffer,
  hold,
  packetOf,
  release,
  releaseHeld,
} from "../mem/buffers";
import { txPut, txPutForeign, txRoom } from "../nic/rings";
import { eventRoom, pushEvent } from "../user/events";
import { sumAtOddOffset, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { IPV4_HEADER_SIZE } from "../wire/ipv4";
import { emitUdp, UDP_CHECKSUM, UDP_HEADER_SIZE, UDP_PROTOCOL } from "../wire/udp";
import { sendFragments } from "./fragment-output";
import {
  completeChecksum,
  emitIp,
  findPath,
  l4Offset,
  offerChecksum,
  pathHeader,
  pathMtu,
  pathNeighbour,
  pathPseudoSum,
  sendOnPath,
  storeChecksum,
} from "./ip-output";
import { emitEthernet, isResolved } from "./neighbours";
import { UdpPort } from "./udp-ports";

/** Parts that a referenced datagram may have; one in more parts is copied. NICs take about as many. */
const MAX_PARTS: u32 = 16;

/** Datagrams to be reported by `udp_sent`, oldest first; in the core's control block. */
@final
@unmanaged
class SentReports {
  first: u32;
  last: u32;
}

let reports = changetype<SentReports>(0);

/** Binds this instance to the core's list. */
export function bindUdpOutput(): void {
  reports = changetype<SentReports>(coreBlock + STATE_UDP_SENT);
}

/** Longest payload of a datagram over that IP version, bytes. */
export function maxUdpPayload(ipv4: bool): u32 {
  return 65535 - UDP_HEADER_SIZE - (ipv4 ? IPV4_HEADER_SIZE : 0);
}

/**
 * Sends a datagram from a bound port, in fragments where one packet does not take it.
 *
 * @param cookie for its `udp_sent`
 * @param high, low the destination's address
 * @param remotePort host order
 * @param segments address of `entries` {address, length} pairs, every one of them checked
 * @param total bytes of payload, at most `maxUdpPayload`
 * @param referable true when all parts lie in the application's window
 * @param whole true to refuse fragments
 * @returns `total`, or RC_UNREACHABLE, RC_NOMEM (neighbour table full), RC_NOBUFS (no buffer free),
 *   RC_AGAIN (TX ring or the neighbour's queue full), RC_MSGSIZE (`whole`, and too large for that)
 */
export function sendUdp(
  port: UdpPort,
  cookie: u32,
  high: u64,
  low: u64,
  remotePort: u32,
  segments: u32,
  entries: u32,
  total: u32,
  referable: bool,
  whole: bool,
): i32 {
  const found = findPath(high, low);
  if (found != RC_OK) return found;
  const l4Length = UDP_HEADER_SIZE + total;
  const fits = pathHeader + l4Length <= pathMtu;
  if (!fits && whole) return RC_MSGSIZE;
  const buffer = allocFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return RC_NOBUFS;
  }
  const frame = packetOf(buffer);
  emitUdp(frame + l4Offset(), port.port, remotePort, l4Length);
  const reported = total >= copyBreak;
  const referenced =
    fits &&
    reported &&
    total != 0 &&
    referable &&
    entries <= MAX_PARTS &&
    isResolved(pathNeighbour);
  let result: i32;
  if (referenced) {
    result = sendReferenced(buffer, segments, entries, total);
    if (result >= 0) report(buffer, port.handle, cookie, total);
  } else {
    const record = reported ? allocRecord() : null;
    if (reported && record == null) result = RC_NOBUFS;
    else if (fits) result = sendCopied(buffer, segments, entries, total);
    else result = sendFragmented(frame, segments, entries, total);
    if (record != null) {
      if (result >= 0) report(record, port.handle, cookie, total);
      release(record);
    }
  }
  release(buffer);
  if (result >= 0) count(CNT_UDP_OUT);
  return result;
}

/**
 * Pushes `udp_sent` for every datagram at the head of the list whose memory is free, as far as there
 * is room for events. Once per poll, after the NIC's completions were read.
 */
export function udpCompletions(): void {
  while (reports.first != 0) {
    const sent = changetype<Buffer>(reports.first);
    if (sent.holds != 1 || eventRoom() == 0) return;
    pushEvent(EV_UDP_SENT, sent.info, sent.extra, 0, sent.length, 0);
    reports.first = sent.next;
    if (reports.first == 0) reports.last = 0;
    release(sent);
  }
}

/** Appends to the list of datagrams to be reported, which takes a hold of its own. */
function report(sent: Buffer, handle: u32, cookie: u32, bytes: u32): void {
  hold(sent);
  sent.next = 0;
  sent.info = handle;
  sent.extra = cookie;
  sent.length = bytes;
  if (reports.last == 0) reports.first = changetype<u32>(sent);
  else changetype<Buffer>(reports.last).next = changetype<u32>(sent);
  reports.last = changetype<u32>(sent);
}

/** Copies the parts behind the headers and sends the frame, or lets it wait for its neighbour. */
function sendCopied(buffer: Buffer, segments: u32, entries: u32, total: u32): i32 {
  const frame = packetOf(buffer);
  let to = frame + l4Offset() + UDP_HEADER_SIZE;
  const end = segments + entries * SG_SIZE;
  for (let at = segments; at < end; at += SG_SIZE) {
    const length = load<u32>(at, 4);
    memory.copy(to, load<u32>(at), length);
    to += length;
  }
  const l4Length = UDP_HEADER_SIZE + total;
  const options = completeChecksum(frame, UDP_PROTOCOL, l4Length, UDP_CHECKSUM);
  return sendOnPath(buffer, frame, UDP_PROTOCOL, l4Length, options) == RC_OK
    ? i32(total)
    : RC_AGAIN;
}

/** Sends the headers and, by further descriptors, the parts where they lie. */
function sendReferenced(buffer: Buffer, segments: u32, entries: u32, total: u32): i32 {
  if (!txRoom(1 + entries)) return RC_AGAIN;
  const frame = packetOf(buffer);
  const l4Length = UDP_HEADER_SIZE + total;
  const header = frame + l4Offset();
  const pseudoSum = pathPseudoSum(UDP_PROTOCOL, l4Length);
  let options: u32 = 0;
  if (offloads & OFFLOAD_TX_CHECKSUM) {
    options = offerChecksum(frame, UDP_CHECKSUM, pseudoSum);
  } else {
    const sum = sumBytes(header, UDP_HEADER_SIZE, pseudoSum);
    storeChecksum(header, UDP_PROTOCOL, UDP_CHECKSUM, sum + sumParts(segments, entries));
  }
  emitIp(frame + ETHERNET_HEADER_SIZE, UDP_PROTOCOL, l4Length);
  emitEthernet(frame, pathNeighbour);
  txPut(buffer, frame, l4Offset() + UDP_HEADER_SIZE, options | DESC_CONTINUED);
  let left = total;
  for (let at = segments; left != 0; at += SG_SIZE) {
    const length = load<u32>(at, 4);
    if (length == 0) continue;
    left -= length;
    txPutForeign(load<u32>(at), length, left != 0 ? DESC_CONTINUED : 0);
  }
  return i32(total);
}

/** Sends the datagram whose header lies in a frame in fragments, which no NIC makes a checksum for. */
function sendFragmented(frame: u32, segments: u32, entries: u32, total: u32): i32 {
  const header = frame + l4Offset();
  const l4Length = UDP_HEADER_SIZE + total;
  const pseudoSum = pathPseudoSum(UDP_PROTOCOL, l4Length);
  const sum = sumBytes(header, UDP_HEADER_SIZE, pseudoSum) + sumParts(segments, entries);
  storeChecksum(header, UDP_PROTOCOL, UDP_CHECKSUM, sum);
  const code = sendFragments(UDP_PROTOCOL, header, UDP_HEADER_SIZE, segments, l4Length);
  return code == RC_OK ? i32(total) : code;
}

/** Sum of the parts as if they lay one behind the other. */
function sumParts(segments: u32, entries: u32): u32 {
  let sum: u32 = 0;
  let offset: u32 = 0;
  const end = segments + entries * SG_SIZE;
  for (let at = segments; at < end; at += SG_SIZE) {
    const length = load<u32>(at, 4);
    const part = sumBytes(load<u32>(at), length, 0);
    sum += offset & 1 ? sumAtOddOffset(part) : part;
    offset += length;
  }
  return sum;
}

/** Forgets what a lost thread's application was to be told. */
export function abandonReports(): void {
  releaseHeld(reports.first);
  reports.first = 0;
  reports.last = 0;
}
