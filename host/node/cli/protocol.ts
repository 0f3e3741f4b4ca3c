/**
 * What is spoken on a run's control socket: lines of JSON (UTF-8, each ended by "\n"), requests one
 * way and replies the other, which may overtake each other. `socat - UNIX-CONNECT:PATH` is a client.
 *
 *   → {"id": 1, "command": "stats"}                       id: a number or string, given back; may be absent
 *   ← {"id": 1, "result": {…}}                            every request has one reply:
 *   ← {"id": 1, "error": {"code": "EINVAL", "message": "what to do"}}        a result or an error
 *   ← {"id": 1, "data": "…"}                              capture only, before its reply: base64
 *
 * Commands, their fields and results:
 *
 *   stats                                      a Snapshot (snapshot.ts)
 *   metrics                                    {"contentType", "text"}: Prometheus' text form
 *   capture  snapLength, frames, seconds       data as pcapng, then {"frames", "dropped"} when it ends: after
 *                                              so many frames or seconds, or with endCapture
 *   endCapture                                 {}: the capture that this connection began has ended
 *   cores    active                            {"active": [core, …]}: a number of cores, or their list
 *   migrate  groups: [0…127], to               {"moves": [{"from", "to", "groups", "connections",
 *                                              "packets", "micros"}, …]}
 *   policy   name, or "off"; absent: asks      {"policy", "changes", "error"}: which decides, how
 *                                              often it has changed the cores, what failed last
 *
 * A line that is no JSON, or no request, gets an error without an id. One longer than MAX_REQUEST gets
 * an error, and the connection is closed, since where the next one begins is not known.
 */

/** Longest line that a run accepts, bytes. */
export const MAX_REQUEST = 64 * 1024;
/** Longest line that a client accepts, bytes: a snapshot of 64 cores is some 300 KB. */
export const MAX_REPLY = 8 * 1024 * 1024;

export type RequestId = number | string;

export interface Request {
  readonly id?: RequestId;
  readonly command: string;
  readonly [field: string]: unknown;
}

export interface ErrorBody {
  /** In the manner of Node's codes: EINVAL, ENOTSUP, EBUSY, EMSGSIZE, EIO. */
  readonly code: string;
  readonly message: string;
}

export type Reply =
  | { readonly id?: RequestId; readonly result: unknown }
  | { readonly id?: RequestId; readonly error: ErrorBody }
  | { readonly id?: RequestId; readonly data: string };

/** A request that cannot be fulfilled; what the reply says. */
export class RequestError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "RequestError";
    this.code = code;
  }
}

/** The request in a line. Throws a RequestError. */
export function parseRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RequestError("EINVAL", 'not JSON: send lines such as {"id":1,"command":"stats"}');
  }
  const { id, command } = (value ?? {}) as Partial<Request>;
  if (typeof command !== "string") {
    throw new RequestError("EINVAL", 'not a request: "command" must be a string');
  }
  if (id !== undefined && typeof id !== "number" && typeof id !== "string") {
    throw new RequestError("EINVAL", 'not a request: "id" must be a number or a string');
  }
  return value as Request;
}

/** Cuts a stream of bytes into lines. */
export class LineReader {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #length = 0;

  /** @param limit bytes that a line may have */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that end in `chunk`, without empty ones; undefined when one is too long. */
  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      if (this.#length > this.#limit) return undefined;
      const line = Buffer.concat(this.#parts).toString().trim();
      if (line !== "") lines.push(line);
      this.#parts = [];
      this.#length = 0;
    }
    this.#keep(chunk.subarray(start));
    return this.#length > this.#limit ? undefined : lines;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#length += part.length;
  }
}
