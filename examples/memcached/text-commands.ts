/** The text protocol's commands that neither read nor store values. */
import { BAD_EXPTIME, BAD_FORMAT, ERROR } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { CMD_FLUSH } from "./counters.ts";
import { KEY_MAX } from "./item.ts";
import { parseSigned, parseUnsigned, U64 } from "./numbers.ts";
import { VERSION } from "./options.ts";
import { ascii, type Output } from "./output.ts";
import type { Server } from "./server.ts";
import { statistics } from "./stats.ts";
import { NO_MEMORY, NOT_A_NUMBER, NOT_FOUND, type Store, STORED } from "./store.ts";
import type { Tokens } from "./tokens.ts";

const OK = ascii("OK\r\n");
const DELETED = ascii("DELETED\r\n");
const TOUCHED = ascii("TOUCHED\r\n");
const MISSING = ascii("NOT_FOUND\r\n");
const RESET = ascii("RESET\r\n");
const VERSION_LINE = ascii(`VERSION ${VERSION}\r\n`);
const BAD_DELTA = ascii("CLIENT_ERROR invalid numeric delta argument\r\n");
const NO_NUMBER = ascii("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
const NO_ROOM = ascii("SERVER_ERROR out of memory\r\n");
const DELETE_USAGE = ascii(
  "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n",
);

export class TextCommands {
  readonly #server: Server;
  readonly #store: Store;
  readonly #output: Output;
  readonly #tokens: Tokens;
  readonly #delta = new U64();
  readonly #cas = new U64();
  /** The client wants no answer, whatever comes of it. */
  #noReply = false;

  constructor(server: Server, tokens: Tokens) {
    this.#server = server;
    this.#store = server.store;
    this.#output = server.output;
    this.#tokens = tokens;
  }

  /** Runs the command whose words are in the tokens. */
  run(connection: Connection, command: string): void {
    const { count } = this.#tokens;
    this.#noReply = count > 1 && this.#tokens.text(count - 1) === "noreply";
    switch (command) {
      case "delete":
        return this.#among(2, 4) ? this.#delete() : this.#error();
      case "incr":
        return this.#among(3, 4) ? this.#change(true) : this.#error();
      case "decr":
        return this.#among(3, 4) ? this.#change(false) : this.#error();
      case "touch":
        return this.#among(3, 4) ? this.#touch() : this.#error();
      case "flush_all":
        return this.#among(1, 3) ? this.#flush() : this.#error();
      case "verbosity":
        return this.#among(2, Infinity) ? this.#verbosity() : this.#error();
      case "stats":
        return this.#stats();
      case "version":
        return this.#output.write(VERSION_LINE);
      case "quit":
        connection.quitting = true;
        return;
      default:
        this.#error();
    }
  }

  #among(least: number, most: number): boolean {
    return this.#tokens.count >= least && this.#tokens.count <= most;
  }

  #error(): void {
    this.#output.write(ERROR);
  }

  /** Answers, unless the client wants no answer. */
  #answer(text: Uint8Array): void {
    if (!this.#noReply) this.#output.write(text);
  }

  /** False, and answered, when the key is too long. */
  #hasKey(): boolean {
    if (this.#tokens.length(1) <= KEY_MAX) return true;
    this.#answer(BAD_FORMAT);
    return false;
  }

  #delete(): void {
    const tokens = this.#tokens;
    // Old clients send a time of 0 after the key.
    const time = tokens.count > 2 && tokens.text(2) === "0" ? 1 : 0;
    if (tokens.count !== 2 + time + (this.#noReply ? 1 : 0)) {
      this.#answer(DELETE_USAGE);
    } else if (this.#hasKey()) {
      const outcome = this.#store.remove(tokens.start[1], tokens.length(1), null);
      this.#answer(outcome === STORED ? DELETED : MISSING);
    }
  }

  #change(add: boolean): void {
    const tokens = this.#tokens;
    if (!this.#hasKey()) return;
    const bytes = this.#store.bytes;
    if (!this.#delta.parse(bytes, tokens.start[2], tokens.end[2])) {
      this.#answer(BAD_DELTA);
      return;
    }
    this.#cas.set(0, 0);
    const key = tokens.start[1];
    switch (this.#store.change(key, tokens.length(1), this.#delta, add, this.#cas)) {
      case STORED:
        if (!this.#noReply) this.#output.text(`${this.#store.number.toString()}\r\n`);
        break;
      case NOT_FOUND:
        this.#answer(MISSING);
        break;
      case NOT_A_NUMBER:
        this.#answer(NO_NUMBER);
        break;
      case NO_MEMORY:
        this.#answer(NO_ROOM);
    }
  }

  #touch(): void {
    const tokens = this.#tokens;
    if (!this.#hasKey()) return;
    const time = parseSigned(this.#store.bytes, tokens.start[2], tokens.end[2]);
    if (Number.isNaN(time)) {
      this.#answer(BAD_EXPTIME);
      return;
    }
    const expiry = this.#store.expiry(time);
    const outcome = this.#store.touch(tokens.start[1], tokens.length(1), expiry);
    this.#answer(outcome === STORED ? TOUCHED : MISSING);
  }

  #flush(): void {
    const tokens = this.#tokens;
    let time = 0;
    if (tokens.count !== (this.#noReply ? 2 : 1)) {
      time = parseSigned(this.#store.bytes, tokens.start[1], tokens.end[1]);
      if (Number.isNaN(time)) {
        this.#answer(BAD_EXPTIME);
        return;
      }
    }
    this.#store.count(CMD_FLUSH);
    this.#store.flush(time > 0 ? this.#store.expiry(time) : 0);
    this.#answer(OK);
  }

  /** There is nothing that it would make more of. */
  #verbosity(): void {
    const tokens = this.#tokens;
    const level = parseUnsigned(this.#store.bytes, tokens.start[1], tokens.end[1]);
    if (Number.isNaN(level)) this.#answer(BAD_FORMAT);
    else this.#answer(OK);
  }

  #stats(): void {
    const group = this.#tokens.text(1);
    if (group === "reset") {
      this.#store.resetCounters();
      this.#output.write(RESET);
      return;
    }
    const lines = statistics(this.#server, group);
    if (lines === null) {
      this.#error();
      return;
    }
    for (const [name, value] of lines) this.#output.text(`STAT ${name} ${value}\r\n`);
    this.#output.text("END\r\n");
  }
}
