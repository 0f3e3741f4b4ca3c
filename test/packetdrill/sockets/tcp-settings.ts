/** What setsockopt has asked of a TCP socket: kept here, and told to the kernel as far as it is the kernel's. */
import {
  OPTION_CORK,
  OPTION_KEEP_ALIVE,
  OPTION_NAGLE,
  OPTION_USER_TIMEOUT,
  RC_OK,
} from "../../../assembly/abi.ts";
import { Unsupported } from "../language/errors.ts";
import type { Expression } from "../language/script.ts";
import { TcbView } from "../run/tcb.ts";
import type { Connection } from "./connection.ts";
import { keysOf, type FastOpenSettings } from "./fast-open.ts";
import { KeepAlive } from "./keep-alive.ts";
import type { Listener } from "./listener.ts";
import type { Network } from "./network.ts";
import { done, failed, type Outcome } from "./outcome.ts";
import type { SendBuffer } from "./send-buffer.ts";
import { TxTimestamps } from "./tx-timestamps.ts";
import { fieldOf, numberOf } from "./values.ts";

/** Where the sockets of operating systems differ. */
export interface SocketHabits {
  /** Buffer sizes before SO_SNDBUF and SO_RCVBUF, bytes. */
  readonly sendBuffer: number;
  readonly receiveBuffer: number;
  /** Unsent bytes from which on there is no room. */
  readonly notSentLowWater: number;
  /** As FreeBSD, say that a connection's receive buffer is a whole number of segments. */
  readonly wholeSegments: boolean;
  /** The error of a reset that comes after the peer's FIN. */
  readonly resetAfterEnd: "EPIPE" | "ECONNRESET";
  readonly fastOpen: FastOpenSettings;
}

/** The socket whose options these are. */
interface Subject {
  readonly listener: Listener | undefined;
  readonly connection: Connection | undefined;
  readonly sendBuffer: SendBuffer;
}

export class TcpSettings {
  noDelay = false;
  cork = false;
  zeroCopy = false;
  /** TCP_INQ: recvmsg reports what is left to read. */
  inq = false;
  /** SO_LINGER without time: close resets. */
  lingerZero = false;
  /** TCP_FASTOPEN_CONNECT. */
  connectsLate = false;
  /** TCP_FASTOPEN and TCP_FASTOPEN_KEY. */
  fastOpen: number | undefined;
  keys: Uint8Array | undefined;
  readonly #keepAlive = new KeepAlive();
  /** The kernel was told to. */
  #keepsAlive = false;
  readonly #values = new Map<string, number>();
  readonly #subject: Subject;
  readonly #network: Network;
  readonly #habits: SocketHabits;

  constructor(subject: Subject, network: Network, habits: SocketHabits) {
    this.#subject = subject;
    this.#network = network;
    this.#habits = habits;
  }

  /** As a connection has them from who listened for it. */
  inherit(from: TcpSettings): void {
    this.noDelay = from.noDelay;
    this.cork = from.cork;
    this.zeroCopy = from.zeroCopy;
    this.#keepAlive.copy(from.#keepAlive);
  }

  /** Sets an option; undefined when it is none of TCP's. */
  set(name: string, value: number, argument: Expression | undefined): Outcome | undefined {
    switch (name) {
      case "TCP_NODELAY":
        this.noDelay = value !== 0;
        this.#tell(OPTION_NAGLE, this.noDelay ? 0 : 1);
        return done(0);
      case "TCP_CORK":
        this.cork = value !== 0;
        this.#tell(OPTION_CORK, this.cork ? 1 : 0);
        return done(0);
      case "TCP_USER_TIMEOUT":
        return this.#setUserTimeout(value);
      case "IP_TOS":
        return this.#setTos(value);
      case "TCP_SYNCNT":
        this.#network.setSynRetries(value);
        return done(0);
      case "TCP_INQ":
        if (value !== 0 && value !== 1) return failed("EINVAL");
        this.inq = value !== 0;
        return done(0);
      case "SO_ZEROCOPY":
        this.zeroCopy = value !== 0;
        return done(0);
      case "SO_TIMESTAMPING":
        return this.#setTimestamping(value);
      case "SO_LINGER":
        return this.#setLinger(argument);
    }
    if (this.#keepAlive.set(name, value)) {
      if (this.#subject.connection?.phase === "open") this.opened();
      return done(0);
    }
    return this.#setBuffer(name, value) ?? this.#setFastOpen(name, value, argument);
  }

  /** The value of an option; undefined when it is none of TCP's. */
  get(name: string): number | undefined {
    switch (name) {
      case "TCP_NODELAY":
        return this.noDelay ? 1 : 0;
      case "TCP_CORK":
        return this.cork ? 1 : 0;
      case "TCP_NOTSENT_LOWAT":
      case "TCP_USER_TIMEOUT":
      case "IP_TOS":
        return this.#values.get(name) ?? 0;
      case "SO_SNDBUF":
        return this.#subject.sendBuffer.limit;
      case "SO_RCVBUF":
        return this.#receiveBuffer();
      case "TCP_MAXSEG":
        return this.#maxSegment();
    }
    return this.#keepAlive.get(name);
  }

  /** Tells a connection that has just begun what it is not told otherwise. */
  begun(): void {
    if (this.cork) this.#tell(OPTION_CORK, 1);
  }

  /** Tells a connection whose handshake is over what it cannot be told before. */
  opened(): void {
    if (this.#keepAlive.on || this.#keepsAlive)
      this.#tell(OPTION_KEEP_ALIVE, ...this.#keepAlive.words);
    this.#keepsAlive = this.#keepAlive.on;
  }

  /** Changes a live connection; one that is not there yet learns it when it is. */
  #tell(option: number, ...values: readonly [number, number?, number?]): void {
    const { connection } = this.#subject;
    if (!connection || connection.phase === "dead") return;
    if (connection.setOption(option, ...values) === RC_OK) return;
    throw new Unsupported("socket option in the handshake");
  }

  #setBuffer(name: string, value: number): Outcome | undefined {
    const { sendBuffer } = this.#subject;
    if (name === "SO_SNDBUF") {
      sendBuffer.resize(value);
      return done(0);
    }
    if (name !== "TCP_NOTSENT_LOWAT") return undefined;
    this.#values.set(name, value >>> 0);
    sendBuffer.lowWater = value === 0 ? this.#habits.notSentLowWater : value >>> 0;
    return done(0);
  }

  #setFastOpen(name: string, value: number, argument: Expression | undefined): Outcome | undefined {
    const { listener } = this.#subject;
    switch (name) {
      case "TCP_FASTOPEN":
        this.fastOpen = value;
        listener?.setFastOpen(this.#habits.fastOpen.limitOf(listener.backlog, value));
        return done(0);
      case "TCP_FASTOPEN_CONNECT":
        if (!this.#habits.fastOpen.client) return failed("EOPNOTSUPP");
        this.connectsLate = value !== 0;
        return done(0);
      case "TCP_FASTOPEN_KEY": {
        const keys = argument?.kind === "string" ? keysOf(argument.text) : undefined;
        if (!keys) return failed("EINVAL");
        this.keys = keys;
        listener?.setKeys(keys);
        return done(0);
      }
    }
    return undefined;
  }

  #setTos(value: number): Outcome {
    const { connection } = this.#subject;
    // A value that no packet has seen when it is taken back is none.
    if (!connection && value !== 0) throw new Unsupported("socket option IP_TOS");
    connection?.forbid(value === 0 ? undefined : "IP_TOS");
    this.#values.set("IP_TOS", value);
    return done(0);
  }

  #setUserTimeout(millis: number): Outcome {
    if (millis % 1000 !== 0) throw new Unsupported("TCP_USER_TIMEOUT that is no whole second");
    if (!this.#subject.connection) throw new Unsupported("TCP_USER_TIMEOUT without a connection");
    this.#tell(OPTION_USER_TIMEOUT, millis / 1000);
    this.#values.set("TCP_USER_TIMEOUT", millis);
    return done(0);
  }

  #setTimestamping(flags: number): Outcome {
    const { connection, sendBuffer } = this.#subject;
    if (!connection) throw new Unsupported("SO_TIMESTAMPING without a connection");
    if (!TxTimestamps.knows(flags)) throw new Unsupported("these flags of SO_TIMESTAMPING");
    connection.timestamps.set(flags, sendBuffer.taken);
    return done(0);
  }

  #setLinger(argument: Expression | undefined): Outcome {
    const on = numberOf(fieldOf(argument, "onoff")) !== 0;
    const time = numberOf(fieldOf(argument, "linger"));
    if (on && time !== 0) throw new Unsupported("SO_LINGER with a time");
    this.lingerZero = on;
    return done(0);
  }

  #receiveBuffer(): number {
    const { receiveBuffer, wholeSegments } = this.#habits;
    const tcb = this.#tcb;
    const mss = wholeSegments && tcb?.state !== "SYN_SENT" ? tcb?.get("mss") : undefined;
    return mss === undefined ? receiveBuffer : Math.ceil(receiveBuffer / mss) * mss;
  }

  #maxSegment(): number {
    const mss = this.#tcb?.get("mss");
    if (mss === undefined) throw new Unsupported("TCP_MAXSEG without a connection");
    return mss;
  }

  get #tcb(): TcbView | undefined {
    const handle = this.#subject.connection?.handle;
    return handle === undefined ? undefined : TcbView.ofHandle(this.#network.memory, handle);
  }
}
