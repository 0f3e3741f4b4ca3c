/** The kernel's Internet checksum against the plain one: every alignment, every short length. */
import { describe, expect, test } from "vitest";
import { compileParts } from "../support/assembly.ts";
import { pattern } from "../support/bytes.ts";
import { checksum, onesSum, pseudoHeader } from "../support/packet.ts";

const parts = await compileParts("wire/checksum.ts");

/** Sums are in memory order: the plain sum with its bytes swapped. */
function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}

const contents: readonly [string, (length: number) => Uint8Array][] = [
  ["a pattern", (length) => pattern(length)],
  ["zeros", (length) => new Uint8Array(length)],
  ["all ones", (length) => new Uint8Array(length).fill(0xff)],
  ["the sign bits", (length) => new Uint8Array(length).fill(0x80)],
  [
    "the largest positive words",
    (length) => Uint8Array.from({ length }, (_, i) => (i & 1 ? 0x7f : 0xff)),
  ],
];

describe.each(parts)("$name", ({ call, memory }) => {
  describe.each(contents)("%s", (_what, fill) => {
    test("lengths 0 to 300 at 32 alignments", () => {
      for (let length = 0; length <= 300; length++) {
        const bytes = fill(length);
        const expected = checksum(bytes);
        for (let shift = 0; shift < 32; shift++) {
          const at = 65_536 + shift;
          // What lies around must not count.
          memory.fill(0xc3, at - 64, at + length + 64);
          memory.set(bytes, at);
          const actual = swapped(call.foldChecksum(call.sumBytes(at, length, 0)));
          if (actual !== expected) expect.fail(`length ${length} at ${shift}: ${actual}`);
        }
      }
    });

    test.each([1439, 1440, 1460, 1500, 2047, 4096, 9000, 32_767, 65_534, 65_535])(
      "%i bytes",
      (length) => {
        const bytes = fill(length);
        memory.set(bytes, 100_003);
        expect(swapped(call.foldChecksum(call.sumBytes(100_003, length, 0)))).toBe(checksum(bytes));
      },
    );
  });

  test("an initial sum is added, however large", () => {
    memory.set(pattern(100), 4096);
    const plain = swapped(onesSum(pattern(100)));
    for (const initial of [0, 1, 0xffff, 0x10000, 0x1ffff, 0xffff_ffff]) {
      const sum = call.sumBytes(4096, 100, initial) >>> 0;
      expect(sum).toBeLessThan(2 ** 18);
      const expected = (plain + (initial % 0xffff)) % 0xffff;
      expect(call.foldSum(sum) % 0xffff).toBe(expected);
    }
  });

  test("parts of any parity add up to the whole", () => {
    const bytes = pattern(600);
    memory.set(bytes, 8192);
    for (let cut = 0; cut <= 600; cut += 7) {
      const first = call.sumBytes(8192, cut, 0);
      const second = call.sumBytes(8192 + cut, 600 - cut, 0);
      const sum = first + (cut % 2 === 0 ? second : call.sumAtOddOffset(second));
      expect(swapped(call.foldChecksum(sum))).toBe(checksum(bytes));
    }
  });

  test("the pseudo header", () => {
    const source = new DataView(Uint8Array.of(192, 0, 2, 1).buffer).getUint32(0, true);
    const destination = new DataView(Uint8Array.of(198, 51, 100, 255).buffer).getUint32(0, true);
    for (const [protocol, length] of [
      [6, 20],
      [17, 8],
      [6, 65_515],
    ]) {
      const sum = call.pseudoHeaderSum(source, destination, protocol, length);
      const plain = pseudoHeader("192.0.2.1", "198.51.100.255", protocol, length);
      expect(swapped(call.foldChecksum(sum))).toBe(checksum(plain));
    }
  });
});
