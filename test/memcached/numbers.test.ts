import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSigned, parseUnsigned, U64, writeDecimal } from "../../examples/memcached/numbers.ts";

const text = (value: string): [Uint8Array, number, number] => [
  Buffer.from(`..${value}..`, "latin1"),
  2,
  2 + value.length,
];

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

function parsed(value: bigint | string): U64 {
  const number = new U64();
  expect(number.parse(...text(String(value)))).toBe(true);
  return number;
}

describe("numbers of 64 bits", () => {
  it("are read and printed", () => {
    fc.assert(
      fc.property(u64, (n) => {
        expect(parsed(n).toString()).toBe(String(n));
      }),
    );
  });

  it("are added modulo 2^64, and subtracted down to 0", () => {
    fc.assert(
      fc.property(u64, u64, (a, b) => {
        const sum = parsed(a);
        sum.add(parsed(b));
        expect(sum.toString()).toBe(String((a + b) % 2n ** 64n));
        const difference = parsed(a);
        difference.subtract(parsed(b));
        expect(difference.toString()).toBe(String(a > b ? a - b : 0n));
      }),
    );
  });

  it.each(["", "-1", "1x", "x", "18446744073709551616", "99999999999999999999999", "1 "])(
    "are not %j",
    (wrong) => expect(new U64().parse(...text(wrong))).toBe(false),
  );

  it("may have spaces around them where that is wanted", () => {
    const number = new U64();
    expect(number.parse(...text(" 42  "), true)).toBe(true);
    expect(number.toString()).toBe("42");
    expect(number.parse(...text("   "), true)).toBe(false);
  });
});

describe("numbers of 32 bits", () => {
  it.each([
    ["0", 0],
    ["+7", 7],
    ["-2147483648", -2147483648],
    ["2147483647", 2147483647],
    ["2147483648", NaN],
    ["-2147483649", NaN],
    ["", NaN],
    ["-", NaN],
    ["1-", NaN],
  ])("signed, %j is %d", (digits, value) => expect(parseSigned(...text(digits))).toBe(value));

  it.each([
    ["4294967295", 4294967295],
    ["4294967296", NaN],
    ["-1", NaN],
  ])("unsigned, %j is %d", (digits, value) => expect(parseUnsigned(...text(digits))).toBe(value));
});

it("writes whole numbers", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger().map(Math.abs), (value) => {
      const bytes = new Uint8Array(32);
      const end = writeDecimal(bytes, 3, value);
      expect(Buffer.from(bytes.subarray(3, end)).toString()).toBe(String(value));
    }),
  );
});
