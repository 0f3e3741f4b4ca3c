/** What is kept of a network's frames. */
import { expect, it } from "vitest";
import { expectSound, PARTIAL } from "../support/expert.ts";
import { aNetwork, connected, echoServer } from "./support.ts";
import { blocks, optionsOf, packets } from "../nic/pcapng-file.ts";

/** Names of the interfaces that a capture describes. */
function interfaces(capture: Uint8Array): string[] {
  return blocks(capture)
    .filter(({ type }) => type === 1)
    .map(({ body }) => new TextDecoder().decode(optionsOf(body, 8).get(2)));
}

it("writes the frames of all hosts, or of those named, as pcapng", async () => {
  const network = aNetwork(["a", "b", "c"], { epoch: 1_000_000 });
  await echoServer(network.host("a"));
  await connected(network.host("b"), "a");
  expect(interfaces(network.pcapng())).toEqual(["a", "b", "c"]);
  const all = packets(network.pcapng());
  expect(all.length).toBe(network.frames);
  const times = all.map(({ time }) => time);
  expect(times[0]).toBe(1_000_000_000);
  expect(times).toEqual(times.toSorted((x, y) => x - y));
  expect(interfaces(network.pcapng("b"))).toEqual(["b"]);
  const one = packets(network.pcapng("b"));
  expect(one.length).toBeLessThan(all.length);
  expect(one.length).toBeGreaterThan(3);
  expectSound(network.pcapng());
  expectSound(network.pcapng("b"));
});

it("keeps the latest frames within its limit", async () => {
  const network = aNetwork(["a", "b"], { record: { limit: 10_000, snapLength: 64 } });
  await echoServer(network.host("a"));
  const socket = await connected(network.host("b"), "a");
  socket.on("data", () => {});
  socket.write(new Uint8Array(1_000_000));
  await network.advance(1000);
  const kept = packets(network.pcapng());
  expect(network.frames).toBeGreaterThan(1000);
  expect(kept.length).toBeLessThan(100);
  expect(kept.length).toBeGreaterThan(20);
  expect(Math.max(...kept.map(({ bytes }) => bytes.length))).toBe(64);
  // What came before is forgotten.
  expectSound(network.pcapng(), { possible: PARTIAL });
});

it("sums all frames up, kept or not", async () => {
  const traces: string[] = [];
  for (const limit of [0, 1 << 20]) {
    const network = aNetwork(["a", "b"], { record: { limit } });
    const fresh = network.trace();
    await echoServer(network.host("a"));
    await connected(network.host("b"), "a");
    traces.push(network.trace());
    expect(network.trace()).toMatch(/^[0-9a-f]{16}$/);
    expect(network.trace()).not.toBe(fresh);
  }
  expect(traces[0]).toBe(traces[1]);
});
