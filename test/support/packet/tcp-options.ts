/** TCP options (RFC 9293 section 3.2, RFC 7323, RFC 2018): a list of meanings, and its bytes. */
import { concat, readU16, readU32, toHex, u16, u32 } from "../bytes.ts";
import { must } from "./error.ts";

export type TcpOption =
  | { readonly kind: "eol" }
  | { readonly kind: "nop" }
  | { readonly kind: "mss"; readonly value: number }
  | { readonly kind: "ws"; readonly shift: number }
  | { readonly kind: "sackOk" }
  | { readonly kind: "sack"; readonly blocks: readonly (readonly [number, number])[] }
  | { readonly kind: "ts"; readonly value: number; readonly echo: number }
  | { readonly kind: "unknown"; readonly code: number; readonly data: Uint8Array }
  /** Bytes as they are: for malformed options. The parser never returns it. */
  | { readonly kind: "raw"; readonly bytes: Uint8Array };

export const nop: TcpOption = { kind: "nop" };
export const eol: TcpOption = { kind: "eol" };
export const sackOk: TcpOption = { kind: "sackOk" };

/** Fast Open (RFC 7413): a cookie, or the wish for one. */
export function fastOpen(cookie: Uint8Array = new Uint8Array()): TcpOption {
  return { kind: "unknown", code: 34, data: cookie };
}

/** The same as an experiment (RFC 6994, number 0xf989). */
export function fastOpenTrial(cookie: Uint8Array = new Uint8Array()): TcpOption {
  return { kind: "unknown", code: 254, data: Uint8Array.of(0xf9, 0x89, ...cookie) };
}

export function mss(value: number): TcpOption {
  return { kind: "mss", value };
}

/** Window scale: the window of later segments is shifted left by `shift` bits. */
export function ws(shift: number): TcpOption {
  return { kind: "ws", shift };
}

export function sack(...blocks: readonly (readonly [number, number])[]): TcpOption {
  return { kind: "sack", blocks };
}

export function ts(value: number, echo = 0): TcpOption {
  return { kind: "ts", value, echo };
}

export function unknownOption(code: number, data: Uint8Array): TcpOption {
  return { kind: "unknown", code, data };
}

export function rawOption(bytes: Uint8Array): TcpOption {
  return { kind: "raw", bytes };
}

/** The options' bytes, padded with end-of-list to whole words. */
export function buildOptions(options: readonly TcpOption[]): Uint8Array {
  const bytes = concat(...options.map(optionBytes));
  return concat(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
}

function optionBytes(option: TcpOption): Uint8Array {
  switch (option.kind) {
    case "eol":
      return Uint8Array.of(0);
    case "nop":
      return Uint8Array.of(1);
    case "mss":
      return concat(Uint8Array.of(2, 4), u16(option.value));
    case "ws":
      return Uint8Array.of(3, 3, option.shift);
    case "sackOk":
      return Uint8Array.of(4, 2);
    case "sack":
      return concat(
        Uint8Array.of(5, 2 + 8 * option.blocks.length),
        ...option.blocks.map(([left, right]) => concat(u32(left), u32(right))),
      );
    case "ts":
      return concat(Uint8Array.of(8, 10), u32(option.value), u32(option.echo));
    case "unknown":
      return concat(Uint8Array.of(option.code, 2 + option.data.length), option.data);
    case "raw":
      return option.bytes;
  }
}

/** Parses strictly: every length must be the one its RFC gives, and padding must be zero. */
export function parseOptions(bytes: Uint8Array): TcpOption[] {
  const options: TcpOption[] = [];
  let at = 0;
  while (at < bytes.length) {
    const code = bytes[at];
    if (code === 0) {
      must(
        bytes.subarray(at).every((byte) => byte === 0),
        "tcp",
        "padding of options not zero",
      );
      break;
    }
    if (code === 1) {
      options.push(nop);
      at++;
      continue;
    }
    must(at + 1 < bytes.length, "tcp", `option ${code} has no length`);
    const length = bytes[at + 1];
    must(length >= 2, "tcp", `option ${code} of length ${length}`);
    must(at + length <= bytes.length, "tcp", `option ${code} ends behind the header`);
    options.push(parseOption(code, bytes.slice(at + 2, at + length)));
    at += length;
  }
  return options;
}

function parseOption(code: number, data: Uint8Array): TcpOption {
  switch (code) {
    case 2:
      must(data.length === 2, "tcp", `MSS option with ${data.length} bytes`);
      return mss(readU16(data, 0));
    case 3:
      must(data.length === 1, "tcp", `window scale option with ${data.length} bytes`);
      must(data[0] <= 14, "tcp", `window scale of ${data[0]} (RFC 7323 section 2.3: at most 14)`);
      return ws(data[0]);
    case 4:
      must(data.length === 0, "tcp", `SACK-permitted option with ${data.length} bytes`);
      return sackOk;
    case 5: {
      must(data.length > 0 && data.length % 8 === 0, "tcp", `SACK option of ${data.length} bytes`);
      const blocks: [number, number][] = [];
      for (let at = 0; at < data.length; at += 8) {
        blocks.push([readU32(data, at), readU32(data, at + 4)]);
      }
      return sack(...blocks);
    }
    case 8:
      must(data.length === 8, "tcp", `timestamps option with ${data.length} bytes`);
      return ts(readU32(data, 0), readU32(data, 4));
    default:
      return unknownOption(code, data);
  }
}

/** As tcpdump and packetdrill write it: `mss 1460`, `wscale 7`, `sack 1:2 5:9`. */
export function formatOption(option: TcpOption): string {
  switch (option.kind) {
    case "mss":
      return `mss ${option.value}`;
    case "ws":
      return `wscale ${option.shift}`;
    case "sackOk":
      return "sackOK";
    case "sack":
      return `sack ${option.blocks.map(([left, right]) => `${left}:${right}`).join(" ")}`;
    case "ts":
      return `TS val ${option.value} ecr ${option.echo}`;
    case "unknown":
      return `opt-${option.code} ${toHex(option.data)}`;
    case "raw":
      return `raw ${toHex(option.bytes)}`;
    default:
      return option.kind;
  }
}
