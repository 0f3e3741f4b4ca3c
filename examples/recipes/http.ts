/** node:http on a dataplane of this process: no port of the operating system is used. */
import { createServer, get } from "node:http";
import { httpAgent, serveHttp } from "../../host/node/net/index.ts";

const server = createServer((request, response) => response.end(`you asked for ${request.url}`));
serveHttp(server, { port: 80 });

const agent = httpAgent({ keepAlive: true });
get("http://localhost/news", { agent }, (response) => {
  response.on("data", (data) => console.log(String(data)));
  response.on("end", () => server.close());
});
