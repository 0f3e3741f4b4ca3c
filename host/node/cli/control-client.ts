/** A client's end of a control socket: requests whose replies are promises. */
import { createConnection, type Socket } from "node:net";
import { CliError } from "./errors.ts";
import { LineReader, MAX_REPLY, type Reply, type RequestId } from "./protocol.ts";
import { findRun } from "./socket-path.ts";

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onData: ((bytes: Buffer) => void) | undefined;
}

export class ControlClient {
  readonly path: string;
  readonly #socket: Socket;
  readonly #waiting = new Map<RequestId, Waiting>();
  #lastId = 0;
  #closed: Error | undefined;

  private constructor(path: string, socket: Socket) {
    this.path = path;
    this.#socket = socket;
    const lines = new LineReader(MAX_REPLY);
    socket.on("data", (chunk: Buffer) => {
      try {
        const complete = lines.push(chunk);
        if (complete === undefined) throw new RangeError("a line is too long");
        for (const line of complete) this.#take(JSON.parse(line) as Reply);
      } catch (cause) {
        socket.destroy(new CliError(`what listens at ${path} is no ixwasm run`, { cause }));
      }
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new CliError(`the run at ${path} has ended`)));
  }

  /**
   * Connects to a run: the one at `path`, or the only one there is.
   *
   * @throws {CliError} nobody answers there
   */
  static async connect(path?: string): Promise<ControlClient> {
    const target = path ?? (await findRun());
    const socket = createConnection(target);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (error) => reject(connectError(target, error)));
    });
    return new ControlClient(target, socket);
  }

  /**
   * Makes a request.
   *
   * @param onData takes what the run sends before its reply
   * @throws {CliError} the run refused, with its reason, or has ended
   */
  request<T>(command: string, fields: object = {}, onData?: (bytes: Buffer) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) {
        reject(this.#closed);
        return;
      }
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve: resolve as Waiting["resolve"], reject, onData });
      this.#socket.write(`${JSON.stringify({ id, command, ...fields })}\n`);
    });
  }

  /** Stops reading until `resume`: the run notices, and sends no more. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id ?? 0);
    if (waiting === undefined) return;
    if ("data" in reply) {
      waiting.onData?.(Buffer.from(reply.data, "base64"));
      return;
    }
    this.#waiting.delete(reply.id!);
    if ("error" in reply) waiting.reject(new CliError(reply.error.message));
    else waiting.resolve(reply.result);
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#closed);
    this.#waiting.clear();
  }
}

/** Runs `use` with a connection, which is closed in the end. */
export async function withRun<T>(
  path: string | undefined,
  use: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = await ControlClient.connect(path);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

function connectError(path: string, error: NodeJS.ErrnoException): CliError {
  const reasons: Record<string, string> = {
    ENOENT: "there is no such socket: is the run still alive, and its --socket the same?",
    ECONNREFUSED: "nobody listens there any more: start it with ixwasm run",
    ENOTSOCK: "this is no socket",
    EACCES: "this socket is another user's",
    EPERM: "this socket is another user's",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new CliError(`cannot reach a run at ${path}: ${reason}`, { cause: error });
}
