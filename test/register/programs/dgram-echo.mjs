import { createSocket, Socket } from "node:dgram";

const server = createSocket("udp4");
server.on("message", (message, { port, address }) => server.send(message, port, address));
server.bind(5353, () => {
  const client = createSocket("udp4");
  client.on("message", (message, remote) => {
    console.log(message.toString(), remote.port, client instanceof Socket);
    client.close();
    server.close();
  });
  client.send("over UDP", 5353, "localhost");
});
