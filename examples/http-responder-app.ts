/**
 * A small HTTP/1.1 responder as an application of a dataplane core (RFC 9110, RFC 9112).
 *
 *   GET  /          a page
 *   GET  /bytes/N   N bytes, the same ones every time, sent without copying
 *   PUT  /sink      counts what it is sent: {"bytes": …, "crc32": "…"}   (POST as well)
 *   POST /echo      sends back what it is sent, while it comes             (PUT as well)
 *
 * HEAD works wherever GET does; connections are kept alive unless asked otherwise; requests may be
 * pipelined. Bodies need a Content-Length: a chunked one is refused with 411.
 *
 * One `HttpConnection` per connection reads as much as it can use and writes as much as it can, each
 * time its handler is called; what it cannot finish, it goes on with when the handler is called again.
 */
import { crc32 } from "node:zlib";
import type { App, AppContext } from "../host/libix/app.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../host/libix/ixev-conditions.ts";
import { IxevContext } from "../host/libix/ixev-context.ts";
import { Ixev } from "../host/libix/ixev.ts";
import type { IxevTimer } from "../host/libix/ixev-timers.ts";

export interface HttpResponderOptions {
  /** TCP port. Default 80. */
  readonly port?: number;
}

/** The bytes of /bytes repeat after so many: a prime, so that no block of them equals its neighbour. */
export const PATTERN_PERIOD = 999_983;

/** Most bytes of a /bytes response that are under way at once, and how they are cut. */
const IN_FLIGHT = 4 << 20;
const PIECE = 256 << 10;
/** Longest request head, bytes. */
const MAX_HEAD = 16 << 10;
/** How much a client may go on sending after its last response, bytes, and for how long, µs. */
const LINGER_BYTES = 1 << 20;
const LINGER_TIME = 2_000_000;

/** Makes the application of one core: for `InlineRunner.add`, or as a module for worker threads. */
export default function httpResponder({ ix, options }: AppContext): App {
  const { port = 80 } = (options ?? {}) as HttpResponderOptions;
  const pattern = ix.window.allocate(PATTERN_PERIOD);
  if (pattern === 0) throw new RangeError("http-responder needs an application window of 4 MiB");
  ix.write(pattern, patternBytes(PATTERN_PERIOD));
  const ixev = new Ixev(ix, {
    accept: () => new HttpConnection(ixev, pattern).context,
  });
  // What a page is asked for may be asked twice, so that requests may come with the SYN (RFC 7413).
  ixev.listen(port, 1024, 0, 64);
  return ixev;
}

/** The first `length` bytes of /bytes: xorshift numbers (Marsaglia), one byte of each. */
export function patternBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 2463534242;
  const drawn = Math.min(length, PATTERN_PERIOD);
  for (let i = 0; i < drawn; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  for (let i = PATTERN_PERIOD; i < length; i += PATTERN_PERIOD) {
    bytes.copyWithin(i, 0, Math.min(PATTERN_PERIOD, length - i));
  }
  return bytes;
}

interface Request {
  readonly method: string;
  readonly path: string;
  /** Header names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly keepAlive: boolean;
  /** Content-Length; NaN when the body's length is not given that way. */
  readonly bodyLength: number;
}

/** What the connection is in the middle of. */
type Phase = "head" | "sink" | "echo" | "bytes" | "last" | "linger";

class HttpConnection {
  readonly context = new IxevContext();
  readonly #ixev: Ixev;
  readonly #pattern: number;
  #phase: Phase = "head";
  /** What has come of the request's head. */
  #head = "";
  #keepAlive = true;
  /** Bytes of the body, received or sent, that are still to come. */
  #left = 0;
  #received = 0;
  #crc = 0;
  /** Position in the pattern of the next byte to send, and bytes that are not acknowledged. */
  #position = 0;
  #inFlight = 0;
  /** What the context would not take yet. */
  #unwritten: Uint8Array | undefined;
  #lingering: IxevTimer | undefined;

  constructor(ixev: Ixev, pattern: number) {
    this.#ixev = ixev;
    this.#pattern = pattern;
    this.context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, () => this.#work());
  }

  /** Does all that can be done now. */
  #work(): void {
    if (this.#unwritten !== undefined) this.#write(this.#unwritten);
    while (this.#unwritten === undefined && this.#advance());
    // The client sends no more: nothing is left to do but to finish a response that is under way.
    if (this.context.ended && this.#unwritten === undefined && this.#phase !== "bytes")
      this.#close();
  }

  /** One step of the current phase; false when it has to wait. */
  #advance(): boolean {
    switch (this.#phase) {
      case "head":
        return this.#readHead();
      case "sink":
        return this.#sink();
      case "echo":
        return this.#echo();
      case "bytes":
        return this.#sendBytes();
      case "last":
        return this.#startLingering();
      case "linger":
        return this.#discard();
    }
  }

  // -------------------------------------------------------------------------------------------
  // Requests

  #readHead(): boolean {
    const { context } = this;
    const length = context.frontLength;
    if (length === 0) return false;
    const address = context.frontAddress;
    const before = this.#head.length;
    this.#head += latin1(this.#ixev.ix.bytes.slice(address, address + length));
    // The blank line may have begun in the part that came before.
    const end = this.#head.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (end < 0) {
      context.consume(length);
      if (this.#head.length > MAX_HEAD) this.#refuse("431 Request Header Fields Too Large");
      return true;
    }
    context.consume(end + 4 - before);
    const request = parseHead(this.#head.slice(0, end));
    this.#head = "";
    if (request === undefined) this.#refuse("400 Bad Request");
    else this.#begin(request);
    return true;
  }

  #begin(request: Request): void {
    const { method, path, headers } = request;
    this.#keepAlive = request.keepAlive;
    if (Number.isNaN(request.bodyLength)) {
      this.#refuse("411 Length Required");
      return;
    }
    const receives = path === "/sink" || path === "/echo";
    if (receives && (method === "PUT" || method === "POST")) {
      if (headers.get("expect")?.toLowerCase() === "100-continue") {
        this.#write(encode("HTTP/1.1 100 Continue\r\n\r\n"));
      }
      this.#left = request.bodyLength;
      this.#received = 0;
      this.#crc = 0;
      this.#phase = path === "/sink" ? "sink" : "echo";
      if (path === "/echo") {
        this.#writeHead("200 OK", "application/octet-stream", request.bodyLength);
      }
      return;
    }
    if (request.bodyLength > 0) {
      // Its body would have to be read to find the next request.
      this.#keepAlive = false;
    }
    this.#answer(method, path, receives);
  }

  /** Answers a request that has no body. */
  #answer(method: string, path: string, receives: boolean): void {
    const isHead = method === "HEAD";
    if (receives || (method !== "GET" && !isHead)) {
      const allow = receives ? "PUT, POST" : "GET, HEAD";
      this.#respond("405 Method Not Allowed", "text/plain", "", isHead, `Allow: ${allow}\r\n`);
      return;
    }
    const bytes = /^\/bytes\/(\d{1,15})$/.exec(path);
    if (bytes !== null) {
      this.#left = isHead ? 0 : Number(bytes[1]);
      this.#position = 0;
      this.#phase = "bytes";
      this.#writeHead("200 OK", "application/octet-stream", Number(bytes[1]));
    } else if (path === "/") {
      this.#respond("200 OK", "text/html; charset=utf-8", PAGE, isHead);
    } else {
      this.#respond("404 Not Found", "text/plain", "There is no such page.\n", isHead);
    }
  }

  // -------------------------------------------------------------------------------------------
  // Bodies

  #sink(): boolean {
    const { context } = this;
    const length = Math.min(context.frontLength, this.#left);
    if (length > 0) {
      const address = context.frontAddress;
      this.#crc = crc32(this.#ixev.ix.bytes.subarray(address, address + length), this.#crc);
      context.consume(length);
      this.#left -= length;
      this.#received += length;
    }
    if (this.#left > 0) return length > 0;
    const crc = this.#crc.toString(16).padStart(8, "0");
    const result = JSON.stringify({ bytes: this.#received, crc32: crc });
    this.#respond("200 OK", "application/json", `${result}\n`);
    return true;
  }

  #echo(): boolean {
    const { context } = this;
    const length = Math.min(context.frontLength, this.#left);
    if (length > 0) {
      const sent = context.sendMemory(context.frontAddress, length);
      if (sent <= 0) return false;
      context.consume(sent);
      this.#left -= sent;
    }
    if (this.#left > 0) return length > 0;
    this.#finish();
    return true;
  }

  /** Sends references to the pattern; those acknowledged make room for further ones. */
  #sendBytes(): boolean {
    while (this.#left > 0 && this.#inFlight < IN_FLIGHT) {
      const length = Math.min(PIECE, this.#left, PATTERN_PERIOD - this.#position);
      const sent = this.context.sendZeroCopy(this.#pattern + this.#position, length, (arrived) => {
        this.#inFlight -= length;
        if (arrived && this.#phase === "bytes") this.#work();
      });
      if (sent < 0) return false;
      this.#inFlight += length;
      this.#left -= length;
      this.#position = (this.#position + length) % PATTERN_PERIOD;
    }
    if (this.#left > 0) return false;
    this.#finish();
    return true;
  }

  // -------------------------------------------------------------------------------------------
  // Responses

  #refuse(status: string): void {
    this.#keepAlive = false;
    this.#respond(status, "text/plain", "");
  }

  #respond(status: string, type: string, body: string, headOnly = false, headers = ""): void {
    const bytes = encode(body);
    this.#writeHead(status, type, bytes.length, headers, headOnly ? undefined : bytes);
    this.#finish();
  }

  #writeHead(
    status: string,
    type: string,
    length: number,
    headers = "",
    body: Uint8Array = new Uint8Array(),
  ): void {
    const head = encode(
      `HTTP/1.1 ${status}\r\n` +
        `Date: ${new Date().toUTCString()}\r\n` +
        `Content-Type: ${type}\r\n` +
        `Content-Length: ${length}\r\n` +
        (this.#keepAlive ? "" : "Connection: close\r\n") +
        `${headers}\r\n`,
    );
    const bytes = new Uint8Array(head.length + body.length);
    bytes.set(head);
    bytes.set(body, head.length);
    this.#write(bytes);
  }

  /** Sends now or, what the context does not take, later: until then nothing else is begun. */
  #write(bytes: Uint8Array): void {
    if (this.#unwritten !== undefined && this.#unwritten !== bytes) {
      this.#unwritten = concat(this.#unwritten, bytes);
      return;
    }
    const sent = Math.max(0, this.context.send(bytes));
    this.#unwritten = sent < bytes.length ? bytes.subarray(sent) : undefined;
  }

  /** The response is complete, as far as it depends on this side. */
  #finish(): void {
    this.#phase = this.#keepAlive ? "head" : "last";
  }

  /**
   * Everything is written: the end is said, and what the client still sends is read and thrown away
   * for a while. A close with data unread would reset the connection, and the reset can overtake the
   * response (RFC 9112 section 9.6).
   */
  #startLingering(): boolean {
    this.context.shutdown();
    this.#phase = "linger";
    this.#left = LINGER_BYTES;
    this.#lingering = this.#ixev.setTimer(LINGER_TIME, () => this.context.close());
    return true;
  }

  #discard(): boolean {
    const length = this.context.frontLength;
    if (length === 0) return false;
    this.context.consume(length);
    this.#left -= length;
    if (this.#left <= 0) this.#close();
    return this.#left > 0;
  }

  #close(): void {
    this.#lingering?.cancel();
    this.context.close();
  }
}

/** Request line and header fields (RFC 9112 sections 3 and 5); undefined when it is neither. */
function parseHead(head: string): Request | undefined {
  const [requestLine, ...lines] = head.split("\r\n");
  const [, method, path, minor] = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/.exec(requestLine) ?? [];
  if (method === undefined) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) return undefined;
    headers.set(name.toLowerCase(), value);
  }
  if (minor === "1" && !headers.has("host")) return undefined;
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  const keepAlive = minor === "1" ? connection !== "close" : connection === "keep-alive";
  const length = headers.get("content-length") ?? "0";
  const counted = /^\d{1,15}$/.test(length) && !headers.has("transfer-encoding");
  return { method, path, headers, keepAlive, bodyLength: counted ? Number(length) : Number.NaN };
}

const PAGE = `<!doctype html>
<title>ixwasm</title>
<h1>It works</h1>
<p>This page was sent by a TCP/IP stack in WebAssembly. Try
<a href="/bytes/1000">/bytes/1000</a>, or <code>curl -T FILE …/sink</code>.</p>
`;

const encoder = new TextEncoder();
const encode = (text: string): Uint8Array => encoder.encode(text);

const latin1Decoder = new TextDecoder("latin1");
const latin1 = (bytes: Uint8Array): string => latin1Decoder.decode(bytes);

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
