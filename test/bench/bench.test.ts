/** The bench command line: help, and what it refuses. */
import { describe, expect, it } from "vitest";
import { EXPERIMENTS } from "../../bench/experiments.ts";
import { bench } from "./bench-command.ts";

/** What the types of the package leave open of an option. */
interface ValueOption {
  readonly flags: string;
  readonly parseArg?: (text: string, previous: unknown) => unknown;
  readonly defaultValue?: unknown;
}

describe("the command line", () => {
  it("has help with examples for every experiment", async () => {
    const { stdout } = await bench("--help");
    for (const { name } of EXPERIMENTS) {
      expect(stdout).toContain(name);
      expect((await bench(name, "--help")).stdout).toMatch(/npm run bench -- /);
    }
  });

  it.each([
    [["echo", "--conns", "0"], /--conns.*whole number from 1/],
    [["echo", "--size", "64k"], /--size.*whole number/],
    [["echo", "--systems", "inline,lwip"], /"lwip" is none of inline, threaded/],
    [["bulk", "--loss", "2"], /--loss.*from 0 to 1/],
    [["bulk", "--timers", "wan"], /--timers.*choices are default, lan/],
    [["bulk", "--cc", "cubic,bbr"], /--cc.*choices are newreno, cubic/],
    [["ecko"], /no experiment "ecko", only echo, /],
    [["echo", "--speed", "9"], /unknown option '--speed'/],
  ])("refuses %j and says what would do", async (args, message) => {
    const { code, stderr } = await bench(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("--help");
  });
});

describe("every option of every experiment", () => {
  const options = EXPERIMENTS.flatMap((experiment) =>
    experiment.command().options.flatMap((option) => {
      const { flags, parseArg, defaultValue } = option as ValueOption;
      return parseArg ? [{ name: `${experiment.name} ${flags}`, parseArg, defaultValue }] : [];
    }),
  );

  it.each(options)(
    "$name takes no negative number, no NaN, no infinity, nothing",
    ({ parseArg }) => {
      for (const text of ["-1", "NaN", "Infinity", "", "1,-1", "1x"]) {
        expect(() => parseArg(text, undefined), text).toThrow();
      }
    },
  );

  it.each(options)("$name takes what is its default", ({ parseArg, defaultValue }) => {
    if (defaultValue === undefined) return;
    expect(parseArg(String(defaultValue), undefined)).toEqual(defaultValue);
  });
});
