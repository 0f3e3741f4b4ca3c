/**
 * Holds a packet of the stack's against the one a script expects. Every field that packetdrill compares
 * is compared here, in the order of the header, and besides: the checksums, and the echo of timestamps,
 * which must be one that the peer has sent.
 */
import { toHex } from "../../support/bytes.ts";
import {
  FLAG,
  type IpSpec,
  type OptionSpec,
  type PacketSpec,
  type TcpSpec,
} from "../language/script.ts";
import { icmpNumbers } from "../packets/icmp-names.ts";
import type { LivePacket, LiveTcp } from "../packets/live.ts";
import {
  isNegotiated,
  isPadding,
  isSack,
  isTimestamps,
  liveTimestamps,
  optionBytes,
  splitOptions,
  type LiveOption,
} from "../packets/tcp-options.ts";
import type { Flow } from "./flow.ts";

/**
 * How much must agree. "exact": all of it. "handshake": options of SYNs as a set, whatever MSS and
 * window scale they name, and windows ignored. "semantic": flags, numbers, lengths, SACK blocks.
 */
export type Level = "exact" | "handshake" | "semantic";

export const LEVELS: readonly Level[] = ["exact", "handshake", "semantic"];

export interface MatchRules {
  readonly level: Level;
  /** µs a tick of the timestamp clock; undefined: values are not compared. */
  readonly timestampTick: number | undefined;
  /** How far from what the script says a value may be, µs. */
  readonly timestampTolerance: number;
  /** Echoes are compared to the letter. */
  readonly strict: boolean;
}

/** What is wrong with the packet, or undefined. */
export function mismatch(
  live: LivePacket,
  spec: PacketSpec,
  flow: Flow,
  rules: MatchRules,
  line: number,
): string | undefined {
  const { body } = spec;
  if (live.body.kind !== body.kind) return `it is ${live.body.kind.toUpperCase()}`;
  const ip = ipMismatch(live, spec.ip, flow);
  if (ip !== undefined) return ip;
  if (spec.ports) {
    const [source, destination] = spec.ports;
    if (live.sourcePort !== source) return `source port is ${live.sourcePort}`;
    if (live.destinationPort !== destination) return `destination port is ${live.destinationPort}`;
  }
  switch (body.kind) {
    case "tcp":
      return tcpMismatch(live.body as LiveTcp, body, flow, rules);
    case "udp": {
      const { payload } = live.body as { payload: Uint8Array };
      return payloadMismatch(payload, body.length);
    }
    case "icmp": {
      const [type, code] = icmpNumbers(live.version, body.type, body.code, line);
      const found = live.body as { type: number; code: number };
      if (found.type !== type) return `ICMP type is ${found.type}`;
      return found.code === code ? undefined : `ICMP code is ${found.code}`;
    }
  }
}

function ipMismatch(live: LivePacket, spec: IpSpec, flow: Flow): string | undefined {
  const ecn = live.tos & 3;
  if (spec.ecn === "ect01" && ecn !== 1 && ecn !== 2) return `ECN field is ${ecn}`;
  if (typeof spec.ecn === "number" && ecn !== spec.ecn) return `ECN field is ${ecn}`;
  if (spec.tos !== undefined && live.tos !== spec.tos) return `TOS is 0x${live.tos.toString(16)}`;
  if (spec.dscp !== undefined && live.tos >> 2 !== spec.dscp) return `DSCP is ${live.tos >> 2}`;
  if (spec.ttl !== undefined && live.ttl !== spec.ttl) return `TTL is ${live.ttl}`;
  const { flowLabel } = spec;
  if (flowLabel !== undefined && !flow.labelFits(flowLabel, live.flowLabel)) {
    return `flow label is 0x${live.flowLabel.toString(16)}`;
  }
  return undefined;
}

function tcpMismatch(
  live: LiveTcp,
  spec: TcpSpec,
  flow: Flow,
  rules: MatchRules,
): string | undefined {
  if (live.flags !== spec.flags) return `flags differ`;
  if (!spec.seqAny && live.seq !== flow.localSeq(spec)) return "sequence number differs";
  if (live.ack !== flow.remoteAck(spec)) return "acknowledgment number differs";
  if (live.payload.length !== spec.length) return `length is ${live.payload.length}`;
  if (live.urgent !== (spec.urgent ?? 0)) return `urgent pointer is ${live.urgent}`;
  const payload = payloadMismatch(live.payload, spec.length);
  if (payload !== undefined) return payload;
  const { level } = rules;
  if (level === "exact" && spec.window !== undefined && live.window !== spec.window) {
    return `window is ${live.window}`;
  }
  return spec.options === "any" ? undefined : optionsMismatch(live, spec, flow, rules);
}

function payloadMismatch(payload: Uint8Array, length: number): string | undefined {
  if (payload.length !== length) return `length is ${payload.length}`;
  const at = payload.findIndex((byte) => byte !== 0);
  return at < 0 ? undefined : `payload byte ${at} is not zero`;
}

function optionsMismatch(
  live: LiveTcp,
  spec: TcpSpec,
  flow: Flow,
  rules: MatchRules,
): string | undefined {
  const written = spec.options as readonly OptionSpec[];
  const mapping = flow.outboundMapping();
  const expected = written.flatMap((option) => splitOptions(optionBytes(option, mapping)) ?? []);
  const found = live.options;
  if (rules.level === "semantic") {
    return sameList(found.filter(isSack), expected.filter(isSack)) ? undefined : "SACK differs";
  }
  if (rules.level === "handshake" && spec.flags & FLAG.SYN) {
    return sameSet(found, expected) ? undefined : "options differ";
  }
  if (!sameList(found, expected)) return "options differ";
  return timestampMismatch(live, written, flow, rules);
}

/** Same kinds in the same order, byte for byte, but for what timestamps say. */
function sameList(found: readonly LiveOption[], expected: readonly LiveOption[]): boolean {
  if (found.length !== expected.length) return false;
  return found.every((option, index) => sameOption(option, expected[index]));
}

function sameOption(a: LiveOption, b: LiveOption): boolean {
  if (a.code !== b.code || a.bytes.length !== b.bytes.length) return false;
  return isTimestamps(a) || toHex(a.bytes) === toHex(b.bytes);
}

function sameSet(found: readonly LiveOption[], expected: readonly LiveOption[]): boolean {
  const kinds = (options: readonly LiveOption[]): string =>
    options
      .filter((option) => !isPadding(option))
      .map((option) => {
        const free = isNegotiated(option) || isTimestamps(option);
        return free ? `${option.code}` : `${option.code} ${toHex(option.bytes)}`;
      })
      .toSorted()
      .join();
  return kinds(found) === kinds(expected);
}

function timestampMismatch(
  live: LiveTcp,
  written: readonly OptionSpec[],
  flow: Flow,
  rules: MatchRules,
): string | undefined {
  const option = written.find((entry) => entry.kind === "timestamps");
  const found = liveTimestamps(live.options);
  if (!option || !found) return undefined;
  if (rules.timestampTick !== undefined && !option.valueAny) {
    const value = flow.expectedTimestamp(option.value) ?? found.value;
    const ticks = (found.value - value) | 0;
    if (Math.abs(ticks) * rules.timestampTick > rules.timestampTolerance) {
      return `TS val is ${ticks} ticks off`;
    }
  }
  if (rules.strict && found.echo !== option.echo) return `TS ecr is ${found.echo}`;
  if (found.echo !== 0 && !flow.echoable.has(found.echo)) {
    return `TS ecr is ${found.echo}, which the peer never sent`;
  }
  return undefined;
}
