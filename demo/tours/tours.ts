/** What the guided tours say and set. A step sets levers, points at a part of the picture, and explains. */
import type { Levers, Pace } from "../engine/messages.ts";
import type { RegionName } from "../picture/regions.ts";

export interface TourStep {
  readonly title: string;
  /** A paragraph each, of a sentence or three. */
  readonly text: readonly string[];
  /** What to look at. */
  readonly watch: string;
  readonly point: RegionName;
  readonly levers?: Partial<Levers>;
  readonly pace?: Pace;
  /** Something to do here, besides going on. */
  readonly act?: { readonly text: string; readonly does: TourAction };
}

export type TourAction =
  | { readonly type: "levers"; readonly changes: Partial<Levers> }
  | { readonly type: "move"; readonly from: number; readonly to: number }
  | { readonly type: "kill"; readonly core: number }
  | { readonly type: "iteration" };

export interface Tour {
  readonly id: string;
  readonly name: string;
  /** The levers that it begins with; all others are as when the page is opened. */
  readonly levers: Partial<Levers>;
  readonly pace: Pace;
  readonly steps: readonly TourStep[];
}

const RSS: Tour = {
  id: "rss",
  name: "How packets find a core",
  levers: { cores: 4, connections: 32, load: 300_000 },
  pace: 50,
  steps: [
    {
      title: "A connection has a home",
      text: [
        "The network card hashes the addresses and ports of each packet (RSS). A connection’s packets all hash alike, so they all meet the same core.",
        "That core alone has the connection’s state. It needs no lock, because nobody else looks.",
      ],
      watch: "One square on the left, and where its packets end up.",
      point: "hash",
    },
    {
      title: "128 entries between hash and core",
      text: [
        "The low 7 bits of the hash choose one of 128 table entries (the RETA), and the entry names the core. All connections of an entry are a flow group.",
      ],
      watch: "Entries light up as packets go through. Rest the pointer on one.",
      point: "reta",
    },
    {
      title: "One connection cannot be spread",
      text: [
        "A single connection is always a single core’s work. Cores are only shared out among many.",
      ],
      watch: "Three cores have nothing to do.",
      point: "cores",
      levers: { connections: 1 },
      pace: 200,
      act: { text: "128 connections", does: { type: "levers", changes: { connections: 128 } } },
    },
    {
      title: "Move flow groups while they work",
      text: [
        "Drag over some entries, then on to another core’s row. For a moment packets wait at both cores, in two backlogs. The older ones go first, so nothing is lost and nothing overtakes.",
      ],
      watch: "The rings of both cores say what waits; then the colour changes.",
      point: "reta",
      // Busy cores, so that the migration meets packets.
      levers: { connections: 128, load: 300_000, work: 10 },
      pace: 20,
      act: { text: "Move half of core 0", does: { type: "move", from: 0, to: 1 } },
    },
  ],
};

/** More than a core can bear, so that packets always wait. */
const CROWD: Partial<Levers> = {
  cores: 1,
  load: 0,
  inFlight: 1,
  connections: 256,
  work: 0,
  delay: 5,
};

const COMPLETION: Tour = {
  id: "completion",
  name: "Run to completion",
  levers: { cores: 2, connections: 64, load: 200_000 },
  pace: 10,
  steps: [
    {
      title: "Once around, without a stop",
      text: [
        "An iteration takes what waits in the ring through TCP/IP to the application, and its answers all the way out, before it looks at the ring again.",
        "No queue in between, no interrupt, no switch to another thread.",
      ],
      watch: "The filled stage goes around: receive, TCP/IP, timers, echo, calls, transmit.",
      point: "kernel",
      act: { text: "One iteration", does: { type: "iteration" } },
    },
    {
      title: "Batches make themselves",
      text: [
        "Nobody waits for a batch. But packets that come during an iteration are all taken by the next one, at most B of them. So a busy core takes more at once, and each packet costs less.",
      ],
      watch:
        "256 clients ask a single core as fast as answers come: the ring, and the batch sizes.",
      point: "rings",
      levers: CROWD,
      pace: 100,
    },
    {
      title: "A batch of one",
      text: [
        "Now B is 1: every packet pays alone for the way into the application and back, and for the doorbell. The same core does a quarter less, and packets wait longer.",
      ],
      watch: "Messages a second, and latency.",
      point: "rings",
      levers: { ...CROWD, batch: 1 },
      pace: 100,
      act: { text: "B = 64 again", does: { type: "levers", changes: { batch: 64 } } },
    },
  ],
};

const LOSS: Tour = {
  id: "loss",
  name: "Loss and recovery",
  levers: { cores: 2, connections: 4, load: 0, size: 65_536, delay: 200, rate: 1e10 },
  pace: 500,
  steps: [
    {
      title: "A connection, drawn over time",
      text: [
        "The chart at the lower right follows one connection: each stroke is a segment at its place in the stream, the line below is what was acknowledged.",
      ],
      watch: "Steep is fast. The gap between strokes and line is one round trip.",
      point: "clients",
    },
    {
      title: "Some are lost",
      text: [
        "The link now loses two frames of a hundred. The receiver tells what it has beyond a gap (SACK), so the sender sends only the gap again: those packets are outlined.",
      ],
      watch: "Crosses on the link and in the chart, and strong strokes that fill the gaps.",
      point: "link",
      levers: { loss: 0.02 },
    },
    {
      title: "Loss is taken for congestion",
      text: [
        "CUBIC sends less after a loss, because usually it means that a queue was full. BBR measures rate and delay instead, and hardly slows down.",
      ],
      watch: "The congestion window, under each of the two.",
      point: "link",
      levers: { loss: 0.02 },
      act: { text: "Try BBR", does: { type: "levers", changes: { congestion: "bbr" } } },
    },
  ],
};

const ELASTIC: Tour = {
  id: "elastic",
  name: "Cores that come and go",
  levers: { cores: 1, connections: 256, load: 100_000, work: 5, policy: "off" },
  pace: 500,
  steps: [
    {
      title: "A core for a small load",
      text: [
        "A core polls its ring even when nothing comes, so it costs power whether it works or not. A small load should have few cores.",
      ],
      watch: "One core, seven that are free for others.",
      point: "cores",
    },
    {
      title: "More load than it can bear",
      text: [
        "Five times the load on the same core. Packets have one place to wait, the ring at the card: its depth and how long the oldest packet waits tell the control plane all.",
      ],
      watch: "Packets that wait, and latency.",
      point: "rings",
      levers: { load: 500_000 },
    },
    {
      title: "A policy adds cores",
      text: [
        "The control plane now watches how long packets wait. It hands out cores and moves flow groups to them. It never touches a packet.",
      ],
      watch: "Rows unfold, colours change in the table, the ring drains.",
      point: "cores",
      levers: { load: 500_000, policy: "delay" },
      pace: 500,
    },
    {
      title: "And takes them back",
      text: ["The load is small again. The policy empties cores, and hands them back."],
      watch: "Idle goes up, then rows fold.",
      point: "cores",
      levers: { load: 60_000, policy: "delay" },
      pace: 2000,
    },
  ],
};

const PROTECTION: Tour = {
  id: "protection",
  name: "What protection means",
  levers: { cores: 4, connections: 64, load: 200_000 },
  pace: 50,
  steps: [
    {
      title: "Two arrays, and nothing else",
      text: [
        "Application and kernel meet in two arrays. Events go to the right, system calls to the left. The kernel checks each field of each call before it acts, so an application can harm only itself.",
      ],
      watch: "The dashed line: nothing but events and calls crosses it.",
      point: "arrays",
    },
    {
      title: "Strangers get nothing",
      text: [
        "100 000 forged connection requests a second. Each core lists 64 that are half open. Beyond, its answer carries a cookie as sequence number, and it remembers nothing: there is nothing to exhaust.",
      ],
      watch: "Triangles come in; messages a second stay as they are.",
      point: "link",
      levers: { flood: 100_000 },
      pace: 1000,
    },
    {
      title: "A core may die",
      text: [
        "A thread that ends in the middle of its work leaves its connections in shared memory. Others reset what cannot be trusted and go on with the rest.",
      ],
      watch: "Its flow groups take other colours; the connections stay open.",
      point: "cores",
      levers: { flood: 0 },
      pace: 5000,
      act: { text: "Kill core 2", does: { type: "kill", core: 2 } },
    },
  ],
};

export const TOURS: readonly Tour[] = [RSS, COMPLETION, LOSS, ELASTIC, PROTECTION];
