/** What IPv4 and IPv6 have in common on the way in. */
import { FRAME_SIZE, METADATA_SIZE, RX_META_FLAGS } from "../abi";
import { macHead, macTail } from "../core/config";
import { count } from "../core/counters";
import { Buffer, packetOf, release } from "../mem/buffers";
import { asBuffer, Slot, slotData } from "../mem/slots";
import { emitEthernetHeader, ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { TCP_HEADER_SIZE, tcpHeaderLength } from "../wire/tcp";

/**
 * TCP keeps frames: a segment in fragments moves to that of its last one, if it fits, and lies there as
 * it would have come in one piece, unverified, should it pass the gate once more (flow/backlog.ts).
 */
export function moveToFrame(buffer: Buffer, slot: Slot, bytes: u32, type: u32): bool {
  const frame = packetOf(buffer);
  const at = frame + ETHERNET_HEADER_SIZE;
  const fits = bytes <= FRAME_SIZE - (at & (FRAME_SIZE - 1));
  if (fits) {
    memory.copy(at, slotData(slot) - slot.headerLength, bytes);
    emitEthernetHeader(frame, macHead, macTail, macHead, macTail, type);
    store<u32>(frame - METADATA_SIZE, 0, RX_META_FLAGS);
  }
  release(asBuffer(slot));
  return fits;
}

/** True when the header of a segment fits it. */
export function isTcpSound(l4: u32, l4Length: u32): bool {
  if (l4Length < TCP_HEADER_SIZE) return false;
  const headerLength = tcpHeaderLength(l4);
  return headerLength >= TCP_HEADER_SIZE && headerLength <= l4Length;
}

/** Counts why a packet goes no further, and releases it. Always false: it is no segment. */
export function drop(buffer: Buffer, counter: u32): bool {
  count(counter);
  release(buffer);
  return false;
}
