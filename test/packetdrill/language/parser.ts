/**
 * The structure of a script: options, a shell command that prepares, events with their times, a shell
 * command that cleans up. What is within a packet and within a call is read by parse-packet.ts and
 * parse-call.ts.
 */
import type { Definitions } from "./lexer.ts";
import { tokenize } from "./lexer.ts";
import { parseCall } from "./parse-call.ts";
import { parsePacket } from "./parse-packet.ts";
import { parseTime } from "./parse-time.ts";
import { TokenReader } from "./reader.ts";
import type { Action, Event, Script, ScriptOption } from "./script.ts";

/**
 * Parses a script.
 *
 * @throws {SyntaxFault} where it does not follow the grammar
 * @throws {Unsupported} for constructs that no stack driven by sockets can be asked for
 */
export function parseScript(path: string, source: string, definitions?: Definitions): Script {
  const own = new Map([...(definitions ?? []), ...definitionsIn(source)]);
  const reader = new TokenReader(tokenize(source, own));
  const options = parseOptions(reader);
  const init = reader.is("shell") ? reader.next().text : undefined;
  const events: Event[] = [];
  while (!reader.atEnd && !reader.is("shell")) events.push(parseEvent(reader, source));
  const cleanup = reader.is("shell") ? reader.next().text : undefined;
  if (!reader.atEnd) reader.fail("expected the end of the script");
  if (events.length === 0) reader.fail("expected an event");
  return { path, source, options, init, events, cleanup };
}

/** What a script defines itself: `--define=NAME=value`. */
function definitionsIn(source: string): [string, string][] {
  const found = source.matchAll(/^--define=(\w+)=("[^"]*"|`[^`]*`|\S+)/gm);
  return Array.from(found, ([, name, value]) => [name, value]);
}

function parseOptions(reader: TokenReader): ScriptOption[] {
  const options: ScriptOption[] = [];
  while (reader.is("option")) {
    const { text, line } = reader.next();
    let value: string | undefined;
    if (reader.accept("=")) {
      value = reader.next().text;
      // `--define=NAME=value`
      if (reader.accept("=")) value += `=${reader.next().text}`;
    }
    options.push({ name: text.slice(2), value, line });
  }
  return options;
}

function parseEvent(reader: TokenReader, source: string): Event {
  const { line, start } = reader.peek();
  const time = parseTime(reader);
  const action = parseAction(reader);
  const text = source.slice(start, reader.last.end).replace(/\s+/g, " ").trim();
  return { line, text, time, action };
}

function parseAction(reader: TokenReader): Action {
  if (reader.is("shell")) return { kind: "shell", command: reader.next().text };
  if (reader.is("code")) return { kind: "code", code: reader.next().text.trim() };
  if (reader.is("symbol", "<") || reader.is("symbol", ">")) {
    return { kind: "packet", packet: parsePacket(reader) };
  }
  return { kind: "call", call: parseCall(reader) };
}
