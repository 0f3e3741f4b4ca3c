/** Calls that read and write. */
import { Unsupported } from "../language/errors.ts";
import type { CallSpec, Expression } from "../language/script.ts";
import type { CallContext, Handler } from "./descriptors.ts";
import { onSocket } from "./life-calls.ts";
import type { Notice } from "./completions.ts";
import { done, failed, immediate, type Operation, type Outcome } from "./outcome.ts";
import type { Endpoint, Socket } from "./socket.ts";
import { symbolValue } from "./symbols.ts";
import { TcpSocket } from "./tcp-socket.ts";
import type { Stamp } from "./tx-timestamps.ts";
import {
  addressOf,
  fieldOf,
  isEllipsis,
  isNull,
  isUnspecified,
  numberOf,
  partLengths,
} from "./values.ts";

const ERROR_QUEUE = symbolValue("MSG_ERRQUEUE")!;
const TRUNCATED = symbolValue("MSG_TRUNC")!;
const FAST_OPEN = symbolValue("MSG_FASTOPEN")!;

/** A buffer that is nowhere fails the call, unless there is nothing to put into it. */
function checked(call: CallSpec, begin: () => Operation): Operation {
  const nowhere = isNull(call.args[1]) && numberOf(call.args[2]) > 0;
  return nowhere ? immediate(failed("EFAULT")) : begin();
}

const read = onSocket((socket, call) =>
  checked(call, () => socket.read(numberOf(call.args[2]), optional(call.args[3]))),
);

const write = onSocket((socket, call, context) =>
  checked(call, () =>
    writeTo(socket, numberOf(call.args[2]), optional(call.args[3]), undefined, context),
  ),
);

const sendto = onSocket((socket, call, context) => {
  const flags = optional(call.args[3]);
  return checked(call, () => writeTo(socket, numberOf(call.args[2]), flags, call.args[4], context));
});

const readv = onSocket((socket, call) => socket.read(vectorLength(call.args[1]), 0));

const writev = onSocket((socket, call, context) =>
  writeTo(socket, vectorLength(call.args[1]), 0, undefined, context),
);

const sendmsg = onSocket((socket, call, context) => {
  const [, message, flagsArgument] = call.args;
  const flags = optional(flagsArgument);
  if (hasControl(message)) throw new Unsupported("msg_control of sendmsg");
  return writeTo(socket, total(message), flags, fieldOf(message, "msg_name"), context);
});

const recvmsg = onSocket((socket, call, context) => {
  const [, message, flagsArgument] = call.args;
  if (optional(flagsArgument) & ERROR_QUEUE) return receiveNotice(socket, message, context);
  const operation = socket.read(total(message), optional(flagsArgument));
  const attempt = (): Outcome | undefined => {
    const outcome = operation.attempt();
    if (!outcome || outcome.result < 0) return outcome;
    const wrong = checkMessage(socket, message);
    return wrong === undefined ? outcome : { ...outcome, wrong };
  };
  return { attempt, deadline: operation.deadline };
});

function writeTo(
  socket: Socket,
  count: number,
  flags: number,
  name: Expression | undefined,
  context: CallContext,
): Operation {
  if (socket instanceof TcpSocket) return writeStream(socket, count, flags, name, context);
  const to = destination(name, context);
  const operation = socket.write(count, flags, to);
  const { remote } = socket.ends;
  if (remote) context.connecting(socket, to ?? remote);
  return operation;
}

/** A write that may have to connect first. */
function writeStream(
  socket: TcpSocket,
  count: number,
  flags: number,
  name: Expression | undefined,
  context: CallContext,
): Operation {
  const deferred = socket.late.remote;
  if (!(flags & FAST_OPEN) && !deferred) return socket.write(count, flags);
  if (isUnspecified(name)) return immediate(failed("EOPNOTSUPP"));
  const remote = deferred ?? destination(name, context) ?? context.remote;
  const fresh = !socket.connection;
  const operation = socket.writeFirst(remote, count, flags & ~FAST_OPEN);
  if (fresh && socket.connection) context.connecting(socket, remote);
  return operation;
}

function destination(
  expression: Expression | undefined,
  context: CallContext,
): Endpoint | undefined {
  if (expression === undefined || isNull(expression)) return undefined;
  return isEllipsis(expression) ? context.remote : addressOf(expression);
}

function optional(expression: Expression | undefined): number {
  return expression === undefined ? 0 : numberOf(expression);
}

function total(message: Expression | undefined): number {
  return partLengths(message).reduce((sum, length) => sum + length, 0);
}

/** `[{..., 1000}, {..., 500}]` of readv and writev. */
function vectorLength(vector: Expression | undefined): number {
  return total({ kind: "struct", fields: [{ name: "msg_iov", value: vector! }] });
}

/** The next entry of the error queue. */
function receiveNotice(
  socket: Socket,
  message: Expression | undefined,
  context: CallContext,
): Operation {
  const connection = socket instanceof TcpSocket ? socket.connection : undefined;
  const stamp = connection?.timestamps.take();
  const notice = stamp ? undefined : connection?.completions.take();
  if (!stamp && !notice) return immediate(failed("EAGAIN"));
  const wrong = stamp ? checkStamp(stamp, message, context) : checkNotice(notice!, message);
  return immediate(wrong === undefined ? done(0) : { ...done(0), wrong });
}

/** What is wrong with the notice that the message expects. */
function checkNotice(notice: Notice, message: Expression | undefined): string | undefined {
  const flags = fieldOf(message, "msg_flags");
  if (flags && numberOf(flags) !== ERROR_QUEUE) return "msg_flags are MSG_ERRQUEUE";
  const control = fieldOf(message, "msg_control");
  const entry =
    control?.kind === "list" && control.items.length === 1 ? control.items[0] : undefined;
  if (!entry) return "one control message came";
  return differing(fieldOf(entry, "cmsg_data"), {
    ee_errno: 0,
    ee_origin: symbolValue("SO_EE_ORIGIN_ZEROCOPY")!,
    ee_type: 0,
    // The card that is played here copies what it sends, as packetdrill's tun device does.
    ee_code: symbolValue("SO_EE_CODE_ZEROCOPY_COPIED")!,
    ee_info: notice.first,
    ee_data: notice.last,
  });
}

/** What is wrong with the timestamp that the message expects: when something happened to which byte. */
function checkStamp(
  stamp: Stamp,
  message: Expression | undefined,
  context: CallContext,
): string | undefined {
  const flags = fieldOf(message, "msg_flags");
  // The packet would follow, for which there is no room.
  if (flags && numberOf(flags) !== (ERROR_QUEUE | TRUNCATED)) {
    return "msg_flags are MSG_ERRQUEUE|MSG_TRUNC";
  }
  const control = fieldOf(message, "msg_control");
  if (control?.kind !== "list" || control.items.length !== 2) return "two control messages came";
  const [time, entry] = control.items.map((item) => fieldOf(item, "cmsg_data"));
  const expected =
    numberOf(fieldOf(time, "scm_sec")) * 1_000_000 + numberOf(fieldOf(time, "scm_nsec")) / 1000;
  const actual = stamp.at - context.start;
  if (Math.abs(actual - expected) > context.tolerance) return `timestamp is ${actual} \u00b5s`;
  return differing(entry, {
    ee_errno: symbolValue("ENOMSG")!,
    ee_origin: symbolValue("SO_EE_ORIGIN_TIMESTAMPING")!,
    ee_type: 0,
    ee_code: 0,
    ee_info: stamp.info,
    ee_data: stamp.key,
  });
}

/** The first field of a structure that has another value. */
function differing(
  data: Expression | undefined,
  actual: Readonly<Record<string, number>>,
): string | undefined {
  const name = Object.keys(actual).find(
    (field) => numberOf(fieldOf(data, field)) !== actual[field],
  );
  return name === undefined ? undefined : `${name} is ${actual[name]}`;
}

function hasControl(message: Expression | undefined): boolean {
  const control = fieldOf(message, "msg_control");
  return control?.kind === "list" && control.items.length > 0;
}

/** What is wrong with the message's flags and control messages. */
function checkMessage(socket: Socket, message: Expression | undefined): string | undefined {
  const flags = fieldOf(message, "msg_flags");
  if (flags && numberOf(flags) !== 0) return "msg_flags are 0";
  const control = fieldOf(message, "msg_control");
  const expected = control?.kind === "list" ? control.items : [];
  const inq = socket instanceof TcpSocket && socket.settings.inq;
  if (expected.length !== (inq ? 1 : 0)) return `${inq ? 1 : 0} control messages came`;
  for (const entry of expected) {
    const type = fieldOf(entry, "cmsg_type");
    if (type?.kind !== "word" || type.name !== "TCP_CM_INQ") {
      throw new Unsupported("control messages other than TCP_CM_INQ");
    }
    const hint = (socket as TcpSocket).inqHint();
    if (numberOf(fieldOf(entry, "cmsg_data")) !== hint) return `TCP_CM_INQ is ${hint}`;
  }
  return undefined;
}

export const ioCalls: Readonly<Record<string, Handler>> = {
  read,
  recv: read,
  recvfrom: read,
  readv,
  recvmsg,
  write,
  send: write,
  sendto,
  writev,
  sendmsg,
};
