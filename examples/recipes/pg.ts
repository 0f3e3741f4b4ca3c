/** The package pg, a driver that takes a socket, and a server of PostgreSQL's protocol with one answer. */
import pg from "pg";
import { createNetwork, createServer, Socket } from "../../host/node/net/index.ts";

const network = createNetwork();
const client = network.addHost("client");
const database = network.addHost("db.example");

/** A message: its type, its length, and what it says. */
function message(type: string, ...parts: (number[] | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const head = Buffer.from([0, 0, 0, 0, 0]);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const ready = message("Z", "I");
const columns = message(
  "T",
  [0, 1],
  "answer\0",
  Array(6).fill(0),
  [0, 0, 0, 23],
  [0, 4],
  [255, 255, 255, 255, 0, 0],
);
const row = message("D", [0, 1], [0, 0, 0, 2], "42");

createServer((socket) => {
  socket.once("data", () => {
    socket.write(Buffer.concat([message("R", [0, 0, 0, 0]), ready]));
    socket.on("data", (asked) => {
      if (asked.toString("latin1").startsWith("Q")) {
        socket.write(Buffer.concat([columns, row, message("C", "SELECT 1\0"), ready]));
      }
    });
  });
}).listen({ port: 5432, via: database });

const connection = new pg.Client({
  host: "db.example",
  user: "app",
  stream: () => new Socket({ via: client }),
});
await connection.connect();
const { rows } = await connection.query("select 6 * 7 as answer");
console.log(rows);
await connection.end();
await network.close();
