/** Every system call that scripts may make, by name. */
import { Unsupported } from "../language/errors.ts";
import type { CallSpec } from "../language/script.ts";
import type { CallContext, Handler } from "./descriptors.ts";
import { fileCalls } from "./file-calls.ts";
import { ioCalls } from "./io-calls.ts";
import { lifeCalls } from "./life-calls.ts";
import { optionCalls } from "./option-calls.ts";
import type { Operation } from "./outcome.ts";
import { pollCalls } from "./poll-calls.ts";

const HANDLERS: Readonly<Record<string, Handler>> = {
  ...lifeCalls,
  ...ioCalls,
  ...fileCalls,
  ...optionCalls,
  ...pollCalls,
};

/** @throws {Unsupported} for calls, options and flags that the interpreter does not have */
export function beginCall(call: CallSpec, context: CallContext): Operation {
  const handler = Object.hasOwn(HANDLERS, call.name) ? HANDLERS[call.name] : undefined;
  if (!handler) throw new Unsupported(`system call ${call.name}`);
  return handler(call, context);
}
