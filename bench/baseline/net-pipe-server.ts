/**
 * The server of a ping-pong on `node:net`: sends every message back when it has all of it. A message says
 * its length in its first four bytes.
 *
 * Options: --lifetime SECONDS. Prints the port it listens on.
 */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { boundLifetime, numberOption } from "../lib/child-options.ts";
import { MessageReader } from "./message-reader.ts";

boundLifetime(numberOption("lifetime", 60));

const server = createServer({ noDelay: true }, (socket) => {
  const reader = new MessageReader((message) => socket.write(message));
  socket.on("data", (chunk) => reader.take(chunk));
  socket.on("error", () => socket.destroy());
});
server.listen({ port: 0, host: "127.0.0.1" }, () => {
  console.log((server.address() as AddressInfo).port);
});
