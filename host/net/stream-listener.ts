/** A TCP port as an async iterable of sockets: `for await (const socket of listen({ port, via }))`. */
import { RC_OK } from "../../assembly/abi.ts";
import { codeName } from "../dataplane/errors.ts";
import type { IxevContext } from "../libix/ixev-context.ts";
import type { Knock } from "../libix/ixev-operations.ts";
import type { Host, PortListener } from "./host.ts";
import { Socket, type StartTls, type StreamSocket } from "./sockets.ts";
import { socketError } from "./socket-errors.ts";

export interface ListenOptions {
  /** 0 for any free one, which is the default. */
  readonly port?: number;
  /** Connections that wait for somebody to take them; more are refused. Default 128. */
  readonly backlog?: number;
  readonly via: Host;
  readonly allowHalfOpen?: boolean;
  readonly tls?: StartTls;
}

export interface ListenerInfo {
  readonly address: string;
  readonly port: number;
}

type Take = (result: IteratorResult<StreamSocket, undefined>) => void;

const BACKLOG = 128;

export class Listener implements AsyncIterableIterator<StreamSocket, undefined> {
  /** Fulfilled when listening; rejected with a SocketError when the port is taken. */
  readonly opened: Promise<ListenerInfo>;
  readonly #options: ListenOptions;
  readonly #port: PortListener;
  /** Sockets that nobody has taken, and takers that wait. One of the two is empty. */
  readonly #sockets: StreamSocket[] = [];
  readonly #takers: Take[] = [];
  #closed = false;

  constructor(options: ListenOptions) {
    const { via, port = 0, backlog = BACKLOG } = options;
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
      throw new TypeError(`port must be from 0 to 65535, not ${port}`);
    }
    this.#options = options;
    let settled!: (outcome: number, port: number) => void;
    this.opened = new Promise((resolve, reject) => {
      settled = (outcome, bound) => {
        if (outcome === RC_OK) resolve({ address: via.address, port: bound });
        else {
          this.#end();
          reject(socketError("listen", codeName(outcome), `${via.address}:${bound}`));
        }
      };
    });
    this.opened.catch(() => {});
    via.network.ref();
    this.#port = via.listen(
      port,
      backlog,
      (knock) => this.#accept(knock),
      (outcome, listener) => settled(outcome, listener.port),
    );
  }

  #accept(knock: Knock): IxevContext | null {
    const { backlog = BACKLOG, via, allowHalfOpen, tls } = this.#options;
    if (this.#sockets.length >= backlog) return null;
    const options = { via, allowHalfOpen, tls, secureTransport: "starttls" } as const;
    const socket = new Socket(via, options);
    const { context } = socket;
    context.localPort = knock.localPort;
    socket.accepted(knock.address.toString(), knock.port);
    const taker = this.#takers.shift();
    if (taker === undefined) this.#sockets.push(socket);
    else taker({ value: socket, done: false });
    return context;
  }

  next(): Promise<IteratorResult<StreamSocket, undefined>> {
    const socket = this.#sockets.shift();
    if (socket !== undefined) return Promise.resolve({ value: socket, done: false });
    if (this.#closed) {
      return this.opened.then(() => ({ value: undefined, done: true }));
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** Leaving a `for await` closes the listener. */
  return(): Promise<IteratorResult<StreamSocket, undefined>> {
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Listens no more. Sockets that nobody has taken are closed, the others go on. */
  close(): void {
    if (this.#closed) return;
    this.#port.close();
    this.#end();
    for (const socket of this.#sockets.splice(0)) void socket.close();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.via.network.unref();
    for (const taker of this.#takers.splice(0)) taker({ value: undefined, done: true });
  }
}

/** Listens on a TCP port of a host. */
export function listen(options: ListenOptions): Listener {
  return new Listener(options);
}
