/** Sockets as WHATWG streams: a server that echoes, and a client, on two hosts of one network. */
import { connect, createNetwork, listen } from "../../host/node/sockets/index.ts";

const network = createNetwork();
const server = network.addHost("echo.example");
const client = network.addHost("client");

const listener = listen({ via: server, port: 7 });
await listener.opened;
void (async () => {
  for await (const socket of listener) void socket.readable.pipeTo(socket.writable);
})();

const socket = connect("echo.example:7", { via: client });
const { remoteAddress } = await socket.opened;
const writer = socket.writable.getWriter();
await writer.write(new TextEncoder().encode("hello, streams"));
const { value } = await socket.readable.getReader().read();
console.log(`${new TextDecoder().decode(value)} from ${remoteAddress}`);
await writer.close();
listener.close();
await network.close();
