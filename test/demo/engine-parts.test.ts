/** The engine's parts by themselves: levers within their ranges, forged frames, what a header says. */
import { describe, expect, test } from "vitest";
import { FLOODER_MAC, hashOfPort } from "../../demo/engine/addresses.ts";
import { Board, cleaned, PATTERN_PERIOD } from "../../demo/engine/board.ts";
import { forgeSyn, SYN_FRAME } from "../../demo/engine/forged-syn.ts";
import type { Levers } from "../../demo/engine/messages.ts";
import { batchBin } from "../../demo/engine/readings.ts";
import { percentile, Tally } from "../../demo/engine/tally.ts";
import { decode } from "../../demo/packets/decode.ts";
import { fingerprint, glance, hashOf, sackBlocks, windowShift } from "../../demo/packets/frame.ts";
import { Random } from "../../host/index.ts";
import { mss, parseFrame, sack, tcpFrame, ts, ws } from "../support/packet.ts";

const SERVER = { ip: "10.0.0.1", mac: "02:00:0a:00:00:01" };
const CLIENT = { ip: "10.0.0.2", mac: "02:00:0a:00:00:02" };

describe("levers", () => {
  test("stay within their ranges, whole where they count something", () => {
    expect(cleaned({ cores: 9, loss: -1, connections: 3.4 })).toEqual({
      cores: 8,
      loss: 0,
      connections: 3,
    });
  });

  test("that are no levers, or no choice, are left out", () => {
    const wild = { pattern: "zigzag", colour: "red", load: Number.NaN } as unknown as Levers;
    expect(cleaned(wild)).toEqual({ load: 0 });
  });

  test("are seen by whoever has the board, and swing with the pattern", () => {
    const board = new Board();
    board.set({ load: 1000, pattern: "step" });
    const other = new Board(board.buffer);
    expect(other.loadAt(0)).toBeLessThan(500);
    expect(other.loadAt(PATTERN_PERIOD * 0.75)).toBeGreaterThan(1500);
    board.set({ pattern: "steady" });
    expect(other.loadAt(0)).toBe(1000);
  });
});

test("a forged SYN is whole, and from another sender each time", () => {
  const random = new Random(1);
  const senders = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const bytes = new Uint8Array(SYN_FRAME);
    forgeSyn(bytes, 0, [2, 0, 10, 0, 0, 1], random);
    // The oracle refuses checksums that are wrong.
    const { ip, tcp, ethernet } = parseFrame(bytes);
    expect(ip!.destination).toBe(SERVER.ip);
    expect(tcp!.flags).toBe("S");
    expect(ethernet.source).toBe(FLOODER_MAC.map((b) => b.toString(16).padStart(2, "0")).join(":"));
    senders.add(ip!.source);
  }
  expect(senders.size).toBe(20);
});

describe("a frame", () => {
  const options = [sack([1000, 2000]), ts(7, 8)];
  const fields = { sourcePort: 40_000, destinationPort: 7, seq: 5, ack: 6, flags: "PA", options };
  const payload = new TextEncoder().encode("hello");
  const frame = tcpFrame({ from: CLIENT, to: SERVER }, fields, payload);

  test("tells its ports, numbers, payload and blocks at a glance", () => {
    const seen = glance(frame);
    expect(seen).toMatchObject({ sourcePort: 40_000, seq: 5, ack: 6, flags: 24, payload: 5 });
    expect(sackBlocks(frame, seen)).toEqual([[1000, 2000]]);
  });

  test("has the hash of its connection either way", () => {
    const back = tcpFrame({ from: SERVER, to: CLIENT }, { sourcePort: 7, destinationPort: 40_000 });
    expect(hashOf(frame, glance(frame), "in")).toBe(hashOfPort(40_000));
    expect(hashOf(back, glance(back), "out")).toBe(hashOfPort(40_000));
  });

  test("is known again when the network has marked it, and only then", () => {
    const marked = frame.slice();
    marked[15] |= 3;
    marked[24] ^= 0xff;
    expect(fingerprint(marked)).toBe(fingerprint(frame));
    marked[40] ^= 1;
    expect(fingerprint(marked)).not.toBe(fingerprint(frame));
  });

  test("is read for people, options and payload included", () => {
    const values = new Map(
      decode(frame).flatMap(({ fields }) => fields.map(({ name, value }) => [name, value])),
    );
    expect(values.get("Flags")).toBe("PSH ACK");
    expect(values.get("SACK")).toBe("1000–2000");
    expect(values.get("Timestamps")).toBe("7, echo 8");
    expect(values.get("5 bytes")).toBe("hello");
  });

  test("of a SYN says how windows are scaled", () => {
    const syn = tcpFrame(
      { from: CLIENT, to: SERVER },
      { sourcePort: 40_000, destinationPort: 7, flags: "S", options: [mss(1460), ws(5)] },
    );
    expect(windowShift(syn, glance(syn))).toBe(5);
  });

  test("cut short anywhere is read as far as it goes", () => {
    for (let length = 0; length < frame.length; length++) {
      const part = frame.slice(0, length);
      const seen = glance(part);
      for (const { to } of decode(part)) expect(to).toBeLessThanOrEqual(part.length);
      sackBlocks(part, seen);
      windowShift(part, seen);
    }
  });
});

test("percentiles are those of what was counted, within a bucket", () => {
  const tally = new Tally();
  for (let i = 1; i <= 100; i++) tally.countAnswer(i);
  expect(percentile(tally.latencies(), 0.5)).toBeCloseTo(50, -1);
  expect(percentile(tally.latencies(), 0.99) / 99).toBeCloseTo(1, 1);
  expect(percentile(new Float64Array(8), 0.5)).toBe(0);
});

test("batches are told apart by powers of two", () => {
  expect([1, 2, 3, 4, 5, 8, 9, 33, 64].map(batchBin)).toEqual([0, 1, 2, 2, 3, 3, 4, 6, 6]);
});
