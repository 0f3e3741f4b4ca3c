/**
 * Payloads in the TX ring that lie in the application's memory. That memory goes back to the application when
 * the peer acknowledges it or the connection ends, and a peer can bring about both while the NIC has yet to read
 * the payload: it would send whatever the application puts there next. Before memory goes back, such payloads
 * are therefore moved behind their headers, whose frames have room for them:
 *
 *   before   | header | CONTINUED |  →  frame  | … | header |
 *            | payload            |  →  application
 *   after    | header | CONTINUED |  →  frame  | … | header | payload |
 *            | payload            |  ─────────────────────────↑
 *
 * The NIC reads the ring on this thread, between iterations, so what it has not read may be changed. Of one
 * that reads at any time, the application's memory would have to be kept until its completion.
 */
import { DESC_ADDRESS, DESC_CONTINUED, DESC_LENGTH, DESC_OPTIONS, PACKET_DESC_SIZE } from "../abi";
import { framesBase, framesEnd } from "../core/config";
import { Buffer, bufferAt, hold } from "../mem/buffers";
import { Queue, queueAt, txPut, txPutForeign } from "./rings";

/** Flag of a header's buffer, as long as its payload lies in the application's memory. */
const REFERS: u16 = 0x4000;

/**
 * Queues a header and, as a second descriptor, a payload that is in no frame. The room must have been asked
 * for, and the header's frame must have room for the payload behind it.
 *
 * @param header owns the frame from `start` to `end`
 * @param options `DESC_*` of the header
 * @param now µs modulo 2^32
 */
export function txPutReferring(
  header: Buffer,
  start: u32,
  end: u32,
  options: u32,
  payload: u32,
  length: u32,
  now: u32,
): void {
  header.flags = REFERS;
  header.sentAt = now;
  txPut(header, start, end - start, options | DESC_CONTINUED);
  txPutForeign(payload, length, 0);
}

/**
 * To be called before memory that was last queued at `sentAt` goes back to the application: moves all payloads
 * that the NIC has yet to read, unless even the oldest of them was queued after that. An honest peer
 * acknowledges nothing that waits, so for it nothing is moved but what shares an instant with what was read.
 */
export function txSever(sentAt: u32): void {
  const queue = queueAt(0);
  const head = queue.txHead;
  let at = atomic.load<u32>(queue.txConsumer);
  // What was found last time is further on, unless the NIC has read it by now.
  if (head - queue.txReferring < head - at) at = queue.txReferring;
  while (at != head && !refers(queue, at)) at++;
  queue.txReferring = at;
  if (at == head || i32(sentAt - headerAt(queue, at).sentAt) < 0) return;
  for (; at != head; at++) if (refers(queue, at)) sever(queue, at);
  queue.txReferring = head;
}

function slotAt(queue: Queue, position: u32): u32 {
  return queue.txDescriptors + (position & queue.txMask) * PACKET_DESC_SIZE;
}

/** Buffer of a descriptor that another one follows. */
function headerAt(queue: Queue, position: u32): Buffer {
  return bufferAt(load<u32>(slotAt(queue, position), DESC_ADDRESS));
}

function refers(queue: Queue, position: u32): bool {
  const slot = slotAt(queue, position);
  if (!(load<u32>(slot, DESC_OPTIONS) & DESC_CONTINUED)) return false;
  const address = load<u32>(slot, DESC_ADDRESS);
  if (address < framesBase || address >= framesEnd) return false;
  return bufferAt(address).flags == REFERS;
}

function sever(queue: Queue, position: u32): void {
  const header = slotAt(queue, position);
  const payload = slotAt(queue, position + 1);
  const place = load<u32>(header, DESC_ADDRESS) + load<u32>(header, DESC_LENGTH);
  memory.copy(place, load<u32>(payload, DESC_ADDRESS), load<u32>(payload, DESC_LENGTH));
  store<u64>(payload, u64(place), DESC_ADDRESS);
  // Its frame comes back twice now. Should the thread die before it is held for that, `silenceTx` sees it.
  const buffer = headerAt(queue, position);
  hold(buffer);
  buffer.flags = 0;
}
