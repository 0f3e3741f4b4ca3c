/** Calls that set and ask for options, flags and queue lengths. */
import { Unsupported } from "../language/errors.ts";
import type { Expression } from "../language/script.ts";
import type { Handler } from "./descriptors.ts";
import { onSocket } from "./life-calls.ts";
import { done, failed, immediate } from "./outcome.ts";
import { errorName, symbolValue } from "./symbols.ts";
import { elementOf, isEllipsis, numberOf } from "./values.ts";

const O_RDWR = symbolValue("O_RDWR")!;
const O_NONBLOCK = symbolValue("O_NONBLOCK")!;
const F_GETFL = symbolValue("F_GETFL")!;
const F_SETFL = symbolValue("F_SETFL")!;

/** Options by name, since numbers are shared between levels. */
function optionName(expression: Expression | undefined): string {
  if (expression?.kind !== "word") throw new Unsupported("socket option without a name");
  return expression.name;
}

const setsockopt = onSocket((socket, call) => {
  const name = optionName(call.args[2]);
  const argument = elementOf(call.args[3]);
  const structured = argument?.kind === "struct" || argument?.kind === "string";
  const value = structured ? 0 : numberOf(argument);
  return immediate(socket.setOption(name, value, argument));
});

const getsockopt = onSocket((socket, call) => {
  const name = optionName(call.args[2]);
  const expected = elementOf(call.args[3]);
  const value = socket.getOption(name);
  if (isEllipsis(expected)) return immediate(done(0));
  const length = elementOf(call.args[4]);
  if (length && numberOf(length) !== 4) return immediate({ ...done(0), wrong: "length is 4" });
  if (numberOf(expected) >>> 0 === value >>> 0) return immediate(done(0));
  const shown = name === "SO_ERROR" && value !== 0 ? errorName(value) : value;
  return immediate({ ...done(0), wrong: `${name} is ${shown}` });
});

const fcntl = onSocket((socket, call) => {
  const command = numberOf(call.args[1]);
  if (command === F_GETFL) {
    return immediate(done(O_RDWR | (socket.nonblocking ? O_NONBLOCK : 0)));
  }
  if (command !== F_SETFL) throw new Unsupported(`fcntl command ${command}`);
  socket.nonblocking = (numberOf(call.args[2]) & O_NONBLOCK) !== 0;
  return immediate(done(0));
});

const ioctl = onSocket((socket, call) => {
  const request = numberOf(call.args[1]);
  const value = queueLength(request, socket);
  if (value === undefined) throw new Unsupported(`ioctl 0x${request.toString(16)}`);
  if (value < 0) return immediate(failed("EINVAL"));
  const expected = elementOf(call.args[2]);
  const right = expected === undefined || isEllipsis(expected) || numberOf(expected) === value;
  return immediate(right ? done(0) : { ...done(0), wrong: `value is ${value}` });
});

function queueLength(
  request: number,
  socket: { inputQueue(): number; outputQueue(): number },
): number | undefined {
  if (request === symbolValue("SIOCINQ")) return socket.inputQueue();
  if (request === symbolValue("SIOCOUTQ")) return socket.outputQueue();
  return undefined;
}

export const optionCalls: Readonly<Record<string, Handler>> = {
  setsockopt,
  getsockopt,
  fcntl,
  ioctl,
};
