/**
 * Two dataplanes, a cable between their NICs, an echo server, one message: in virtual time, so it
 * takes as long as its work and is the same every time.
 *
 *   npm run build && node dist/examples/first-message.js
 */
import {
  connectPorts,
  createDataplane,
  InlineRunner,
  Ixev,
  IxevContext,
  IXEVIN,
} from "../host/node/index.ts";

const server = createDataplane({ ip: "10.0.0.1/24" });
const client = createDataplane({ ip: "10.0.0.2/24" });
const [fromServer, fromClient] = connectPorts(server.port, client.port, { delay: 50 });

const runner = new InlineRunner({ clock: "virtual" });
let answer = "";

runner.add(server, {
  wire: fromServer,
  app({ ix }) {
    const ixev = new Ixev(ix, {
      accept() {
        const connection = new IxevContext();
        connection.setHandler(IXEVIN, () => {
          const bytes = new Uint8Array(connection.available);
          connection.send(bytes.subarray(0, connection.recv(bytes)));
          if (connection.ended) connection.close();
        });
        return connection;
      },
    });
    ixev.listen(7);
    return ixev;
  },
});

runner.add(client, {
  wire: fromClient,
  app({ ix }) {
    const ixev = new Ixev(ix, {
      dialed: (connection) => connection.send(new TextEncoder().encode("hello, dataplane")),
    });
    const connection = new IxevContext();
    connection.setHandler(IXEVIN, () => {
      const bytes = new Uint8Array(connection.available);
      connection.recv(bytes);
      answer += new TextDecoder().decode(bytes);
      connection.close();
    });
    ixev.dial(connection, "10.0.0.1", 7);
    return ixev;
  },
});

runner.run({ until: () => answer !== "" });
console.log(`${answer} (after ${runner.now} µs)`);
