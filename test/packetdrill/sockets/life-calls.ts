/** Calls that make sockets and connections, and end them. */
import { Unsupported } from "../language/errors.ts";
import type { Expression } from "../language/script.ts";
import type { CallContext, Handler } from "./descriptors.ts";
import { done, failed, immediate, type Operation, type Outcome } from "./outcome.ts";
import type { Endpoint, Socket } from "./socket.ts";
import { symbolValue } from "./symbols.ts";
import { TcpSocket } from "./tcp-socket.ts";
import { UdpSocket } from "./udp-socket.ts";
import { addressOf, isEllipsis, isUnspecified, numberOf } from "./values.ts";

const STREAM = symbolValue("SOCK_STREAM")!;
const DATAGRAM = symbolValue("SOCK_DGRAM")!;
const NONBLOCK = symbolValue("SOCK_NONBLOCK")!;
const TCP = symbolValue("IPPROTO_TCP")!;
const UDP = symbolValue("IPPROTO_UDP")!;

/** Runs `use` on the socket of the first argument. */
export function onSocket(
  use: (socket: Socket, ...rest: Parameters<Handler>) => Operation,
): Handler {
  return (call, context) => {
    const socket = context.descriptors.socket(numberOf(call.args[0]));
    return socket ? use(socket, call, context) : immediate(failed("EBADF"));
  };
}

const socket: Handler = (call, context) => {
  const type = numberOf(call.args[1]);
  const protocol = numberOf(call.args[2]);
  const kind = type & ~NONBLOCK;
  const made = makeSocket(kind, protocol, context);
  if (!made) return immediate(failed("EPROTONOSUPPORT"));
  made.nonblocking = (type & NONBLOCK) !== 0;
  const fd = numberOf(call.result);
  // The descriptor is the script's number; one that expects a failure gets the least number.
  context.descriptors.add(Math.max(fd, 0), made);
  context.made(made);
  return immediate(done(Math.max(fd, 0)));
};

function makeSocket(kind: number, protocol: number, context: CallContext): Socket | undefined {
  if (kind === STREAM && (protocol === TCP || protocol === 0)) {
    return new TcpSocket(context.network, context.habits);
  }
  if (kind === DATAGRAM && (protocol === UDP || protocol === 0)) {
    return new UdpSocket(context.network);
  }
  if (kind !== STREAM && kind !== DATAGRAM) throw new Unsupported(`socket type ${kind}`);
  if (protocol !== TCP && protocol !== UDP) throw new Unsupported(`protocol ${protocol}`);
  return undefined;
}

/** `...` is what the script's options say. */
function endpoint(expression: Expression | undefined, ellipsis: Endpoint): Endpoint {
  if (isEllipsis(expression)) return ellipsis;
  const address = addressOf(expression);
  if (!address) throw new Unsupported("address of another family");
  return address;
}

const bind = onSocket((socket, call, context) =>
  immediate(socket.bind(endpoint(call.args[1], context.local))),
);

const listen = onSocket((socket, call) => immediate(socket.listen(numberOf(call.args[1]))));

const connect = onSocket((socket, call, context) => {
  if (isUnspecified(call.args[1])) return immediate(socket.disconnect());
  const remote = endpoint(call.args[1], context.remote);
  const fresh = socket instanceof TcpSocket && socket.isFresh;
  const operation = socket.connect(remote);
  const begun = socket instanceof TcpSocket && fresh && !socket.isFresh;
  if (begun || socket instanceof UdpSocket) context.connecting(socket, remote);
  return operation;
});

const accept = onSocket((socket, call, context) => {
  if (!(socket instanceof TcpSocket)) return immediate(failed("EOPNOTSUPP"));
  const fd = Math.max(numberOf(call.result), 0);
  const { operation, taken } = socket.accept();
  const attempt = (): Outcome | undefined => {
    const outcome = operation.attempt();
    const accepted = taken();
    if (!accepted) return outcome;
    accepted.nonblocking = call.args[3] ? (numberOf(call.args[3]) & NONBLOCK) !== 0 : false;
    context.descriptors.add(fd, accepted);
    return done(fd);
  };
  return { attempt, deadline: operation.deadline };
});

const shutdown = onSocket((socket, call) => immediate(socket.shutdown(numberOf(call.args[1]))));

const close: Handler = (call, context) =>
  immediate(context.descriptors.close(numberOf(call.args[0])) ? done(0) : failed("EBADF"));

export const lifeCalls: Readonly<Record<string, Handler>> = {
  socket,
  bind,
  listen,
  connect,
  accept,
  accept4: accept,
  shutdown,
  close,
};
