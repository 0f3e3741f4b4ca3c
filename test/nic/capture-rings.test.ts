/** The rings of a capture's threads, read together. */
import { describe, expect, it } from "vitest";
import {
  CAPTURE_ON,
  CAPTURE_SNAP,
  CaptureRings,
  CaptureRingWriter,
  type CapturedFrame,
} from "../../host/nic/index.ts";
import { MemoryView } from "../../host/nic/memory-view.ts";
import { FakeKernel } from "./kernel.ts";

/** The rings of two threads for one port, of so many bytes, whose captures are on. */
function rings(capacity: number) {
  const { handle } = new FakeKernel("a");
  const all = new CaptureRings([handle], capacity);
  const writers = [all.addThread(), all.addThread()].map((ring) => new CaptureRingWriter(ring));
  all.words[CAPTURE_SNAP] = 32;
  all.words[CAPTURE_ON] = 1;
  const view = new MemoryView(new ArrayBuffer(64));
  const send = (thread: number, time: number): void =>
    writers[thread].sent(0, time, view, 0, view.size);
  const times = (): number[] => {
    const frames: CapturedFrame[] = [];
    all.drain(frames);
    return frames.map(({ time }) => time);
  };
  return { all, handle, writers, send, times };
}

describe("CaptureRings", () => {
  it("give every thread a ring of its own, and what they share", () => {
    const { all, handle, writers, send, times } = rings(1024);
    expect(writers.map(({ active }) => active)).toEqual([true, true]);
    expect(writers.map((writer) => writer.indexOf(handle))).toEqual([0, 0]);
    send(1, 10);
    send(0, 20);
    send(1, 30);
    expect(times()).toEqual([20, 10, 30]);
    expect(times()).toEqual([]);
    all.words[CAPTURE_ON] = 0;
    expect(writers.map(({ active }) => active)).toEqual([false, false]);
  });

  it("count what no ring had room for, once", () => {
    const { all, send, times } = rings(128);
    for (let time = 0; time < 4; time++) {
      send(0, time);
      send(1, time);
    }
    expect(times()).toEqual([0, 1, 0, 1]);
    expect(all.takeDropped()).toBe(4);
    expect(all.takeDropped()).toBe(0);
  });

  it("forget what waits, and what was dropped before", () => {
    const { all, send, times } = rings(128);
    for (let time = 0; time < 4; time++) send(0, time);
    all.discard();
    expect(all.takeDropped()).toBe(0);
    send(0, 9);
    expect(times()).toEqual([9]);
  });
});
