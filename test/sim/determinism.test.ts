/** One seed, one run: frame for frame. */
import { expect, it } from "vitest";
import { cluster } from "./support.ts";

/** As many as the promise says when IXWASM_LONG is set. */
const RUNS = process.env["IXWASM_LONG"] === undefined ? 50 : 1000;

it(`gives one trace in ${RUNS} runs of 20 hosts with loss and partitions`, async () => {
  const first = await cluster({ seed: 42 });
  expect(first.heard).toBeGreaterThan(50);
  expect(first.frames).toBeGreaterThan(1000);
  for (let run = 1; run < RUNS; run++) expect(await cluster({ seed: 42 }), `${run}`).toEqual(first);
}, 3_600_000);

it("gives other traces for other seeds", async () => {
  const traces = new Set<string>();
  for (let seed = 0; seed < 8; seed++) {
    traces.add((await cluster({ seed, hosts: 4, length: 100 })).trace);
  }
  expect(traces.size).toBe(8);
});

it("draws the seed's chance alone: not even a perfect network looks like another's", async () => {
  const [one, again, other] = [
    await cluster({ seed: 1, loss: 0, hosts: 3, length: 100 }),
    await cluster({ seed: 1, loss: 0, hosts: 3, length: 100 }),
    await cluster({ seed: 2, loss: 0, hosts: 3, length: 100 }),
  ];
  expect(again).toEqual(one);
  expect(other.trace).not.toBe(one.trace);
});
