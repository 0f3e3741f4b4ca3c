import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { lock, unlock } from "../../host/nic/ring-lock.ts";

describe("the ring lock", () => {
  it("is taken once, given back, and taken again", () => {
    const words = new Int32Array(new SharedArrayBuffer(8));
    expect(lock(words, 1)).toBe(true);
    expect(words[1]).not.toBe(0);
    unlock(words, 1);
    expect(words[1]).toBe(0);
    expect(lock(words, 1)).toBe(true);
  });

  it("is given up after a while when its holder does not come back", () => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    lock(words, 0);
    const before = performance.now();
    expect(lock(words, 0)).toBe(false);
    expect(performance.now() - before).toBeGreaterThanOrEqual(99);
    unlock(words, 0);
    expect(lock(words, 0)).toBe(true);
  });

  it("keeps threads out of each other's way", async () => {
    const state = new SharedArrayBuffer(8);
    const source = `
      const { workerData, parentPort } = require("node:worker_threads");
      import(workerData.lock).then(({ lock, unlock }) => {
        const words = new Int32Array(workerData.state);
        let failed = 0;
        for (let i = 0; i < 20000; i++) {
          if (!lock(words, 0)) { failed++; continue; }
          words[1] = words[1] + 1;
          unlock(words, 0);
        }
        parentPort.postMessage(failed);
      });`;
    const built = new URL("../../dist/host/nic/ring-lock.js", import.meta.url).href;
    const failures = await Promise.all(
      [0, 1, 2].map(
        () =>
          new Promise<number>((resolve, reject) => {
            const worker = new Worker(source, { eval: true, workerData: { state, lock: built } });
            worker.on("message", resolve);
            worker.on("error", reject);
          }),
      ),
    );
    const failed = failures.reduce((a, b) => a + b);
    expect(new Int32Array(state)[1]).toBe(60000 - failed);
    expect(failed).toBe(0);
  });
});
