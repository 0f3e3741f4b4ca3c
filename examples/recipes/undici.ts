/** The package undici on a network with two hosts. */
import { createServer } from "node:http";
import { Agent, request } from "undici";
import { createNetwork, serveHttp, undiciConnector } from "../../host/node/net/index.ts";

const network = createNetwork();
const here = network.addHost("here");
const there = network.addHost("api.example", { link: { delay: 500 } });

const server = createServer((_, response) => response.end('{"answer":42}'));
serveHttp(server, { port: 80, via: there });

const dispatcher = new Agent({ connect: undiciConnector({ via: here }) });
const { body } = await request("http://api.example/", { dispatcher });
console.log(await body.json());
await dispatcher.close();
await network.close();
