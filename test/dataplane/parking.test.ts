import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { CORE_DOORBELL, CORE_PARKED, CORE_STOP } from "../../assembly/abi.ts";
import { Parking } from "../../host/dataplane/parking.ts";
import { SERVER_IP, smallDataplane } from "./support.ts";

/** Longer than any test waits: whoever sleeps this long was not woken. */
const FOR_EVER = 600e6;

function parkingLot() {
  const { memory, map, port } = smallDataplane(SERVER_IP, { queuesPerCore: 2, frames: 1024 });
  const [{ block, queues }] = map.cores;
  const words = new Int32Array(memory.buffer);
  return {
    parking: new Parking(memory, block, port.queues),
    memory,
    words,
    doorbell: (block + CORE_DOORBELL) >>> 2,
    parked: (block + CORE_PARKED) >>> 2,
    stop: (block + CORE_STOP) >>> 2,
    secondRxProducer: queues[1].rx.producer >>> 2,
    secondRxConsumer: queues[1].rx.consumer >>> 2,
  };
}

describe("an idle core", () => {
  it("does not sleep while a packet waits in any of its queues", () => {
    const { parking, words, parked, secondRxProducer, secondRxConsumer } = parkingLot();
    words[secondRxProducer] = 5;
    words[secondRxConsumer] = 4;
    parking.park(FOR_EVER);
    expect(words[parked]).toBe(0);
  });

  it("does not sleep when it was asked to stop", () => {
    const { parking, words, stop } = parkingLot();
    expect(parking.stopped).toBe(false);
    words[stop] = 1;
    expect(parking.stopped).toBe(true);
    parking.park(FOR_EVER);
  });

  it("sleeps until its deadline", () => {
    const { parking, words, parked } = parkingLot();
    const begin = performance.now();
    parking.park(2000);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(1.9);
    expect(words[parked]).toBe(0);
  });

  it("is woken by its doorbell, and says that it sleeps", async () => {
    const { parking, memory, words, parked, doorbell } = parkingLot();
    // Rings whenever it sees the flag, as a sender does after it has delivered.
    const sender = new Worker(
      `const { workerData: { memory, parked, doorbell } } = require("node:worker_threads");
       const words = new Int32Array(memory.buffer);
       const nap = new Int32Array(new SharedArrayBuffer(4));
       for (;;) {
         if (Atomics.load(words, parked) === 1) {
           Atomics.add(words, doorbell, 1);
           Atomics.notify(words, doorbell);
         }
         Atomics.wait(nap, 0, 0, 1);
       }`,
      { eval: true, workerData: { memory, parked, doorbell } },
    );
    for (let wakes = 0; wakes < 3; wakes++) parking.park(FOR_EVER);
    expect(words[doorbell]).toBeGreaterThan(0);
    expect(words[parked]).toBe(0);
    await sender.terminate();
  });
});
