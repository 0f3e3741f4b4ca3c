/** A system call: when it returns if it blocks, its name, its arguments, its result. */
import { parseTime } from "./parse-time.ts";
import type { TokenReader } from "./reader.ts";
import type { CallSpec, Expression, StructField } from "./script.ts";

export function parseCall(reader: TokenReader): CallSpec {
  const returns = reader.is("ellipsis") ? (reader.next(), parseTime(reader)) : undefined;
  const name = reader.take("word").text;
  const args = parseArguments(reader);
  reader.expect("=");
  const result = parseExpression(reader);
  const errno = reader.is("word") ? reader.next().text : undefined;
  skipNote(reader);
  return { name, args, returns, result, errno };
}

function parseArguments(reader: TokenReader): Expression[] {
  reader.expect("(");
  return parseList(reader, ")");
}

function parseList(reader: TokenReader, end: string): Expression[] {
  const items: Expression[] = [];
  if (reader.accept(end)) return items;
  do items.push(parseExpression(reader));
  while (reader.accept(","));
  reader.expect(end);
  return items;
}

/** `A`, or `A | B | …`. */
export function parseExpression(reader: TokenReader): Expression {
  const first = parseOperand(reader);
  if (!reader.is("symbol", "|")) return first;
  const operands = [first];
  while (reader.accept("|")) operands.push(parseOperand(reader));
  return { kind: "or", operands };
}

function parseOperand(reader: TokenReader): Expression {
  const { kind } = reader.peek();
  switch (kind) {
    case "ellipsis":
      reader.next();
      return { kind: "ellipsis" };
    case "integer":
    case "hex":
      return { kind: "integer", value: reader.integer() };
    case "string":
      return parseString(reader);
    case "ipv4":
    case "ipv6":
      return { kind: "string", text: reader.next().text };
    case "word":
      return parseWord(reader);
  }
  if (reader.accept("[")) return { kind: "list", items: parseList(reader, "]") };
  if (reader.accept("{")) return parseStruct(reader);
  return reader.fail("expected an argument");
}

/** Adjacent strings are one; a trailing `...` repeats the text to the call's length. */
function parseString(reader: TokenReader): Expression {
  let text = "";
  while (reader.is("string")) text += reader.next().text;
  if (reader.is("ellipsis")) reader.next();
  return { kind: "string", text };
}

function parseWord(reader: TokenReader): Expression {
  const name = reader.next().text;
  if (!reader.is("symbol", "(")) return { kind: "word", name };
  return { kind: "call", name, args: parseArguments(reader) };
}

function parseStruct(reader: TokenReader): Expression {
  const fields: StructField[] = [];
  if (reader.accept("}")) return { kind: "struct", fields };
  do fields.push(parseField(reader));
  while (reader.accept(","));
  reader.expect("}");
  return { kind: "struct", fields };
}

/** `name=value`, `name(...)=value`, or a value alone. */
function parseField(reader: TokenReader): StructField {
  const named = reader.is("word") && (reader.is("symbol", "=", 1) || isIndexed(reader));
  if (!named) return { name: undefined, value: parseExpression(reader) };
  const name = reader.next().text;
  if (reader.accept("(")) {
    reader.next();
    reader.expect(")");
  }
  reader.expect("=");
  return { name, value: parseExpression(reader) };
}

function isIndexed(reader: TokenReader): boolean {
  return reader.is("symbol", "(", 1) && reader.is("symbol", ")", 3) && reader.is("symbol", "=", 4);
}

/** `(Operation now in progress)`. */
function skipNote(reader: TokenReader): void {
  if (!reader.accept("(")) return;
  while (!reader.accept(")")) {
    if (reader.atEnd) reader.fail('expected ")"');
    reader.next();
  }
}
