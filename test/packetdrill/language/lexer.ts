/**
 * Cuts a script into tokens. The longest match wins; between matches of equal length the first in
 * `PATTERNS` does, so that `100` is a number and `100ms` a word.
 */
import { SyntaxFault } from "./errors.ts";

export type TokenKind =
  | "option"
  | "ellipsis"
  | "float"
  | "integer"
  | "hex"
  | "ipv4"
  | "ipv6"
  | "word"
  | "string"
  | "shell"
  | "code"
  | "symbol"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** As written, but strings, shell commands and code without their delimiters. */
  readonly text: string;
  readonly line: number;
  /** Where it stands in the source. */
  readonly start: number;
  readonly end: number;
}

/** `-D NAME=value`: what a word stands for. */
export type Definitions = ReadonlyMap<string, string>;

const GROUP = "[0-9a-fA-F]{1,4}";
/** Only with "::" or all eight groups, so that the range 1:1001 stays three tokens. */
const IPV6 =
  `(?:${GROUP}:){7}${GROUP}|` +
  `(?:${GROUP}(?::${GROUP})*)?::(?:ffff:)?(?:\\d+\\.\\d+\\.\\d+\\.\\d+|${GROUP}(?::${GROUP})*)?`;

const PATTERNS: readonly (readonly [TokenKind | "space", RegExp])[] = [
  ["space", /[ \t\r\n]+|\/\/[^\n]*|\/\*[\s\S]*?\*\//y],
  ["code", /%\{[\s\S]*?\}%/y],
  ["shell", /`(?:\\[\s\S]|[^`\\])*`/y],
  ["string", /"(?:\\[\s\S]|[^"\\])*"/y],
  ["ellipsis", /\.\.\./y],
  ["option", /--[A-Za-z0-9_]+/y],
  ["ipv4", /\d+\.\d+\.\d+\.\d+/y],
  ["ipv6", new RegExp(IPV6, "y")],
  ["float", /-?\d*\.\d+/y],
  ["integer", /-?\d+/y],
  ["hex", /0x[0-9a-fA-F]+/y],
  ["word", /[A-Za-z0-9_]+/y],
  ["symbol", /[^ \t\r\n]/y],
];

const DELIMITED: Partial<Record<TokenKind, number>> = { shell: 1, string: 1, code: 2 };

/** The tokens of a script, the last of kind "end". */
export function tokenize(source: string, definitions: Definitions = new Map()): Token[] {
  const tokens: Token[] = [];
  const text = selectBranches(source, definitions);
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const [kind, length] = longest(text, at);
    const raw = text.slice(at, at + length);
    if (kind !== "space") {
      const token: Token = { kind, text: inner(kind, raw), line, start: at, end: at + length };
      // The value of an option stands for itself.
      const ofOption = tokens.at(-1)?.text === "=" && tokens.at(-2)?.kind === "option";
      tokens.push(kind === "word" && !ofOption ? substitute(token, definitions) : token);
    }
    line += raw.split("\n").length - 1;
    at += length;
  }
  tokens.push({ kind: "end", text: "end of script", line, start: at, end: at });
  return tokens;
}

function longest(text: string, at: number): readonly [TokenKind | "space", number] {
  let best: readonly [TokenKind | "space", number] = ["symbol", 0];
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const length = pattern.exec(text)?.[0].length ?? 0;
    if (length > best[1]) best = [kind, length];
  }
  return best;
}

function inner(kind: TokenKind, raw: string): string {
  const delimiter = DELIMITED[kind];
  return delimiter === undefined ? raw : raw.slice(delimiter, -delimiter);
}

/** A defined word becomes what it is defined as: a number, a string, a shell command, a word. */
function substitute(token: Token, definitions: Definitions): Token {
  const value = definitions.get(token.text);
  if (value === undefined) return token;
  if (/^".*"$/s.test(value)) return { ...token, kind: "string", text: value.slice(1, -1) };
  if (/^`.*`$/s.test(value)) return { ...token, kind: "shell", text: value.slice(1, -1) };
  if (/^0x[0-9a-f]+$/i.test(value)) return { ...token, kind: "hex", text: value };
  if (/^-?\d+$/.test(value)) return { ...token, kind: "integer", text: value };
  return { ...token, text: value };
}

/** nplab's `#ifdef NAME … #endif`: blanks the lines of branches that are not taken. */
function selectBranches(source: string, definitions: Definitions): string {
  const taken: boolean[] = [];
  const lines = source.split("\n").map((line, index) => {
    const directive = /^\s*#\s*(ifdef|ifndef|else|endif)\b\s*(\w*)/.exec(line);
    if (!directive) return taken.every(Boolean) ? line : "";
    const [, word, name] = directive;
    if (word === "ifdef") taken.push(definitions.has(name));
    else if (word === "ifndef") taken.push(!definitions.has(name));
    else if (taken.length === 0) throw new SyntaxFault(index + 1, `#${word} without #ifdef`);
    else if (word === "else") taken.push(!taken.pop()!);
    else taken.pop();
    return "";
  });
  if (taken.length > 0) throw new SyntaxFault(lines.length, "#ifdef without #endif");
  return lines.join("\n");
}
