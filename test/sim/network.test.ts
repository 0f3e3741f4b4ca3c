import { once } from "node:events";
import { expect, it } from "vitest";
import { createNetwork } from "../../host/node/sim/index.ts";

it("tries", async () => {
  const network = createNetwork({ seed: 5, timers: "virtual" });
  const t0 = process.hrtime.bigint();
  const a = network.addHost("a");
  const b = network.addHost("b", { link: { delay: 5000, loss: 0.05 } });
  console.log("bytes", a.dataplane.memory.buffer.byteLength);
  const server = a.net.createServer((socket) => socket.pipe(socket)).listen(80);
  await network.run(once(server, "listening"));
  const client = b.net.connect({ port: 80, host: "a" });
  await network.run(once(client, "connect"));
  console.log(network.now);
  client.write("hello");
  const [data] = await network.run(once(client, "data"));
  console.log(String(data), network.now, Date.now(), network.effort, network.trace());
  setTimeout(() => console.log("fired", network.now), 60000);
  await network.advance(61000);
  console.log(
    network.now,
    network.effort,
    network.trace(),
    Number(process.hrtime.bigint() - t0) / 1e6,
  );
  await network.close();
  expect(1).toBe(1);
});
