/** Reads a frame for people: its headers, and their fields with where each lies. */
import type { Field, Layer } from "../engine/messages.ts";
import { tcpOptions } from "./tcp-options.ts";

const ETHERNET = 14;
const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/** Headers in their order; what is cut off or not known is left out. */
export function decode(bytes: Uint8Array): Layer[] {
  const frame = new Frame(bytes);
  if (bytes.length < ETHERNET) return [];
  const layers = [ethernet(frame)];
  const type = frame.u16(12);
  if (type === 0x0806 && bytes.length >= ETHERNET + 28) layers.push(arp(frame));
  if (type !== 0x0800 || bytes.length < ETHERNET + 20) return layers;
  layers.push(ipv4(frame));
  const transport = ETHERNET + (bytes[ETHERNET] & 15) * 4;
  if (bytes[ETHERNET + 9] !== 6 || bytes.length < transport + 20) return layers;
  layers.push(tcp(frame, transport));
  const payload = transport + (bytes[transport + 12] >>> 4) * 4;
  const end = Math.min(ETHERNET + frame.u16(ETHERNET + 2), bytes.length);
  if (end > payload) layers.push(payloadOf(bytes, payload, end));
  return layers;
}

/** Access to the bytes, and fields made of them. */
class Frame {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u16(at: number): number {
    return this.#view.getUint16(at);
  }

  u32(at: number): number {
    return this.#view.getUint32(at);
  }

  mac(at: number): string {
    return Array.from(this.bytes.subarray(at, at + 6), (byte) => hex(byte, 2)).join(":");
  }

  ip(at: number): string {
    return this.bytes.subarray(at, at + 4).join(".");
  }
}

function ethernet(frame: Frame): Layer {
  const types: Record<number, string> = { 0x0800: "IPv4", 0x0806: "ARP", 0x86dd: "IPv6" };
  const type = frame.u16(12);
  return layer("Ethernet", 0, ETHERNET, [
    field("Destination", frame.mac(0), 0, 6),
    field("Source", frame.mac(6), 6, 6),
    field("Type", types[type] ?? `0x${hex(type, 4)}`, 12, 2),
  ]);
}

function arp(frame: Frame): Layer {
  const at = ETHERNET;
  return layer("ARP", at, at + 28, [
    field("Operation", frame.u16(at + 6) === 1 ? "request" : "reply", at + 6, 2),
    field("Sender", `${frame.ip(at + 14)} is at ${frame.mac(at + 8)}`, at + 8, 10),
    field("Target", frame.ip(at + 24), at + 24, 4),
  ]);
}

function ipv4(frame: Frame): Layer {
  const at = ETHERNET;
  const { bytes } = frame;
  const length = (bytes[at] & 15) * 4;
  const ecn = ["not ECT", "ECT(1)", "ECT(0)", "CE: congestion experienced"][bytes[at + 1] & 3];
  return layer("IPv4", at, Math.min(at + length, bytes.length), [
    field("Header length", `${length} bytes`, at, 1),
    field("ECN", ecn, at + 1, 1),
    field("Total length", `${frame.u16(at + 2)} bytes`, at + 2, 2),
    field("Identification", `0x${hex(frame.u16(at + 4), 4)}`, at + 4, 2),
    field("Time to live", String(bytes[at + 8]), at + 8, 1),
    field("Protocol", bytes[at + 9] === 6 ? "TCP" : String(bytes[at + 9]), at + 9, 1),
    field("Checksum", `0x${hex(frame.u16(at + 10), 4)}`, at + 10, 2),
    field("Source", frame.ip(at + 12), at + 12, 4),
    field("Destination", frame.ip(at + 16), at + 16, 4),
  ]);
}

function tcp(frame: Frame, at: number): Layer {
  const { bytes } = frame;
  const length = (bytes[at + 12] >>> 4) * 4;
  const flags = FLAGS.filter((_, bit) => (bytes[at + 13] >>> bit) & 1);
  return layer("TCP", at, Math.min(at + length, bytes.length), [
    field("Source port", String(frame.u16(at)), at, 2),
    field("Destination port", String(frame.u16(at + 2)), at + 2, 2),
    field("Sequence number", String(frame.u32(at + 4)), at + 4, 4),
    field("Acknowledgment", String(frame.u32(at + 8)), at + 8, 4),
    field("Header length", `${length} bytes`, at + 12, 1),
    field("Flags", flags.join(" ") || "none", at + 13, 1),
    field("Window", String(frame.u16(at + 14)), at + 14, 2),
    field("Checksum", `0x${hex(frame.u16(at + 16), 4)}`, at + 16, 2),
    ...tcpOptions(bytes, at + 20, Math.min(at + length, bytes.length)),
  ]);
}

const SHOWN = 32;

function payloadOf(bytes: Uint8Array, from: number, to: number): Layer {
  const text = Array.from(bytes.subarray(from, Math.min(to, from + SHOWN)), printable).join("");
  const value = to - from > SHOWN ? `${text}…` : text;
  return layer("Payload", from, to, [field(`${to - from} bytes`, value, from, to - from)]);
}

function printable(byte: number): string {
  return byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·";
}

function layer(name: string, from: number, to: number, fields: readonly Field[]): Layer {
  return { name, from, to, fields };
}

function field(name: string, value: string, at: number, length: number): Field {
  return { name, value, from: at, to: at + length };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
