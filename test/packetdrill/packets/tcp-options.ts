/** TCP options: the bytes of those a script names, and those of a live segment one by one. */
import { concat, readU16, readU32, toHex, u16, u32 } from "../../support/bytes.ts";
import { ACCECN_FIELDS } from "../language/parse-options.ts";
import type { OptionSpec } from "../language/script.ts";

const EOL = 0;
const NOP = 1;
const MSS = 2;
const WSCALE = 3;
const SACK_OK = 4;
const SACK = 5;
const TIMESTAMPS = 8;

/** An option of a live segment. */
export interface LiveOption {
  readonly code: number;
  /** The whole option. */
  readonly bytes: Uint8Array;
}

/** How the numbers of a script become those on the wire. */
export interface OptionMapping {
  sackEdge(edge: number): number;
  timestampValue(value: number): number;
  timestampEcho(echo: number, absolute: boolean): number;
}

/** The bytes of one option. */
export function optionBytes(option: OptionSpec, mapping: OptionMapping): Uint8Array {
  switch (option.kind) {
    case "eol":
      return Uint8Array.of(EOL);
    case "nop":
      return Uint8Array.of(NOP);
    case "sackOK":
      return Uint8Array.of(SACK_OK, 2);
    case "mss":
      return concat(Uint8Array.of(MSS, 4), u16(option.value));
    case "wscale":
      return Uint8Array.of(WSCALE, 3, option.value);
    case "sack":
      return concat(
        Uint8Array.of(SACK, 2 + 8 * option.blocks.length),
        ...option.blocks.flat().map((edge) => u32(mapping.sackEdge(edge))),
      );
    case "timestamps":
      return concat(
        Uint8Array.of(TIMESTAMPS, 10),
        u32(mapping.timestampValue(option.value)),
        u32(mapping.timestampEcho(option.echo, option.echoAbsolute)),
      );
    case "bytes":
      return concat(Uint8Array.of(option.code, 2 + option.data.length), option.data);
  }
}

/** The options of a live segment, nops and each end-of-list byte included; undefined: malformed. */
export function splitOptions(bytes: Uint8Array): LiveOption[] | undefined {
  const options: LiveOption[] = [];
  for (let at = 0; at < bytes.length;) {
    const code = bytes[at];
    const length = code === EOL || code === NOP ? 1 : (bytes[at + 1] ?? 0);
    if (length === 0 || (length < 2 && code > NOP) || at + length > bytes.length) return undefined;
    options.push({ code, bytes: bytes.slice(at, at + length) });
    at += length;
  }
  return options;
}

export function isPadding({ code }: LiveOption): boolean {
  return code === NOP || code === EOL;
}

export function isNegotiated({ code }: LiveOption): boolean {
  return code === MSS || code === WSCALE;
}

/** The timestamps of a live segment. */
export function liveTimestamps(
  options: readonly LiveOption[],
): { readonly value: number; readonly echo: number } | undefined {
  const option = options.find(({ code, bytes }) => code === TIMESTAMPS && bytes.length === 10);
  if (!option) return undefined;
  return { value: readU32(option.bytes, 2), echo: readU32(option.bytes, 6) };
}

export function isTimestamps({ code }: LiveOption): boolean {
  return code === TIMESTAMPS;
}

export function isSack({ code }: LiveOption): boolean {
  return code === SACK;
}

/** As a script writes it; SACK edges relative to `base`. */
export function formatLiveOption({ code, bytes }: LiveOption, base: number): string {
  switch (code) {
    case EOL:
      return "eol";
    case NOP:
      return "nop";
    case MSS:
      return `mss ${readU16(bytes, 2)}`;
    case WSCALE:
      return `wscale ${bytes[2]}`;
    case SACK_OK:
      return "sackOK";
    case SACK: {
      const edges = Array.from({ length: (bytes.length - 2) / 4 }, (_, index) =>
        ((readU32(bytes, 2 + 4 * index) - base) >>> 0).toString(),
      );
      const blocks = edges.filter((_, index) => index % 2 === 0);
      return `sack ${blocks.map((left, index) => `${left}:${edges[2 * index + 1]}`).join(" ")}`;
    }
    case TIMESTAMPS:
      return `TS val ${readU32(bytes, 2)} ecr ${readU32(bytes, 6)}`;
    default:
      return formatCounters(code, bytes) ?? `option ${code} ${toHex(bytes.subarray(2))}`;
  }
}

/** The counters of accurate ECN; undefined when it is another option. */
function formatCounters(code: number, bytes: Uint8Array): string | undefined {
  const names = ACCECN_FIELDS.get(code);
  if (!names || (bytes.length - 2) % 3 !== 0 || bytes.length > 11) return undefined;
  const count = (bytes.length - 2) / 3;
  const fields = names.slice(0, count).map((name, index) => {
    const at = 2 + 3 * index;
    return `${name} ${(bytes[at] << 16) | readU16(bytes, at + 1)}`;
  });
  return ["ECN", ...fields].join(" ");
}
