const http = require("node:http");

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const sockets = new Set();

const server = http.createServer((request, response) => {
  sockets.add(request.socket);
  response.end(request.url);
});

function get(path) {
  return new Promise((resolve, reject) => {
    http
      .get({ port: server.address().port, path, agent }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => (text += part));
        response.on("end", () => resolve(text));
      })
      .on("error", reject);
  });
}

server.listen(0, "127.0.0.1", async () => {
  const texts = [await get("/1"), await get("/2"), await get("/3")];
  console.log(texts.join(" "), "sockets:", sockets.size, server.address().address);
  agent.destroy();
  server.close();
});
