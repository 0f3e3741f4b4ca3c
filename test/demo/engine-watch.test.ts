/** One connection followed, and one packet looked at. */
import { describe, expect, test } from "vitest";
import type { Packet, SequencePoint } from "../../demo/engine/messages.ts";
import { expectSound, PARTIAL } from "../support/expert.ts";
import { Bench } from "./bench.ts";

const FAST = 20_000;

async function follow(bench: Bench, frames: number): Promise<SequencePoint[]> {
  await bench.send({ type: "watch", flow: 0 });
  const points: SequencePoint[] = [];
  for (let i = 0; i < frames; i++) points.push(...((await bench.frame()).watched?.points ?? []));
  return points;
}

describe("a connection that is followed", () => {
  test("shows what was sent, what was acknowledged, and its window", async () => {
    const bench = await Bench.start({ connections: 2, load: 0, size: 20_000 }, FAST);
    const points = await follow(bench, 30);
    const of = (kind: SequencePoint["kind"]) => points.filter((point) => point.kind === kind);
    expect(of("sent").length).toBeGreaterThan(20);
    expect(of("again")).toEqual([]);
    const acked = of("acked").map(({ to }) => to);
    expect(acked).toEqual(acked.toSorted((a, b) => a - b));
    expect(of("window")[0].to).toBeGreaterThan(of("acked")[0].to);
    const { watched } = await bench.frame();
    expect(watched).toMatchObject({ flow: 0, server: "10.0.0.1:7", state: "ESTABLISHED" });
    expect(watched!.client).toMatch(/^10\.0\.0\.2:\d+$/);
    expect(watched!.cwnd).toBeGreaterThan(10_000);
    expect(watched!.srtt).toBeGreaterThan(30);
    expect(watched!.rto).toBeGreaterThan(watched!.srtt);
  });

  test("shows losses, SACK blocks, and what was sent again; its window falls", async () => {
    const bench = await Bench.start(
      { connections: 1, load: 0, size: 60_000, loss: 0.03, seed: 5 },
      FAST,
    );
    const points = await follow(bench, 60);
    const kinds = new Set(points.map(({ kind }) => kind));
    expect([...kinds].toSorted()).toEqual(["acked", "again", "lost", "sacked", "sent", "window"]);
    const { watched } = await bench.frame();
    expect(watched!.ssthresh).toBeLessThan(1e6);
  });

  test("is none when nobody follows one", async () => {
    const bench = await Bench.start();
    expect((await bench.frame()).watched).toBeUndefined();
  });
});

describe("a packet that is looked at", () => {
  async function some(holds: (packet: Packet) => boolean, changes = {}) {
    const bench = await Bench.start({ cores: 4, load: 100_000, ...changes }, 5000);
    const { packets } = await bench.framesUntil(({ packets }) => packets.some(holds));
    await bench.send({ type: "packet", id: packets.find(holds)!.id });
    return bench.all("packet").at(-1)!;
  }

  test("has all its headers, in order and within the frame", async () => {
    const { layers, packet, bytes } = await some(({ kind }) => kind === "data");
    expect(layers.map(({ name }) => name)).toEqual(["Ethernet", "IPv4", "TCP", "Payload"]);
    expect(layers.at(-1)!.to).toBe(packet!.length);
    expect(bytes.length).toBeLessThanOrEqual(packet!.length);
    for (const { from, to, fields } of layers) {
      for (const field of fields) {
        expect(field.from).toBeGreaterThanOrEqual(from);
        expect(field.to).toBeLessThanOrEqual(to);
      }
    }
  });

  test("was steered by its hash, and lived through the stages in order", async () => {
    const life = await some(
      ({ way, fate, kind }) => way === "in" && fate === "done" && kind === "data",
    );
    const { packet, rss } = life;
    expect(rss).toMatchObject({
      hash: packet!.hash,
      group: packet!.hash & 127,
      core: packet!.core,
    });
    expect(rss!.input).toMatch(/^10\.0\.0\.2 10\.0\.0\.1 \d+ 7$/);
    const { sent, arrives, ring, taken, protocols, app, done } = packet!;
    const times = [sent, arrives, ring!, taken!, protocols!, app!, done!];
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(life.life.map(({ at }) => at)).toEqual([sent, ring, taken, protocols, app, done]);
  });

  test("says why it was lost", async () => {
    const { packet, life } = await some(({ fate }) => fate === "lost", { loss: 0.2 });
    expect(packet!.why).toBe("lost on the link");
    expect(life.at(-1)!.text).toBe("lost on the link");
  });

  test("of long ago is not known any more", async () => {
    const bench = await Bench.start();
    await bench.send({ type: "packet", id: 1e9 });
    expect(bench.all("packet")[0]).toMatchObject({ packet: undefined, layers: [], life: [] });
  });
});

test("a capture has the packets that were kept, as pcapng", async () => {
  const bench = await Bench.start({ load: 100_000 }, FAST);
  for (let i = 0; i < 10; i++) await bench.frame();
  await bench.send({ type: "capture" });
  const [{ bytes, packets }] = bench.all("capture");
  expect(packets).toBeGreaterThan(500);
  expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(0x0a0d0d0a);
  expectSound(bytes, { possible: PARTIAL });
});
