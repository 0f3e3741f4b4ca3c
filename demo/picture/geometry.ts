/**
 * Where everything of the picture is. It is laid out once in its own coordinates: u along the way of a
 * packet, v across, a core beneath the other. A wide page shows u to the right; a narrow one turns the
 * picture upright and shows u downwards.
 *
 *   u:  clients | link | NIC: hash, RETA | fan | RX and TX ring | kernel | arrays | application
 *
 * Lengths are CSS pixels.
 */
import { FLOW_GROUPS, MAX_CORES } from "../engine/messages.ts";

export interface Box {
  readonly u: number;
  readonly v: number;
  readonly du: number;
  readonly dv: number;
}

/** One core's row: two lanes, inwards above outwards, which the iteration goes around. */
export interface Row {
  readonly core: number;
  /** Shown small: the core is given back, or none of the server's. */
  readonly folded: boolean;
  readonly box: Box;
  readonly rx: Box;
  readonly tx: Box;
  readonly receive: Box;
  readonly protocols: Box;
  readonly timers: Box;
  readonly transmit: Box;
  readonly calls: Box;
  readonly eventArray: Box;
  readonly callArray: Box;
  readonly app: Box;
  /** v at which packets go, in either lane. */
  readonly inwards: number;
  readonly outwards: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly upright: boolean;
  readonly clients: Box;
  /** Squares of the clients: how many beside each other, their pitch, and where they begin. */
  readonly clientGrid: { readonly across: number; readonly pitch: number; readonly v: number };
  readonly link: Box;
  /** v of the link's two lanes. */
  readonly inLane: number;
  readonly outLane: number;
  readonly nic: Box;
  readonly hash: { readonly u: number; readonly v: number; readonly radius: number };
  readonly reta: Box;
  readonly cell: { readonly du: number; readonly dv: number };
  readonly rows: readonly Row[];
  /** u of the line between kernel and application. */
  readonly boundary: number;
}

/** Entries of the RETA beside each other along u; the others are below. */
export const RETA_ACROSS = 4;

/** Narrower pages turn the picture upright. */
const UPRIGHT_BELOW = 620;

/** The shares of the length along u, of a wide picture and of an upright one. */
const SHARES = {
  wide: {
    clients: 0.075,
    link: 0.155,
    hash: 0.05,
    reta: 0.062,
    fan: 0.075,
    ring: 0.13,
    kernel: 0.235,
    arrays: 0.075,
    app: 0.095,
  },
  upright: {
    clients: 0.07,
    link: 0.14,
    hash: 0.05,
    reta: 0.1,
    fan: 0.1,
    ring: 0.13,
    kernel: 0.25,
    arrays: 0.06,
    app: 0.07,
  },
} as const;

type Shares = Record<keyof (typeof SHARES)["wide"], number>;

/** Pixels across of the row of a core that is not in use. */
const FOLDED_ROW = { wide: 24, upright: 8 };

/** @param open how far each core's row is unfolded, 0 to 1 */
export function layOut(
  width: number,
  height: number,
  open: readonly number[],
  connections: number,
): Layout {
  const upright = width < UPRIGHT_BELOW;
  const [long, across] = upright ? [height, width] : [width, height];
  const edge = upright ? 10 : 18;
  // Headings stand above a wide picture, and beside an upright one.
  const top = upright ? 12 : 40;
  // The lowest strip is for what the engine reports.
  const bottom = upright ? 12 : 32;
  const shares: Shares = upright ? SHARES.upright : SHARES.wide;
  const gaps = upright ? 4 : 14;
  const usable = long - 2 * edge - 8 * gaps;
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const span = (name: keyof Shares): number => (usable * shares[name]) / total;

  const body: Box = { u: edge, v: top, du: long - 2 * edge, dv: across - top - bottom };
  const clients: Box = { u: edge, v: body.v, du: span("clients"), dv: body.dv };
  const link: Box = { u: end(clients) + gaps, v: body.v, du: span("link"), dv: body.dv };
  const nicU = end(link) + gaps;
  const nic: Box = { u: nicU, v: body.v, du: span("hash") + span("reta") + 3 * gaps, dv: body.dv };
  // The lowest part of the card is the way out, which no hash is asked for.
  const wayOut = Math.max(26, body.dv * 0.1);
  const reta: Box = {
    u: nicU + span("hash") + 2 * gaps,
    v: body.v + (upright ? 6 : 26),
    du: span("reta"),
    dv: body.dv - wayOut - (upright ? 10 : 34),
  };
  const inLane = reta.v + reta.dv * 0.5;
  const outLane = body.v + body.dv - wayOut / 2;
  const ringU = end(nic) + span("fan");
  const columns = {
    ring: ringU,
    ringDu: span("ring"),
    kernel: ringU + span("ring") + gaps,
    kernelDu: span("kernel"),
    arrays: ringU + span("ring") + span("kernel") + 2 * gaps,
    arraysDu: span("arrays"),
    app: ringU + span("ring") + span("kernel") + span("arrays") + 3 * gaps,
    appDu: long - edge - (ringU + span("ring") + span("kernel") + span("arrays") + 3 * gaps),
  };
  return {
    width,
    height,
    upright,
    clients,
    clientGrid: gridFor(clients, connections, (inLane + outLane) / 2),
    link,
    inLane,
    outLane,
    nic,
    hash: { u: nicU + gaps + span("hash") / 2, v: inLane, radius: Math.min(17, span("hash") / 2) },
    reta,
    cell: { du: reta.du / RETA_ACROSS, dv: reta.dv / (FLOW_GROUPS / RETA_ACROSS) },
    rows: rowsOf(body, open, columns, upright),
    boundary: columns.arrays + columns.arraysDu / 2,
  };
}

interface Columns {
  readonly ring: number;
  readonly ringDu: number;
  readonly kernel: number;
  readonly kernelDu: number;
  readonly arrays: number;
  readonly arraysDu: number;
  readonly app: number;
  readonly appDu: number;
}

function rowsOf(body: Box, open: readonly number[], columns: Columns, upright: boolean): Row[] {
  const least = upright ? FOLDED_ROW.upright : FOLDED_ROW.wide;
  const sum = open.reduce((total, share) => total + share, 0);
  const spare = body.dv - least * MAX_CORES;
  const rows: Row[] = [];
  let v = body.v;
  for (let core = 0; core < MAX_CORES; core++) {
    const dv = least + (sum === 0 ? 0 : (spare * open[core]) / sum);
    const box = { u: columns.ring, v, du: end(body) - columns.ring, dv };
    rows.push(rowOf(core, box, open[core] < 0.5, columns, upright));
    v += dv;
  }
  return rows;
}

function rowOf(core: number, box: Box, folded: boolean, columns: Columns, upright: boolean): Row {
  const title = upright ? 2 : folded ? 0 : 18;
  const space = box.dv - title - (folded ? 4 : 8);
  const lane = Math.max(2, Math.min(44, (space - 3) / 2));
  const v = box.v + title;
  const below = v + lane + 3;
  const at = (u: number, top: number, du: number): Box => ({ u, v: top, du, dv: lane });
  const { kernel, kernelDu } = columns;
  // A broad lane has its stage's name above the packets.
  const track = lane < 24 ? lane / 2 : lane * 0.68;
  return {
    core,
    folded,
    box,
    rx: at(columns.ring, v, columns.ringDu),
    tx: at(columns.ring, below, columns.ringDu),
    receive: at(kernel, v, kernelDu * 0.34 - 1),
    protocols: at(kernel + kernelDu * 0.34, v, kernelDu * 0.4 - 1),
    timers: at(kernel + kernelDu * 0.74, v, kernelDu * 0.26),
    transmit: at(kernel, below, kernelDu * 0.5 - 1),
    calls: at(kernel + kernelDu * 0.5, below, kernelDu * 0.5),
    eventArray: at(columns.arrays, v, columns.arraysDu),
    callArray: at(columns.arrays, below, columns.arraysDu),
    app: { u: columns.app, v, du: columns.appDu, dv: below + lane - v },
    inwards: v + track,
    outwards: below + track,
  };
}

/** The largest squares of which `count` fit in the box, around a middle as far as there is room. */
function gridFor(box: Box, count: number, middle: number): Layout["clientGrid"] {
  let pitch = Math.min(18, box.du);
  while (pitch > 4 && Math.floor(box.du / pitch) * Math.floor(box.dv / pitch) < count)
    pitch -= 0.25;
  const across = Math.max(1, Math.floor(box.du / pitch));
  const dv = Math.ceil(count / across) * pitch;
  const v = Math.max(box.v, Math.min(middle - dv / 2, box.v + box.dv - dv));
  return { across, pitch, v };
}

function end(box: Box): number {
  return box.u + box.du;
}

/** The RETA entry of a flow group. */
export function cellOf(layout: Layout, group: number): Box {
  const { reta, cell } = layout;
  const column = group % RETA_ACROSS;
  const line = Math.floor(group / RETA_ACROSS);
  return { u: reta.u + column * cell.du, v: reta.v + line * cell.dv, du: cell.du, dv: cell.dv };
}

/** The flow group whose RETA entry is at a place, or -1. */
export function groupAt(layout: Layout, u: number, v: number): number {
  const column = Math.floor((u - layout.reta.u) / layout.cell.du);
  const line = Math.floor((v - layout.reta.v) / layout.cell.dv);
  const lines = FLOW_GROUPS / RETA_ACROSS;
  if (column < 0 || column >= RETA_ACROSS || line < 0 || line >= lines) return -1;
  return line * RETA_ACROSS + column;
}

/** The core whose row is at a place, or -1. */
export function coreAt(layout: Layout, u: number, v: number): number {
  if (u < end(layout.nic)) return -1;
  return layout.rows.find(({ box }) => v >= box.v && v < box.v + box.dv)?.core ?? -1;
}

/** The square of a connection; connections beyond those that are known have the last one's. */
export function clientOf(layout: Layout, flow: number): Box {
  const { across, pitch, v } = layout.clientGrid;
  const column = flow % across;
  const line = Math.floor(flow / across);
  return {
    u: layout.clients.u + column * pitch,
    v: v + line * pitch,
    du: pitch - 2,
    dv: pitch - 2,
  };
}
