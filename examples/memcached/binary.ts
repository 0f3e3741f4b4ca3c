/**
 * The binary protocol (memcached's doc/protocol-binary.txt). A message is a header of 24 bytes, then extras,
 * key and value; numbers are big-endian.
 *
 *    0 magic · 1 opcode · 2 key length · 4 extras length · 5 data type · 6 vbucket, or status
 *    8 body length · 12 opaque · 16 CAS unique
 *
 * Header, extras and key are taken together; a value that is to be stored goes straight to its item.
 */
import type { Connection } from "./connection.ts";
import { CMD_FLUSH } from "./counters.ts";
import { CAS_HIGH, CAS_LOW, FLAGS, KEY, KEY_LENGTH_MASK, KEY_MAX, LENGTH, STATE } from "./item.ts";
import { U64 } from "./numbers.ts";
import { VERSION } from "./options.ts";
import { ascii, type Output } from "./output.ts";
import type { Server } from "./server.ts";
import { statistics } from "./stats.ts";
import {
  ADD,
  APPEND,
  CAS,
  EXISTS,
  KEEP_EXPIRY,
  NO_MEMORY,
  NOT_A_NUMBER,
  NOT_FOUND,
  NOT_STORED,
  PREPEND,
  REPLACE,
  SET,
  type Store,
  STORED,
  TOO_LARGE,
} from "./store.ts";

const REQUEST = 0x80;
const RESPONSE = 0x81;
const HEADER = 24;
/** Longest extras: those of increment and decrement. */
const EXTRAS_MAX = 20;

const OP_GET = 0x00;
const OP_SET = 0x01;
const OP_ADD = 0x02;
const OP_REPLACE = 0x03;
const OP_DELETE = 0x04;
const OP_INCREMENT = 0x05;
const OP_DECREMENT = 0x06;
const OP_QUIT = 0x07;
const OP_FLUSH = 0x08;
const OP_GETQ = 0x09;
const OP_NOOP = 0x0a;
const OP_VERSION = 0x0b;
const OP_GETK = 0x0c;
const OP_GETKQ = 0x0d;
const OP_APPEND = 0x0e;
const OP_PREPEND = 0x0f;
const OP_STAT = 0x10;
const OP_SETQ = 0x11;
const OP_ADDQ = 0x12;
const OP_REPLACEQ = 0x13;
const OP_DELETEQ = 0x14;
const OP_INCREMENTQ = 0x15;
const OP_DECREMENTQ = 0x16;
const OP_QUITQ = 0x17;
const OP_FLUSHQ = 0x18;
const OP_APPENDQ = 0x19;
const OP_PREPENDQ = 0x1a;
const OP_VERBOSITY = 0x1b;
const OP_TOUCH = 0x1c;
const OP_GAT = 0x1d;
const OP_GATQ = 0x1e;
const OP_GATK = 0x23;
const OP_GATKQ = 0x24;

/** By a quiet opcode, the opcode that does the same and answers. */
const LOUD = new Map([
  [OP_GETQ, OP_GET],
  [OP_GETKQ, OP_GETK],
  [OP_SETQ, OP_SET],
  [OP_ADDQ, OP_ADD],
  [OP_REPLACEQ, OP_REPLACE],
  [OP_DELETEQ, OP_DELETE],
  [OP_INCREMENTQ, OP_INCREMENT],
  [OP_DECREMENTQ, OP_DECREMENT],
  [OP_QUITQ, OP_QUIT],
  [OP_FLUSHQ, OP_FLUSH],
  [OP_APPENDQ, OP_APPEND],
  [OP_PREPENDQ, OP_PREPEND],
  [OP_GATQ, OP_GAT],
  [OP_GATKQ, OP_GATK],
]);

/** What a request must look like: bytes of extras, also none if `optional`; with a key, a value. */
interface Shape {
  readonly extras: number;
  readonly optional?: boolean;
  readonly key?: "none" | "some";
  readonly value?: boolean;
}

const STORAGE: Shape = { extras: 8, key: "some", value: true };
const JOINING: Shape = { extras: 0, key: "some", value: true };
const KEY_ONLY: Shape = { extras: 0, key: "some" };
const BARE: Shape = { extras: 0, key: "none" };

const SHAPES = new Map<number, Shape>([
  [OP_GET, KEY_ONLY],
  [OP_GETK, KEY_ONLY],
  [OP_DELETE, KEY_ONLY],
  [OP_SET, STORAGE],
  [OP_ADD, STORAGE],
  [OP_REPLACE, STORAGE],
  [OP_APPEND, JOINING],
  [OP_PREPEND, JOINING],
  [OP_INCREMENT, { extras: 20, key: "some" }],
  [OP_DECREMENT, { extras: 20, key: "some" }],
  [OP_TOUCH, { extras: 4, key: "some" }],
  [OP_GAT, { extras: 4, key: "some" }],
  [OP_GATK, { extras: 4, key: "some" }],
  [OP_QUIT, BARE],
  [OP_NOOP, BARE],
  [OP_VERSION, BARE],
  [OP_FLUSH, { extras: 4, optional: true, key: "none" }],
  [OP_STAT, { extras: 0 }],
  [OP_VERBOSITY, { extras: 4, key: "none" }],
]);

/** How values are stored by those that bring one. */
const MODES = new Map([
  [OP_SET, SET],
  [OP_ADD, ADD],
  [OP_REPLACE, REPLACE],
  [OP_APPEND, APPEND],
  [OP_PREPEND, PREPEND],
]);

const OK = 0x00;
const KEY_NOT_FOUND = 0x01;
const KEY_EXISTS = 0x02;
const VALUE_TOO_LARGE = 0x03;
const INVALID = 0x04;
const ITEM_NOT_STORED = 0x05;
const NON_NUMERIC = 0x06;
const UNKNOWN_COMMAND = 0x81;
const OUT_OF_MEMORY = 0x82;

const MESSAGES = new Map([
  [KEY_NOT_FOUND, ascii("Not found")],
  [KEY_EXISTS, ascii("Data exists for key.")],
  [VALUE_TOO_LARGE, ascii("Too large.")],
  [INVALID, ascii("Invalid arguments")],
  [ITEM_NOT_STORED, ascii("Not stored.")],
  [NON_NUMERIC, ascii("Non-numeric server-side value for incr or decr")],
  [UNKNOWN_COMMAND, ascii("Unknown command")],
  [OUT_OF_MEMORY, ascii("Out of memory")],
]);

/** The status for what the store has said. */
const STATUSES = new Map([
  [NOT_STORED, ITEM_NOT_STORED],
  [EXISTS, KEY_EXISTS],
  [NOT_FOUND, KEY_NOT_FOUND],
  [TOO_LARGE, VALUE_TOO_LARGE],
  [NO_MEMORY, OUT_OF_MEMORY],
  [NOT_A_NUMBER, NON_NUMERIC],
]);

const NO_BYTES = new Uint8Array(0);
const NO_EXPIRY = 0xffffffff;

export class BinaryProtocol {
  readonly #server: Server;
  readonly #store: Store;
  readonly #output: Output;
  readonly #bytes: Uint8Array;
  readonly #delta = new U64();

  /** Of the request: its opcode, that of its loud twin, lengths, and where extras and key lie. */
  #opcode = 0;
  #command = 0;
  #extras = 0;
  #key = 0;
  #keyLength = 0;
  #valueLength = 0;
  #opaque = 0;

  constructor(server: Server) {
    this.#server = server;
    this.#store = server.store;
    this.#output = server.output;
    this.#bytes = server.store.bytes;
  }

  /** Runs the next request, or goes on with one; false when it has to wait. */
  step(connection: Connection): boolean {
    if (connection.item !== 0) return this.#receiveValue(connection);
    if (!connection.takeBytes(HEADER, false)) return false;
    const header = connection.start;
    const bytes = this.#bytes;
    const extras = bytes[header + 4];
    const keyLength = this.#u16(header + 2);
    const bodyLength = this.#u32(header + 8);
    this.#opcode = connection.opcode = bytes[header + 1];
    this.#opaque = connection.opaque = this.#u32(header + 12);
    this.#command = LOUD.get(this.#opcode) ?? this.#opcode;
    if (bytes[header] !== REQUEST) {
      connection.quitting = true;
      return false;
    }
    if (keyLength + extras > bodyLength) {
      this.#fail(UNKNOWN_COMMAND);
      connection.quitting = true;
      return true;
    }
    this.#valueLength = bodyLength - keyLength - extras;
    const shape = SHAPES.get(this.#command);
    if (shape === undefined) return this.#refuse(connection, bodyLength);
    if (!fits(shape, extras, keyLength, this.#valueLength)) {
      this.#fail(INVALID);
      connection.quitting = true;
      return true;
    }
    if (!connection.takeBytes(HEADER + extras + keyLength)) return false;
    this.#extras = connection.start + HEADER;
    this.#key = this.#extras + extras;
    this.#keyLength = keyLength;
    connection.cas.set(this.#u32(connection.start + 16), this.#u32(connection.start + 20));
    this.#run(connection, extras);
    connection.dropHeld();
    return true;
  }

  /** A command that is not known: passes over its body. */
  #refuse(connection: Connection, bodyLength: number): boolean {
    if (!connection.takeBytes(HEADER)) return false;
    connection.dropHeld();
    connection.unwanted = bodyLength;
    this.#fail(UNKNOWN_COMMAND);
    return true;
  }

  #run(connection: Connection, extras: number): void {
    switch (this.#command) {
      case OP_GET:
      case OP_GETK:
        return this.#get(connection, KEEP_EXPIRY);
      case OP_GAT:
      case OP_GATK:
        return this.#get(connection, this.#expiryAt(this.#extras));
      case OP_TOUCH:
        return this.#touch();
      case OP_SET:
      case OP_ADD:
      case OP_REPLACE:
      case OP_APPEND:
      case OP_PREPEND:
        return this.#beginValue(connection);
      case OP_DELETE:
        return this.#delete(connection);
      case OP_INCREMENT:
      case OP_DECREMENT:
        return this.#change(connection);
      case OP_FLUSH:
        return this.#flush(extras);
      case OP_VERSION:
        return this.#respond(OK, VERSION_BYTES);
      case OP_NOOP:
      case OP_VERBOSITY:
        return this.#respond(OK, NO_BYTES);
      case OP_STAT:
        return this.#stat();
      case OP_QUIT:
        this.#succeed();
        connection.quitting = true;
    }
  }

  // -------------------------------------------------------------------------------------------

  #get(connection: Connection, expiry: number): void {
    const store = this.#store;
    const output = this.#output;
    const withKey = this.#command === OP_GETK || this.#command === OP_GATK;
    const hash = store.hash(this.#key, this.#keyLength);
    const item = store.get(hash, this.#key, this.#keyLength, expiry);
    if (item === 0) {
      if (this.#isQuiet) return;
      if (!withKey) {
        this.#fail(KEY_NOT_FOUND);
        return;
      }
      this.#header(KEY_NOT_FOUND, this.#keyLength, 0, 0);
      output.memory(this.#key, this.#keyLength);
      return;
    }
    const at = item >>> 2;
    const { words } = store;
    const keyLength = withKey ? words[at + STATE] & KEY_LENGTH_MASK : 0;
    this.#header(OK, keyLength, 4, words[at + LENGTH], words[at + CAS_HIGH], words[at + CAS_LOW]);
    output.u32(words[at + FLAGS]);
    if (keyLength > 0) output.memory(item + KEY, keyLength);
    connection.value(item);
    store.partition(hash).leave();
    connection.lend();
  }

  #touch(): void {
    const store = this.#store;
    if (store.touch(this.#key, this.#keyLength, this.#expiryAt(this.#extras)) !== STORED) {
      this.#fail(KEY_NOT_FOUND);
      return;
    }
    // With the item's flags, as memcached answers.
    this.#header(OK, 0, 4, 0, store.number.high, store.number.low);
    this.#output.u32(store.touchedFlags);
  }

  #beginValue(connection: Connection): void {
    const store = this.#store;
    const mode = MODES.get(this.#command)!;
    const joins = mode === APPEND || mode === PREPEND;
    const flags = joins ? 0 : this.#u32(this.#extras);
    const expiry = joins ? 0 : this.#expiryAt(this.#extras + 4);
    const length = this.#valueLength;
    connection.item = store.begin(this.#key, this.#keyLength, flags, expiry, length);
    connection.filled = 0;
    // With a CAS unique it is a compare and swap, whatever it is called; but for append and prepend.
    connection.mode = connection.cas.isZero || joins ? mode : CAS;
    if (connection.item !== 0) return;
    connection.unwanted = length;
    this.#fail(STATUSES.get(store.refusal)!);
    if (mode === SET) store.forget(this.#key, this.#keyLength);
  }

  #receiveValue(connection: Connection): boolean {
    if (!connection.fill(0)) return false;
    this.#opcode = connection.opcode;
    this.#command = LOUD.get(this.#opcode) ?? this.#opcode;
    this.#opaque = connection.opaque;
    const { item, mode, cas } = connection;
    connection.item = 0;
    const outcome = this.#store.commit(item, mode, cas);
    if (outcome === STORED) this.#succeed(true);
    else if (outcome === NOT_STORED && this.#command === OP_ADD) this.#fail(KEY_EXISTS);
    else if (outcome === NOT_STORED && this.#command === OP_REPLACE) this.#fail(KEY_NOT_FOUND);
    else this.#fail(STATUSES.get(outcome)!);
    return true;
  }

  #delete(connection: Connection): void {
    const outcome = this.#store.remove(this.#key, this.#keyLength, connection.cas);
    if (outcome === STORED) this.#succeed();
    else this.#fail(STATUSES.get(outcome)!);
  }

  /** Extras: the difference, the value where there is none, when that expires. */
  #change(connection: Connection): void {
    const store = this.#store;
    const { cas } = connection;
    const add = this.#command === OP_INCREMENT;
    this.#delta.set(this.#u32(this.#extras), this.#u32(this.#extras + 4));
    let outcome = store.change(this.#key, this.#keyLength, this.#delta, add, cas);
    if (outcome === NOT_FOUND && this.#u32(this.#extras + 16) !== NO_EXPIRY) {
      outcome = this.#storeInitial(cas);
    }
    if (outcome !== STORED) {
      this.#fail(STATUSES.get(outcome)!);
      return;
    }
    if (this.#isQuiet) return;
    this.#header(OK, 0, 0, 8, cas.high, cas.low);
    this.#output.u32(store.number.high);
    this.#output.u32(store.number.low);
  }

  #storeInitial(cas: U64): number {
    const store = this.#store;
    const initial = new U64();
    initial.set(this.#u32(this.#extras + 8), this.#u32(this.#extras + 12));
    const digits = ascii(initial.toString());
    const expiry = this.#expiryAt(this.#extras + 16);
    const item = store.begin(this.#key, this.#keyLength, 0, expiry, digits.length);
    if (item === 0) return store.refusal;
    this.#bytes.set(digits, item + KEY + this.#keyLength);
    const outcome = store.commit(item, ADD, null);
    cas.set(store.number.high, store.number.low);
    store.number.set(initial.high, initial.low);
    return outcome;
  }

  #flush(extras: number): void {
    const time = extras === 0 ? 0 : this.#u32(this.#extras);
    this.#store.count(CMD_FLUSH);
    this.#store.flush(time > 0 ? this.#store.expiry(time) : 0);
    this.#succeed();
  }

  #stat(): void {
    const group = this.#ascii(this.#key, this.#keyLength);
    if (group === "reset") {
      this.#store.resetCounters();
    } else {
      const lines = statistics(this.#server, group);
      if (lines === null) {
        this.#fail(KEY_NOT_FOUND);
        return;
      }
      for (const [name, value] of lines) {
        const text = String(value);
        this.#header(OK, name.length, 0, text.length);
        this.#output.text(name);
        this.#output.text(text);
      }
    }
    this.#header(OK, 0, 0, 0);
  }

  // -------------------------------------------------------------------------------------------
  // Responses

  get #isQuiet(): boolean {
    return this.#opcode !== this.#command;
  }

  /** An empty answer, unless the request is quiet; with the CAS unique that was given, if there is one. */
  #succeed(hasCas = false): void {
    if (this.#isQuiet) return;
    const { high, low } = this.#store.number;
    this.#header(OK, 0, 0, 0, hasCas ? high : 0, hasCas ? low : 0);
  }

  #fail(status: number): void {
    this.#respond(status, MESSAGES.get(status)!);
  }

  #respond(status: number, body: Uint8Array): void {
    this.#header(status, 0, 0, body.length);
    this.#output.write(body);
  }

  #header(
    status: number,
    keyLength: number,
    extras: number,
    valueLength: number,
    casHigh = 0,
    casLow = 0,
  ): void {
    const output = this.#output;
    output.byte(RESPONSE);
    output.byte(this.#opcode);
    output.u16(keyLength);
    output.u16(extras << 8);
    output.u16(status);
    output.u32(extras + keyLength + valueLength);
    output.u32(this.#opaque);
    output.u32(casHigh);
    output.u32(casLow);
  }

  // -------------------------------------------------------------------------------------------
  // Fields

  #u16(at: number): number {
    return (this.#bytes[at] << 8) | this.#bytes[at + 1];
  }

  #u32(at: number): number {
    return ((this.#u16(at) << 16) | this.#u16(at + 2)) >>> 0;
  }

  /** Unix seconds of an expiry; those that are negative as signed numbers are in the past. */
  #expiryAt(at: number): number {
    return this.#store.expiry(this.#u32(at) | 0);
  }

  #ascii(at: number, length: number): string {
    return String.fromCharCode(...this.#bytes.slice(at, at + length));
  }
}

const VERSION_BYTES = ascii(VERSION);

function fits(shape: Shape, extras: number, keyLength: number, valueLength: number): boolean {
  if (extras > EXTRAS_MAX || keyLength > KEY_MAX) return false;
  if (extras !== shape.extras && !(shape.optional === true && extras === 0)) return false;
  if (shape.key === "some" && keyLength === 0) return false;
  if (shape.key === "none" && keyLength > 0) return false;
  return shape.value === true || valueLength === 0;
}
