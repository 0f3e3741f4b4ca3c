/**
 * Fragments on their way out (RFC 791 section 3.2, RFC 8200 section 4.5): layer 4, gathered from a head
 * and parts, goes over the path found last in as few packets as it takes, all or none of them.
 */
import { CNT_FRAGMENTS_OUT, CNT_TX_NO_FRAME, RC_AGAIN, RC_NOBUFS, RC_OK, SG_SIZE } from "../abi";
import { count } from "../core/counters";
import { allocFrame, packetOf, release, sendableSegments } from "../mem/buffers";
import { txRoom } from "../nic/rings";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { emitFragmentHeader, FRAGMENT, FRAGMENT_HEADER_SIZE } from "../wire/extension";
import { IPV4_HEADER_SIZE, markIpv4Fragment } from "../wire/ipv4";
import { emitIp, l4Offset, pathHeader, pathMtu, pathNeighbour } from "./ip-output";
import { isResolved, resolve, sendPacket } from "./neighbours";
import { PENDING_MAX } from "./pending";
import { nextIdentification } from "./random";

// What is still to be copied: the head, then the parts from an entry and a place in it.
let headAt: u32 = 0;
let headLeft: u32 = 0;
let entryAt: u32 = 0;
let entryOffset: u32 = 0;

/**
 * Sends `total` bytes of layer 4, more than one packet takes, its checksum included.
 *
 * @param head, headLength its first bytes
 * @param segments address of {address, length} pairs that hold the rest
 * @returns RC_OK; RC_NOBUFS without enough frames; RC_AGAIN without room in the TX ring, or while the
 *   neighbour is being asked for and could not have as many packets wait
 */
export function sendFragments(
  protocol: u32,
  head: u32,
  headLength: u32,
  segments: u32,
  total: u32,
): i32 {
  const extra = pathHeader == IPV4_HEADER_SIZE ? 0 : FRAGMENT_HEADER_SIZE;
  const share = (pathMtu - pathHeader - extra) & ~7;
  const packets = (total + share - 1) / share;
  if (!isResolved(pathNeighbour) && packets > PENDING_MAX) {
    resolve(pathNeighbour);
    return RC_AGAIN;
  }
  if (packets > sendableSegments()) {
    count(CNT_TX_NO_FRAME);
    return RC_NOBUFS;
  }
  if (!txRoom(packets)) return RC_AGAIN;
  headAt = head;
  headLeft = headLength;
  entryAt = segments;
  entryOffset = 0;
  const identification = nextIdentification();
  for (let offset: u32 = 0; offset < total; offset += share) {
    const length = min<u32>(share, total - offset);
    sendFragment(protocol, offset, length, offset + length < total, identification);
  }
  return RC_OK;
}

function sendFragment(
  protocol: u32,
  offset: u32,
  length: u32,
  more: bool,
  identification: u32,
): void {
  const buffer = allocFrame();
  // Asked for beforehand, so there is one.
  if (buffer == null) return;
  const frame = packetOf(buffer);
  const ip = frame + ETHERNET_HEADER_SIZE;
  let data = frame + l4Offset();
  if (pathHeader == IPV4_HEADER_SIZE) {
    emitIp(ip, protocol, length);
    markIpv4Fragment(ip, length, offset, more, identification);
  } else {
    emitIp(ip, FRAGMENT, FRAGMENT_HEADER_SIZE + length);
    emitFragmentHeader(data, protocol, offset, more, identification);
    data += FRAGMENT_HEADER_SIZE;
  }
  copyNext(data, length);
  sendPacket(pathNeighbour, buffer, frame, data + length - frame, 0);
  release(buffer);
  count(CNT_FRAGMENTS_OUT);
}

/** Copies the next bytes of head and parts. */
function copyNext(to: u32, length: u32): void {
  const fromHead = min<u32>(headLeft, length);
  memory.copy(to, headAt, fromHead);
  headAt += fromHead;
  headLeft -= fromHead;
  to += fromHead;
  length -= fromHead;
  while (length != 0) {
    const part = min<u32>(load<u32>(entryAt, 4) - entryOffset, length);
    memory.copy(to, load<u32>(entryAt) + entryOffset, part);
    to += part;
    length -= part;
    entryOffset += part;
    if (entryOffset == load<u32>(entryAt, 4)) {
      entryAt += SG_SIZE;
      entryOffset = 0;
    }
  }
}
