/** An epoll instance: interest in sockets, level- or edge-triggered. */
import { done, failed, type Outcome } from "./outcome.ts";
import { POLL, type Socket } from "./socket.ts";
import { symbolValue } from "./symbols.ts";

const EDGE = symbolValue("EPOLLET")!;
const ONE_SHOT = symbolValue("EPOLLONESHOT")!;
const ADD = 1;
const DELETE = 2;
const MODIFY = 3;
/** Reported whether asked for or not. */
const ALWAYS = POLL.ERR | POLL.HUP;

interface Interest {
  readonly socket: Socket;
  events: number;
  data: number;
  /** Wake-ups of the socket at the last report; edge-triggered ones report only newer ones. */
  seen: number;
  disabled: boolean;
}

export interface Ready {
  readonly events: number;
  readonly data: number;
}

export class Epoll {
  readonly #interests = new Map<number, Interest>();

  control(operation: number, fd: number, socket: Socket, events: number, data: number): Outcome {
    const interest = this.#interests.get(fd);
    if (operation === ADD) {
      if (interest) return failed(17);
      this.#interests.set(fd, { socket, events, data, seen: -1, disabled: false });
      return done(0);
    }
    if (!interest) return failed("ENOENT");
    if (operation === DELETE) this.#interests.delete(fd);
    else if (operation === MODIFY) {
      Object.assign(interest, { events, data, seen: -1, disabled: false });
    } else return failed("EINVAL");
    return done(0);
  }

  forget(fd: number): void {
    this.#interests.delete(fd);
  }

  /** Takes up to `most` reports. */
  take(most: number): Ready[] {
    const ready: Ready[] = [];
    for (const interest of this.#interests.values()) {
      if (ready.length === most) break;
      const events = this.#report(interest);
      if (events !== 0) ready.push({ events, data: interest.data });
    }
    return ready;
  }

  #report(interest: Interest): number {
    const { socket, events } = interest;
    if (interest.disabled) return 0;
    const ready = socket.readiness() & (events | ALWAYS);
    if (ready === 0) return 0;
    if (events & EDGE) {
      if (interest.seen === socket.wakeups) return 0;
      interest.seen = socket.wakeups;
    }
    if (events & ONE_SHOT) interest.disabled = true;
    return ready;
  }
}
