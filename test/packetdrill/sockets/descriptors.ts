/** The script's file descriptors, and what calls need to know besides their arguments. */
import type { CallSpec } from "../language/script.ts";
import { Epoll } from "./epoll.ts";
import type { Network } from "./network.ts";
import type { Operation } from "./outcome.ts";
import { Socket, type Endpoint } from "./socket.ts";
import type { SocketHabits } from "./tcp-settings.ts";

export interface CallContext {
  readonly network: Network;
  readonly descriptors: Descriptors;
  /** What `...` stands for in bind and in connect. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly habits: SocketHabits;
  /** Sizes of files, by name. */
  readonly files: ReadonlyMap<string, number>;
  /** Virtual time, µs, and what it was when the script began. */
  now(): number;
  readonly start: number;
  /** How far from what the script says a time may be, µs. */
  readonly tolerance: number;
  /** A socket was made; packets are about it from now on. */
  made(socket: Socket): void;
  /** A socket begins to connect. */
  connecting(socket: Socket, remote: Endpoint): void;
}

/** A file of zeros. */
export interface ZeroFile {
  readonly size: number;
}

type Descriptor = Socket | Epoll | ZeroFile;

/** Begins a call. */
export type Handler = (call: CallSpec, context: CallContext) => Operation;

export class Descriptors {
  readonly #files = new Map<number, Descriptor>();

  add(fd: number, file: Descriptor): void {
    this.#files.set(fd, file);
  }

  socket(fd: number): Socket | undefined {
    const file = this.#files.get(fd);
    return file instanceof Socket ? file : undefined;
  }

  /** A file that is not a socket. */
  file(fd: number): ZeroFile | undefined {
    const file = this.#files.get(fd);
    return file instanceof Socket || file instanceof Epoll ? undefined : file;
  }

  epoll(fd: number): Epoll | undefined {
    const file = this.#files.get(fd);
    return file instanceof Epoll ? file : undefined;
  }

  /** Whether an application waits for room to write to a connection. */
  waitsForRoom(handle: number | undefined): boolean {
    const files = [...this.#files.values()];
    return files.some((file) => file instanceof Socket && file.waitsForRoom(handle));
  }

  /** False when there is no such descriptor. */
  close(fd: number): boolean {
    const file = this.#files.get(fd);
    if (!file) return false;
    this.#files.delete(fd);
    if (!(file instanceof Socket)) return true;
    for (const other of this.#files.values()) if (other instanceof Epoll) other.forget(fd);
    file.close();
    return true;
  }
}
