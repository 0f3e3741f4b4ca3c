/**
 * What page and engine say to each other: plain data, structured-clonable. The engine is the module worker
 * `demo/engine/worker.ts`; the page starts it and uses its `postMessage` and `onmessage`.
 *
 *   page                                   engine (a worker)
 *   ── start {scenario, pace} ──────────▶  builds the dataplanes, runs
 *   ◀────────────────────── ready {…} ──
 *   ── frame ───────────────────────────▶  one outstanding at a time: so the page sets the rate
 *   ◀──────────────────── snapshot {…} ──
 *   ── set, pace, step, migrate, … ─────▶  take effect at once; seen in the next snapshots
 *
 * Times are µs of the engine's clock: of virtual time in slow motion, of real time at full speed. Rates
 * are a second of that clock. An address that nobody has yet is -1, a time that has not come is absent.
 */

// ---------------------------------------------------------------------------------------------
// Scenarios

export const CONGESTION = ["cubic", "newreno", "dctcp", "bbr"] as const;
export type Congestion = (typeof CONGESTION)[number];

/** How the load goes up and down around its mean: not at all, by steps, or as a sine. */
export const PATTERNS = ["steady", "step", "sine"] as const;
export type Pattern = (typeof PATTERNS)[number];

/**
 * Who decides on cores: the person; the queuing delay, with flow groups moved by their load; the idle
 * share, core by core, for the least energy (the paper's ixcp); or the same in one step, one core or all.
 */
export const POLICIES = ["off", "delay", "energy", "step"] as const;
export type PolicyName = (typeof POLICIES)[number];

export const MAX_CORES = 8;
export const FLOW_GROUPS = 128;

/** What a person can change while it runs. */
export interface Levers {
  /** Active cores of the server, 1 to 8. */
  readonly cores: number;
  /** Connections of the clients, 1 to 512. */
  readonly connections: number;
  /** Messages a second, all connections together, 0 to 2 000 000; 0: closed loop, see `inFlight`. */
  readonly load: number;
  /** Requests that a connection has under way at most, and in a closed loop always, 1 to 16. */
  readonly inFlight: number;
  /** Bytes of a request and of its echo, 1 to 65 536. */
  readonly size: number;
  /** What the server's application does for a message, µs, 0 to 100. */
  readonly work: number;
  /** The batch bound B, 1 to 64. */
  readonly batch: number;
  /** Of the link between the clients and the server's NIC, each direction: probability, 0 to 0.5. */
  readonly loss: number;
  readonly reorder: number;
  /** One-way delay and what is added to it at most, µs, 0 to 100 000. */
  readonly delay: number;
  readonly jitter: number;
  /** Bits a second, 1e6 to 1e11; 0: as fast as the machine. */
  readonly rate: number;
  /** Of all connections; they are opened anew when it changes. */
  readonly congestion: Congestion;
  /** Forged SYNs a second, 0 to 500 000. */
  readonly flood: number;
  readonly pattern: Pattern;
  readonly policy: PolicyName;
}

export interface Scenario extends Levers {
  /** Of every chance in it: the same seed gives the same run in slow motion. */
  readonly seed: number;
}

/** A small load over a link of 20 µs on four cores: good to look at. */
export const DEFAULT_SCENARIO: Scenario = {
  cores: 4,
  connections: 32,
  load: 60_000,
  inFlight: 4,
  size: 64,
  work: 1,
  batch: 64,
  loss: 0,
  reorder: 0,
  delay: 20,
  jitter: 0,
  rate: 0,
  congestion: "cubic",
  flood: 0,
  pattern: "steady",
  policy: "off",
  seed: 1,
};

/** The least and the most of each lever that is a number, both allowed. The engine clamps to them. */
export const RANGES = {
  cores: [1, MAX_CORES],
  connections: [1, 512],
  load: [0, 2_000_000],
  inFlight: [1, 16],
  size: [1, 65_536],
  work: [0, 100],
  batch: [1, 64],
  loss: [0, 0.5],
  reorder: [0, 0.5],
  delay: [0, 100_000],
  jitter: [0, 100_000],
  rate: [0, 1e11],
  flood: [0, 500_000],
  seed: [0, 0xffff_ffff],
} as const satisfies Partial<Record<keyof Scenario, readonly [number, number]>>;

/** Virtual µs that pass in a second of the person's, or "full": real time, as fast as it goes. */
export type Pace = number | "full";

// ---------------------------------------------------------------------------------------------
// Page to engine

export type PageMessage =
  /** Ends what runs, if anything does, and begins anew at time 0. */
  | { readonly type: "start"; readonly scenario: Scenario; readonly pace: Pace }
  | { readonly type: "set"; readonly changes: Partial<Levers> }
  /** Between slow motion and full speed the scenario begins anew; connections are opened again. */
  | { readonly type: "pace"; readonly pace: Pace }
  | { readonly type: "pause" }
  | { readonly type: "resume" }
  /**
   * Goes on, and pauses again: until a packet has moved (left, arrived, was taken, was lost), or until a
   * core of the server has done an iteration. In slow motion only.
   */
  | { readonly type: "step"; readonly by: "packet" | "iteration" }
  | { readonly type: "migrate"; readonly groups: readonly number[]; readonly to: number }
  /** Ends a core's thread in the middle of its work; others take over. */
  | { readonly type: "kill"; readonly core: number }
  /** The connection that `snapshot.watched` follows, by its index; -1: none. */
  | { readonly type: "watch"; readonly flow: number }
  /** Answered by `packet`. */
  | { readonly type: "packet"; readonly id: number }
  /** Answered by `capture`: at once in slow motion, after a while of capturing at full speed. */
  | { readonly type: "capture" }
  /** Answered by `snapshot`. */
  | { readonly type: "frame" };

// ---------------------------------------------------------------------------------------------
// Engine to page

export type EngineMessage =
  | Ready
  | Snapshot
  | PacketLife
  | CaptureFile
  | IncidentReport
  /** It cannot go on, until the next `start`. */
  | { readonly type: "failed"; readonly message: string };

/** A start is over. */
export interface Ready {
  readonly type: "ready";
  readonly mode: Mode;
  /** The page may share memory between workers. */
  readonly isolated: boolean;
  /** Workers that run cores: 0 where all is done on the engine's own thread. */
  readonly threads: number;
}

/** Slow motion: virtual time on one thread. Full: real time, on threads or in slices on one. */
export type Mode = "slow" | "threads" | "slices";

/** The pcapng file of the latest packets. */
export interface CaptureFile {
  readonly type: "capture";
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly packets: number;
}

/** Something that happened to a core, or that a policy decided. */
export interface IncidentReport {
  readonly type: "incident";
  readonly at: number;
  readonly what: "killed" | "taken over" | "migrated" | "cores" | "refused";
  /** The core it is about; of "migrated" the target, of "cores" how many are active now. */
  readonly core: number;
  /** A short sentence for people. */
  readonly text: string;
}

export interface Snapshot {
  readonly type: "snapshot";
  readonly mode: Mode;
  readonly now: number;
  readonly paused: boolean;
  readonly pace: Pace;
  /** Cores that are active: the policy's wish may differ from the lever's. */
  readonly active: number;
  readonly totals: Totals;
  /** Of requests answered within the last window (0.1 s, or of slow motion 1 ms at least); µs. */
  readonly latency: Latency;
  /** Of all MAX_CORES cores. */
  readonly cores: readonly CoreSnapshot[];
  readonly groups: GroupsSnapshot;
  /** The migrations under way. */
  readonly migrations: readonly Migration[];
  /** The flow group of each connection, by its index; -1: not open. */
  readonly flows: readonly number[];
  /**
   * In slow motion all packets that began or changed since the last snapshot, 400 of them at most, the
   * newest. At full speed a sample: what passed within a moment.
   */
  readonly packets: readonly Packet[];
  /** Packets that began since the last snapshot and are not among `packets`. */
  readonly unseen: number;
  readonly watched: Watched | undefined;
}

export interface Totals {
  /** Of the last window, a second: requests answered, bits on the link (both directions), packets. */
  readonly messages: number;
  readonly bits: number;
  readonly packets: number;
  /** Since the start. */
  readonly answered: number;
  readonly retransmissions: number;
  readonly timeouts: number;
  readonly cookies: number;
  /** Connections that are open now, and SYNs forged since the start. */
  readonly open: number;
  readonly forged: number;
  /** Packets dropped since the start by reason, in words; reasons without any are left out. */
  readonly drops: Readonly<Record<string, number>>;
  /** Share of the modelled energy of all cores at full speed, 0 to 1. */
  readonly power: number;
}

export interface Latency {
  /** Requests it is made of; when 0 the others are 0 as well. */
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** The stages of an iteration in their order. */
export const STAGES = ["calls", "transmit", "receive", "protocols", "timers", "app"] as const;
export type Stage = (typeof STAGES)[number];

export interface CoreSnapshot {
  readonly core: number;
  /** As in `CoreManager`: it owns groups, was given back, or its thread has died. */
  readonly state: "active" | "idle" | "dead";
  /** True while it waits for its doorbell. */
  readonly asleep: boolean;
  /** The latest iteration that did anything; absent before the first. */
  readonly iteration: Iteration | undefined;
  /** Packets in its RX rings, buffers in its fill rings, and what each of both holds at most. */
  readonly rxDepth: number;
  readonly fillDepth: number;
  readonly ringSize: number;
  /** Frames made and not sent yet. */
  readonly txDepth: number;
  /** Packets of the last non-empty batch, and the mean of late. */
  readonly batch: number;
  readonly batchMean: number;
  /** Non-empty iterations of the last window by packets taken: 1, 2, 3–4, 5–8, 9–16, 17–32, 33–64. */
  readonly batchHistogram: readonly number[];
  /** Of the last window, a second: iterations that did anything, packets taken, events, system calls. */
  readonly iterations: number;
  readonly packets: number;
  readonly events: number;
  readonly calls: number;
  /** Share of the last window without work, 0 to 1. */
  readonly idle: number;
  /** How long the oldest packet of a batch had waited, µs, of late. */
  readonly queueDelay: number;
  readonly connections: number;
  /** Flow groups that it owns. */
  readonly groups: number;
}

/** One iteration. At full speed only counts are known: `stages` is empty. */
export interface Iteration {
  /** Iterations of the core before it that did anything. */
  readonly number: number;
  readonly began: number;
  readonly ended: number;
  /** Packets taken, packets sent, events for the application, its system calls, timers that fired. */
  readonly received: number;
  readonly sent: number;
  readonly events: number;
  readonly calls: number;
  readonly timers: number;
  /** When each stage ran, by the cost model; in the order of STAGES. */
  readonly stages: readonly {
    readonly stage: Stage;
    readonly from: number;
    readonly until: number;
  }[];
}

/** By flow group, FLOW_GROUPS of each. */
export interface GroupsSnapshot {
  /** The core that owns it. */
  readonly owner: Uint8Array;
  /** The core whose queue the RETA sends it to. */
  readonly reta: Uint8Array;
  /** 0 owned, 1 on its way: its packets wait at the old core and at the new one. */
  readonly moving: Uint8Array;
  /** Connections, and packets received since the start. */
  readonly connections: Uint16Array;
  readonly packets: Float64Array;
}

/** The paper's two backlogs: what waits at the core that gives, and at the one that takes. */
export interface Migration {
  readonly from: number;
  readonly to: number;
  readonly groups: readonly number[];
  /** In this order. */
  readonly phase: "leaving" | "steering" | "draining" | "handed";
  readonly began: number;
  /** Packets of the groups that have come and wait, at either side. */
  readonly fromBacklog: number;
  readonly toBacklog: number;
}

// ---------------------------------------------------------------------------------------------
// Packets

export type PacketKind = "data" | "ack" | "syn" | "fin" | "rst" | "arp" | "flood" | "other";

export type Fate =
  /** On the link. */
  | "flying"
  /** In an RX ring. */
  | "waiting"
  /** In the kernel, or in the application: of the iteration that `taken` names. */
  | "running"
  | "done"
  /** By the link, and by a NIC. */
  | "lost"
  | "dropped";

/** What is drawn of a packet. Its times grow in the order they are listed in. */
export interface Packet {
  readonly id: number;
  readonly kind: PacketKind;
  readonly fate: Fate;
  /** "in": to the server. "out": from it. */
  readonly way: "in" | "out";
  /** The same bytes were sent before. */
  readonly again: boolean;
  /** Bytes of the frame, and of TCP's payload. */
  readonly length: number;
  readonly payload: number;
  /** The byte of TCP flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16. */
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  /** The connection's index, or -1: not one of ours. */
  readonly flow: number;
  /** The server's view, of either way: hash of what the connection sends to it, its flow group. */
  readonly hash: number;
  readonly group: number;
  /** The server's core that it goes to or comes from; -1 while not known. */
  readonly core: number;
  /** It left the sender's NIC. */
  readonly sent: number;
  /** It gets to the receiver's NIC, if nothing happens to it: known from the beginning. */
  readonly arrives: number;
  /** It was put into an RX ring. */
  readonly ring?: number;
  /** The iteration that took it out of the ring began; it went through TCP; the application had it. */
  readonly taken?: number;
  readonly protocols?: number;
  readonly app?: number;
  /** That iteration was over. */
  readonly done?: number;
  /** When and why it was lost or dropped, in words. */
  readonly endedAt?: number;
  readonly why?: string;
}

/** All that is known of a packet. */
export interface PacketLife {
  readonly type: "packet";
  readonly id: number;
  /** Undefined: it was too long ago. */
  readonly packet: Packet | undefined;
  /** The first bytes of the frame. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly layers: readonly Layer[];
  readonly rss: RssLife | undefined;
  /** From its start to its end: when, and what happened, in words. */
  readonly life: readonly { readonly at: number; readonly text: string }[];
}

/** A header: Ethernet, ARP, IPv4, TCP, or the payload. */
export interface Layer {
  readonly name: string;
  /** Where it is in the frame. */
  readonly from: number;
  readonly to: number;
  readonly fields: readonly Field[];
}

export interface Field {
  readonly name: string;
  /** For people: "10.0.0.1", "SYN ACK", "64 240". */
  readonly value: string;
  readonly from: number;
  readonly to: number;
}

/** What the NIC made of a packet: input → Toeplitz → low 7 bits → RETA entry → queue → core. */
export interface RssLife {
  readonly input: string;
  readonly hash: number;
  readonly group: number;
  readonly queue: number;
  readonly core: number;
}

// ---------------------------------------------------------------------------------------------
// One connection, followed

export interface Watched {
  readonly flow: number;
  /** "10.0.0.2:40001". */
  readonly client: string;
  readonly server: string;
  readonly group: number;
  readonly core: number;
  /** Of RFC 9293: "ESTABLISHED", … */
  readonly state: string;
  /** The client's side, which sends the requests. Bytes; µs; Infinity where there is none. */
  readonly cwnd: number;
  readonly ssthresh: number;
  readonly inFlight: number;
  readonly srtt: number;
  readonly rto: number;
  /** "open", "disorder", "recovery", "loss". */
  readonly recovery: string;
  /** Blocks that the receiver has beyond a gap: relative sequence numbers, [from, to). */
  readonly sacks: readonly (readonly [from: number, to: number])[];
  /**
   * The time-sequence graph, what is new since the last snapshot. Relative sequence numbers of what the
   * client sends: [from, to) of a segment; `to` of an acknowledgment and of the window's right edge.
   */
  readonly points: readonly SequencePoint[];
}

export interface SequencePoint {
  readonly at: number;
  readonly kind: "sent" | "again" | "acked" | "sacked" | "window" | "lost";
  readonly from: number;
  readonly to: number;
}
