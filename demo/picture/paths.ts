/** The ways that packets take through the picture: polylines with named stations, measured by length. */
import { cellOf, clientOf, type Layout } from "./geometry.ts";

export interface Place {
  u: number;
  v: number;
}

/** The stations of a packet to the server, in their order. */
export type InStation =
  "left" | "arrived" | "hashed" | "steered" | "ring" | "receive" | "protocols" | "app";
/** Of a packet from it. */
export type OutStation = "app" | "protocols" | "transmit" | "ring" | "left" | "arrived";

const CURVE_STEPS = 12;

/** A line with stations on it. Distances are pixels from its beginning. */
export class Way {
  readonly #points: Place[] = [];
  readonly #distances: number[] = [];
  readonly #stations = new Map<string, number>();

  get length(): number {
    return this.#distances.at(-1) ?? 0;
  }

  /** Goes straight on to a place. */
  to(u: number, v: number): this {
    const last = this.#points.at(-1);
    const step = last === undefined ? 0 : Math.hypot(u - last.u, v - last.v);
    this.#points.push({ u, v });
    this.#distances.push(this.length + step);
    return this;
  }

  /** Goes to a place on a curve that begins and ends along u. */
  bend(u: number, v: number): this {
    const from = this.#points.at(-1) ?? { u, v };
    const half = (from.u + u) / 2;
    for (let step = 1; step <= CURVE_STEPS; step++) {
      const t = step / CURVE_STEPS;
      const [a, b, c] = [(1 - t) ** 3, 3 * (1 - t) * t, t ** 3];
      this.to(
        a * from.u + b * (1 - t) * half + b * t * half + c * u,
        a * from.v + b * (1 - t) * from.v + b * t * v + c * v,
      );
    }
    return this;
  }

  station(name: InStation | OutStation): this {
    this.#stations.set(name, this.length);
    return this;
  }

  distance(name: InStation | OutStation): number {
    return this.#stations.get(name) ?? 0;
  }

  /** Writes the place at a distance into `place`, so that nothing is allocated for a frame. */
  at(distance: number, place: Place): void {
    const distances = this.#distances;
    let low = 0;
    let high = distances.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (distances[middle] <= distance) low = middle;
      else high = middle;
    }
    const span = distances[high] - distances[low];
    const share = span === 0 ? 0 : Math.min(1, Math.max(0, (distance - distances[low]) / span));
    place.u = this.#points[low].u + share * (this.#points[high].u - this.#points[low].u);
    place.v = this.#points[low].v + share * (this.#points[high].v - this.#points[low].v);
  }
}

const middle = (box: { u: number; du: number }): number => box.u + box.du / 2;

/** From a client through the link, the hash and its RETA entry to a core's application. */
export function wayIn(layout: Layout, flow: number, group: number, core: number): Way {
  const way = new Way();
  startAtClients(way, layout, flow, layout.inLane);
  way
    .station("left")
    .to(layout.link.u + layout.link.du, layout.inLane)
    .station("arrived");
  way.to(layout.hash.u, layout.hash.v).station("hashed");
  const row = layout.rows[Math.max(0, core)];
  if (group >= 0) {
    const cell = cellOf(layout, group);
    way.bend(middle(cell), cell.v + cell.dv / 2).station("steered");
  } else {
    way.to(layout.reta.u, layout.hash.v).station("steered");
  }
  way.to(layout.nic.u + layout.nic.du, wayEnd(layout, group)).bend(row.rx.u, row.inwards);
  way.to(row.rx.u + row.rx.du - 5, row.inwards).station("ring");
  way.to(middle(row.receive), row.inwards).station("receive");
  way.to(middle(row.protocols), row.inwards).station("protocols");
  return way.to(middle(row.app), row.inwards).station("app");
}

/** From a core's application to a client. */
export function wayOut(layout: Layout, flow: number, core: number): Way {
  const row = layout.rows[Math.max(0, core)];
  const way = new Way();
  way.to(middle(row.app), row.outwards).station("app");
  way.to(middle(row.calls), row.outwards).station("protocols");
  way.to(middle(row.transmit), row.outwards).station("transmit");
  way.to(row.tx.u, row.outwards).station("ring");
  way.bend(layout.nic.u + layout.nic.du, layout.outLane);
  way.to(layout.link.u + layout.link.du, layout.outLane).station("left");
  way.to(layout.link.u, layout.outLane);
  endAtClients(way, layout, flow);
  return way.station("arrived");
}

/** v at which a packet of a group leaves the card. */
export function wayEnd(layout: Layout, group: number): number {
  if (group < 0) return layout.hash.v;
  const cell = cellOf(layout, group);
  return cell.v + cell.dv / 2;
}

function startAtClients(way: Way, layout: Layout, flow: number, lane: number): void {
  if (flow < 0) {
    // Strangers come from outside of the picture, over the clients.
    way.to(0, lane).to(layout.link.u, lane);
    return;
  }
  const square = clientOf(layout, flow);
  way.to(square.u + square.du / 2, square.v + square.dv / 2).bend(layout.link.u, lane);
}

function endAtClients(way: Way, layout: Layout, flow: number): void {
  if (flow < 0) {
    way.to(0, layout.outLane);
    return;
  }
  const square = clientOf(layout, flow);
  way.bend(square.u + square.du / 2, square.v + square.dv / 2);
}

/** Ways by what they depend on, until the layout changes. */
export class Ways {
  #layout: Layout;
  readonly #known = new Map<string, Way>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  renew(layout: Layout): void {
    if (layout === this.#layout) return;
    this.#layout = layout;
    this.#known.clear();
  }

  of(way: "in" | "out", flow: number, group: number, core: number): Way {
    const key = `${way}${flow} ${group} ${core}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known =
        way === "in" ? wayIn(this.#layout, flow, group, core) : wayOut(this.#layout, flow, core);
      this.#known.set(key, known);
    }
    return known;
  }
}
