import { once } from "node:events";
import net from "node:net";

// What listens in this process, on a port that is the dataplane's.
const inside = net.createServer((socket) => socket.end("the dataplane")).listen(0);
await once(inside, "listening");

async function ask(port, host) {
  let text = "";
  for await (const part of net.connect({ port, host }).setEncoding("utf8")) text += part;
  return text;
}

const elsewhere = Number(process.env.ELSEWHERE);
console.log(await ask(inside.address().port, "localhost"));
console.log(await ask(elsewhere, "127.0.0.1"), await ask(elsewhere, "localhost"));
inside.close();

// A server of this process that the system is to have.
const outside = net.createServer().listen(Number(process.env.SERVED));
const failed = new Promise((resolve) => outside.once("error", ({ code }) => resolve(code)));
console.log("the system says", await failed);
