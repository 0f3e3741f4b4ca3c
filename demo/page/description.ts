/**
 * The picture in words, for those who do not see it: a list of the cores, and what happened so far. It is
 * renewed now and then and announces nothing by itself.
 */
import type { CoreSnapshot, Snapshot } from "../engine/messages.ts";
import { element, write } from "./dom.ts";

/** Between two renewals, ms. */
const PERIOD = 500;

export class Description {
  readonly #totals = element("p");
  readonly #cores = element("ul");
  #last = -Infinity;

  constructor(holder: HTMLElement) {
    holder.append(this.#totals, this.#cores);
  }

  take(snapshot: Snapshot): void {
    const now = performance.now();
    if (now - this.#last < PERIOD) return;
    this.#last = now;
    this.#showNumbers(snapshot);
    const used = snapshot.cores.filter(({ state }) => state !== "idle");
    while (this.#cores.children.length < used.length) this.#cores.append(element("li"));
    while (this.#cores.children.length > used.length) this.#cores.lastElementChild?.remove();
    used.forEach((core, index) => write(this.#cores.children[index], describe(core)));
  }

  /** Numbers stand beside the words as well, for programs. */
  #showNumbers({ totals, latency, active, now }: Snapshot): void {
    const dropped = Object.entries(totals.drops).map(([why, count]) => `${why}: ${count}`);
    write(
      this.#totals,
      [
        `${totals.answered} requests answered, ${totals.open} connections open, ${active} cores in use.`,
        `${totals.retransmissions} retransmissions.`,
        dropped.length === 0 ? "Nothing lost." : `Lost or dropped: ${dropped.join(", ")}.`,
      ].join(" "),
    );
    const { dataset } = this.#totals;
    const numbers = { ...totals, drops: undefined, ...latency, active, now };
    for (const [name, value] of Object.entries(numbers)) {
      if (value !== undefined) dataset[name] = String(value);
    }
    const drops = Object.values(totals.drops).reduce((sum, count) => sum + count, 0);
    dataset.drops = String(drops);
  }
}

/** Packets that an iteration of a core took in the last window, 0 where there was none. */
export function meanBatch({ packets, iterations }: CoreSnapshot): number {
  return iterations === 0 ? 0 : packets / iterations;
}

function describe(snapshot: CoreSnapshot): string {
  const { core, state, groups, idle, rxDepth } = snapshot;
  const mean = meanBatch(snapshot);
  if (state === "dead") return `Core ${core} died.`;
  const parts = [
    `${groups} flow groups`,
    `${Math.round(idle * 100)} % idle`,
    `${rxDepth} packets wait`,
  ];
  if (mean > 0) parts.push(`${mean.toFixed(1)} packets an iteration`);
  return `Core ${core}: ${parts.join(", ")}.`;
}
