/** The report: what is drawn of results, which of the paper's shapes hold, and the page itself. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeResults } from "../../bench/lib/results.ts";
import type { Chart } from "../../bench/lib/chart.ts";
import { drawingsOf } from "../../bench/report/datasets.ts";
import { shapesOf } from "../../bench/report/shapes.ts";
import { bench } from "./bench-command.ts";
import { lineOf } from "./lines.ts";

const RATE = { metric: "rate", label: "messages/s" };

describe("drawings", () => {
  const lines = [
    lineOf({ rate: [5, 6, 7] }, { n: 2 }),
    lineOf({ rate: [1, 2, 3] }, { n: 1 }),
    lineOf({ rate: [9] }, { n: 1 }, { system: "epoll" }),
  ];

  it("have a line for each system, in the order of x, and the paper's apart", () => {
    const x = { param: "n", label: "n", log: true };
    const paper = [{ label: "IX", points: [[1, 4]] as const }];
    const chart: Chart = { kind: "lines", title: "rates", x, y: RATE, paper };
    const [drawing] = drawingsOf(chart, lines);
    expect(drawing).toMatchObject({
      kind: "plot",
      x: { label: "n", log: true },
      lines: [
        {
          label: "ixwasm inline",
          xs: [1, 2],
          ys: [2, 6],
          low: [1, 5],
          high: [3, 7],
          theirs: false,
        },
        { label: "epoll", xs: [1], ys: [9], theirs: false },
        { label: "paper: IX", xs: [1], ys: [4], theirs: true },
      ],
    });
  });

  it("are one for each value of a parameter when asked", () => {
    const chart: Chart = { kind: "bars", title: "rates", y: RATE, per: "n" };
    const drawings = drawingsOf(chart, lines);
    expect(drawings.map(({ title }) => title)).toEqual(["rates (n 2)", "rates (n 1)"]);
    expect(drawings[1]).toMatchObject({
      bars: [
        { value: 2, isBaseline: false },
        { value: 9, isBaseline: true },
      ],
    });
  });

  it("are none where the metric was not measured", () => {
    expect(drawingsOf({ kind: "bars", title: "", y: { ...RATE, metric: "p99" } }, lines)).toEqual(
      [],
    );
  });
});

describe("shapes", () => {
  it("hold or not by the ratios of one run, and are open where nothing was measured", () => {
    const of = (system: string, rounds: number, rate: number) =>
      lineOf({ msgs_per_s: [rate] }, { rounds }, { experiment: "rounds", system });
    const shapes = shapesOf([
      of("ixwasm threaded", 1, 160),
      of("node:net", 1, 10),
      of("epoll", 1, 40),
    ]);
    const told = shapes.filter(({ value }) => value !== undefined);
    expect(told.map(({ value, holds }) => [value, holds])).toEqual([
      [16, true],
      [4, false],
    ]);
  });
});

describe("bench report", () => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "ixwasm-bench-test-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("writes one page that needs nothing from outside", async () => {
    const line = lineOf({ msgs_per_s: [1e6, 2e6] }, { rounds: 1 }, { experiment: "rounds" });
    writeResults(directory, "rounds", [{ ...line, system: "</script><b>" }]);
    const { code, stdout } = await bench("report", directory);
    expect(code).toBe(0);
    expect(stdout).toContain(join(directory, "report.html"));
    const page = readFileSync(join(directory, "report.html"), "utf8");
    expect(page).toContain("paper: IX 10 GbE");
    expect(page).toContain('data-plot="0"');
    expect(page).not.toMatch(/<(link|img|iframe)|src=|href="(?!#)/);
    expect(page).not.toContain("</script><b>");
    expect(page).toContain("&lt;/script&gt;&lt;b&gt;");
  });
});
