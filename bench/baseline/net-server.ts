/**
 * TCP echo server on `node:net`: what Node offers, used well. Buffers go out as they came in, no
 * Nagle, and a connection whose writes back up is paused until they have drained.
 *
 * Options: --lifetime SECONDS. Prints the port it listens on.
 */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { boundLifetime, numberOption } from "../lib/child-options.ts";

boundLifetime(numberOption("lifetime", 60));

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  // A client that resets its connection is not worth a word here.
  socket.on("error", () => socket.destroy());
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port);
});
