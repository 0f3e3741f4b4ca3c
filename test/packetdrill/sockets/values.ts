/** Arguments and results of calls as numbers, structures and lists. */
import { Unsupported } from "../language/errors.ts";
import type { Expression } from "../language/script.ts";
import { symbolValue } from "./symbols.ts";

/** A number, or a name, or several of them joined with `|`. */
export function numberOf(expression: Expression | undefined): number {
  switch (expression?.kind) {
    case "integer":
      return expression.value;
    case "word": {
      const value = symbolValue(expression.name);
      if (value === undefined) throw new Unsupported(`name ${expression.name}`);
      return value;
    }
    case "or":
      return expression.operands.map(numberOf).reduce((all, bits) => (all | bits) >>> 0, 0);
    case "call":
      // htons(8080): ports are in host order here.
      if (expression.name === "htons") return numberOf(expression.args[0]);
      break;
  }
  throw new Unsupported("argument that is no number");
}

export function isEllipsis(expression: Expression | undefined): boolean {
  return expression?.kind === "ellipsis";
}

export function isNull(expression: Expression | undefined): boolean {
  return expression?.kind === "word" && expression.name === "NULL";
}

/** An address of no family. */
export function isUnspecified(expression: Expression | undefined): boolean {
  return expression?.kind === "word" && expression.name === "AF_UNSPEC";
}

/** The only element of `[N]`, or the number itself. */
export function elementOf(expression: Expression | undefined): Expression | undefined {
  return expression?.kind === "list" ? expression.items[0] : expression;
}

/** A field of `{name=value, …}`. */
export function fieldOf(expression: Expression | undefined, name: string): Expression | undefined {
  if (expression?.kind !== "struct") return undefined;
  return expression.fields.find((field) => field.name === name)?.value;
}

/** The address in `{sa_family=…, sin_port=htons(N), sin_addr=inet_addr("A")}`. */
export function addressOf(
  expression: Expression | undefined,
): { readonly port: number; readonly ip: string } | undefined {
  const port = fieldOf(expression, "sin_port") ?? fieldOf(expression, "sin6_port");
  const ip = fieldOf(expression, "sin_addr") ?? fieldOf(expression, "sin6_addr");
  if (port === undefined || ip?.kind !== "call") return undefined;
  const [text] = ip.args;
  return text?.kind === "string" ? { port: numberOf(port), ip: text.text } : undefined;
}

/** Lengths of the parts of a message's `msg_iov`. */
export function partLengths(message: Expression | undefined): number[] {
  const parts = fieldOf(message, "msg_iov");
  if (parts?.kind !== "list") throw new Unsupported("message without msg_iov");
  return parts.items.map((part) => {
    if (part.kind !== "struct") throw new Unsupported("msg_iov of another shape");
    const named = part.fields.find(({ name }) => name === "iov_len");
    return numberOf((named ?? part.fields[1])?.value);
  });
}
