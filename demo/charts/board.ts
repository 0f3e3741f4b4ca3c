/** The charts beneath the picture, fed by snapshots and drawn a few times a second. */
import { MAX_CORES, type Snapshot } from "../engine/messages.ts";
import { bytes, digits, percent, short, time } from "../page/numbers.ts";
import { onThemeChange } from "../picture/palette.ts";
import { Batches } from "./batches.ts";
import { Lines, type LineStyle } from "./lines.ts";
import { Sequence } from "./sequence.ts";

/** Between two samples, and two drawings, ms of the reader's time. */
const PERIOD = 100;

const ofCores: LineStyle[] = Array.from({ length: MAX_CORES }, (_, core) => ({
  stroke: (palette) => palette.cores[core],
}));

export class Board {
  readonly #throughput = new Lines({
    id: "throughput",
    title: "Messages a second",
    help: "Requests that were answered.",
    lines: [{ stroke: (palette) => palette.ink, width: 1.75 }],
    least: 1000,
  });
  readonly #latency = new Lines({
    id: "latency",
    title: "Latency",
    help: "From a request to its answer: half of all are below the strong line, 90 % below the thin one, 99 % below the dashed one.",
    lines: [
      { stroke: (palette) => palette.ink, width: 1.75 },
      { stroke: (palette) => palette.ink3 },
      { stroke: (palette) => palette.ink3, dash: [3, 3] },
    ],
    least: 20,
    tick: (value) => (value >= 1000 ? `${digits(value / 1000)} ms` : `${digits(value)} µs`),
  });
  readonly #queue = new Lines({
    id: "queue",
    title: "Packets that wait",
    help: "In the RX ring of each core.",
    lines: ofCores,
    least: 8,
  });
  readonly #idle = new Lines({
    id: "idle",
    title: "Idle",
    help: "Share of its time that each core had nothing to do.",
    lines: ofCores,
    least: 100,
    most: 100,
    tick: (value) => (value === 100 ? "100 %" : String(value)),
  });
  readonly #window = new Lines({
    id: "cwnd",
    title: "Congestion window",
    help: "Of the connection that is followed: bytes that it may have under way; dashed: where slow start ends.",
    lines: [
      { stroke: (palette) => palette.ink, width: 1.75 },
      { stroke: (palette) => palette.ink3, dash: [3, 3] },
    ],
    least: 4000,
  });
  readonly #batches = new Batches();
  readonly #sequence = new Sequence();
  #last = -Infinity;

  constructor(holder: HTMLElement) {
    const charts = [
      this.#throughput,
      this.#latency,
      this.#batches,
      this.#sequence,
      this.#queue,
      this.#idle,
      this.#window,
    ];
    holder.append(...charts.map(({ figure }) => figure.root));
    onThemeChange(() => {
      for (const chart of charts) chart.renew();
    });
    for (const chart of charts) chart.draw();
  }

  /** Forgets an earlier run. */
  clear(): void {
    for (const lines of [this.#throughput, this.#latency, this.#queue, this.#idle, this.#window])
      lines.clear();
    this.#sequence.clear();
  }

  take(snapshot: Snapshot): void {
    this.#sequence.take(snapshot.watched);
    const wall = performance.now();
    if (wall - this.#last < PERIOD || snapshot.paused) return;
    this.#last = wall;
    this.#sample(snapshot);
    this.#batches.take(snapshot.cores);
    for (const chart of [
      this.#throughput,
      this.#latency,
      this.#queue,
      this.#idle,
      this.#window,
      this.#batches,
      this.#sequence,
    ]) {
      chart.draw();
    }
  }

  #sample({ now, totals, latency, cores, watched }: Snapshot): void {
    const at = now / 1e6;
    this.#throughput.add(at, [totals.messages], short(totals.messages));
    const known = latency.count > 0;
    this.#latency.add(
      at,
      known ? [latency.p50, latency.p90, latency.p99] : [null, null, null],
      known ? `${time(latency.p50)}, p99 ${time(latency.p99)}` : "–",
    );
    const active = cores.filter((core) => core.state === "active");
    const ofActive = (value: (core: (typeof cores)[number]) => number): (number | null)[] =>
      cores.map((core) => (core.state === "active" ? value(core) : null));
    const deepest = active.reduce((most, core) => Math.max(most, core.rxDepth), 0);
    this.#queue.add(
      at,
      ofActive((core) => core.rxDepth),
      `at most ${deepest}`,
    );
    const idle = active.reduce((sum, core) => sum + core.idle, 0) / Math.max(1, active.length);
    this.#idle.add(
      at,
      ofActive((core) => core.idle * 100),
      percent(Math.round(idle * 100) / 100),
    );
    if (watched === undefined) return;
    const threshold = watched.ssthresh < 1e9 ? watched.ssthresh : null;
    this.#window.add(at, [watched.cwnd, threshold], bytes(watched.cwnd));
  }
}
