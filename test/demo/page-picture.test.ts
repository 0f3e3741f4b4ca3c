/** Where things are in the picture, and how packets move in it; without a browser. */
import { describe, expect, test } from "vitest";
import { FLOW_GROUPS, MAX_CORES, type Packet, type Snapshot } from "../../demo/engine/messages.ts";
import {
  cellOf,
  clientOf,
  coreAt,
  groupAt,
  layOut,
  type Box,
  type Layout,
} from "../../demo/picture/geometry.ts";
import { wayIn, wayOut } from "../../demo/picture/paths.ts";
import { Scene } from "../../demo/picture/scene.ts";

const open = (cores: number): number[] =>
  Array.from({ length: MAX_CORES }, (_, core) => (core < cores ? 1 : 0));

const pages = [
  ["a wide page with one core", 1060, 520, 1, 1],
  ["a wide page with all cores", 1060, 520, 8, 512],
  ["a low page", 800, 360, 8, 64],
  ["a phone", 390, 544, 4, 32],
  ["a phone with all cores", 360, 544, 8, 512],
] as const;

function boxesOf(layout: Layout): Box[] {
  const rows = layout.rows.filter((row) => !row.folded);
  return rows.flatMap((row) => [
    row.rx,
    row.tx,
    row.receive,
    row.protocols,
    row.timers,
    row.transmit,
    row.calls,
    row.eventArray,
    row.callArray,
    row.app,
  ]);
}

describe.each(pages)("on %s", (_, width, height, cores, connections) => {
  const layout = layOut(width, height, open(cores), connections);
  const [long, across] = layout.upright ? [height, width] : [width, height];

  test("everything is inside", () => {
    for (const box of [layout.clients, layout.link, layout.nic, layout.reta, ...boxesOf(layout)]) {
      expect(box.u).toBeGreaterThanOrEqual(0);
      expect(box.v).toBeGreaterThanOrEqual(0);
      expect(box.du).toBeGreaterThan(0);
      expect(box.dv).toBeGreaterThan(0);
      expect(box.u + box.du).toBeLessThanOrEqual(long);
      expect(box.v + box.dv).toBeLessThanOrEqual(across);
    }
  });

  test("rows of cores in use are unfolded and do not overlap", () => {
    expect(layout.rows.map(({ folded }) => !folded)).toEqual(open(cores).map(Boolean));
    for (let core = 1; core < MAX_CORES; core++) {
      const above = layout.rows[core - 1].box;
      expect(layout.rows[core].box.v).toBeCloseTo(above.v + above.dv);
    }
  });

  test("a press in the middle of an entry or a row finds it", () => {
    for (let group = 0; group < FLOW_GROUPS; group++) {
      const cell = cellOf(layout, group);
      expect(groupAt(layout, cell.u + cell.du / 2, cell.v + cell.dv / 2)).toBe(group);
    }
    for (const { core, box, app } of layout.rows) {
      expect(coreAt(layout, app.u + 1, box.v + box.dv / 2)).toBe(core);
    }
    expect(groupAt(layout, layout.reta.u - 1, layout.reta.v + 1)).toBe(-1);
    expect(coreAt(layout, layout.reta.u, layout.reta.v)).toBe(-1);
  });

  test("every connection has a square of its own among the clients", () => {
    const squares = Array.from({ length: connections }, (_, flow) => clientOf(layout, flow));
    expect(new Set(squares.map(({ u, v }) => `${u} ${v}`)).size).toBe(connections);
    for (const { u, v, du, dv } of squares) {
      expect(u + du).toBeLessThanOrEqual(layout.clients.u + layout.clients.du);
      expect(v).toBeGreaterThanOrEqual(layout.clients.v - 0.01);
      expect(v + dv).toBeLessThanOrEqual(
        layout.clients.v + layout.clients.dv + layout.clientGrid.pitch,
      );
    }
  });

  test("a way in goes through the entry of its group to its core, and a way out to its client", () => {
    const place = { u: 0, v: 0 };
    const way = wayIn(layout, 0, 77, 0);
    way.at(way.distance("steered"), place);
    expect(groupAt(layout, place.u, place.v)).toBe(77);
    way.at(way.distance("app"), place);
    expect(coreAt(layout, place.u, place.v)).toBe(0);
    const back = wayOut(layout, 0, 0);
    back.at(back.length, place);
    const square = clientOf(layout, 0);
    expect(place.u).toBeCloseTo(square.u + square.du / 2);
    expect(place.v).toBeCloseTo(square.v + square.dv / 2);
  });
});

const packet: Packet = {
  id: 1,
  kind: "data",
  fate: "flying",
  way: "in",
  again: false,
  length: 118,
  payload: 64,
  flags: 24,
  seq: 1,
  ack: 1,
  flow: 0,
  hash: 5,
  group: 5,
  core: 1,
  sent: 100,
  arrives: 120,
};

const snapshotOf = (changes: Partial<Packet>, mode: Snapshot["mode"] = "slow"): Snapshot =>
  ({ mode, packets: [{ ...packet, ...changes }] }) as unknown as Snapshot;

describe("a packet in the picture", () => {
  const layout = layOut(1060, 520, open(4), 32);
  const way = wayIn(layout, 0, 5, 1);

  function sceneWith(changes: Partial<Packet>, now: number): { scene: Scene; distance: number } {
    const scene = new Scene(layout);
    scene.take(snapshotOf(changes));
    scene.advance(now, 0);
    return { scene, distance: scene.sprites.get(1)?.distance ?? -1 };
  }

  test("is as far along the link as its time says", () => {
    const middle = (way.distance("left") + way.distance("arrived")) / 2;
    expect(sceneWith({}, 110).distance).toBeCloseTo(middle);
    expect(sceneWith({}, 90).distance).toBeCloseTo(way.distance("left"));
    expect(sceneWith({}, 500).distance).toBeCloseTo(way.distance("arrived"));
  });

  test("waits in its ring, goes through TCP, and comes to the application", () => {
    const times = { ring: 120, taken: 130, protocols: 131, app: 132 };
    const at = (fate: Packet["fate"], now: number): number =>
      sceneWith({ fate, ...times }, now).distance;
    expect(at("waiting", 125)).toBeCloseTo(way.distance("ring"));
    expect(at("running", 130.5)).toBeCloseTo(way.distance("receive"));
    expect(at("running", 131.5)).toBeCloseTo(way.distance("protocols"));
    expect(at("running", 133)).toBeCloseTo(way.distance("app"));
  });

  test("stands behind those that came into the ring before it", () => {
    const scene = new Scene(layout);
    const waiting = { fate: "waiting" as const };
    scene.take(snapshotOf({ ...waiting, id: 1, ring: 121 }));
    scene.take(snapshotOf({ ...waiting, id: 2, ring: 120 }));
    scene.advance(125, 0);
    expect(scene.sprites.get(2)?.distance).toBeCloseTo(way.distance("ring"));
    expect(scene.sprites.get(1)!.distance).toBeLessThan(way.distance("ring") - 3);
  });

  test("moves to its place in steps and not in jumps", () => {
    const scene = new Scene(layout);
    scene.take(snapshotOf({ fate: "running", ring: 120, taken: 130, protocols: 131, app: 132 }));
    const seen: number[] = [];
    for (let frame = 0; frame < 200; frame++) {
      scene.advance(133, 1 / 60);
      seen.push(scene.sprites.get(1)!.distance);
    }
    expect(seen.at(-1)).toBeCloseTo(way.distance("app"));
    const steps = seen.slice(1).map((distance, index) => distance - seen[index]);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...steps)).toBeLessThan(way.length / 8);
  });

  test("that is lost stops where it was, and leaves the picture", () => {
    const scene = new Scene(layout);
    scene.take(snapshotOf({ fate: "lost", endedAt: 105 }));
    let last = 0;
    for (let frame = 0; frame < 600 && scene.sprites.size > 0; frame++) {
      scene.advance(200, 1 / 60);
      last = scene.sprites.get(1)?.distance ?? last;
    }
    const link = way.distance("arrived") - way.distance("left");
    expect(last).toBeCloseTo(way.distance("left") + link / 4);
    expect(scene.sprites.size).toBe(0);
  });

  test("at full speed goes its whole way in a second or two, whatever its times", () => {
    const scene = new Scene(layout);
    scene.take(snapshotOf({ fate: "done" }, "threads"));
    for (let frame = 0; frame < 30; frame++) scene.advance(0, 1 / 60);
    expect(scene.sprites.get(1)!.distance).toBeGreaterThan(way.length / 5);
    expect(scene.sprites.get(1)!.distance).toBeLessThan(way.length / 2);
    for (let frame = 0; frame < 120; frame++) scene.advance(0, 1 / 60);
    expect(scene.sprites.size).toBe(0);
  });

  test("among very many is forgotten before the picture is crowded", () => {
    const scene = new Scene(layout);
    for (let id = 0; id < 5000; id++) scene.take(snapshotOf({ id }));
    expect(scene.sprites.size).toBeLessThan(1000);
    expect(scene.sprites.has(4999)).toBe(true);
  });
});
