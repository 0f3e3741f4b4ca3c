/**
 * Segments put together again. Scripts are written for stacks that hand large segments to the card, so
 * a line may stand for several segments in a row.
 */
import { concat } from "../../support/bytes.ts";
import { FLAG } from "../language/script.ts";
import type { LivePacket, LiveTcp } from "../packets/live.ts";
import { isTimestamps } from "../packets/tcp-options.ts";
import { toHex } from "../../support/bytes.ts";

/** Flags that only the last segment of a row carries. */
const OF_LAST = FLAG.FIN | FLAG.PSH;

/**
 * The row with one segment more; undefined when the segment does not belong to it: it must go on where
 * the row ends and be like the others, and none but the last may be shorter.
 *
 * @param first length of the row's first segment
 * @param ofFirst flags that only the first segment carries
 */
export function joined(
  row: LivePacket,
  next: LivePacket,
  first: number,
  ofFirst: number,
): LivePacket | undefined {
  if (row.body.kind !== "tcp" || next.body.kind !== "tcp") return undefined;
  const [a, b] = [row.body, next.body];
  const free = OF_LAST | ofFirst;
  const follows = b.seq === (a.seq + a.payload.length) >>> 0 && a.payload.length % first === 0;
  const alike =
    a.ack === b.ack &&
    a.window === b.window &&
    a.urgent === b.urgent &&
    (a.flags & ~free) === (b.flags & ~free) &&
    b.payload.length > 0 &&
    b.payload.length <= first &&
    sameOptions(a, b);
  if (!follows || !alike || a.flags & FLAG.FIN || b.flags & ofFirst) return undefined;
  const flags = (a.flags & ~OF_LAST) | (b.flags & OF_LAST);
  const body: LiveTcp = { ...a, flags, payload: concat(a.payload, b.payload) };
  return { ...row, at: next.at, body };
}

function sameOptions(a: LiveTcp, b: LiveTcp): boolean {
  const text = ({ options }: LiveTcp): string =>
    options.map((o) => (isTimestamps(o) ? "TS" : toHex(o.bytes))).join();
  return text(a) === text(b);
}
