/** All that is known of one packet, for the page's inspector. */
import { decode } from "../packets/decode.ts";
import { MAX_CORES, type PacketLife, type RssLife } from "./messages.ts";
import { plain, type Tracked } from "./tracker.ts";

/** Bytes of the frame that are shown. */
const SHOWN = 160;

/** @param packet undefined: it is kept no more */
export function lifeOf(id: number, packet: Tracked | undefined): PacketLife {
  return {
    type: "packet",
    id,
    packet: packet && plain(packet),
    bytes: packet ? packet.bytes.slice(0, SHOWN) : new Uint8Array(),
    layers: packet ? decode(packet.bytes) : [],
    rss: packet && rssOf(packet),
    life: packet ? lifeLines(packet) : [],
  };
}

function rssOf({ way, bytes, glance, hash, group, core, queue }: Tracked): RssLife | undefined {
  if (glance.protocol !== "tcp" || way !== "in") return undefined;
  const source = bytes.subarray(26, 30).join(".");
  const destination = bytes.subarray(30, 34).join(".");
  const input = `${source} ${destination} ${glance.sourcePort} ${glance.destinationPort}`;
  return { input, hash, group, queue: queue === 0 ? core % MAX_CORES : queue, core };
}

function lifeLines(packet: Tracked): PacketLife["life"] {
  const { way, core, group, sent, arrives, ring, taken, protocols, app, done } = packet;
  const lines: { at: number; text: string }[] = [];
  const add = (at: number | undefined, text: string): void => {
    if (at !== undefined) lines.push({ at, text });
  };
  const receiver = way === "in" ? "the server" : "the client";
  const sender = way === "in" ? "the client" : `core ${core}`;
  add(sent, `left the NIC of ${sender}${packet.again ? ", once more" : ""}`);
  if (packet.fate === "flying") add(arrives, `will get to the NIC of ${receiver}`);
  if (way === "in") {
    add(ring, `RSS: flow group ${group}, so into the RX ring of core ${core}`);
    add(taken, `taken out of the ring, into a batch of core ${core}`);
    add(protocols, "through IP and TCP");
    add(app, "an event for the application");
    add(done, "the iteration was over");
  } else {
    add(ring, "into the client's RX ring");
    add(done, "the client has processed it");
  }
  add(packet.endedAt, packet.why ?? "gone");
  return lines;
}
