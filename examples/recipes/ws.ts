/** The package ws on a dataplane of this process. */
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { httpAgent, serveHttp } from "../../host/node/net/index.ts";

const server = createServer();
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  socket.on("message", (message) => socket.send(`echo of ${String(message)}`));
});
serveHttp(server, { port: 80 });

const client = new WebSocket("ws://localhost/", { agent: httpAgent() });
client.on("open", () => client.send("hello"));
client.on("message", (message) => {
  console.log(String(message));
  client.close();
  server.close();
});
