import { describe, expect, it } from "vitest";
import {
  CaptureRingWriter,
  connectPorts,
  createBackend,
  LiveCapture,
} from "../../host/nic/index.ts";
import type { PcapngOptions } from "../../host/nic/index.ts";
import { expectSound } from "../support/expert.ts";
import { ipFrame, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import { blocks, optionsOf, packets, sink } from "./pcapng-file.ts";

const IN = 1;
const OUT = 2;
/** Later than any frame that could still be put down. */
const LATER = 1e6;

/** Two ports on a cable, each sending from a thread of its own, as far as the capture can tell. */
function network() {
  const a = new FakeKernel("a");
  const b = new FakeKernel("b");
  const live = new LiveCapture([a.handle]);
  const writers = [live.addThread(), live.addThread()].map((ring) => new CaptureRingWriter(ring));
  const wires = connectPorts(a.handle, b.handle);
  const [fromA, fromB] = [a, b].map(({ handle }, i) =>
    createBackend(handle, 0, wires[i], { capture: writers[i] }),
  );
  const out = sink();
  const start = (options?: PcapngOptions) => live.start(out.write, options);
  const sendA = (now: number, payload = [1]) => {
    a.send(ipFrame({ payload }));
    fromA.pump(now);
  };
  const sendB = (now: number, payload = [2]) => {
    b.send(ipFrame({ to: [2, 0, 0, 0, 0, 97], from: [2, 0, 0, 0, 0, 98], payload }));
    fromB.pump(now);
  };
  return { a, b, live, writers, out, start, sendA, sendB };
}

describe("LiveCapture", () => {
  it("shows nothing while it is off, and starts with what comes after", () => {
    const { live, out, start, sendA } = network();
    sendA(10);
    start();
    sendA(20);
    live.stop(30);
    sendA(40);
    expect(packets(out.bytes).map(({ time }) => time)).toEqual([20]);
    expect(live.active).toBe(false);
  });

  it("puts the frames of all threads in order", () => {
    const { live, out, start, sendA, sendB } = network();
    start();
    sendB(40);
    sendA(20);
    sendB(60);
    sendA(50);
    live.stop(LATER);
    expect(packets(out.bytes).map((p) => [p.time, p.direction, p.bytes[54]])).toEqual([
      [20, OUT, 1],
      [40, IN, 2],
      [50, OUT, 1],
      [60, IN, 2],
    ]);
    // Every segment has the same sequence number.
    expectSound(out.bytes, { possible: [/^TCP: This frame is a \(suspected\) out-of-order/] });
  });

  it("holds frames back while an earlier one may still come, and no longer", () => {
    const { live, out, start, sendA, sendB } = network();
    start();
    sendA(100);
    expect(live.pump(110)).toBe(0);
    sendB(90);
    expect(live.pump(LATER)).toBe(2);
    expect(packets(out.bytes).map(({ time }) => time)).toEqual([90, 100]);
    expect(live.frames).toBe(2);
  });

  it("writes at most as many frames as asked for", () => {
    const { live, out, start, sendA } = network();
    start();
    for (let i = 0; i < 5; i++) sendA(i);
    expect(live.pump(LATER, 2)).toBe(2);
    live.stop(LATER, 1);
    expect(packets(out.bytes).map(({ time }) => time)).toEqual([0, 1, 2]);
  });

  it("keeps the beginning of frames, and says how long they were", () => {
    const { live, out, start, sendA } = network();
    start({ snapLength: 60 });
    const payload = pattern(300);
    sendA(1, payload);
    live.stop(LATER);
    const [frame] = packets(out.bytes);
    expect(frame.length).toBe(54 + 300);
    expect(frame.bytes).toEqual(ipFrame({ payload }).slice(0, 60));
  });

  it("counts what finds no room instead of waiting, and says so in the file", () => {
    const { a, live, writers, out, start } = network();
    start();
    const view = { bytes: new Uint8Array(1500) };
    const port = writers[0].indexOf(a.handle);
    for (let i = 0; i < 5000; i++) writers[0].sent(port, i, view as never, 0, 1500);
    live.stop(LATER);
    expect(live.frames).toBeGreaterThan(1000);
    expect(live.frames + live.dropped).toBe(5000);
    expect(packets(out.bytes)).toHaveLength(live.frames);
    const statistics = blocks(out.bytes).find(({ type }) => type === 5)!;
    const options = optionsOf(statistics.body, 12);
    const number = (code: number) =>
      new DataView(options.get(code)!.slice().buffer).getUint32(0, true);
    expect([number(4), number(5)]).toEqual([5000, live.dropped]);
  });

  it("carries any number of frames of all sizes through a ring that is read in time", () => {
    const { a, live, writers, out, start } = network();
    start();
    const bytes = Uint8Array.from(pattern(1906));
    const port = writers[0].indexOf(a.handle);
    let sent = 0;
    for (let i = 0; i < 20_000; i++) {
      const length = 14 + ((i * 37) % 1892);
      writers[0].sent(port, i, { bytes } as never, 0, length);
      sent += length;
      if (i % 1000 === 0) live.pump(LATER);
    }
    live.stop(LATER);
    const seen = packets(out.bytes);
    expect(live.dropped).toBe(0);
    expect(seen.map(({ time }) => time)).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
    expect(seen.reduce((sum, frame) => sum + frame.bytes.length, 0)).toBe(sent);
    for (const frame of seen.slice(-50)) {
      expect(frame.bytes).toEqual(bytes.slice(0, frame.bytes.length));
    }
  });

  it("goes on with a writer that another thread made for the same ring", () => {
    const a = new FakeKernel("a");
    const live = new LiveCapture([a.handle]);
    const ring = live.addThread();
    const out = sink();
    live.start(out.write);
    const view = { bytes: new Uint8Array(100) };
    new CaptureRingWriter(ring).sent(0, 1, view as never, 0, 60);
    new CaptureRingWriter(ring).delivered(0, 2, view as never, 0, 70);
    live.stop(LATER);
    expect(packets(out.bytes).map((p) => [p.time, p.length])).toEqual([
      [1, 60],
      [2, 70],
    ]);
  });

  it("is one at a time, and can be started again", () => {
    const { live, out, start, sendA } = network();
    start();
    expect(() => start()).toThrow("runs already");
    sendA(1);
    live.stop(LATER);
    live.stop(LATER);
    start();
    sendA(2);
    live.stop(LATER);
    expect(packets(out.bytes).map(({ time }) => time)).toEqual([1, 2]);
    expect(live.frames).toBe(1);
  });
});
