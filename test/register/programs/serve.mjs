import { createServer } from "node:http";

createServer((request, response) => {
  response.end(`${request.url} for ${request.socket.remoteAddress}\n`);
}).listen(8080, () => console.log("listening"));
