/** Calls on files of zeros, which preambles make, and on sockets that send them. */
import { Unsupported } from "../language/errors.ts";
import type { Handler } from "./descriptors.ts";
import { done, failed, immediate } from "./outcome.ts";
import { elementOf, numberOf } from "./values.ts";

const open: Handler = (call, context) => {
  const [name] = call.args;
  if (name?.kind !== "string") throw new Unsupported("open of a name that is no string");
  const size = context.files.get(name.text);
  if (size === undefined) return immediate(failed("ENOENT"));
  const fd = Math.max(numberOf(call.result), 0);
  context.descriptors.add(fd, { size });
  return immediate(done(fd));
};

/** `sendfile(socket, file, [offset], count)`: as a write of what the file holds from there on. */
const sendfile: Handler = (call, context) => {
  const [to, from, offset, count] = call.args;
  const socket = context.descriptors.socket(numberOf(to));
  const file = context.descriptors.file(numberOf(from));
  if (!socket || !file) return immediate(failed("EBADF"));
  const left = Math.max(file.size - numberOf(elementOf(offset)), 0);
  return socket.write(Math.min(numberOf(count), left), 0);
};

export const fileCalls: Readonly<Record<string, Handler>> = { open, sendfile };
