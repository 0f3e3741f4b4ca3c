/** What the ECN bits mean, and how large segments that carry them are put together. */
import { expect, test } from "vitest";
import { FLAG } from "../language/script.ts";
import type { LivePacket, LiveTcp } from "../packets/live.ts";
import { ACE, EcnNegotiation } from "./ecn.ts";
import { joined } from "./segments.ts";

const ASK = FLAG.SYN | ACE;
const CLASSIC_ASK = FLAG.SYN | FLAG.CWR | FLAG.ECE;
const SYN_ACK = FLAG.SYN | FLAG.ACK;

function agreed(...flags: readonly number[]): boolean {
  const ecn = new EcnNegotiation();
  for (const one of flags) ecn.note(one);
  return ecn.ofFirst === 0;
}

test.each([
  ["no codepoint", FLAG.CWR],
  ["ECT(1)", FLAG.CWR | FLAG.ECE],
  ["ECT(0)", FLAG.AE],
  ["CE", FLAG.AE | FLAG.CWR],
])("a server that says the SYN came with %s has understood", (_what, answer) => {
  expect(agreed(ASK, SYN_ACK | answer)).toBe(true);
  expect(agreed(CLASSIC_ASK, SYN_ACK | answer)).toBe(false);
});

test.each([
  ["nothing", 0],
  ["classic ECN", FLAG.ECE],
  ["ECN with nonces", FLAG.AE | FLAG.ECE],
  ["all bits", ACE],
])("one that answers with %s has not", (_what, answer) => {
  expect(agreed(ASK, SYN_ACK | answer)).toBe(false);
});

/** A segment of 100 bytes, the `index`-th in a row. */
function segment(index: number, flags: number): LivePacket {
  const body: LiveTcp = {
    kind: "tcp",
    seq: 100 * index,
    ack: 1,
    flags: FLAG.ACK | flags,
    window: 500,
    urgent: 0,
    options: [],
    payload: new Uint8Array(100),
  };
  return {
    at: 0,
    version: 4,
    source: "192.168.0.1",
    destination: "192.0.2.1",
    sourcePort: 8080,
    destinationPort: 33_333,
    tos: 2,
    ttl: 64,
    flowLabel: 0,
    body,
  };
}

test("a row repeats the ACE field, and says the answer to an echo once", () => {
  const row = (a: number, b: number, ofFirst: number): boolean =>
    joined(segment(0, a), segment(1, b), 100, ofFirst) !== undefined;
  expect(row(FLAG.CWR, 0, FLAG.CWR)).toBe(true);
  expect(row(FLAG.CWR, FLAG.CWR, FLAG.CWR)).toBe(false);
  expect(row(FLAG.CWR, FLAG.CWR, 0)).toBe(true);
  expect(row(FLAG.CWR, 0, 0)).toBe(false);
  expect(row(FLAG.AE | FLAG.ECE, FLAG.AE, 0)).toBe(false);
});
