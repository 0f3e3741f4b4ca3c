import express from "express";

const app = express();
app.use(express.json());
app.post("/users/:name", (request, response) => {
  response.status(201).json({ name: request.params.name, ...request.body, ip: request.ip });
});
const server = app.listen(0, async () => {
  const response = await fetch(`http://127.0.0.1:${server.address().port}/users/ada`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ born: 1815 }),
  });
  const { name, born, ip } = await response.json();
  console.log(response.status, name, born, ip);
  server.closeAllConnections();
  server.close();
});
