/** The packets that are kept, as tcpdump on the server would have written them down. */
import { INBOUND, OUTBOUND, PcapngWriter, type PortHandle } from "../../host/index.ts";
import type { CaptureFile } from "./messages.ts";
import type { Tracked } from "./tracker.ts";

export function captureOf(port: PortHandle, packets: Iterable<Tracked>): CaptureFile {
  const seen = [...packets]
    .map((packet) => ({ packet, at: packet.way === "out" ? packet.sent : packet.ring }))
    .filter((entry): entry is { packet: Tracked; at: number } => entry.at !== undefined)
    .toSorted((a, b) => a.at - b.at);
  const parts: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => parts.push(bytes.slice()));
  writer.addInterface(port.name, port.mac);
  for (const { packet, at } of seen) {
    const direction = packet.way === "out" ? OUTBOUND : INBOUND;
    writer.packet(0, at, packet.bytes, 0, packet.length, direction);
  }
  writer.flush();
  return { type: "capture", bytes: join(parts), packets: seen.length };
}

export function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
