/** The parts of the picture that have a name: for the tours to point at, and for the hints. */
import { MAX_CORES, type Snapshot } from "../engine/messages.ts";
import { coreAt, groupAt, type Box, type Layout } from "./geometry.ts";

export type RegionName =
  "clients" | "link" | "nic" | "hash" | "reta" | "rings" | "kernel" | "arrays" | "app" | "cores";

/** The box around a part. */
export function regionOf(layout: Layout, name: RegionName): Box {
  const first = layout.rows[0];
  const shown = layout.rows.filter((row) => !row.folded);
  const last = shown.at(-1) ?? first;
  const column = (from: Box, to: Box): Box => ({
    u: from.u - 5,
    v: first.rx.v - 5,
    du: to.u + to.du - from.u + 10,
    dv: last.tx.v + last.tx.dv - first.rx.v + 10,
  });
  switch (name) {
    case "clients":
      return grown(layout.clients, 6);
    case "link":
      return {
        u: layout.link.u - 4,
        v: layout.inLane - 30,
        du: layout.link.du + 8,
        dv: layout.outLane - layout.inLane + 44,
      };
    case "nic":
      return grown(layout.nic, 5);
    case "hash": {
      const { u, v, radius } = layout.hash;
      return grown({ u: u - radius, v: v - radius, du: 2 * radius, dv: 2 * radius }, 5);
    }
    case "reta":
      return grown(layout.reta, 5);
    case "rings":
      return column(first.rx, first.rx);
    case "kernel":
      return column(first.receive, first.timers);
    case "arrays":
      return column(first.eventArray, first.eventArray);
    case "app":
      return column(first.app, first.app);
    case "cores":
      return column(first.rx, first.app);
  }
}

const grown = ({ u, v, du, dv }: Box, by: number): Box => ({
  u: u - by,
  v: v - by,
  du: du + 2 * by,
  dv: dv + 2 * by,
});

const within = (box: Box, u: number, v: number): boolean =>
  u >= box.u && u < box.u + box.du && v >= box.v && v < box.v + box.dv;

/** What is at a place, in a sentence or two; empty where there is nothing to say. */
export function hintAt(layout: Layout, snapshot: Snapshot, u: number, v: number): string {
  const group = groupAt(layout, u, v);
  if (group >= 0) return groupHint(snapshot, group);
  const { radius } = layout.hash;
  if (Math.hypot(u - layout.hash.u, v - layout.hash.v) < radius) {
    return "Toeplitz hash of addresses and ports. Its low 7 bits choose one of 128 table entries, so a connection always meets the same core.";
  }
  if (within(layout.link, u, v)) return linkHint(snapshot, v < layout.inLane + 40);
  if (within(layout.clients, u, v))
    return "A square is a connection. Press one to follow it in the sequence chart.";
  const core = coreAt(layout, u, v);
  return core < 0 || core >= MAX_CORES ? "" : coreHint(layout, snapshot, core, u, v);
}

function groupHint({ groups }: Snapshot, group: number): string {
  const [owner, reta] = [groups.owner[group], groups.reta[group]];
  const moving =
    groups.moving[group] === 0 ? "" : ` It is moving from core ${owner} to core ${reta}.`;
  const count = groups.connections[group];
  const connections = count === 1 ? "1 connection" : `${count} connections`;
  return `Flow group ${group}: queue ${reta}, ${connections}.${moving} Drag it onto another core.`;
}

function linkHint({ totals }: Snapshot, inwards: boolean): string {
  const rate = `${(totals.bits / 1e6).toFixed(1)} Mbit/s, ${Math.round(totals.packets)} packets/s both ways.`;
  return `${inwards ? "Requests to the server" : "Answers to the clients"}. ${rate}`;
}

function coreHint(layout: Layout, snapshot: Snapshot, core: number, u: number, v: number): string {
  const row = layout.rows[core];
  const state = snapshot.cores[core];
  if (row.folded) return `Core ${core} is not in use. Drop flow groups here and it wakes up.`;
  const parts: [Box, string][] = [
    [
      row.rx,
      `RX ring of core ${core}: ${state.rxDepth} of ${state.ringSize} places taken. Packets wait here and nowhere else.`,
    ],
    [row.tx, `TX ring of core ${core}: ${state.txDepth} frames wait to be sent.`],
    [
      row.receive,
      "Receive: takes what waits in the ring, at most B packets. It never waits for more.",
    ],
    [
      row.protocols,
      "TCP/IP: each packet of the batch goes through the whole stack; what the application should know becomes an event.",
    ],
    [row.timers, "Timers: retransmissions and delayed acknowledgments that are due."],
    [
      row.transmit,
      "Transmit: everything the iteration made goes into the TX ring, with one doorbell.",
    ],
    [row.calls, "Calls: the kernel checks each system call of the array, and then does it."],
    [row.eventArray, "Event array: what happened, all at once, for the application."],
    [row.callArray, "System-call array: what the application wants, all at once, for the kernel."],
    [
      row.app,
      "The application: consumes all events and writes its calls. It can harm only itself.",
    ],
  ];
  return (
    parts.find(([box]) => within(box, u, v))?.[1] ??
    `Core ${core}. Press to choose its flow groups.`
  );
}
