/** Times of events. */
import type { TokenReader } from "./reader.ts";
import type { EventTime } from "./script.ts";

const MICROS = 1_000_000;

/** `T`, `+T`, `T~T`, `+T~+T` or `*`. */
export function parseTime(reader: TokenReader): EventTime {
  if (reader.accept("*")) return { kind: "any" };
  const kind = reader.accept("+") ? "relative" : "absolute";
  const from = micros(reader);
  if (!reader.accept("~")) return { kind, from, to: from };
  reader.accept("+");
  return { kind, from, to: micros(reader) };
}

function micros(reader: TokenReader): number {
  return Math.round(reader.number() * MICROS);
}
