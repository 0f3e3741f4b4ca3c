/**
 * Bringing the state of a batch's connections close before they are processed. With very many
 * connections open each segment's is far away, in memory; loads in a row that nothing waits for fetch
 * them together, where processing one segment after the other would wait for each.
 */
import { CACHE_LINE } from "../abi";
import { parsedPacket } from "../core/receive";
import { asTcb, coldOf } from "../tcp/tcb";
import { bucketOf } from "./groups";

/** Fewer segments have too little to fetch at the same time. */
const FEWEST: u32 = 4;

/** What was loaded; written so that the loads are not optimised away, read by nobody. */
export let connectionWarmth: u32 = 0;

/** For the segments of a batch: their buckets, and then what most segments need of their connections. */
export function warmConnections(segments: u32): void {
  if (segments < FEWEST) return;
  let sum: u32 = 0;
  for (let i: u32 = 0; i < segments; i++) sum += load<u32>(bucketOf(parsedPacket(i).hash));
  for (let i: u32 = 0; i < segments; i++) {
    const first = load<u32>(bucketOf(parsedPacket(i).hash));
    if (first == 0) continue;
    const cold = changetype<u32>(coldOf(asTcb(first)));
    sum += load<u32>(first) + load<u32>(first + CACHE_LINE) + load<u32>(cold);
  }
  connectionWarmth = sum;
}
