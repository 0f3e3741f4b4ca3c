/** What every kind of socket answers; what a kind does not have, it refuses as Linux does. */
import type { Expression } from "../language/script.ts";
import { Unsupported } from "../language/errors.ts";
import { done, failed, immediate, type Operation, type Outcome } from "./outcome.ts";
import { symbolValue } from "./symbols.ts";

export const POLL = {
  IN: 1,
  OUT: 4,
  ERR: 8,
  HUP: 0x10,
  NVAL: 0x20,
  RDHUP: 0x2000,
} as const;

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/** The two ends of a socket, as far as they are known. */
export interface SocketEnds {
  readonly localPort: number | undefined;
  readonly remote: Endpoint | undefined;
}

export abstract class Socket {
  nonblocking = false;
  /** How often something new was reported: what edge-triggered epoll looks at. */
  wakeups = 0;
  protected readonly stored = new Map<string, number>();

  abstract readonly ends: SocketEnds;

  /** POLL bits that hold now. */
  abstract readiness(): number;

  abstract close(): void;

  bind(_local: Endpoint): Outcome {
    return failed("EINVAL");
  }

  listen(_backlog: number): Outcome {
    return failed("EOPNOTSUPP");
  }

  connect(_remote: Endpoint): Operation {
    return immediate(failed("EOPNOTSUPP"));
  }

  /** `connect` to AF_UNSPEC. */
  disconnect(): Outcome {
    throw new Unsupported("address of another family");
  }

  shutdown(_how: number): Outcome {
    return failed("EOPNOTSUPP");
  }

  /** Bytes waiting to be read, and bytes not acknowledged. */
  inputQueue(): number {
    return 0;
  }

  outputQueue(): number {
    return 0;
  }

  read(_count: number, _flags: number): Operation {
    return immediate(failed("EINVAL"));
  }

  write(_count: number, _flags: number, _to?: Endpoint): Operation {
    return immediate(failed("EINVAL"));
  }

  /** Whether the connection of that handle is this socket's, and somebody waits for room to write. */
  waitsForRoom(_handle: number | undefined): boolean {
    return false;
  }

  /** Takes the pending error. */
  takeError(): number {
    return 0;
  }

  /** Sets an option, named as in the script. */
  setOption(name: string, value: number, _argument: Expression | undefined): Outcome {
    if (!HARMLESS.has(name)) throw new Unsupported(`socket option ${name}`);
    this.stored.set(name, value);
    return done(0);
  }

  getOption(name: string): number {
    if (name === "SO_ERROR") return this.takeError();
    const value = this.stored.get(name) ?? (HARMLESS.has(name) ? 0 : undefined);
    if (value === undefined) throw new Unsupported(`socket option ${name}`);
    return value;
  }
}

/** Options that change nothing on the wire, nor what calls return. */
const HARMLESS = new Set([
  "SO_REUSEADDR",
  "SO_REUSEPORT",
  "SO_BROADCAST",
  "SO_PRIORITY",
  "SO_MARK",
  "IP_FREEBIND",
  // Whether packets may be fragmented on their way; packetdrill does not look at the bit.
  "IP_MTU_DISCOVER",
]);

/** MSG_* flags that some socket knows. */
const PASSIVE_FLAGS = [
  "MSG_NOSIGNAL",
  "MSG_DONTWAIT",
  "MSG_PEEK",
  "MSG_MORE",
  "MSG_EOR",
  "MSG_WAITALL",
  "MSG_ZEROCOPY",
];

/** Refuses flags that ask for what the stack does not have. */
export function checkFlags(flags: number): void {
  const known = PASSIVE_FLAGS.reduce((bits, name) => bits | symbolValue(name)!, 0);
  if (flags & ~known) {
    const names = ["MSG_FASTOPEN", "MSG_ERRQUEUE", "MSG_OOB"];
    const name = names.find((flag) => flags & symbolValue(flag)!);
    throw new Unsupported(name ?? `message flags 0x${(flags & ~known).toString(16)}`);
  }
}
