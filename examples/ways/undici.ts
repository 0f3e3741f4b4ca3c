/** undici asks a server of node:http, both on one network: no port of the machine is used. */
import { createServer } from "node:http";
import { Agent, request } from "undici";
import { createNetwork, serveHttp, undiciConnector } from "../../host/node/net/index.ts";

const network = createNetwork();
const web = createServer((_, response) => response.end("hello, undici"));
serveHttp(web, { via: network.addHost("web.example"), port: 80 });

const connect = undiciConnector({ via: network.addHost("client") });
const dispatcher = new Agent({ connect });
const { body } = await request("http://web.example/", { dispatcher });
console.log(await body.text());
await dispatcher.destroy();
await network.close();
