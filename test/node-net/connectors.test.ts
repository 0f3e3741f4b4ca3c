/** What undici, TLS and others take to open their connections on a network. */
import http from "node:http";
import https from "node:https";
import { afterEach, describe, expect, test } from "vitest";
import { Agent, request } from "undici";
import type { Host } from "../../host/net/host.ts";
import { createServer, lookup, tlsConnect, undiciConnector } from "../../host/node/net/index.ts";
import { certificate } from "../support/certificate.ts";
import { aHost, neighbourOf, once } from "./support.ts";

const agents: Agent[] = [];

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
});

/** Serves HTTP, or HTTPS, on a host; says what was asked for. */
async function serve(via: Host, port: number, isSecure = false): Promise<void> {
  const handler: http.RequestListener = (asked, answer) => answer.end(`you want ${asked.url}`);
  const web = isSecure ? https.createServer(certificate(), handler) : http.createServer(handler);
  const server = createServer({ via, allowHalfOpen: !isSecure }, (socket) =>
    web.emit("connection", socket),
  );
  await once(server.listen(port), "listening");
}

function agentOn(via: Host, options: { ca?: string; timeout?: number } = {}): Agent {
  const connect = undiciConnector({ via, ...options });
  const agent = new Agent({ connect });
  agents.push(agent);
  return agent;
}

describe("undiciConnector", () => {
  test("asks hosts by name, on one connection again and again", async () => {
    const via = aHost();
    await serve(neighbourOf(via, "web.example"), 80);
    const dispatcher = agentOn(via);
    for (const path of ["/1", "/2", "/3"]) {
      const { body } = await request(`http://web.example${path}`, { dispatcher });
      expect(await body.text()).toBe(`you want ${path}`);
    }
  });

  test("speaks TLS where the scheme says so", async () => {
    const via = aHost();
    await serve(neighbourOf(via, "secure.example"), 443, true);
    const dispatcher = agentOn(via, { ca: certificate().cert });
    const { body } = await request("https://secure.example/", { dispatcher });
    expect(await body.text()).toBe("you want /");
  });

  test("hands errors on", async () => {
    const dispatcher = agentOn(aHost());
    await expect(request("http://localhost:9/", { dispatcher })).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
    await expect(request("http://no.such.host/", { dispatcher })).rejects.toMatchObject({
      code: "ENOTFOUND",
    });
  });

  test("gives up in time", async () => {
    const dispatcher = agentOn(aHost(), { timeout: 30 });
    await expect(request("http://10.0.99.99/", { dispatcher })).rejects.toMatchObject({
      code: "UND_ERR_CONNECT_TIMEOUT",
    });
  });
});

describe("tlsConnect", () => {
  test("checks the name and calls back", async () => {
    const via = aHost();
    await serve(neighbourOf(via, "secure.example"), 443, true);
    const socket = tlsConnect({ port: 443, host: "secure.example", via, ca: certificate().cert });
    await once(socket, "secureConnect");
    expect(socket.authorized).toBe(true);
    const closing = once(socket, "close");
    socket.destroy();
    await closing;
  });

  test("fails as its connection does", async () => {
    const socket = tlsConnect({ port: 9, via: aHost() });
    const error = await new Promise((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("lookup", () => {
  const found = (...args: [string, object | number]): Promise<unknown[]> =>
    new Promise((resolve) => lookup(args[0], args[1] as object, (...answer) => resolve(answer)));

  test("answers in the forms of dns.lookup", async () => {
    const via = aHost();
    const { address, address6 } = neighbourOf(via, "db");
    const both = [
      { address, family: 4 },
      { address: address6, family: 6 },
    ];
    expect(await found("db", { via })).toEqual([null, address, 4]);
    expect(await found("db", { via, all: true })).toEqual([null, both]);
    expect(await found("db", { via, all: true, family: 6 })).toEqual([null, [both[1]]]);
    expect(await found("localhost", { via, family: "IPv4" })).toEqual([null, "127.0.0.1", 4]);
    expect(await found("localhost", { via, family: 6 })).toEqual([null, "::1", 6]);
  });

  test.each([{ name: "no.such.host" }, { name: "here", family: 6, ip6: false as const }])(
    "finds nothing for $name",
    async ({ name, family, ip6 }) => {
      const [error] = await found(name, { via: aHost({ ip6 }), family });
      expect(error).toMatchObject({ code: "ENOTFOUND", hostname: name });
    },
  );
});
