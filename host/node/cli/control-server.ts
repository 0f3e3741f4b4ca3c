/**
 * The run's end of the control socket: it answers requests (protocol.ts) of any number of clients.
 * Whatever they send ends in an error reply, or in the end of their own connection.
 */
import { once } from "node:events";
import { lstatSync, unlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { CliError, describeError } from "./errors.ts";
import {
  LineReader,
  MAX_REQUEST,
  parseRequest,
  RequestError,
  type ErrorBody,
  type Reply,
  type Request,
  type RequestId,
} from "./protocol.ts";
import { isAlive, prepareDirectory } from "./socket-path.ts";

/** Clients at once. */
const MAX_CLIENTS = 64;
/** A client that lets this many bytes wait does not read what it asks for. */
const MAX_UNREAD = 16 * 1024 * 1024;

/** Where a request came from. */
export interface Caller {
  /** Aborted when the connection is over. */
  readonly signal: AbortSignal;
  /** Sends bytes ahead of the reply. Returns false while the client has more to read than it should. */
  sendData(bytes: Uint8Array): boolean;
  /** Whether the client has read all it was sent, but for what the system buffers. */
  readonly drained: boolean;
}

/** Carries out a request and returns its result; what it throws becomes the error reply. */
export type Handler = (request: Request, caller: Caller) => unknown;

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #clients: Set<Socket>;

  private constructor(path: string, server: Server, clients: Set<Socket>) {
    this.path = path;
    this.#server = server;
    this.#clients = clients;
  }

  /**
   * Listens at `path`, replacing a socket that a dead run has left there.
   *
   * @throws {CliError} a run is alive there, or there is something else
   */
  static async listen(
    path: string,
    handlers: ReadonlyMap<string, Handler>,
  ): Promise<ControlServer> {
    prepareDirectory(path);
    await removeStale(path);
    const clients = new Set<Socket>();
    const server = createServer((socket) => {
      clients.add(socket);
      socket.once("close", () => clients.delete(socket));
      serve(socket, handlers);
    });
    server.maxConnections = MAX_CLIENTS;
    await bind(server, path);
    return new ControlServer(path, server, clients);
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    await closed;
  }
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket())
    throw new CliError(`${path} exists and is no socket: give another --socket`);
  if (await isAlive(path)) {
    throw new CliError(`a run is alive at ${path}: give this one another --name or --socket`);
  }
  unlinkSync(path);
}

/** Only its owner may connect to the socket. */
async function bind(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  try {
    await once(server, "listening");
  } catch (cause) {
    const { message } = cause as Error;
    throw new CliError(`cannot make the control socket: ${message}`, { cause });
  }
}

function serve(socket: Socket, handlers: ReadonlyMap<string, Handler>): void {
  const lines = new LineReader(MAX_REQUEST);
  const gone = new AbortController();
  const send = (reply: Reply): boolean => {
    if (socket.destroyed) return false;
    if (socket.writableLength > MAX_UNREAD) socket.destroy();
    return socket.write(`${JSON.stringify(reply)}\n`);
  };
  const take = async (line: string): Promise<void> => {
    let id: RequestId | undefined;
    try {
      const request = parseRequest(line);
      id = request.id;
      const caller: Caller = {
        signal: gone.signal,
        sendData: (bytes) => send({ id, data: Buffer.from(bytes).toString("base64") }),
        get drained() {
          return !socket.writableNeedDrain;
        },
      };
      send({ id, result: (await handlerOf(handlers, request)(request, caller)) ?? {} });
    } catch (error) {
      send({ id, error: errorBody(error) });
    }
  };
  socket.on("data", (chunk: Buffer) => {
    const complete = lines.push(chunk);
    if (complete !== undefined) {
      for (const line of complete) void take(line);
      return;
    }
    const message = `a request has at most ${MAX_REQUEST} bytes`;
    send({ error: { code: "EMSGSIZE", message } });
    socket.removeAllListeners("data").resume().end();
  });
  // A client that ends in the middle is no concern of the run's.
  socket.on("error", () => {});
  socket.once("close", () => gone.abort());
}

function handlerOf(handlers: ReadonlyMap<string, Handler>, { command }: Request): Handler {
  const handler = handlers.get(command);
  if (handler !== undefined) return handler;
  const known = [...handlers.keys()].join(", ");
  throw new RequestError("EINVAL", `there is no command ${JSON.stringify(command)}, only ${known}`);
}

function errorBody(error: unknown): ErrorBody {
  const { code } = error as { code?: unknown };
  return { code: typeof code === "string" ? code : "EIO", message: describeError(error) };
}
