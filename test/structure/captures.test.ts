/** Every test that writes a capture, or talks to Linux over a TAP, has Wireshark look at it. */
import { describe, expect, test } from "vitest";
import { importsOf, readSource, sourcesOf } from "./sources.ts";

/** Whatever makes a capture or reads one names its format, or the program that makes it. */
const CAPTURES = /pcapng|dumpcap|tcpdump/i;
/** Whoever makes a TAP has its namespace, and where the dataplane is at the other end a conversation. */
const TAPS = ["test/tap/namespace.ts", "test/tap/responder.ts"];
const CHECKS = /\bexpectSound\(/;

/** Tests with no packet of the stack's in what they capture or send. */
const EXEMPT = [
  "test/structure/captures.test.ts",
  // Frames of the test's own, from one TAP to another.
  "test/tap/tap.test.ts",
  // A TAP that cannot be opened.
  "test/tap/missing.test.ts",
];

const opensTap = (file: string): boolean =>
  importsOf(file).some((entry) => TAPS.includes(entry.file ?? ""));

const tests = sourcesOf("test").filter((file) => file.endsWith(".test.ts"));
const concerned = tests.filter((file) => CAPTURES.test(readSource(file)) || opensTap(file));

describe("captures", () => {
  test.each(concerned.filter((file) => !EXEMPT.includes(file)))("%s has them looked at", (file) => {
    expect(readSource(file)).toMatch(CHECKS);
  });

  test("are known by their format, and TAPs by their namespace", () => {
    const known = [
      "test/sim/recorder.test.ts",
      "test/cli/capture.test.ts",
      "test/tap/dial.test.ts",
    ];
    expect(concerned).toEqual(expect.arrayContaining(known));
  });

  test("nobody is exempt without need", () => {
    expect(EXEMPT.filter((file) => !concerned.includes(file))).toEqual([]);
    expect(EXEMPT.slice(1).filter((file) => CHECKS.test(readSource(file)))).toEqual([]);
  });
});
