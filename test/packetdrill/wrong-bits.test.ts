/**
 * That nothing of a packet slips through: every bit of a segment is turned over in turn, its checksums
 * made right again, and the result must be refused, but for the fields that scripts do not speak of.
 */
import { expect, test } from "vitest";
import { concat, u16 } from "../support/bytes.ts";
import { checksum } from "../support/packet/checksum.ts";
import { parseScript } from "./language/parser.ts";
import type { PacketSpec } from "./language/script.ts";
import { addressBytes, pseudoHeader } from "./packets/addresses.ts";
import { encodeFrame, encodeTcp } from "./packets/encode.ts";
import { decodeFrame, MalformedFrame, PROTOCOL_TCP } from "./packets/live.ts";
import { optionBytes } from "./packets/tcp-options.ts";
import { Flow } from "./run/flow.ts";
import { mismatch } from "./run/match.ts";

const LOCAL = "192.168.0.1";
const REMOTE = "192.0.2.1";
const HOSTS = { local: LOCAL, remote: REMOTE, gateway: "192.168.0.2", prefix: 16 };
const ENDS = { source: LOCAL, destination: REMOTE, sourcePort: 8080, destinationPort: 33_333 };
const LINK = { destinationMac: "02:00:00:00:00:02", sourceMac: "02:00:00:00:00:01" };
const ETHERNET = 14;
const IP = 20;
const LENGTH = 12;

/** The packet of a one-line script. */
function specOf(line: string): PacketSpec {
  const { action } = parseScript("line", `0 ${line}`).events[0];
  if (action.kind !== "packet") throw new Error(`no packet: ${line}`);
  return action.packet;
}

/** A flow whose stack began at 5000 and whose peer at 9000, and which has seen TSval 700. */
function makeFlow(): Flow {
  const flow = new Flow(HOSTS, 8080, 33_333);
  flow.localBase = 5000;
  flow.remoteBase = 9000;
  flow.bindTimestamp(100, 123_456);
  flow.echoable.add(700);
  return flow;
}

/** The segment that `spec` describes, as a right stack sends it. */
function rightFrame(spec: PacketSpec, flow: Flow): Uint8Array {
  const { body } = spec;
  if (body.kind !== "tcp" || body.options === "any") throw new Error("needs all of a segment");
  const mapping = { ...flow.outboundMapping(), timestampValue: () => 123_456 };
  const segment = encodeTcp(ENDS, {
    flags: body.flags,
    seq: flow.localSeq(body),
    ack: flow.remoteAck(body),
    window: body.window ?? 500,
    urgent: body.urgent ?? 0,
    options: concat(...body.options.map((option) => optionBytes(option, mapping))),
    length: body.length,
  });
  return encodeFrame(LINK, ENDS, PROTOCOL_TCP, segment, { ttl: 64, ...spec.ip });
}

function withRightChecksums(frame: Uint8Array): Uint8Array {
  const fixed = frame.slice();
  fixed.set(u16(0), ETHERNET + 10);
  fixed.set(u16(checksum(fixed.subarray(ETHERNET, ETHERNET + IP))), ETHERNET + 10);
  const segment = fixed.subarray(ETHERNET + IP);
  segment.set(u16(0), 16);
  const source = fixed.subarray(ETHERNET + 12, ETHERNET + 16);
  const destination = fixed.subarray(ETHERNET + 16, ETHERNET + 20);
  const pseudo = pseudoHeader(source, destination, PROTOCOL_TCP, segment.length);
  segment.set(u16(checksum(concat(pseudo, segment))), 16);
  return fixed;
}

/** True when the interpreter takes the frame for what the script expects. */
function accepts(frame: Uint8Array, spec: PacketSpec, tick?: number): boolean {
  const flow = makeFlow();
  try {
    const live = decodeFrame(frame, 0);
    if (!live || !flow.owns(live)) return false;
    const timestamps = { timestampTick: tick, timestampTolerance: 4000 };
    const rules = { level: "exact", strict: true, ...timestamps } as const;
    return mismatch(live, spec, flow, rules, 1) === undefined;
  } catch (error) {
    if (error instanceof MalformedFrame) return false;
    throw error;
  }
}

/** Offsets from the IP header of the bytes in which some bit may be anything. */
function freeBytes(spec: PacketSpec, tick?: number): number[] {
  const frame = rightFrame(spec, makeFlow());
  expect(accepts(frame, spec, tick)).toBe(true);
  const free = new Set<number>();
  for (let bit = ETHERNET * 8; bit < frame.length * 8; bit++) {
    const turned = frame.slice();
    turned[bit >> 3] ^= 0x80 >> (bit & 7);
    if (accepts(withRightChecksums(turned), spec, tick)) free.add((bit >> 3) - ETHERNET);
  }
  return [...free];
}

const TOS = [1];
const IDENTIFICATION = [4, 5];
/** Don't fragment; fragments are refused. */
const FLAGS = [6];
const TTL = [8];
/** Checksums, which are made right again. */
const CHECKSUMS = [10, 11, IP + 16, IP + 17];
const WINDOW = [IP + 14, IP + 15];
const TS_VALUE = [IP + 24, IP + 25, IP + 26, IP + 27];

function sorted(...groups: readonly (readonly number[])[]): number[] {
  return groups.flat().toSorted((a, b) => a - b);
}

test("a segment without window and options: all but TOS, id, DF, TTL and window is compared", () => {
  const spec = specOf(`> P. 1:${1 + LENGTH}(${LENGTH}) ack 1`);
  expect(freeBytes(spec)).toEqual(sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS, WINDOW));
});

test("a window that is written is compared", () => {
  const spec = specOf(`> P. 1:${1 + LENGTH}(${LENGTH}) ack 1 win 500`);
  expect(freeBytes(spec)).toEqual(sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS));
});

test("timestamps: the echo is compared, the value is not", () => {
  const spec = specOf(`> P. 1:${1 + LENGTH}(${LENGTH}) ack 1 win 500 <nop,nop,TS val 100 ecr 700>`);
  expect(freeBytes(spec)).toEqual(sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS, TS_VALUE));
});

test("with a timestamp clock the value is compared, to what times may be off", () => {
  const spec = specOf(`> P. 1:${1 + LENGTH}(${LENGTH}) ack 1 win 500 <nop,nop,TS val 100 ecr 700>`);
  // The last three bits are up to four ticks.
  const free = sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS, [IP + 27]);
  expect(freeBytes(spec, 1000)).toEqual(free);
});

test("TOS and TTL that are written are compared", () => {
  const spec = specOf(`> (tos 0x20) P. 1:${1 + LENGTH}(${LENGTH}) ack 1 win 500`);
  expect(freeBytes(spec)).toEqual(sorted(IDENTIFICATION, FLAGS, TTL, CHECKSUMS));
  const ttl = specOf(`> (ttl 64) P. 1:${1 + LENGTH}(${LENGTH}) ack 1 win 500`);
  expect(freeBytes(ttl)).toEqual(sorted(TOS, IDENTIFICATION, FLAGS, CHECKSUMS));
});

test("every bit of a SYN's options is compared", () => {
  const spec = specOf("> S. 0:0(0) ack 9001 win 500 <mss 1460,nop,nop,sackOK,nop,wscale 7>");
  expect(freeBytes(spec)).toEqual(sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS));
});

test("every bit of SACK blocks is compared", () => {
  const spec = specOf("> . 1:1(0) ack 1 win 500 <nop,nop,sack 1001:2001 3001:4001>");
  expect(freeBytes(spec)).toEqual(sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS));
});

test("every bit of the ACE field and of accurate ECN's counters is compared", () => {
  const fixed = sorted(TOS, IDENTIFICATION, FLAGS, TTL, CHECKSUMS);
  for (const line of [
    "> EAP. 1:13(12) ack 1 win 500 <ECN e1b 1 ceb 1000 e0b 70001,nop>",
    "> P.2 1:13(12) ack 1 win 500 <ECN e0b 1 ceb 0>",
    "> SW. 0:0(0) ack 9001 win 500 <mss 1460,ECN e1b 1 ceb 0 e0b 1,nop,nop,nop,sackOK>",
  ]) {
    expect(freeBytes(specOf(line)), line).toEqual(fixed);
  }
  const marked = specOf("> [ect0] .7 1:1(0) ack 1 win 500 <ECN e1b 4,nop,nop,nop>");
  expect(accepts(rightFrame(marked, makeFlow()), marked)).toBe(true);
  for (const codepoint of [0, 1, 3]) {
    const turned = rightFrame(marked, makeFlow());
    turned[ETHERNET + 1] = codepoint;
    expect(accepts(withRightChecksums(turned), marked)).toBe(false);
  }
});

test("counters left out, or of the other order, are not those written", () => {
  const line = (option: string): string => `> EA. 1:1(0) ack 1 win 500 <${option}>`;
  const spec = specOf(line("ECN e1b 1 ceb 0 e0b 1,nop"));
  for (const other of [
    "ECN e0b 1 ceb 0 e1b 1,nop",
    "ECN e1b 1 ceb 0",
    "nop,ECN e1b 1 ceb 0 e0b 1",
    "nop,nop,nop,ECN e1b 1",
  ]) {
    expect(accepts(rightFrame(specOf(line(other)), makeFlow()), spec), other).toBe(false);
  }
  expect(accepts(rightFrame(specOf("> EA. 1:1(0) ack 1 win 500"), makeFlow()), spec)).toBe(false);
});

test("an acknowledgment number without ACK, and an urgent pointer without URG, must be 0", () => {
  const spec = specOf("> R 1:1(0) win 0");
  const frame = rightFrame(spec, makeFlow());
  for (const offset of [8, 18]) {
    const turned = frame.slice();
    turned[ETHERNET + IP + offset + 1] = 1;
    expect(accepts(withRightChecksums(turned), spec)).toBe(false);
  }
});

test("a wrong checksum is refused, of IP and of TCP", () => {
  const spec = specOf(`> P. 1:${1 + LENGTH}(${LENGTH}) ack 1`);
  const frame = rightFrame(spec, makeFlow());
  for (const at of CHECKSUMS) {
    const turned = frame.slice();
    turned[ETHERNET + at] ^= 1;
    expect(accepts(turned, spec)).toBe(false);
  }
});

test("flow labels are the same where the script's are, and only there", () => {
  const flow = makeFlow();
  expect(flow.labelFits(1, 0xabcde)).toBe(true);
  expect(flow.labelFits(1, 0xabcde)).toBe(true);
  expect(flow.labelFits(1, 0xabcdf)).toBe(false);
  expect(flow.labelFits(2, 0xabcde)).toBe(false);
  expect(flow.labelFits(2, 0x12345)).toBe(true);
});

test("a packet of other addresses or ports is not the flow's", () => {
  const flow = makeFlow();
  const live = decodeFrame(rightFrame(specOf("> . 1:1(0) ack 1"), flow), 0)!;
  expect(flow.owns(live)).toBe(true);
  expect(flow.owns({ ...live, source: "192.168.0.9" })).toBe(false);
  expect(flow.owns({ ...live, destination: "192.0.2.9" })).toBe(false);
  expect(flow.owns({ ...live, sourcePort: 8081 })).toBe(false);
  expect(flow.owns({ ...live, destinationPort: 33_334 })).toBe(false);
  expect(addressBytes(LOCAL).length).toBe(4);
});
