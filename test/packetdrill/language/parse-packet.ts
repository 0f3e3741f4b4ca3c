/** A packet: direction, what is said of the IP header, then TCP, UDP or ICMP. */
import { Unsupported } from "./errors.ts";
import { parseOptionList } from "./parse-options.ts";
import type { TokenReader } from "./reader.ts";
import { FLAG, type IcmpSpec, type IpSpec, type PacketSpec, type TcpSpec } from "./script.ts";

const ECN: Readonly<Record<string, number | "ect01">> = {
  noecn: 0,
  ect1: 1,
  ect0: 2,
  ce: 3,
  ect01: "ect01",
};

const LETTERS: Readonly<Record<string, number>> = {
  F: FLAG.FIN,
  S: FLAG.SYN,
  R: FLAG.RST,
  P: FLAG.PSH,
  ".": FLAG.ACK,
  U: FLAG.URG,
  E: FLAG.ECE,
  W: FLAG.CWR,
  A: FLAG.AE,
};

export function parsePacket(reader: TokenReader): PacketSpec {
  const inbound = reader.next().text === "<";
  rejectEncapsulation(reader);
  const quoteFirst = parseOldQuote(reader);
  const ip = quoteFirst ? {} : parseIp(reader);
  if (reader.accept("icmp")) {
    const body = parseIcmp(reader, quoteFirst);
    return { inbound, ip, ports: undefined, body };
  }
  if (reader.accept("udp")) {
    const ports = parsePorts(reader);
    reader.expect("(");
    const length = reader.integer();
    reader.expect(")");
    return { inbound, ip, ports, body: { kind: "udp", length } };
  }
  const ports = parsePorts(reader);
  const body = parseTcp(reader, inbound);
  if (reader.accept("/")) throw new Unsupported("TCP over UDP");
  return { inbound, ip, ports, body };
}

function rejectEncapsulation(reader: TokenReader): void {
  for (const word of ["ipv4", "ipv6", "gre", "GREv0", "mpls", "encap", "sctp"]) {
    if (reader.is("word", word)) throw new Unsupported(`encapsulation ${word}`);
  }
}

/** `(…)` or `[…]` before the flags. */
function parseIp(reader: TokenReader): IpSpec {
  const close = reader.accept("(") ? ")" : reader.accept("[") ? "]" : undefined;
  if (close === undefined) return {};
  const spec: { -readonly [K in keyof IpSpec]: IpSpec[K] } = {};
  do {
    const word = reader.take("word").text;
    if (word in ECN) spec.ecn = ECN[word];
    else if (word === "tos" || word === "class") spec.tos = reader.integer();
    else if (word === "ttl" || word === "hlim") spec.ttl = reader.integer();
    else if (word === "flowlabel") spec.flowLabel = reader.integer();
    else if (word === "dscp") spec.dscp = parseDscp(reader);
    else if (word === "ecn") spec.ecn = ECN[reader.take("word").text];
    else throw new Unsupported(`IP field ${word}`);
  } while (reader.accept(","));
  reader.expect(close);
  return spec;
}

/** A number, or a class selector `csN`. */
function parseDscp(reader: TokenReader): number {
  if (!reader.is("word")) return reader.integer();
  const { text } = reader.next();
  const selector = /^cs([0-7])$/.exec(text);
  if (!selector) throw new Unsupported(`IP field dscp ${text}`);
  return Number(selector[1]) << 3;
}

function parsePorts(reader: TokenReader): readonly [number, number] | undefined {
  if (!reader.is("integer") || !reader.is("symbol", ">", 1)) return undefined;
  const source = reader.integer();
  reader.expect(">");
  return [source, reader.integer()];
}

function parseTcp(reader: TokenReader, inbound: boolean): TcpSpec {
  const flags = parseFlags(reader);
  const range = parseRange(reader);
  let ack: number | undefined;
  let ackAbsolute = false;
  if (reader.accept("ack")) {
    ack = reader.integer();
    ackAbsolute = reader.accept("!");
  }
  const window = reader.accept("win") ? reader.integer() : undefined;
  const urgent = reader.accept("urg") ? reader.integer() : undefined;
  const options = reader.accept("<") ? parseOptionList(reader) : [];
  if (inbound && window === undefined) reader.fail("inbound packet without window");
  if (inbound && options === "any") reader.fail("inbound packet with <...>");
  return { kind: "tcp", flags, ...range, ack, ackAbsolute, window, urgent, options };
}

/** Letters, `.`, a digit for the ACE field (RFC 9768), or `-` for none. */
function parseFlags(reader: TokenReader): number {
  if (reader.accept("-")) return 0;
  let text = "";
  if (reader.is("word")) text += reader.next().text;
  if (reader.is("float")) text += reader.next().text;
  else if (reader.accept(".")) text += ".";
  let flags = 0;
  for (const letter of text) {
    const bit = LETTERS[letter];
    if (bit !== undefined) flags |= bit;
    else if (/[0-7]/.test(letter)) flags |= aceBits(Number(letter));
    else reader.fail(`no TCP flag "${letter}"`);
  }
  if (text === "") reader.fail("expected TCP flags");
  return flags;
}

function aceBits(field: number): number {
  return (field & 4 ? FLAG.AE : 0) | (field & 2 ? FLAG.CWR : 0) | (field & 1 ? FLAG.ECE : 0);
}

type Range = Pick<TcpSpec, "seq" | "seqAbsolute" | "seqAny" | "length">;

/** `first:last(length)`, with nplab's `!` and `...(length)`. */
function parseRange(reader: TokenReader): Range {
  if (reader.is("ellipsis")) {
    reader.next();
    return { seq: 0, seqAbsolute: false, seqAny: true, length: parseLength(reader) };
  }
  const seq = reader.integer();
  reader.expect(":");
  const end = reader.integer();
  const length = parseLength(reader);
  if ((seq + length) >>> 0 !== end >>> 0) reader.fail("length is not the range's");
  return { seq, seqAbsolute: reader.accept("!"), seqAny: false, length };
}

function parseLength(reader: TokenReader): number {
  reader.expect("(");
  const length = reader.integer();
  reader.expect(")");
  return length;
}

/** Before 2018 the quoted part of an ICMP error came first. */
function parseOldQuote(reader: TokenReader): IcmpSpec["quote"] {
  const old = reader.is("symbol", "[") && reader.is("integer", undefined, 1);
  return old ? parseQuote(reader) : undefined;
}

function parseIcmp(reader: TokenReader, quoteFirst: IcmpSpec["quote"]): IcmpSpec {
  const type = reader.take("word").text;
  let code: string | undefined;
  let mtu: number | undefined;
  let id: number | undefined;
  if (reader.is("word") && !reader.is("word", "mtu") && !reader.is("word", "id")) {
    code = reader.next().text;
  }
  if (reader.accept("mtu")) mtu = reader.integer();
  if (reader.accept("id")) id = reader.integer();
  const quote = reader.is("symbol", "[") ? parseQuote(reader) : quoteFirst;
  return { kind: "icmp", type, code, mtu, id, quote };
}

function parseQuote(reader: TokenReader): IcmpSpec["quote"] {
  reader.expect("[");
  let quote: IcmpSpec["quote"];
  if (reader.accept("udp")) quote = { kind: "udp", length: parseLength(reader) };
  else if (reader.accept("raw")) quote = { kind: "raw", length: parseLength(reader) };
  else {
    const { seq, length } = parseRange(reader);
    quote = { kind: "tcp", seq, length };
  }
  if (reader.accept("/")) throw new Unsupported("TCP over UDP");
  reader.expect("]");
  return quote;
}
