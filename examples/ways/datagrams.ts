/** Datagrams between two hosts of one network, as with node:dgram. */
import { once } from "node:events";
import { createNetwork, createSocket } from "../../host/node/dgram/index.ts";

const network = createNetwork();
const server = createSocket({ type: "udp4", via: network.addHost("echo.example") });
server.on("message", (message, { port, address }) => server.send(message, port, address));
server.bind(7);
await once(server, "listening");

const client = createSocket({ type: "udp4", via: network.addHost("client") });
client.send("hello, datagrams", 7, "echo.example");
const [message] = await once(client, "message");
console.log(String(message));
await network.close();
