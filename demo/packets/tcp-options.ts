/** TCP's options for people (RFC 9293, 7323, 2018). */
import type { Field } from "../engine/messages.ts";

const END = 0;
const NOP = 1;

/** The options in [from, to); reading stops at the first that makes no sense. */
export function tcpOptions(bytes: Uint8Array, from: number, to: number): Field[] {
  const fields: Field[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = from; at < to && bytes[at] !== END;) {
    if (bytes[at] === NOP) {
      at++;
      continue;
    }
    const length = at + 1 < to ? bytes[at + 1] : 0;
    if (length < 2 || at + length > to) break;
    fields.push({ ...meaning(view, at, length), from: at, to: at + length });
    at += length;
  }
  return fields;
}

function meaning(view: DataView, at: number, length: number): Pick<Field, "name" | "value"> {
  const kind = view.getUint8(at);
  if (kind === 2 && length === 4) {
    return { name: "Maximum segment size", value: `${view.getUint16(at + 2)} bytes` };
  }
  if (kind === 3 && length === 3) {
    return { name: "Window scale", value: `× ${2 ** view.getUint8(at + 2)}` };
  }
  if (kind === 4 && length === 2) return { name: "SACK permitted", value: "yes" };
  if (kind === 5) return { name: "SACK", value: blocks(view, at + 2, (length - 2) >> 3) };
  if (kind === 8 && length === 10) {
    const echo = view.getUint32(at + 6);
    return { name: "Timestamps", value: `${view.getUint32(at + 2)}, echo ${echo}` };
  }
  return { name: `Option ${kind}`, value: `${length} bytes` };
}

function blocks(view: DataView, at: number, count: number): string {
  const list = Array.from(
    { length: count },
    (_, i) => `${view.getUint32(at + i * 8)}–${view.getUint32(at + i * 8 + 4)}`,
  );
  return list.join(", ");
}
