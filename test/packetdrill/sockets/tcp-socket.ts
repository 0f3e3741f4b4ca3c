/** A TCP socket: fresh, listening, or with a connection. */
import { FLAG_NAGLE, RC_OK } from "../../../assembly/abi.ts";
import { IpAddress } from "../../../host/libix/ip-address.ts";
import type { Expression } from "../language/script.ts";
import { TcbView } from "../run/tcb.ts";
import { Connection, type Change, type SendWishes } from "./connection.ts";
import { LateConnect } from "./late-connect.ts";
import { Listener } from "./listener.ts";
import type { Network } from "./network.ts";
import {
  done,
  errnoOf,
  failed,
  immediate,
  waiting,
  type Operation,
  type Outcome,
} from "./outcome.ts";
import { SendBuffer } from "./send-buffer.ts";
import { checkFlags, POLL, Socket, type Endpoint, type SocketEnds } from "./socket.ts";
import { ERRNO, symbolValue } from "./symbols.ts";
import { TcpSettings, type SocketHabits } from "./tcp-settings.ts";

const MSG_PEEK = symbolValue("MSG_PEEK")!;
const MSG_DONTWAIT = symbolValue("MSG_DONTWAIT")!;
const MSG_WAITALL = symbolValue("MSG_WAITALL")!;
const MSG_MORE = symbolValue("MSG_MORE")!;
const MSG_EOR = symbolValue("MSG_EOR")!;
const MSG_ZEROCOPY = symbolValue("MSG_ZEROCOPY")!;
const SHUT_RD = 0;
const SHUT_WR = 1;

export class TcpSocket extends Socket {
  listener: Listener | undefined;
  connection: Connection | undefined;
  remote: Endpoint | undefined;
  readonly settings: TcpSettings;
  readonly sendBuffer: SendBuffer;
  readonly late = new LateConnect(this);
  #localPort: number | undefined;
  #bound: number | undefined;
  #readShut = false;
  #connectReported = false;
  /** Its connection's handshake is over. */
  #opened = false;
  readonly #network: Network;
  readonly #habits: SocketHabits;

  constructor(network: Network, habits: SocketHabits) {
    super();
    this.#network = network;
    this.#habits = habits;
    const { sendBuffer, notSentLowWater } = habits;
    this.sendBuffer = new SendBuffer(sendBuffer, notSentLowWater, () => this.#tcb);
    this.settings = new TcpSettings(this, network, habits);
  }

  /** The socket of a connection that knocked. */
  static accepted(listening: TcpSocket, handle: number, remote: Endpoint): TcpSocket {
    const socket = new TcpSocket(listening.#network, listening.#habits);
    socket.remote = remote;
    socket.settings.inherit(listening.settings);
    socket.#localPort = listening.#bound;
    socket.connection = new Connection(
      listening.#network,
      "open",
      listening.#habits.resetAfterEnd,
      (what) => socket.#changed(what),
    );
    socket.connection.handle = handle;
    return socket;
  }

  override get ends(): SocketEnds {
    const localPort = this.connection?.localPort ?? this.#localPort ?? this.#bound;
    return { localPort, remote: this.remote };
  }

  get isFresh(): boolean {
    return !this.listener && !this.connection;
  }

  /** Takes over the connection in the kernel; false when it was gone already. */
  own(): boolean {
    const { connection } = this;
    if (!connection) return false;
    const cookie = this.#network.register(connection);
    const flags = this.settings.noDelay ? 0 : FLAG_NAGLE;
    const { result } = this.#network.call((ix) => ix.accept(connection.handle, cookie, flags));
    if (result === RC_OK) {
      this.settings.begun();
      this.settings.opened();
    }
    return result === RC_OK;
  }

  override bind(local: Endpoint): Outcome {
    if (this.#bound !== undefined || !this.isFresh) return failed("EINVAL");
    this.#bound = local.port;
    return done(0);
  }

  override listen(backlog: number): Outcome {
    if (this.connection) return failed("EINVAL");
    if (this.listener) return done(0);
    const listener = new Listener(this.#network, () => this.wakeups++);
    const { fastOpen, keys } = this.settings;
    const limit = this.#habits.fastOpen.limitOf(backlog, fastOpen);
    const code = listener.open(this.#bound ?? 0, backlog, limit);
    if (code !== RC_OK) return failed(errnoOf(code));
    if (keys) listener.setKeys(keys);
    this.listener = listener;
    return done(0);
  }

  override connect(remote: Endpoint): Operation {
    const { connection } = this;
    if (this.listener) return immediate(failed("EISCONN"));
    if (connection) return this.#reconnect(connection);
    if (this.late.remote) return immediate(failed("EISCONN"));
    const { connectsLate } = this.settings;
    if (connectsLate && this.#habits.fastOpen.maySendData(this.#network.memory, remote.ip)) {
      this.late.remote = remote;
      return immediate(done(0));
    }
    const code = this.#begin(remote, connectsLate ? 0 : undefined);
    if (code < 0) return immediate(failed(errnoOf(code)));
    const fresh = this.connection!;
    if (this.nonblocking) return immediate(failed("EINPROGRESS"));
    return waiting(() => this.#connectOutcome(fresh), false);
  }

  /** What there is ends as with a reset, and the socket is as new. */
  override disconnect(): Outcome {
    this.listener?.close();
    this.connection?.release(true);
    this.listener = undefined;
    this.connection = undefined;
    this.remote = undefined;
    this.#localPort = undefined;
    this.#readShut = false;
    this.#connectReported = false;
    this.#opened = false;
    this.sendBuffer.reset();
    return done(0);
  }

  /** A write that connects, with what the SYN takes of it (MSG_FASTOPEN). */
  writeFirst(remote: Endpoint, count: number, flags: number): Operation {
    if (!this.#habits.fastOpen.client) return immediate(failed("EOPNOTSUPP"));
    if (this.connection?.phase === "connecting") return immediate(failed("EALREADY"));
    if (this.connection) return this.write(count, flags);
    checkFlags(flags);
    const nonblocking = this.nonblocking || (flags & MSG_DONTWAIT) !== 0;
    this.late.remote = undefined;
    const taken = this.#begin(remote, count);
    if (taken < 0) return immediate(failed(errnoOf(taken)));
    if (this.settings.zeroCopy && flags & MSG_ZEROCOPY && taken > 0) {
      this.connection!.noteZeroCopy();
    }
    if (nonblocking) return immediate(taken > 0 ? done(taken) : failed("EINPROGRESS"));
    return this.late.restOf(count, taken, flags);
  }

  /**
   * Opens the connection, with Fast Open when there is a number of bytes for the SYN. Returns how many went
   * along, or a negative RC_* code.
   */
  #begin(remote: Endpoint, bytes: number | undefined): number {
    const fresh = new Connection(this.#network, "connecting", this.#habits.resetAfterEnd, (what) =>
      this.#changed(what),
    );
    const cookie = this.#network.register(fresh);
    const to = IpAddress.parse(remote.ip);
    const flags = this.settings.noDelay ? 0 : FLAG_NAGLE;
    const port = this.#bound ?? 0;
    const { result, handle } =
      bytes === undefined
        ? this.#network.call((ix) => ix.connect(cookie, to, remote.port, port, flags))
        : this.#network.connectSend(cookie, remote, bytes, port, flags);
    if (result < 0) return result;
    fresh.handle = handle;
    fresh.localPort = TcbView.ofHandle(this.#network.memory, handle)?.localPort;
    fresh.accepted(result);
    this.sendBuffer.takeFirst(result);
    this.connection = fresh;
    this.remote = remote;
    this.settings.begun();
    return result;
  }

  /** Takes the oldest connection that waits to be accepted. */
  accept(): { readonly operation: Operation; taken(): TcpSocket | undefined } {
    const { listener } = this;
    let taken: TcpSocket | undefined;
    const attempt = (): Outcome | undefined => {
      const next = listener?.take();
      if (!next) return undefined;
      taken = TcpSocket.accepted(this, next.handle, next.remote);
      if (next.dead !== undefined || !taken.own()) {
        if (next.received > 0) taken.connection!.received(next.received);
        taken.connection!.dead(next.handle, next.dead ?? 0, 0);
      }
      return done(0);
    };
    if (!listener) return { operation: immediate(failed("EINVAL")), taken: () => taken };
    return { operation: waiting(attempt, this.nonblocking), taken: () => taken };
  }

  override read(count: number, flags: number): Operation {
    checkFlags(flags);
    const nonblocking = this.nonblocking || (flags & MSG_DONTWAIT) !== 0;
    return waiting(() => this.#tryRead(count, flags), nonblocking);
  }

  override write(count: number, flags: number): Operation {
    checkFlags(flags);
    const nonblocking = this.nonblocking || (flags & MSG_DONTWAIT) !== 0;
    const wishes = { more: (flags & MSG_MORE) !== 0, recordEnd: (flags & MSG_EOR) !== 0 };
    const zeroCopy = this.settings.zeroCopy && (flags & MSG_ZEROCOPY) !== 0 && count > 0;
    let written = 0;
    let waits = false;
    const end = (): Outcome => {
      if (zeroCopy) this.connection!.noteZeroCopy();
      if (written > 0) this.connection!.timestamps.written(this.sendBuffer.taken);
      return done(written);
    };
    const attempt = (): Outcome | undefined => {
      const { connection } = this;
      if (connection?.phase === "connecting") return undefined;
      const refused = this.#writeError(connection);
      if (refused) return written > 0 ? end() : refused;
      if (waits && !this.sendBuffer.hasRoom()) return undefined;
      written += this.#push(connection!, count - written, wishes);
      if (written === count || (nonblocking && written > 0)) return end();
      waits = true;
      return undefined;
    };
    return waiting(attempt, nonblocking);
  }

  override shutdown(how: number): Outcome {
    const { connection } = this;
    if (!connection || connection.phase !== "open") return failed("ENOTCONN");
    if (how !== SHUT_WR) this.#readShut = true;
    if (how !== SHUT_RD && !connection.finished) connection.finish();
    this.wakeups++;
    return done(0);
  }

  override close(): void {
    this.listener?.close();
    this.connection?.release(this.settings.lingerZero);
  }

  override readiness(): number {
    if (this.listener) return this.listener.waiting > 0 ? POLL.IN : 0;
    const { connection } = this;
    if (!connection) return this.late.remote ? POLL.OUT : POLL.OUT | POLL.HUP;
    const dead = connection.phase === "dead";
    const readShut = this.#readShut || connection.ended || dead;
    const writeShut = connection.finished || dead;
    let ready = connection.error !== 0 || connection.hasNotices ? POLL.ERR : 0;
    if (readShut && writeShut) ready |= POLL.HUP;
    if (readShut) ready |= POLL.IN | POLL.RDHUP;
    if (connection.unread > 0) ready |= POLL.IN;
    if (connection.phase !== "connecting" && (writeShut || this.sendBuffer.hasRoom())) {
      ready |= POLL.OUT;
    }
    return ready;
  }

  override inputQueue(): number {
    if (this.listener) return -1;
    return this.connection?.unread ?? 0;
  }

  override outputQueue(): number {
    const connection = this.connection;
    if (!connection) return 0;
    // Linux counts a FIN that was not acknowledged.
    return connection.outstanding + (connection.finished && connection.phase !== "dead" ? 1 : 0);
  }

  /** What recvmsg reports as TCP_CM_INQ: at the stream's end there is one byte more to read, its end. */
  inqHint(): number {
    const connection = this.connection;
    if (!connection) return 0;
    return connection.unread > 0 ? connection.unread : connection.ended ? 1 : 0;
  }

  override waitsForRoom(handle: number | undefined): boolean {
    return this.connection?.handle === handle && this.sendBuffer.awaited;
  }

  override takeError(): number {
    const { connection } = this;
    if (!connection) return 0;
    const { error } = connection;
    connection.error = 0;
    return error;
  }

  override setOption(name: string, value: number, argument: Expression | undefined): Outcome {
    return this.settings.set(name, value, argument) ?? super.setOption(name, value, argument);
  }

  override getOption(name: string): number {
    return this.settings.get(name) ?? super.getOption(name);
  }

  /** Room counts as news only to who found none. */
  #changed(what: Change): void {
    const { connection } = this;
    const { phase } = connection ?? {};
    if (what === "state" && phase === "open" && !this.#opened) {
      this.#opened = true;
      this.settings.opened();
      this.late.connected();
    }
    if (connection) this.sendBuffer.acknowledge(this.sendBuffer.taken - connection.outstanding);
    if (what === "room" && !(this.sendBuffer.awaited && this.sendBuffer.hasRoom())) return;
    this.wakeups++;
  }

  #reconnect(connection: Connection): Operation {
    if (connection.phase === "connecting") {
      if (this.nonblocking) return immediate(failed("EALREADY"));
      return waiting(() => this.#connectOutcome(connection), false);
    }
    if (connection.error !== 0 || connection.phase === "dead") {
      return immediate(failed(this.takeError() || ERRNO.ECONNABORTED));
    }
    if (this.#connectReported) return immediate(failed("EISCONN"));
    this.#connectReported = true;
    return immediate(done(0));
  }

  #connectOutcome(connection: Connection): Outcome | undefined {
    if (connection.phase === "connecting") return undefined;
    this.#connectReported = true;
    return connection.phase === "open" ? done(0) : failed(this.takeError() || ERRNO.ECONNREFUSED);
  }

  #tryRead(count: number, flags: number): Outcome | undefined {
    const { connection } = this;
    if (this.late.remote) return undefined;
    if (this.listener || !connection) return failed("ENOTCONN");
    if (connection.phase === "connecting") return undefined;
    const bytes = Math.min(count, connection.unread);
    const whole = (flags & MSG_WAITALL) === 0 || bytes === count || connection.ended;
    if (bytes > 0 && whole) {
      if (!(flags & MSG_PEEK)) connection.take(bytes);
      return done(bytes);
    }
    if (count === 0) return done(0);
    if (connection.error !== 0) return failed(this.takeError());
    if (connection.ended || connection.phase === "dead" || this.#readShut) return done(0);
    return undefined;
  }

  #writeError(connection: Connection | undefined): Outcome | undefined {
    if (connection?.phase === "open" && !connection.finished) return undefined;
    return failed(this.takeError() || ERRNO.EPIPE);
  }

  #push(connection: Connection, bytes: number, wishes: SendWishes): number {
    const taken = this.sendBuffer.take(bytes, wishes.recordEnd, (part, end) =>
      connection.give(part, end === "last" ? wishes : { more: end === "open", recordEnd: false }),
    );
    // What a write leaves behind that found no room is not held back for the rest.
    if (taken < bytes && taken > 0) connection.give(0, { more: false, recordEnd: false });
    return taken;
  }

  get #tcb(): TcbView | undefined {
    const handle = this.connection?.handle;
    return handle === undefined ? undefined : TcbView.ofHandle(this.#network.memory, handle);
  }
}
