/** The list of TCP options between `<` and `>`. */
import { Unsupported } from "./errors.ts";
import type { TokenReader } from "./reader.ts";
import type { OptionSpec } from "./script.ts";

const FAST_OPEN = 34;
const EXPERIMENTAL = 254;
/** RFC 6994 identifier of the experimental fast-open option. */
const FAST_OPEN_ID = [0xf9, 0x89];
const MD5 = 19;
/** RFC 9768 section 3.2.3: the fields of each kind in their order; the last ones may be left out. */
export const ACCECN_FIELDS: ReadonlyMap<number, readonly string[]> = new Map([
  [172, ["e0b", "ceb", "e1b"]],
  [174, ["e1b", "ceb", "e0b"]],
]);

/** Reads up to and including `>`. */
export function parseOptionList(reader: TokenReader): readonly OptionSpec[] | "any" {
  if (reader.is("ellipsis")) {
    reader.next();
    reader.expect(">");
    return "any";
  }
  const options: OptionSpec[] = [];
  if (reader.accept(">")) return options;
  do options.push(parseOption(reader));
  while (reader.accept(","));
  reader.expect(">");
  return options;
}

function parseOption(reader: TokenReader): OptionSpec {
  if (reader.is("hex")) return parseRaw(reader);
  const word = reader.take("word").text;
  switch (word) {
    case "nop":
    case "eol":
    case "sackOK":
      return { kind: word };
    case "mss":
    case "wscale":
      return { kind: word, value: reader.integer() };
    case "sack":
      return { kind: "sack", blocks: parseBlocks(reader) };
    case "TS":
      return parseTimestamps(reader);
    case "md5":
      return { kind: "bytes", code: MD5, data: parseDigest(reader) };
    case "FO":
      return { kind: "bytes", code: FAST_OPEN, data: parseHex(reader) };
    case "FOEXP":
    case "exp": {
      const data = Uint8Array.of(...FAST_OPEN_ID, ...parseHex(reader));
      return { kind: "bytes", code: EXPERIMENTAL, data };
    }
    case "ECN":
      return parseAccEcn(reader);
    case "gen":
      return parseGeneric(reader);
    default:
      throw new Unsupported(`TCP option ${word}`);
  }
}

function parseBlocks(reader: TokenReader): (readonly [number, number])[] {
  const blocks: (readonly [number, number])[] = [];
  while (reader.is("integer")) {
    const left = reader.integer();
    reader.expect(":");
    blocks.push([left, reader.integer()]);
  }
  return blocks;
}

/** `TS val N ecr N`, with nplab's `...` for any value and `!` for an echo taken as it is. */
function parseTimestamps(reader: TokenReader): OptionSpec {
  reader.expect("val");
  const valueAny = reader.is("ellipsis");
  const value = valueAny ? (reader.next(), 0) : reader.integer();
  reader.accept("!");
  reader.expect("ecr");
  const echo = reader.integer();
  const echoAbsolute = reader.accept("!");
  return { kind: "timestamps", value, valueAny, echo, echoAbsolute };
}

function parseDigest(reader: TokenReader): Uint8Array {
  if (reader.is("word", "valid") || reader.is("word", "invalid")) {
    throw new Unsupported("TCP MD5 signatures");
  }
  return parseHex(reader);
}

function parseHex(reader: TokenReader): Uint8Array {
  if (!reader.is("word") && !reader.is("integer")) return new Uint8Array();
  const { text } = reader.next();
  if (!/^([0-9a-f]{2})*$/i.test(text)) reader.fail("expected bytes in hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** `gen-KIND hex`. */
function parseGeneric(reader: TokenReader): OptionSpec {
  // The lexer takes the dash for a sign.
  const code = -reader.integer();
  return { kind: "bytes", code, data: parseHex(reader) };
}

/** A whole option written as `0x…`. */
function parseRaw(reader: TokenReader): OptionSpec {
  const text = reader.next().text.slice(2);
  const bytes = Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  if (bytes.length < 2 || bytes[1] !== bytes.length) throw new Unsupported("malformed TCP option");
  return { kind: "bytes", code: bytes[0], data: bytes.subarray(2) };
}

/** `ECN e0b N [ceb N [e1b N]]`, or with e1b first: counters of three bytes each. */
function parseAccEcn(reader: TokenReader): OptionSpec {
  const kind = [...ACCECN_FIELDS].find(([, names]) => reader.is("word", names[0]));
  if (!kind) return reader.fail("expected e0b or e1b");
  const [code, names] = kind;
  const data: number[] = [];
  for (const name of names) {
    if (!reader.accept(name)) break;
    const value = reader.integer();
    if (value < 0 || value > 0xffffff) reader.fail("a counter has three bytes");
    data.push(value >> 16, (value >> 8) & 0xff, value & 0xff);
  }
  return { kind: "bytes", code, data: Uint8Array.from(data) };
}
