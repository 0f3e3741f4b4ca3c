/** Packets of the script as frames, with the flow's numbers filled in. */
import { concat, u16, u32 } from "../../support/bytes.ts";
import { Mismatch, SyntaxFault, Unsupported } from "../language/errors.ts";
import type { IcmpSpec, PacketSpec, TcpSpec } from "../language/script.ts";
import { FLAG } from "../language/script.ts";
import {
  encodeFrame,
  encodeIcmp,
  encodeIpHeader,
  encodeTcp,
  encodeUdp,
  icmpProtocol,
  type Ends,
  type TcpNumbers,
} from "../packets/encode.ts";
import { icmpNumbers } from "../packets/icmp-names.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../packets/live.ts";
import { optionBytes, type OptionMapping } from "../packets/tcp-options.ts";
import type { Flow } from "./flow.ts";
import type { Level } from "./match.ts";
import { LOCAL_MAC, REMOTE_MAC, type Settings } from "./settings.ts";

const DEFAULT_MTU = 1500;

const LINK = { destinationMac: LOCAL_MAC, sourceMac: REMOTE_MAC };

/**
 * The frames of an inbound packet. One that is larger than the MTU, as a card that merges segments hands
 * it over, comes as the segments it was merged from.
 */
export function buildInbound(
  packet: PacketSpec,
  flow: Flow,
  settings: Settings,
  level: Level,
  line: number,
): Uint8Array[] {
  const { body } = packet;
  const ends = flow.inbound();
  switch (body.kind) {
    case "tcp": {
      const numbers = {
        flags: body.flags,
        seq: flow.remoteSeq(body),
        ack: flow.localAck(body),
        window: body.window ?? 0,
        urgent: body.urgent ?? 0,
        options: tcpOptions(body, flow, settings, level, line),
        length: body.length,
      };
      const mtu = settings.mtu ?? DEFAULT_MTU;
      const room = mtu - (settings.version === 6 ? 60 : 40) - numbers.options.length;
      const size = Math.min(room, settings.mergedSegment ?? room);
      return segmented(numbers, size, flow.ecn.ofFirst).map((segment) =>
        encodeFrame(LINK, ends, PROTOCOL_TCP, encodeTcp(ends, segment), packet.ip),
      );
    }
    case "udp":
      return [encodeFrame(LINK, ends, PROTOCOL_UDP, encodeUdp(ends, body.length), packet.ip)];
    case "icmp":
      return [encodeFrame(LINK, ends, icmpProtocol(ends), icmp(body, flow, line), packet.ip)];
  }
}

/** Segments of `size` bytes of payload: FIN and PSH on the last, `ofFirst` on the first. */
function segmented(whole: TcpNumbers, size: number, ofFirst: number): TcpNumbers[] {
  if (whole.length <= size) return [whole];
  const segments: TcpNumbers[] = [];
  for (let at = 0; at < whole.length; at += size) {
    const length = Math.min(size, whole.length - at);
    let { flags } = whole;
    if (at + length < whole.length) flags &= ~(FLAG.FIN | FLAG.PSH);
    if (at > 0) flags &= ~ofFirst;
    segments.push({ ...whole, flags, length, seq: (whole.seq + at) >>> 0 });
  }
  return segments;
}

function tcpOptions(
  spec: TcpSpec,
  flow: Flow,
  settings: Settings,
  level: Level,
  line: number,
): Uint8Array {
  if (spec.options === "any") throw new SyntaxFault(line, "inbound packet with <...>");
  const mapping: OptionMapping = {
    sackEdge: (edge) => (edge + flow.localBase) >>> 0,
    timestampValue: (value) => {
      flow.echoable.add(value);
      return value;
    },
    timestampEcho: (echo, absolute) => {
      if (absolute || !(spec.flags & FLAG.ACK)) return echo;
      const { timestampTick, scaledEcho } = settings;
      const live = flow.timestampEcho(echo, timestampTick, scaledEcho);
      if (live !== undefined) return live;
      // The other levels do not demand that the stack sent timestamps at all.
      if (level !== "exact" || echo === 0) return echo;
      throw new Mismatch(line, `TS ecr ${echo} was never sent by the stack`);
    },
  };
  const bytes = concat(...spec.options.map((option) => optionBytes(option, mapping)));
  if (bytes.length % 4 !== 0) {
    throw new SyntaxFault(line, `TCP options are ${bytes.length} bytes, no multiple of 4`);
  }
  if (bytes.length > 40) throw new SyntaxFault(line, `TCP options are ${bytes.length} bytes`);
  return bytes;
}

function icmp(spec: IcmpSpec, flow: Flow, line: number): Uint8Array {
  const ends = flow.inbound();
  const version = ends.source.includes(":") ? 6 : 4;
  const numbers = icmpNumbers(version, spec.type, spec.code, line);
  const low = spec.mtu ?? 0;
  // IPv6 has the MTU in the whole second word.
  const words = version === 6 ? [low >>> 16, low & 0xffff] : [spec.id ?? 0, low];
  // An error without a quote is about the SYN, and that was larger than what would have passed.
  const syn = { kind: "tcp", seq: 0, length: low } as const;
  const quote = spec.quote ?? (isError(version, numbers[0]) ? syn : undefined);
  const data = quote ? quoted(quote, flow) : new Uint8Array();
  return encodeIcmp(ends, numbers, [words[0], words[1]], data);
}

/** Whether an ICMP message quotes a packet (RFC 792, RFC 4443). */
function isError(version: 4 | 6, type: number): boolean {
  return version === 6 ? type < 128 : type === 3 || type === 4 || type === 11 || type === 12;
}

/** The stack's own packet, as far as an error must quote it: IP header and 8 bytes (RFC 792). */
function quoted(quote: NonNullable<IcmpSpec["quote"]>, flow: Flow): Uint8Array {
  const { source, destination, sourcePort, destinationPort } = flow.inbound();
  const ends: Ends = {
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
  };
  const ports = concat(u16(ends.sourcePort), u16(ends.destinationPort));
  if (quote.kind === "tcp") {
    const header = encodeIpHeader(ends, PROTOCOL_TCP, 20 + quote.length);
    return concat(header, ports, u32((quote.seq + flow.localBase) >>> 0));
  }
  if (quote.kind === "udp") {
    const header = encodeIpHeader(ends, PROTOCOL_UDP, 8 + quote.length);
    return concat(header, ports, u16(8 + quote.length), u16(0));
  }
  throw new Unsupported("ICMP quote of raw IP");
}
