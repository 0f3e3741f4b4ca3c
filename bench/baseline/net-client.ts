/**
 * Load generator for a TCP echo server, on `node:net`. Every connection keeps `pipeline` messages in
 * flight; an echo that has come back complete is a message, and starts the next. All connections read
 * into one buffer (`onread`), so nothing is allocated per message but what Node itself needs.
 *
 * Options: --port PORT --conns N --size BYTES --pipeline N --rounds N --warmup S --seconds S
 *          --latency 0|1. After `rounds` messages (0: never) a connection is reset and opened again.
 * The first message of every connection is compared byte for byte, the others by length.
 * Prints one line of JSON.
 */
import { build } from "hdr-histogram-js";
import { connect } from "node:net";
import type { Socket } from "node:net";
import process from "node:process";
import { boundLifetime, numberOption } from "../lib/child-options.ts";
import { messagePattern } from "../lib/pattern.ts";

const port = numberOption("port", 0);
const conns = numberOption("conns", 64);
const size = numberOption("size", 64);
const pipeline = numberOption("pipeline", 1);
const rounds = numberOption("rounds", 0) || Infinity;
const warmup = numberOption("warmup", 0.5);
const seconds = numberOption("seconds", 1);
const sampling = numberOption("latency", 0) !== 0;
boundLifetime(warmup + seconds + 30);

const CHUNK = 256 * 1024;
const chunk = new Uint8Array(CHUNK);
const pattern = messagePattern(size, Math.max(1, Math.min(pipeline, Math.floor(CHUNK / size))));
const latency = build({ lowestDiscernibleValue: 1, highestTrackableValue: 1e10 });

let measuring = false;
let messages = 0;
let opened = 0;
let connected = 0;

function openConnection(): void {
  let echoed = 0;
  let partial = 0;
  let begun = 0;
  let sentAt = 0;
  opened++;

  /** Begins up to `count` messages more; whole copies of the message go out in one write each. */
  function begin(socket: Socket, count: number): void {
    let bytes = Math.min(count, rounds - begun) * size;
    begun += bytes / size;
    if (sampling) sentAt = performance.now();
    for (; bytes > 0; bytes -= pattern.length) {
      socket.write(bytes >= pattern.length ? pattern : pattern.subarray(0, bytes));
    }
  }

  function onData(length: number): void {
    if (echoed === 0) verify(partial, length);
    const whole = Math.floor((partial + length) / size);
    partial = (partial + length) % size;
    if (whole === 0) return;
    if (sampling && measuring) latency.recordValue(Math.round((performance.now() - sentAt) * 1e6));
    messages += whole;
    echoed += whole;
    if (echoed >= rounds) {
      socket.resetAndDestroy();
      openConnection();
    } else {
      begin(socket, whole);
    }
  }

  const socket = connect({
    port,
    host: "127.0.0.1",
    noDelay: true,
    onread: {
      buffer: chunk,
      callback(length) {
        onData(length);
        return true;
      },
    },
  });
  socket.once("connect", () => {
    begin(socket, pipeline);
    if (++connected === conns) setTimeout(measure, warmup * 1000);
  });
  socket.once("error", (error) => fail(error.message));
  socket.once("end", () => fail("the server closed the connection"));
}

function verify(from: number, length: number): void {
  const checked = Math.min(length, size - from);
  for (let i = 0; i < checked; i++) {
    if (chunk[i] !== pattern[from + i]) fail("the echo differs from what was sent");
  }
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

for (let i = 0; i < conns; i++) openConnection();

function measure(): void {
  const firstMessage = messages;
  const firstOpened = opened;
  const beginAt = performance.now();
  measuring = true;
  setTimeout(() => {
    const elapsed = (performance.now() - beginAt) / 1000;
    const result = {
      messages: messages - firstMessage,
      seconds: elapsed,
      opened: opened - firstOpened,
      p50_us: latency.getValueAtPercentile(50) / 1000,
      p99_us: latency.getValueAtPercentile(99) / 1000,
    };
    console.log(JSON.stringify(result));
    process.exit(0);
  }, seconds * 1000);
}
