import { createServer } from "node:http";
import { connect, Server, Socket } from "node:net";

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.end(JSON.stringify({ url: request.url, from: request.socket.remoteAddress }));
  });
});
server.listen(3000, async () => {
  const { port, family } = server.address();
  const answer = await fetch(`http://localhost:${port}/hello`, { method: "POST", body: "body" });
  const { url, from } = await answer.json();
  const plain = connect(port);
  const facts = [
    `${answer.status} ${url}`,
    `from: ${from}`,
    `family: ${family}`,
    `instances: ${server instanceof Server && plain instanceof Socket}`,
  ];
  plain.once("connect", () => {
    facts.push(`pending: ${plain.pending}, ${plain.remoteFamily}`);
    plain.destroy();
    server.close(() => console.log(facts.join("\n")));
    server.closeAllConnections();
  });
});
