/**
 * TCP_NODELAY as the dataplane knows it: said when a connection is opened or accepted, not later. A
 * script says it afterwards; as long as nothing was written in between, that is the same.
 */
import type { Event, Expression } from "../language/script.ts";

/** Calls that make no difference to when data is sent. */
const QUIET = new Set(["setsockopt", "getsockopt", "fcntl", "ioctl", "epoll_ctl", "poll"]);

/** Whether TCP_NODELAY is set on `fd` after event `index` and before anything is written to it. */
export function noDelayAhead(events: readonly Event[], index: number, fd: number): boolean {
  for (const { action } of events.slice(index + 1)) {
    if (action.kind !== "call") continue;
    const { name, args } = action.call;
    if (!isNumber(args[0], fd)) continue;
    if (name === "setsockopt" && isWord(args[2], "TCP_NODELAY"))
      return !isNumber(first(args[3]), 0);
    if (!QUIET.has(name) && !name.startsWith("re")) return false;
  }
  return false;
}

function first(expression: Expression | undefined): Expression | undefined {
  return expression?.kind === "list" ? expression.items[0] : expression;
}

function isNumber(expression: Expression | undefined, value: number): boolean {
  return expression?.kind === "integer" && expression.value === value;
}

function isWord(expression: Expression | undefined, name: string): boolean {
  return expression?.kind === "word" && expression.name === name;
}
