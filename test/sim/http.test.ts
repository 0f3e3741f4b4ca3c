/** Node's own HTTP on a simulated network. */
import * as http from "node:http";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { httpAgent, serveHttp } from "../../host/node/net/index.ts";
import { createNetwork } from "../../host/node/sim/index.ts";

/** Ten requests over a lossy link; the answers, the time and the trace. */
async function requests(seed: number) {
  const link = { delay: 1000, loss: 0.1 };
  const network = createNetwork({ seed, timers: "virtual", link });
  try {
    const [server, client] = ["server", "client"].map((name) => network.addHost(name));
    const site = http.createServer((request, response) => {
      // Node takes this one from the real clock.
      response.sendDate = false;
      setTimeout(() => response.end(`you asked for ${request.url}`), 30);
    });
    serveHttp(site, { via: server, port: 80 });
    const agent = httpAgent({ via: client, keepAlive: true });
    const get = async (path: string): Promise<string> => {
      const request = http.get({ host: "server", path, agent });
      return text(await new Promise<http.IncomingMessage>((r) => request.once("response", r)));
    };
    const answers = await network.run(async () => {
      const all: string[] = [];
      for (let i = 0; i < 10; i++) all.push(await get(`/${i}`));
      return all;
    });
    agent.destroy();
    site.close();
    await network.advance(1000);
    return { answers, now: network.now, trace: network.trace() };
  } finally {
    await network.close();
  }
}

it("answers over a lossy link, the same way every time", async () => {
  const first = await requests(5);
  expect(first.answers).toEqual(Array.from({ length: 10 }, (_, i) => `you asked for /${i}`));
  expect(first.now).toBeGreaterThan(1340);
  for (let i = 0; i < 5; i++) expect(await requests(5)).toEqual(first);
  expect((await requests(6)).trace).not.toBe(first.trace);
});
