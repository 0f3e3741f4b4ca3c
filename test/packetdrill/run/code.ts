/**
 * The Python that scripts write between `%{` and `}%`, as far as assertions need it: assert, print,
 * assignments, arithmetic, comparisons (chained too), and, or, not, strings with `%`, tuples, a few
 * functions. An evaluator of its own: nothing of it can reach the interpreter's process.
 */
import { Unsupported } from "../language/errors.ts";
import { CodeReader } from "./code-reader.ts";

export type Value = number | string | boolean | null | readonly Value[];

/** Values by name; reading a name that is missing throws. */
export interface Names {
  get(name: string): Value | undefined;
}

/** An assertion that does not hold. */
export class AssertionFailure extends Error {}

export interface CodeResult {
  readonly printed: readonly string[];
}

/**
 * Runs a block. Assigned variables go into `variables`, which later blocks see.
 *
 * @throws {AssertionFailure} with the assertion and its message
 * @throws {Unsupported} for Python that scripts do not use, and for fields that are not known
 */
export function runCode(code: string, variables: Map<string, Value>, names: Names): CodeResult {
  const printed: string[] = [];
  for (const statement of statementsOf(code)) {
    const reader = new CodeReader(statement, (name) => lookUp(name, variables, names));
    if (reader.accept("assert")) {
      const held = reader.truth(reader.expression());
      const message = reader.accept(",") ? reader.show(reader.expression()) : "";
      if (!held) throw new AssertionFailure(message ? `${statement} (${message})` : statement);
    } else if (reader.accept("print")) {
      printed.push(reader.show(reader.expression()));
    } else {
      assign(reader, variables, names);
    }
    reader.end();
  }
  return { printed };
}

function assign(reader: CodeReader, variables: Map<string, Value>, names: Names): void {
  const name = reader.name();
  const operator = reader.operator();
  const value = reader.expression();
  if (operator === "=") {
    variables.set(name, value);
    return;
  }
  const before = lookUp(name, variables, names);
  variables.set(name, reader.apply(operator.slice(0, -1), before, value));
}

function lookUp(name: string, variables: ReadonlyMap<string, Value>, names: Names): Value {
  const value = variables.get(name) ?? names.get(name);
  if (value === undefined) throw new Unsupported(`%{ }% name ${name}`);
  return value;
}

/** Lines, and what semicolons part, without comments; a backslash joins lines. */
function statementsOf(code: string): string[] {
  const statements: string[] = [];
  let current = "";
  let depth = 0;
  const flush = (): void => {
    if (current.trim() !== "") statements.push(current.trim());
    current = "";
  };
  const text = code.replace(/\\\s*(?:\r?\n|$)/g, " ");
  for (const [piece] of text.matchAll(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|#[^\n]*|[\s\S]/g)) {
    if (piece.startsWith("#")) continue;
    if ("([{".includes(piece)) depth++;
    if (")]}".includes(piece)) depth--;
    if (depth === 0 && (piece === ";" || piece === "\n")) flush();
    else current += piece;
  }
  flush();
  return statements;
}
