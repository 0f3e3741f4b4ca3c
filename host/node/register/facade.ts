/**
 * A net.Socket of Node's whose connection is the dataplane's: what goes in and out is passed on to a
 * socket of ixwasm/net. Node's class stays what it is, so that everything that asks for an instance of it,
 * or extends it, goes on to work. It has no handle, which Node's TLS and HTTP/2 know how to deal with:
 * they wrap such a socket as any other stream.
 */
import net from "node:net";
import tls from "node:tls";
import type { Socket } from "../net/socket.ts";

type Done = (error?: Error | null) => void;

/** Of Node's own socket, what its types do not say. */
interface Internals {
  connecting: boolean;
  _handle: { readonly _parentWrap?: { readonly stream?: Outer } } | null;
  _host: string | undefined;
  _server: net.Server | null;
  server: net.Server | null;
  _peername: object | undefined;
  _sockname: object | undefined;
  _getpeername(): object;
  _getsockname(): object;
  _undestroy(): void;
  _unrefTimer(): void;
}

export type Outer = net.Socket & Internals;

const inners = new WeakMap<object, Socket>();

const innerOf = (outer: object): Socket => inners.get(outer)!;

const prototype = net.Socket.prototype as Outer;
const destroyNode = prototype._destroy;

/** The handle of a socket that is being destroyed: "close" comes in a turn of its own, as with the system's. */
const closing = { close: (closed: () => void): void => void setImmediate(closed), onread: null };

/** What a socket does itself that has a connection of the dataplane. */
const methods = {
  _read(this: Outer): void {
    innerOf(this).resume();
  },
  _writeGeneric(
    this: Outer,
    isVector: boolean,
    data: unknown,
    encoding: BufferEncoding,
    done: Done,
  ): void {
    this._unrefTimer();
    const inner = innerOf(this);
    if (!isVector) {
      inner.write(data as Uint8Array, encoding, done);
      return;
    }
    const parts = data as { chunk: Uint8Array; encoding: BufferEncoding }[];
    inner.cork();
    for (const [index, part] of parts.entries()) {
      inner.write(part.chunk, part.encoding, index === parts.length - 1 ? done : undefined);
    }
    inner.uncork();
  },
  _final(this: Outer, done: Done): void {
    innerOf(this).end(done);
  },
  _destroy(this: Outer, error: Error | null, done: Done): void {
    this._handle = closing as object;
    innerOf(this).destroy();
    destroyNode.call(this, error, done);
  },
  resetAndDestroy(this: Outer): Outer {
    innerOf(this).resetAndDestroy();
    return this.destroy();
  },
  ref(this: Outer): Outer {
    innerOf(this).ref();
    return this;
  },
  unref(this: Outer): Outer {
    innerOf(this).unref();
    return this;
  },
  _getpeername(this: Outer): object {
    const { remoteAddress: address, remotePort: port, remoteFamily: family } = innerOf(this);
    return address === undefined ? {} : { address, port, family };
  },
  _getsockname(this: Outer): object {
    const { localAddress: address, localPort: port, localFamily: family } = innerOf(this);
    return address === undefined ? {} : { address, port, family };
  },
};

const values = {
  pending: (outer: Outer) => outer.connecting || outer.destroyed,
  bytesRead: (outer: Outer) => innerOf(outer).bytesRead,
  _bytesDispatched: (outer: Outer) => innerOf(outer).bytesWritten,
};

const FACADE: PropertyDescriptorMap = {};
for (const [name, value] of Object.entries(methods)) {
  FACADE[name] = { value, configurable: true, writable: true };
}
for (const [name, value] of Object.entries(values)) {
  FACADE[name] = {
    get(this: Outer): unknown {
      return value(this);
    },
    configurable: true,
  };
}

/** Makes `outer` the face of `inner`. */
export function giveFace(outer: Outer, inner: Socket): void {
  inners.set(outer, inner);
  Object.defineProperties(outer, FACADE);
  inner.pause();
  inner.on("data", (chunk: Buffer) => {
    outer._unrefTimer();
    if (!outer.push(chunk)) inner.pause();
  });
  inner.on("end", () => {
    outer.push(null);
    outer.read(0);
  });
  inner.on("error", (error: Error) => outer.destroy(error));
  inner.on("close", () => {
    // After an orderly end the face has yet to be read to its own.
    if (inners.get(outer) === inner && !inner.readableEnded) outer.destroy();
  });
}

/** Of node:tls's own socket, what its types do not say. */
interface TlsInternals {
  connecting: boolean;
  _init(this: TlsInternals, below: Outer | undefined, wrap: unknown): void;
}

/**
 * Lets sockets of node:tls know what is below them: who is at the other end, and that a connection without
 * a handle may be open all the same.
 */
export function installTls(): void {
  for (const name of ["_getpeername", "_getsockname"] as const) {
    const original = prototype[name];
    prototype[name] = function (this: Outer) {
      const below = this instanceof tls.TLSSocket ? this._handle?._parentWrap?.stream : undefined;
      return below !== undefined && inners.has(below) ? below[name]() : original.call(this);
    };
  }
  const secured = tls.TLSSocket.prototype as unknown as TlsInternals;
  const { _init: initialize } = secured;
  secured._init = function (below, wrap) {
    initialize.call(this, below, wrap);
    if (below !== undefined && inners.has(below)) this.connecting = below.connecting;
  };
}
