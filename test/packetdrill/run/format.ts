/** A packet of the stack's as a script would write it. */
import { FLAG } from "../language/script.ts";
import type { LivePacket } from "../packets/live.ts";
import { formatLiveOption } from "../packets/tcp-options.ts";
import type { Flow } from "./flow.ts";

const LETTERS: readonly (readonly [number, string])[] = [
  [FLAG.FIN, "F"],
  [FLAG.SYN, "S"],
  [FLAG.RST, "R"],
  [FLAG.PSH, "P"],
  [FLAG.URG, "U"],
  [FLAG.ECE, "E"],
  [FLAG.CWR, "W"],
  [FLAG.AE, "A"],
  [FLAG.ACK, "."],
];

/** Numbers relative to those of the flow. */
export function formatLive(live: LivePacket, flow: Flow, start: number): string {
  const time = `${((live.at - start) / 1_000_000).toFixed(6)} >`;
  const { body } = live;
  if (body.kind === "udp") return `${time} udp (${body.payload.length})`;
  if (body.kind === "icmp") return `${time} icmp type_${body.type} code_${body.code}`;
  const flags = LETTERS.filter(([bit]) => body.flags & bit).map(([, letter]) => letter);
  // As in scripts: what a SYN acknowledges is absolute.
  const seq = (body.seq - flow.localBase) >>> 0;
  const { length } = body.payload;
  const base = body.flags & FLAG.SYN ? 0 : (flow.remoteBase ?? 0);
  const parts = [time, flags.join("") || "-", `${seq}:${(seq + length) >>> 0}(${length})`];
  if (body.flags & FLAG.ACK) parts.push(`ack ${(body.ack - base) >>> 0}`);
  parts.push(`win ${body.window}`);
  if (body.urgent !== 0) parts.push(`urg ${body.urgent}`);
  if (body.options.length > 0) {
    parts.push(`<${body.options.map((option) => formatLiveOption(option, base)).join(",")}>`);
  }
  return parts.join(" ");
}
