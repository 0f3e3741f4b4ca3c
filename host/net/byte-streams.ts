/**
 * One connection of the event layer as a pair of WHATWG streams. The readable side is a byte stream that
 * takes bytes out of the receive window only for a read that waits, into the reader's own buffer if it
 * brought one.
 */
import { RC_OK } from "../../assembly/abi.ts";
import { codeName } from "../dataplane/errors.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../libix/ixev-conditions.ts";
import { IxevContext } from "../libix/ixev-context.ts";
import type { Host } from "./host.ts";
import { socketError } from "./socket-errors.ts";

/** Bytes handed on as one chunk at most. */
const CHUNK = 65536;

interface Settle {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class ByteStreams {
  readonly context = new IxevContext();
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly closed: Promise<void>;
  readonly #host: Host;
  readonly #allowHalfOpen: boolean;
  #closed!: Settle;
  #reader!: ReadableByteStreamController;
  #writer!: WritableStreamDefaultController;
  /** A read that waits, and a write. */
  #reading: (() => void) | null = null;
  #writing: Settle | null = null;
  #rest: Uint8Array | null = null;
  #open = false;
  #readDone = false;
  #writeDone = false;
  #closing = false;
  #over = false;
  #peer = "";
  /** What was received and not read when the connection was over. */
  #left: Uint8Array | null = null;

  constructor(host: Host, allowHalfOpen: boolean) {
    this.#host = host;
    this.#allowHalfOpen = allowHalfOpen;
    this.closed = new Promise((resolve, reject) => (this.#closed = { resolve, reject }));
    this.readable = this.#makeReadable();
    this.writable = this.#makeWritable();
    this.context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, (_, conditions) =>
      this.#happened(conditions),
    );
    host.onRelease(this.context, () => this.#released());
    host.network.ref();
  }

  #makeReadable(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        type: "bytes",
        start: (controller) => {
          this.#reader = controller as ReadableByteStreamController;
        },
        pull: () =>
          new Promise((resolve) => {
            this.#reading = resolve;
            this.#fill();
          }),
        cancel: () => {
          this.#readDone = true;
          this.#left = null;
          this.#discard();
        },
      },
      { highWaterMark: 0 },
    );
  }

  #makeWritable(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#writer = controller;
      },
      write: (chunk) =>
        new Promise((resolve, reject) => {
          this.#writing = { resolve, reject };
          this.#rest = bytesOf(chunk);
          this.#drain();
        }),
      close: () => {
        this.#writeDone = true;
        this.context.shutdown();
      },
      abort: () => {
        this.#writeDone = true;
        this.context.abort();
      },
    });
  }

  /** Opens the connection; `settled` is told why not. */
  dial(address: string, port: number, settled: (error: Error | null) => void): void {
    this.#peer = `${address}:${port}`;
    this.#host.dial(this.context, address, port, 0, (outcome) => {
      if (outcome === RC_OK) this.opened();
      const failed = outcome !== RC_OK;
      settled(failed ? socketError("connect", codeName(outcome), this.#peer) : null);
    });
  }

  /** There is a connection: what was written may go. */
  opened(): void {
    this.#open = true;
    this.#drain();
    this.#fill();
  }

  // -------------------------------------------------------------------------------------------
  // What happens

  #happened(conditions: number): void {
    if (conditions & IXEVOUT) this.#drain();
    if (conditions & IXEVIN) {
      if (this.#readDone) this.#discard();
      else this.#fill();
    }
    if (conditions & IXEVHUP) this.#hungUp();
  }

  #hungUp(): void {
    const { context } = this;
    if (context.reason !== RC_OK) {
      this.fail(socketError("connection", codeName(context.reason), this.#peer));
      return;
    }
    if (this.#readDone) return;
    this.#left = new Uint8Array(context.available);
    context.recv(this.#left);
    this.#fill();
  }

  /** Everything is over because of an error. */
  fail(error: Error): void {
    if (this.#over) return;
    if (this.#closing) {
      this.#released();
      return;
    }
    this.#end();
    if (!this.#readDone) this.#reader.error(error);
    this.#readDone = true;
    this.#reading?.();
    if (!this.#writeDone) this.#writer.error(error);
    this.#writeDone = true;
    this.#writing?.reject(error);
    this.#writing = null;
    this.#rest = null;
    this.#closed.reject(error);
  }

  #released(): void {
    if (this.#over) return;
    this.#end();
    this.#closed.resolve();
  }

  #end(): void {
    this.#over = true;
    this.#host.network.unref();
  }

  /** Ends both directions; what the connection has taken of the writable side is sent first. */
  close(): void {
    this.#closing = true;
    if (!this.#readDone) this.#endReading();
    if (!this.#writeDone) this.#endWriting();
    if (!this.#open) this.context.abort();
    else if (this.#rest === null) this.context.close();
  }

  // -------------------------------------------------------------------------------------------
  // Reading

  #fill(): void {
    if (this.#readDone) return;
    const { context } = this;
    if (this.#reading !== null && this.#available > 0) this.#hand();
    if (this.#available === 0 && (context.ended || this.#left !== null)) {
      this.#endReading();
      if (!this.#allowHalfOpen && !this.#writeDone) this.#endWriting();
    }
  }

  get #available(): number {
    return this.#left === null ? this.context.available : this.#left.length;
  }

  /** Hands on what there is to the read that waits. */
  #hand(): void {
    const request = this.#reader.byobRequest;
    if (request !== null) {
      const { buffer, byteOffset, byteLength } = request.view!;
      request.respond(this.#take(new Uint8Array(buffer, byteOffset, byteLength)));
    } else {
      const chunk = new Uint8Array(Math.min(this.#available, CHUNK));
      this.#take(chunk);
      this.#reader.enqueue(chunk);
    }
    const reading = this.#reading!;
    this.#reading = null;
    reading();
  }

  #take(into: Uint8Array): number {
    const left = this.#left;
    if (left === null) return this.context.recv(into);
    const taken = Math.min(left.length, into.length);
    into.set(left.subarray(0, taken));
    this.#left = left.subarray(taken);
    return taken;
  }

  #endReading(): void {
    this.#readDone = true;
    this.#left = null;
    this.#reader.close();
    // A reader's own buffer is given back empty.
    this.#reader.byobRequest?.respond(0);
    this.#reading?.();
    this.#reading = null;
  }

  /** Nobody reads any more: the window must not stay shut. */
  #discard(): void {
    this.context.consume(this.context.available);
  }

  // -------------------------------------------------------------------------------------------
  // Writing

  #drain(): void {
    const rest = this.#rest;
    if (rest === null || !this.#open) return;
    const taken = this.context.send(rest);
    if (taken < 0) {
      this.fail(socketError("write", "EPIPE", this.#peer));
      return;
    }
    this.#rest = rest.subarray(taken);
    if (taken < rest.length) return;
    this.#rest = null;
    const writing = this.#writing;
    this.#writing = null;
    writing?.resolve();
    if (this.#closing) this.context.close();
    else if (this.#writeDone) this.context.shutdown();
  }

  #endWriting(): void {
    this.#writeDone = true;
    this.#writer.error(socketError("write", "EPIPE", "the socket was closed"));
    if (this.#open && this.#rest === null) this.context.shutdown();
  }
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError("a chunk must be an ArrayBuffer or a view of one");
}
