/** Web servers and clients from npm, as they are. */
import * as http from "node:http";
import { text } from "node:stream/consumers";
import type expressTypes from "express";
import type * as fastifyTypes from "fastify";
import type * as socketIoTypes from "socket.io";
import type * as socketIoClientTypes from "socket.io-client";
import type * as undiciTypes from "undici";
import type * as wsTypes from "ws";
import { expect, test } from "vitest";
import { connect, httpAgent } from "../../host/node/net/index.ts";
import { aHost, once } from "../node-net/support.ts";
import { installed, served } from "./support.ts";

const express = await installed<{ default: typeof expressTypes }>("express");
const fastify = await installed<typeof fastifyTypes>("fastify");
const ws = await installed<typeof wsTypes>("ws");
const undici = await installed<typeof undiciTypes>("undici");
const socketIo = await installed<typeof socketIoTypes>("socket.io");
const socketIoClient = await installed<typeof socketIoClientTypes>("socket.io-client");

async function get(options: http.RequestOptions, sent?: string): Promise<string> {
  const method = sent === undefined ? "GET" : "POST";
  const headers = { "content-type": "application/json" };
  const request = http.request({ host: "localhost", method, headers, ...options });
  request.end(sent);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return text(response);
}

test.skipIf(!express)("express routes, reads JSON and answers", async () => {
  const via = aHost();
  const app = express!.default();
  app.use(express!.default.json());
  app.get(
    "/hello/:name",
    (request, response) => void response.send(`hello ${request.params.name}`),
  );
  app.post("/sum", (request, response) => {
    const { a, b } = request.body as { a: number; b: number };
    response.json({ sum: a + b });
  });
  const port = await served(http.createServer(app), via);
  const agent = httpAgent({ via, keepAlive: true });
  expect(await get({ port, agent, path: "/hello/you" })).toBe("hello you");
  expect(await get({ port, agent, path: "/sum" }, '{"a":1,"b":2}')).toBe('{"sum":3}');
  expect(await get({ port, agent, path: "/nowhere" })).toContain("Cannot GET /nowhere");
  agent.destroy();
});

test.skipIf(!fastify)("fastify validates, answers and closes", async () => {
  const via = aHost();
  const app = fastify!.fastify({ serverFactory: (handler) => http.createServer(handler) });
  const schema = {
    body: { type: "object", required: ["a"], properties: { a: { type: "number" } } },
  };
  app.post<{ Body: { a: number } }>("/twice", { schema }, (request) => ({
    is: 2 * request.body.a,
  }));
  await app.ready();
  const port = await served(app.server, via);
  const agent = httpAgent({ via });
  expect(await get({ port, agent, path: "/twice" }, '{"a":21}')).toBe('{"is":42}');
  expect(await get({ port, agent, path: "/twice" }, "{}")).toContain("FST_ERR_VALIDATION");
  await app.close();
});

test.skipIf(!ws)("ws carries messages both ways, text and bytes, small and large", async () => {
  const via = aHost();
  const server = http.createServer();
  const sockets = new ws!.WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const port = await served(server, via);
  const client = new ws!.WebSocket(`ws://localhost:${port}/`, { agent: httpAgent({ via }) });
  await once(client, "open");
  for (const message of ["hello", Buffer.alloc(300_000, 7)]) {
    client.send(message);
    const [data] = (await once(client, "message")) as [Buffer];
    expect(data.equals(Buffer.from(message as string))).toBe(true);
  }
  client.close(1000, "done");
  const [code] = (await once(client, "close")) as [number];
  expect(code).toBe(1000);
  sockets.close();
});

test.skipIf(!undici)("undici asks on a pool of connections, with pipelining", async () => {
  const via = aHost();
  const port = await served(
    http.createServer((request, response) => void request.pipe(response)),
    via,
  );
  const pool = new undici!.Pool(`http://localhost:${port}`, {
    connections: 2,
    pipelining: 4,
    connect: ({ hostname }, done) => {
      const socket = connect({ port, host: hostname, via });
      socket.once("connect", () => done(null, socket as never)).once("error", (e) => done(e, null));
    },
  });
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const { body } = await pool.request({ path: "/", method: "POST", body: `body ${index}` });
      return body.text();
    }),
  );
  expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => `body ${index}`));
  await pool.close();
});

test.skipIf(!socketIo || !socketIoClient).each([["websocket"], ["polling"]])(
  "socket.io carries events and acknowledgements by %s",
  async (transport) => {
    const via = aHost();
    const server = http.createServer();
    const io = new socketIo!.Server(server);
    io.on("connection", (socket) => {
      socket.on("add", (a: number, b: number, answer: (sum: number) => void) => answer(a + b));
      socket.emit("welcome", Buffer.from([1, 2, 3]));
    });
    const port = await served(server, via);
    const client = socketIoClient!.io(`http://localhost:${port}`, {
      agent: httpAgent({ via }) as never,
      transports: [transport],
      reconnection: false,
    });
    const welcome = await new Promise<Buffer>((resolve) => client.once("welcome", resolve));
    expect([...welcome]).toEqual([1, 2, 3]);
    expect(await client.emitWithAck("add", 2, 3)).toBe(5);
    client.disconnect();
    await io.close();
  },
);
