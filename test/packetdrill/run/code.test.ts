/** The Python of assertions. */
import { describe, expect, test } from "vitest";
import { Unsupported } from "../language/errors.ts";
import { AssertionFailure, runCode, type Value } from "./code.ts";

const NAMES = new Map<string, Value>([
  ["tcpi_snd_cwnd", 10],
  ["tcpi_options", 7],
  ["TCPI_OPT_SYN_DATA", 32],
]);

function run(code: string, variables = new Map<string, Value>()): readonly string[] {
  return runCode(code, variables, NAMES).printed;
}

test("an assertion holds or fails, with its message", () => {
  run("assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd");
  expect(() => run("assert tcpi_snd_cwnd == 11, 'cwnd=%d' % tcpi_snd_cwnd")).toThrow(/cwnd=10/);
  expect(() => run("assert False")).toThrow(AssertionFailure);
});

test("comparisons chain", () => {
  run("assert 9 <= tcpi_snd_cwnd <= 10");
  expect(() => run("assert 9 <= tcpi_snd_cwnd < 10")).toThrow(AssertionFailure);
  expect(() => run("assert 11 <= tcpi_snd_cwnd <= 12")).toThrow(AssertionFailure);
});

test("bits, precedence and parentheses", () => {
  run("assert (tcpi_options & TCPI_OPT_SYN_DATA) == 0, tcpi_options");
  run("assert 2 + 3 * 4 == 14 and (2 + 3) * 4 == 20");
  run("assert 1 << 4 | 1 == 17 and 7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2");
  run("assert 0xffffffff & 0x80000000 == 2147483648 and 2 ** 3 == 8 and ~1 == -2");
});

test("variables last from one block to the next", () => {
  const variables = new Map<string, Value>();
  run("cwnd = 10; limit = cwnd", variables);
  run("cwnd += 2", variables);
  run("assert cwnd == 12 and limit == tcpi_snd_cwnd", variables);
});

test("lines, semicolons, continued lines and comments part statements", () => {
  const variables = new Map<string, Value>();
  run("a = 1 # one; not two\nb = 2; \\\n c = 3;\nd = max(a,\n b)", variables);
  expect([...variables]).toEqual([
    ["a", 1],
    ["b", 2],
    ["c", 3],
    ["d", 2],
  ]);
});

test("print shows tuples, booleans and formats", () => {
  expect(run("print(1, True); print('%d of %d' % (1, 2)); print(None)")).toEqual([
    "(1, True)",
    "1 of 2",
    "None",
  ]);
});

test("and, or and not look no further than they must", () => {
  run("assert not False and (True or missing) and not (False and missing)");
});

describe("what is refused", () => {
  test.each([
    ["a name that is not known", "assert tcpi_unknown == 1"],
    ["a function that is not known", "assert open('file')"],
    ["attributes", "assert tcpi_snd_cwnd.real == 1"],
    ["imports", "import os"],
    ["statements", "for x in y: pass"],
    ["text behind an expression", "assert 1 2"],
    ["strings as numbers", "assert 'a' < 1"],
  ])("%s", (_what, code) => {
    expect(() => run(code)).toThrow(Unsupported);
  });
});
