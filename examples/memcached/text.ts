/**
 * The text protocol: the commands that read and store values. text-commands.ts has the others. Lines end
 * with LF, a CR before it is taken off; words are apart by spaces. What is answered to wrong commands is what
 * memcached 1.6 answers.
 */
import { BAD_EXPTIME, BAD_FORMAT, ERROR } from "./answers.ts";
import { LINE_MAX, type Connection, type Multiget } from "./connection.ts";
import {
  CAS_HIGH,
  CAS_LOW,
  FLAGS,
  KEY,
  KEY_LENGTH_MASK,
  KEY_MAX,
  LENGTH,
  STATE,
  TAIL,
} from "./item.ts";
import { parseSigned, U64 } from "./numbers.ts";
import { ascii, type Output } from "./output.ts";
import type { Server } from "./server.ts";
import {
  ADD,
  APPEND,
  CAS,
  EXISTS,
  KEEP_EXPIRY,
  NO_MEMORY,
  NOT_FOUND,
  NOT_STORED,
  PREPEND,
  REPLACE,
  SET,
  type Store,
  STORED,
  TOO_LARGE,
} from "./store.ts";
import { TextCommands } from "./text-commands.ts";
import { Tokens } from "./tokens.ts";

const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;

const BAD_CHUNK = ascii("CLIENT_ERROR bad data chunk\r\n");
const TOO_LARGE_TEXT = ascii("SERVER_ERROR object too large for cache\r\n");
const NO_MEMORY_TEXT = ascii("SERVER_ERROR out of memory storing object\r\n");

const VALUE = ascii("VALUE ");
const END = ascii("END\r\n");

const OUTCOMES: Readonly<Record<number, Uint8Array>> = {
  [STORED]: ascii("STORED\r\n"),
  [NOT_STORED]: ascii("NOT_STORED\r\n"),
  [EXISTS]: ascii("EXISTS\r\n"),
  [NOT_FOUND]: ascii("NOT_FOUND\r\n"),
  [TOO_LARGE]: TOO_LARGE_TEXT,
  [NO_MEMORY]: NO_MEMORY_TEXT,
};

/** By the words of commands that store, the mode. */
const MODES = new Map([
  ["set", SET],
  ["add", ADD],
  ["replace", REPLACE],
  ["append", APPEND],
  ["prepend", PREPEND],
  ["cas", CAS],
]);

/** How a step of a multiget ended. */
const DONE = 0;
const WAITING = 1;
const FAILED = 2;

const PLAIN_GET: Multiget = { withCas: false, expiry: KEEP_EXPIRY, isComplete: true };
const CAS_GET: Multiget = { withCas: true, expiry: KEEP_EXPIRY, isComplete: true };

export class TextProtocol {
  readonly #store: Store;
  readonly #output: Output;
  readonly #bytes: Uint8Array;
  readonly #tokens: Tokens;
  readonly #others: TextCommands;
  readonly #number = new U64();
  /** Where `#answerKeys` has got to. */
  #cursor = 0;

  constructor(server: Server) {
    this.#store = server.store;
    this.#output = server.output;
    this.#bytes = server.store.bytes;
    this.#tokens = new Tokens(this.#bytes);
    this.#others = new TextCommands(server, this.#tokens);
  }

  /** Runs the next command, or goes on with one; false when it has to wait. */
  step(connection: Connection): boolean {
    if (connection.item !== 0) return this.#receiveValue(connection);
    if (connection.multiget !== null) return this.#goOn(connection, connection.multiget);
    if (!connection.takeLine()) return connection.held > LINE_MAX && this.#longLine(connection);
    this.#run(connection);
    if (connection.multiget === null) connection.dropHeld();
    return true;
  }

  #run(connection: Connection): void {
    const bytes = this.#bytes;
    const { start } = connection;
    let { end } = connection;
    if (end > start && bytes[end - 1] === CR) end--;
    if (isWord(bytes, start, end, GET)) {
      this.#get(connection, PLAIN_GET, start + 4, end);
      return;
    }
    const tokens = this.#tokens;
    tokens.split(start, end);
    const command = tokens.text(0);
    const mode = MODES.get(command);
    if (mode !== undefined) this.#beginValue(connection, mode);
    else if (command === "get") this.#keys(connection, PLAIN_GET, 1, end);
    else if (command === "gets") this.#keys(connection, CAS_GET, 1, end);
    else if (command === "gat") this.#getAndTouch(connection, false, end);
    else if (command === "gats") this.#getAndTouch(connection, true, end);
    else this.#others.run(connection, command);
  }

  // -------------------------------------------------------------------------------------------
  // get, gets, gat, gats

  #keys(connection: Connection, multiget: Multiget, first: number, end: number): void {
    if (this.#tokens.count <= first) this.#output.write(ERROR);
    else this.#get(connection, multiget, this.#tokens.start[first], end);
  }

  #getAndTouch(connection: Connection, withCas: boolean, end: number): void {
    const tokens = this.#tokens;
    if (tokens.count < 2) {
      this.#output.write(ERROR);
      return;
    }
    const time = parseSigned(this.#bytes, tokens.start[1], tokens.end[1]);
    if (Number.isNaN(time)) {
      this.#output.write(BAD_EXPTIME);
      return;
    }
    const expiry = this.#store.expiry(time);
    this.#get(connection, { withCas, expiry, isComplete: true }, tokens.end[1], end);
  }

  /** Answers the keys between two places, or, if it has to wait, keeps those that are left. */
  #get(connection: Connection, multiget: Multiget, from: number, to: number): void {
    if (this.#answerKeys(connection, multiget, from, to) !== WAITING) return;
    this.#keep(connection, { ...multiget }, to);
  }

  /** Keeps what is left of the line, from the cursor on, until there is room for answers. */
  #keep(connection: Connection, multiget: Multiget, to: number): void {
    connection.multiget = multiget;
    if (!connection.holdBack(this.#cursor, to)) connection.quitting = true;
  }

  #goOn(connection: Connection, multiget: Multiget): boolean {
    if (!multiget.isComplete) {
      if (!connection.takeLine()) return connection.held > LINE_MAX && this.#longLine(connection);
      multiget.isComplete = true;
      connection.multiget = null;
      const end = this.#bytes[connection.end - 1] === CR ? connection.end - 1 : connection.end;
      this.#get(connection, multiget, connection.start, end);
      if (connection.multiget === null) connection.dropHeld();
      return true;
    }
    const from = connection.block;
    const to = from + connection.held;
    const outcome = this.#answerKeys(connection, multiget, from, to);
    if (outcome === WAITING) {
      const waited = this.#cursor === from;
      this.#keep(connection, multiget, to);
      return !waited;
    }
    connection.multiget = null;
    connection.dropHeld();
    return true;
  }

  /** A line that is longer than commands are: keys without end, of which those that are whole are answered. */
  #longLine(connection: Connection): boolean {
    const bytes = this.#bytes;
    const from = connection.block;
    let to = from + connection.held;
    while (to > from && bytes[to - 1] !== SPACE) to--;
    const multiget = connection.multiget ?? longMultiget(bytes, from);
    if (multiget === null || to === from || from + connection.held - to > KEY_MAX) {
      connection.quitting = true;
      return false;
    }
    const skipped = connection.multiget === null ? (multiget.withCas ? 5 : 4) : 0;
    const all = from + connection.held;
    connection.multiget = { ...multiget, isComplete: false };
    const outcome = this.#answerKeys(connection, connection.multiget, from + skipped, to);
    if (outcome === FAILED) {
      connection.quitting = true;
      return false;
    }
    const waited = outcome === WAITING && this.#cursor === from;
    if (!connection.holdBack(this.#cursor, all)) connection.quitting = true;
    return !waited;
  }

  /** Answers keys; END follows when the line is complete. `#cursor` is where to go on after WAITING. */
  #answerKeys(connection: Connection, multiget: Multiget, from: number, to: number): number {
    const bytes = this.#bytes;
    const output = this.#output;
    const mark = output.at;
    const { handovers } = output;
    let at = from;
    for (;;) {
      while (at < to && bytes[at] === SPACE) at++;
      this.#cursor = at;
      if (!connection.mayAnswer()) return WAITING;
      if (at === to) break;
      const key = at;
      while (at < to && bytes[at] !== SPACE) at++;
      if (at - key > KEY_MAX) {
        // Answers that are not handed over yet are taken back, as memcached does.
        if (output.handovers === handovers) output.at = mark;
        output.write(BAD_FORMAT);
        return FAILED;
      }
      this.#answerKey(connection, multiget, key, at - key);
    }
    if (multiget.isComplete) output.write(END);
    return DONE;
  }

  #answerKey(connection: Connection, multiget: Multiget, key: number, length: number): void {
    const store = this.#store;
    const output = this.#output;
    const hash = store.hash(key, length);
    const item = store.get(hash, key, length, multiget.expiry);
    if (item === 0) return;
    const { words } = store;
    const at = item >>> 2;
    output.write(VALUE);
    output.memory(item + KEY, words[at + STATE] & KEY_LENGTH_MASK);
    output.byte(SPACE);
    output.decimal(words[at + FLAGS]);
    output.byte(SPACE);
    output.decimal(words[at + LENGTH]);
    if (multiget.withCas) {
      output.byte(SPACE);
      this.#number.set(words[at + CAS_HIGH], words[at + CAS_LOW]);
      output.text(this.#number.toString());
    }
    output.byte(CR);
    output.byte(LF);
    connection.value(item, TAIL);
    store.partition(hash).leave();
    connection.lend();
  }

  // -------------------------------------------------------------------------------------------
  // set, add, replace, append, prepend, cas:  <command> <key> <flags> <exptime> <bytes> [<cas>] [noreply]

  #beginValue(connection: Connection, mode: number): void {
    const tokens = this.#tokens;
    const bytes = this.#bytes;
    const words = mode === CAS ? 6 : 5;
    if (tokens.count !== words && tokens.count !== words + 1) {
      this.#output.write(ERROR);
      return;
    }
    connection.noReply = tokens.text(tokens.count - 1) === "noreply";
    const keyLength = tokens.length(1);
    const flags = this.#number;
    const time = parseSigned(bytes, tokens.start[3], tokens.end[3]);
    const length = parseSigned(bytes, tokens.start[4], tokens.end[4]);
    const isGood =
      keyLength <= KEY_MAX &&
      flags.parse(bytes, tokens.start[2], tokens.end[2]) &&
      !Number.isNaN(time) &&
      length >= 0 &&
      length <= 2 ** 31 - 3 &&
      (mode !== CAS || connection.cas.parse(bytes, tokens.start[5], tokens.end[5]));
    if (!isGood) {
      this.#answer(connection, BAD_FORMAT);
      return;
    }
    const store = this.#store;
    const key = tokens.start[1];
    const item = store.begin(key, keyLength, flags.low, store.expiry(time), length);
    connection.mode = mode;
    connection.item = item;
    connection.filled = 0;
    if (item !== 0) return;
    // The value is not wanted, and neither is the one that it was to replace.
    this.#answer(connection, OUTCOMES[store.refusal]);
    connection.unwanted = length + TAIL;
    if (mode === SET) store.forget(key, keyLength);
  }

  #receiveValue(connection: Connection): boolean {
    if (!connection.fill(TAIL)) return false;
    const store = this.#store;
    const { item } = connection;
    const at = item >>> 2;
    const keyLength = store.words[at + STATE] & KEY_LENGTH_MASK;
    const end = item + KEY + keyLength + store.words[at + LENGTH];
    connection.item = 0;
    if (this.#bytes[end] !== CR || this.#bytes[end + 1] !== LF) {
      store.discard(item);
      this.#answer(connection, BAD_CHUNK);
      return true;
    }
    const { mode, cas } = connection;
    const outcome = store.commit(item, mode, mode === CAS ? cas : null);
    this.#answer(connection, OUTCOMES[outcome]);
    return true;
  }

  /** Answers a command that stores, unless the client wants no answer. */
  #answer(connection: Connection, text: Uint8Array): void {
    if (!connection.noReply) this.#output.write(text);
  }
}

const GET = ascii("get ");
const GETS = ascii("gets ");

/** True when the bytes from `from` on begin with a word and its space. */
function isWord(bytes: Uint8Array, from: number, to: number, word: Uint8Array): boolean {
  if (to - from <= word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return false;
  // More spaces, or nothing behind them, are for the general way.
  return bytes[from + word.length] !== SPACE;
}

function longMultiget(bytes: Uint8Array, from: number): Multiget | null {
  if (isWord(bytes, from, from + LINE_MAX, GET)) return PLAIN_GET;
  return isWord(bytes, from, from + LINE_MAX, GETS) ? CAS_GET : null;
}
