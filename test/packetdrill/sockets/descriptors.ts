/** The script's file descriptors, and what calls need to know besides their arguments. */
import type { CallSpec } from "../language/script.ts";
import { Epoll } from "./epoll.ts";
import type { Network } from "./network.ts";
import type { Operation } from "./outcome.ts";
import type { Endpoint, Socket } from "./socket.ts";
import type { SocketHabits } from "./tcp-socket.ts";

export interface CallContext {
  readonly network: Network;
  readonly descriptors: Descriptors;
  /** What `...` stands for in bind and in connect. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly habits: SocketHabits;
  /** Virtual time, µs. */
  now(): number;
  /** A socket was made; packets are about it from now on. */
  made(socket: Socket): void;
  /** A socket begins to connect. */
  connecting(socket: Socket, remote: Endpoint): void;
}

/** Begins a call. */
export type Handler = (call: CallSpec, context: CallContext) => Operation;

export class Descriptors {
  readonly #files = new Map<number, Socket | Epoll>();

  add(fd: number, file: Socket | Epoll): void {
    this.#files.set(fd, file);
  }

  socket(fd: number): Socket | undefined {
    const file = this.#files.get(fd);
    return file instanceof Epoll ? undefined : file;
  }

  epoll(fd: number): Epoll | undefined {
    const file = this.#files.get(fd);
    return file instanceof Epoll ? file : undefined;
  }

  /** False when there is no such descriptor. */
  close(fd: number): boolean {
    const file = this.#files.get(fd);
    if (!file) return false;
    this.#files.delete(fd);
    if (file instanceof Epoll) return true;
    for (const other of this.#files.values()) if (other instanceof Epoll) other.forget(fd);
    file.close();
    return true;
  }
}
