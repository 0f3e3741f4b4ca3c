/** The kernel's options, written and read, against the independent builder. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileParts } from "../support/assembly.ts";
import { hex, readU16, readU32 } from "../support/bytes.ts";
import { buildOptions, mss, nop, sack, sackOk, ts, ws, type TcpOption } from "../support/packet.ts";

const parts = await compileParts("wire/tcp.ts", "wire/tcp-options.ts");

const AT = 4096;
/** Length of the header that options follow. */
const HEADER = 20;

interface Found {
  readonly mss: number;
  readonly scale: number;
  readonly sackPermitted: boolean;
  readonly timestamps: readonly [value: number, echo: number] | undefined;
  readonly blocks: readonly (readonly [number, number])[];
}

const ABSENT: Found = {
  mss: 0,
  scale: 255,
  sackPermitted: false,
  timestamps: undefined,
  blocks: [],
};

describe.each(parts)("$name", ({ call, memory, globals }) => {
  /** What an emitter wrote behind a header, in front of bytes that it must leave alone. */
  function written(length: number, emit: () => void): Uint8Array {
    const end = AT + HEADER + length;
    memory.fill(0x5a, AT, end + 16);
    emit();
    expect(memory.slice(AT, AT + HEADER)).toEqual(new Uint8Array(HEADER).fill(0x5a));
    expect(memory.slice(end, end + 16)).toEqual(new Uint8Array(16).fill(0x5a));
    return memory.slice(AT + HEADER, end);
  }

  test.each<[sack: number, timestamps: number, scale: number, TcpOption[]]>([
    [0, 0, 0, [mss(1460)]],
    [0, 0, 1, [mss(1460), nop, ws(9)]],
    [1, 0, 0, [mss(1460), nop, nop, sackOk]],
    [1, 0, 1, [mss(1460), nop, nop, sackOk, nop, ws(9)]],
    [0, 1, 1, [mss(1460), nop, nop, ts(0xa1b2c3d4, 77), nop, ws(9)]],
    [1, 1, 0, [mss(1460), sackOk, ts(0xa1b2c3d4, 77)]],
    [1, 1, 1, [mss(1460), sackOk, ts(0xa1b2c3d4, 77), nop, ws(9)]],
  ])("options of a SYN in Linux's layout: sack %i, timestamps %i, scale %i", (...row) => {
    const [withSack, timestamps, scale, expected] = row;
    const length = call.synOptionBytes(withSack, timestamps, scale);
    const bytes = written(length, () =>
      call.emitSynOptions(AT, 1460, withSack, timestamps, scale, 9, 0xa1b2c3d4, 77),
    );
    expect(bytes).toEqual(buildOptions(expected));
  });

  test("timestamps and SACK blocks", () => {
    const bytes = written(32, () => {
      call.emitTimestamps(AT, 0x01020304, 0xfffefdfc);
      call.emitSackHead(AT + HEADER + 12, 2);
      call.emitSackBlock(AT + HEADER + 16, 1, 0x80000000);
      call.emitSackBlock(AT + HEADER + 24, 0xfffffff0, 5);
    });
    const blocks = sack([1, 0x80000000], [0xfffffff0, 5]);
    expect(bytes).toEqual(buildOptions([nop, nop, ts(0x01020304, 0xfffefdfc), nop, nop, blocks]));
    expect(call.isTimestampsOnly(AT)).toBe(1);
    expect(call.timestampValue(AT) >>> 0).toBe(0x01020304);
    memory[AT + HEADER] = 0;
    expect(call.isTimestampsOnly(AT)).toBe(0);
  });

  describe("reading options", () => {
    function read(options: Uint8Array): Found {
      // Bytes behind the options that would mean something if they were read.
      memory.fill(0, AT, AT + HEADER);
      memory.set(hex("020405dc 03030e 0402 080a1234567812345678"), AT + HEADER + options.length);
      memory.set(options, AT + HEADER);
      call.parseTcpOptions(AT, options.length);
      const value = (name: string): number => Number(globals[name].value) >>> 0;
      const blocks = Array.from(
        { length: value("optionSackBlocks") },
        (_, index): [number, number] => [call.sackLeft(index) >>> 0, call.sackRight(index) >>> 0],
      );
      return {
        mss: value("optionMss"),
        scale: value("optionWindowScale"),
        sackPermitted: value("optionSackPermitted") !== 0,
        timestamps: value("optionHasTimestamps")
          ? [value("optionTsValue"), value("optionTsEcho")]
          : undefined,
        blocks,
      };
    }

    test.each<[string, string, Partial<Found>]>([
      ["nothing", "", {}],
      ["MSS", "020405b4", { mss: 1460 }],
      [
        "Linux's SYN",
        "020405b40402080a000000010000000001030307",
        { mss: 1460, scale: 7, sackPermitted: true, timestamps: [1, 0] },
      ],
      ["a scale beyond 14 (RFC 7323 section 2.3)", "0303ff00", { scale: 14 }],
      ["what comes behind the end of the list", "01000204 05b40303", {}],
      ["an MSS of a wrong length", "020305b4", {}],
      ["a scale of a wrong length", "03040707", {}],
      ["SACK-permitted of a wrong length", "04030000", {}],
      ["timestamps of a wrong length", "0809000000010000000101", {}],
      ["SACK without a block", "01010502", {}],
      ["SACK with half a block", "0506000000010101", {}],
      ["a SACK block", "0101050a0000000100000009", { blocks: [[1, 9]] }],
      ["a length of zero", "fd00020405b4", {}],
      ["a length of one", "fd01020405b4", {}],
      ["an option cut short", "020405", {}],
      ["a kind without a length", "010103", {}],
      ["the last of two", "02040001020405b4", { mss: 1460 }],
      ["behind an unknown one", "fd06aabbccdd020405b4", { mss: 1460 }],
    ])("%s", (_what, bytes, expected) => {
      expect(read(hex(bytes))).toEqual({ ...ABSENT, ...expected });
    });

    const kind = fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 253);
    const length = fc.constantFrom(0, 1, 2, 3, 4, 10, 18);
    const bytes = fc.array(fc.oneof(kind, length, fc.nat(255)), { maxLength: 40 });

    test("any bytes: as a plain walk reads them, and never beyond the header", () => {
      fc.assert(
        fc.property(bytes, (options) => {
          expect(read(Uint8Array.from(options))).toEqual(plainWalk(Uint8Array.from(options)));
        }),
        { seed: 2, numRuns: 4000 },
      );
    });
  });
});

/** RFC 9293 section 3.2, step by step. */
function plainWalk(options: Uint8Array): Found {
  let found = ABSENT;
  let at = 0;
  while (at < options.length) {
    const kind = options[at];
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = options[at + 1];
    if (length === undefined || length < 2 || at + length > options.length) break;
    const body = options.subarray(at + 2, at + length);
    if (kind === 2 && length === 4) found = { ...found, mss: readU16(body, 0) };
    if (kind === 3 && length === 3) found = { ...found, scale: Math.min(body[0], 14) };
    if (kind === 4 && length === 2) found = { ...found, sackPermitted: true };
    if (kind === 5 && length > 2 && body.length % 8 === 0) {
      found = {
        ...found,
        blocks: Array.from({ length: body.length / 8 }, (_, index) => [
          readU32(body, 8 * index),
          readU32(body, 8 * index + 4),
        ]),
      };
    }
    if (kind === 8 && length === 10) {
      found = { ...found, timestamps: [readU32(body, 0), readU32(body, 4)] };
    }
    at += length;
  }
  return found;
}
