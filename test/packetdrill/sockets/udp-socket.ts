/** A UDP socket. */
import { RC_OK } from "../../../assembly/abi.ts";
import type { EventSink, Network } from "./network.ts";
import {
  done,
  errnoOf,
  failed,
  immediate,
  waiting,
  type Operation,
  type Outcome,
} from "./outcome.ts";
import { checkFlags, POLL, Socket, type Endpoint, type SocketEnds } from "./socket.ts";
import { symbolValue } from "./symbols.ts";

const MSG_PEEK = symbolValue("MSG_PEEK")!;
const MSG_DONTWAIT = symbolValue("MSG_DONTWAIT")!;

interface Datagram {
  readonly bytes: number;
  readonly token: number;
}

export class UdpSocket extends Socket implements EventSink {
  readonly #network: Network;
  readonly #received: Datagram[] = [];
  #handle: number | undefined;
  #localPort: number | undefined;
  #remote: Endpoint | undefined;

  constructor(network: Network) {
    super();
    this.#network = network;
  }

  override get ends(): SocketEnds {
    return { localPort: this.#localPort, remote: this.#remote };
  }

  override bind(local: Endpoint): Outcome {
    if (this.#handle !== undefined) return failed("EINVAL");
    return this.#open(local.port) ?? done(0);
  }

  override connect(remote: Endpoint): Operation {
    const refused = this.#handle === undefined ? this.#open(0) : undefined;
    if (!refused) this.#remote = remote;
    return immediate(refused ?? done(0));
  }

  override write(count: number, flags: number, to?: Endpoint): Operation {
    checkFlags(flags);
    const remote = to ?? this.#remote;
    if (!remote) return immediate(failed("EDESTADDRREQ"));
    const refused = this.#handle === undefined ? this.#open(0) : undefined;
    if (refused) return immediate(refused);
    this.#remote ??= remote;
    const result = this.#network.udpSend(this.#handle!, count, remote.ip, remote.port);
    return immediate(result < 0 ? failed(errnoOf(result)) : done(result));
  }

  override read(count: number, flags: number): Operation {
    checkFlags(flags);
    const attempt = (): Outcome | undefined => {
      const [first] = this.#received;
      if (!first) return undefined;
      if (!(flags & MSG_PEEK)) {
        this.#received.shift();
        this.#network.call((ix) => ix.udpRecvDone(this.#handle!, first.token));
      }
      return done(Math.min(count, first.bytes));
    };
    return waiting(attempt, this.nonblocking || (flags & MSG_DONTWAIT) !== 0);
  }

  override readiness(): number {
    return POLL.OUT | (this.#received.length > 0 ? POLL.IN : 0);
  }

  override inputQueue(): number {
    return this.#received[0]?.bytes ?? 0;
  }

  override close(): void {
    for (const { token } of this.#received.splice(0)) {
      this.#network.call((ix) => ix.udpRecvDone(this.#handle!, token));
    }
    if (this.#handle !== undefined) this.#network.call((ix) => ix.udpUnbind(this.#handle!));
  }

  datagram(bytes: number, token: number): void {
    this.#received.push({ bytes, token });
    this.wakeups++;
  }

  /** undefined when it went well. */
  #open(port: number): Outcome | undefined {
    const cookie = this.#network.register(this);
    const bound = this.#network.call((ix) => ix.udpBind(cookie, port));
    if (bound.result !== RC_OK) return failed(errnoOf(bound.result));
    this.#handle = bound.handle;
    this.#localPort = bound.port;
    return undefined;
  }
}
