import { once } from "node:events";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const refused = net.connect(9, "127.0.0.1");
const [error] = await once(refused, "error").catch((thrown) => [thrown]);
const [hadError] = await once(refused, "close");
console.log(error.code, error.syscall, error.port, hadError);

const big = net.createServer((socket) => socket.end(Buffer.alloc(8 << 20, 7)));
await once(big.listen(0), "listening");
const reader = net.connect(big.address().port);
let length = 0;
for await (const chunk of reader) {
  length += chunk.length;
  if (length < 1 << 20) await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(length, reader.bytesRead);

const second = net.createServer();
second.listen(big.address().port);
const [taken] = await once(second, "error").catch((thrown) => [thrown]);
console.log(taken.code, second.listening);
await new Promise((resolve) => big.close(resolve));

const half = net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("data", () => {}).on("end", () => socket.end("after your end"));
});
await once(half.listen(0), "listening");
const client = net.connect(half.address().port);
client.end("first");
let text = "";
for await (const part of client.setEncoding("utf8")) text += part;
console.log(text, client.bytesWritten);
half.close();

const pipe = join(tmpdir(), `pipe-${process.pid}`);
const local = net.createServer((socket) => socket.end("a pipe is Node's own"));
await once(local.listen(pipe), "listening");
for await (const part of net.connect(pipe)) console.log(part.toString());
local.close();

const idle = net.createServer((socket) => socket.resume().unref());
await once(idle.listen(0), "listening");
const slow = net.connect(idle.address().port);
slow.setTimeout(20);
await once(slow, "timeout");
console.log("timeout");
slow.unref();
idle.unref();
