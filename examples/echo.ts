/**
 * A network inside a process: an echo server and its clients, each on a dataplane of its own, joined by
 * a cable with delay and loss, in virtual time. What takes a minute there is over in a moment.
 *
 *   npm run build && node dist/examples/echo.js
 */
import { connectPorts, createDataplane, InlineRunner } from "../host/node/index.ts";
import { EchoClient, STAT_MESSAGES, STAT_WORDS } from "./echo-client.ts";
import echoServer from "./echo-server-ixev.ts";

const server = createDataplane({ name: "server", ip: "10.0.0.1/24" });
const client = createDataplane({ name: "client", ip: "10.0.0.2/24" });
const [fromServer, fromClient] = connectPorts(server.port, client.port, {
  rate: 100e6,
  delay: 5000,
  loss: 0.001,
  seed: 42,
});

const stats = new SharedArrayBuffer(STAT_WORDS * 4);
const load = { server: "10.0.0.1", ports: [7], conns: 10, size: 1000, stats };
const runner = new InlineRunner({ clock: "virtual" });
runner.add(server, { wire: fromServer, app: echoServer, options: { ports: [7] } });
runner.add(client, { wire: fromClient, app: () => new EchoClient(load) });

const begin = performance.now();
runner.run({ forMicros: 60e6 });
const messages = new Uint32Array(stats)[STAT_MESSAGES];
const { tcpRetransmits } = client.counters();
console.log(`${messages} echoes in ${runner.now / 1e6} s of virtual time`);
console.log(`${tcpRetransmits} segments sent again by the client`);
console.log(`took ${Math.round(performance.now() - begin)} ms`);
