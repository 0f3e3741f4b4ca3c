/**
 * The client of a ping-pong on `node:net`: one message there and back at a time, for some seconds, of
 * which the first quarter is for warming up.
 *
 * Options: --port PORT --size BYTES --seconds S. Prints one line of JSON: {"one_way_us": mean}.
 */
import { connect } from "node:net";
import process from "node:process";
import { boundLifetime, numberOption } from "../lib/child-options.ts";
import { messagePattern } from "../lib/pattern.ts";
import { MessageReader } from "./message-reader.ts";

const size = numberOption("size", 64);
const seconds = numberOption("seconds", 1);
boundLifetime(seconds + 30);

const message = Buffer.from(messagePattern(size, 1));
message.writeUInt32LE(size);
const socket = connect({ port: numberOption("port", 0), host: "127.0.0.1", noDelay: true });
const reader = new MessageReader(completed);
socket.on("data", (chunk) => reader.take(chunk));
socket.once("error", (error) => fail(error.message));
socket.once("end", () => fail("the server closed the connection"));
socket.write(message);

let rounds = 0;
let measuring = false;
let beganAt = performance.now();

function completed(answer: Uint8Array): void {
  if (rounds === 0 && message.compare(answer) !== 0) fail("the answer is not what was sent");
  rounds++;
  const now = performance.now();
  const elapsed = (now - beganAt) / 1000;
  if (!measuring && elapsed >= seconds / 4) {
    measuring = true;
    beganAt = now;
    rounds = 0;
  } else if (measuring && elapsed >= (seconds * 3) / 4) {
    console.log(JSON.stringify({ one_way_us: (elapsed * 1e6) / rounds / 2 }));
    process.exit(0);
  }
  socket.write(message);
}

function fail(reason: string): never {
  console.error(reason);
  process.exit(1);
}
