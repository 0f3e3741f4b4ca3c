/** The README's test of a network, as it stands there. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { simTests } from "../../host/node/sim/index.ts";

const simTest = simTests(test);

simTest("a message gets through when the network is whole again", async (network) => {
  const server = network.addHost("server");
  const client = network.addHost("client", { link: { delay: 20_000, loss: 0.05 } });
  server.net.createServer((socket) => socket.pipe(socket)).listen(7);

  const socket = client.net.connect(7, "server");
  await once(socket, "connect");
  network.partition("server", "client");
  setTimeout(() => network.heal(), 3000);

  socket.write("anybody there?");
  const [answer] = await once(socket, "data");
  expect(String(answer)).toBe("anybody there?");
  expect(network.now).toBeGreaterThan(3000);
});
