/** Hosts are cheap, and gone with their network. */
import { expect, it } from "vitest";
import { createNetwork } from "../../host/node/sim/index.ts";
import { aNetwork, connected, echoServer } from "./support.ts";

const MIB = 1 << 20;

it("a host takes 4 MiB at most, so that a hundred fit into a few hundred", async () => {
  const network = aNetwork();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 100; i++) network.addHost(`h${i}`);
  const bytes = network.host("h0").dataplane.memory.buffer.byteLength;
  await echoServer(network.host("h0"));
  for (let i = 1; i < 100; i++) await connected(network.host(`h${i}`), "h0");
  const used = (process.memoryUsage.rss() - before) / 100;
  console.log(`a host: ${bytes} bytes of memory, ${(used / MIB).toFixed(2)} MiB resident`);
  expect(bytes).toBeLessThanOrEqual(4 * MIB);
});

it("a network that is closed and forgotten gives its memory back", async () => {
  const gone: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => gone.push(name));
  for (let i = 0; i < 20; i++) {
    const network = createNetwork({ seed: i, timers: "virtual" });
    for (const name of ["a", "b", "c"]) network.addHost(name);
    await echoServer(network.host("a"));
    const socket = await connected(network.host("b"), "a");
    setInterval(() => socket.write("still here"), 10);
    await network.advance(100);
    registry.register(network, `network ${i}`);
    registry.register(network.host("a").dataplane.memory.buffer, `memory ${i}`);
    await network.close();
  }
  // Memory enough to have the garbage collected, as often as it takes.
  for (const end = Date.now() + 20_000; gone.length < 36 && Date.now() < end;) {
    void Array.from({ length: 20 }, () => new ArrayBuffer(8 * MIB));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(gone.length).toBeGreaterThanOrEqual(36);
}, 60_000);
