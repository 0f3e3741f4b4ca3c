/** Comparing sequence numbers on the circle (RFC 9293 section 3.4). */
import { describe, expect, test } from "vitest";
import { compileParts } from "../support/assembly.ts";

const parts = await compileParts("tcp/seq.ts");

const pairs: readonly [a: number, b: number, distance: number][] = [
  [0, 0, 0],
  [0, 1, 1],
  [1, 0, -1],
  [0xffff_ffff, 0, 1],
  [0, 0xffff_ffff, -1],
  [0xffff_ff00, 0x100, 0x200],
  [0x7fff_ffff, 0x8000_0000, 1],
  [0, 0x7fff_ffff, 0x7fff_ffff],
  [0x8000_0001, 0, 0x7fff_ffff],
];

describe.each(parts)("$name", ({ call }) => {
  test.each(pairs)("%i and %i", (a, b, distance) => {
    expect(call.seqBefore(a, b)).toBe(distance > 0 ? 1 : 0);
    expect(call.seqBeforeEq(a, b)).toBe(distance >= 0 ? 1 : 0);
    expect(call.seqAfter(a, b)).toBe(distance < 0 ? 1 : 0);
    expect(call.seqAfterEq(a, b)).toBe(distance <= 0 ? 1 : 0);
    expect(call.seqMax(a, b) >>> 0).toBe(distance > 0 ? b : a);
    expect(call.seqMin(a, b) >>> 0).toBe(distance >= 0 ? a : b);
  });
});
