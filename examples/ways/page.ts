/** A server and a client in a page, or anywhere else; a bundler takes the kernel along. */
import { connect, createNetwork, listen, loadKernel } from "../../host/node/sockets/index.ts";

const network = createNetwork({ kernel: await loadKernel() });
const listener = listen({ via: network.addHost("server.example"), port: 7 });
void (async () => {
  for await (const socket of listener) void socket.readable.pipeTo(socket.writable);
})();

const socket = connect("server.example:7", { via: network.addHost("client") });
const writer = socket.writable.getWriter();
await writer.write(new TextEncoder().encode("hello, page"));
const { value } = await socket.readable.getReader().read();
console.log(new TextDecoder().decode(value));
await network.close();
