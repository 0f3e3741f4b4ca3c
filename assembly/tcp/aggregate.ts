/**
 * Which segments of a long run carry PSH besides the last one: those at which Linux would end what it hands to
 * the NIC as one. Whoever merges segments on the way or in the receiver passes them on there.
 */
import { Buffer } from "../mem/buffers";
import { mayCut } from "./nagle";
import { coldOf, Tcb } from "./tcb";

/** Most bytes that Linux hands to a NIC as one, and segments of them it waits for at least. */
const AGGREGATE_MAX: u32 = 65536;
const AGGREGATE_MIN: u32 = 2;

/**
 * Whether a segment ends what Linux would hand to the NIC as one, of two segments or more. It carries PSH
 * then, like the end of a write: the receiver has nothing to wait for. That is asked only where a run of
 * full segments ends, at the windows or at a part of one.
 *
 * @param run segments of the run, this one included
 */
export function endsAggregate(tcb: Tcb, buffer: Buffer, room: u32, run: u32): bool {
  const next = buffer.next;
  if (next == 0) return false;
  const left = room - buffer.length;
  const following = changetype<Buffer>(next);
  if (following.length > left && !mayCut(tcb, left)) {
    const size = aggregateSize(tcb);
    return size != 1 && run % size != 1;
  }
  return following.length < tcb.mss && run % aggregateSize(tcb) == 0;
}

/** Segments that Linux would send as one: about 1 ms of them, more on a short path, at most half a window. */
function aggregateSize(tcb: Tcb): u32 {
  const cold = coldOf(tcb);
  const mss: u32 = tcb.mss;
  const distance = cold.minRtt >> 9;
  const near = distance < 32 ? AGGREGATE_MAX >> distance : 0;
  // Twice a window a round trip, for 2^-10 s.
  const paced = (u64(tcb.cwnd) * 15625) / u64(max<u32>(cold.srtt8, 1));
  const bytes = u32(min<u64>(paced + u64(near), u64(AGGREGATE_MAX)));
  return max<u32>(min<u32>(max<u32>(bytes / mss, AGGREGATE_MIN), (tcb.cwnd >> 1) / mss), 1);
}
