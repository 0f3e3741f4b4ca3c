/** Numbers as the page writes them; levers and tours as the engine takes them. */
import { describe, expect, test } from "vitest";
import { RANGES, type Levers } from "../../demo/engine/messages.ts";
import { bitRate, bytes, grouped, percent, short, time } from "../../demo/page/numbers.ts";
import { FIRST_SCENARIO } from "../../demo/state/first.ts";
import { indexOfValue, LEVER_GROUPS } from "../../demo/state/levers.ts";
import { TOURS } from "../../demo/tours/tours.ts";

const plain = (text: string): string => text.replaceAll("\u202f", " ");

test.each([
  [grouped(1_234_567), "1 234 567"],
  [grouped(12), "12"],
  [short(0), "0"],
  [short(999), "999"],
  [short(60_000), "60 k"],
  [short(1_234_567), "1.23 M"],
  [short(Infinity), "∞"],
  [time(0), "0 µs"],
  [time(20), "20 µs"],
  [time(1500), "1.5 ms"],
  [time(2_000_000), "2 s"],
  [percent(0.001), "0.1 %"],
  [bytes(65_536), "64 KiB"],
  [bytes(1448), "1 448 B"],
  [bitRate(1e9), "1 Gbit/s"],
  [bitRate(5), "5 bit/s"],
])("%s", (written, expected) => {
  expect(plain(written)).toBe(expected);
});

const ranges: Partial<Record<string, readonly [number, number]>> = RANGES;
const levers = LEVER_GROUPS.flatMap((group) => group.levers);

describe("the levers", () => {
  test("are all that a person can change", () => {
    const { seed: _, ...changeable } = FIRST_SCENARIO;
    expect(levers.map(({ key }) => key).sort()).toEqual(Object.keys(changeable).sort());
  });

  test.each(levers.filter((lever) => "values" in lever))(
    "$key has values in its range",
    (lever) => {
      const [least, most] = ranges[lever.key]!;
      for (const value of lever.values) {
        expect(value).toBeGreaterThanOrEqual(least);
        expect(value).toBeLessThanOrEqual(most);
        expect(lever.values[indexOfValue(lever.values, value)]).toBe(value);
      }
      expect(lever.values).toContain(FIRST_SCENARIO[lever.key]);
    },
  );
});

describe.each(TOURS.map((tour) => [tour.name, tour] as const))("the tour %s", (_, tour) => {
  const settings: Partial<Levers>[] = [
    tour.levers,
    ...tour.steps.flatMap(({ levers, act }) => [
      levers ?? {},
      act?.does.type === "levers" ? act.does.changes : {},
    ]),
  ];

  test("sets levers to values that they have", () => {
    for (const [key, value] of settings.flatMap((changes) => Object.entries(changes))) {
      const lever = levers.find((candidate) => candidate.key === key);
      const values =
        lever === undefined
          ? []
          : "values" in lever
            ? lever.values
            : lever.options.map(([name]) => name);
      expect(values, key).toContain(value);
    }
  });

  test("is short: a few steps, none longer than a glance", () => {
    expect(tour.steps.length).toBeLessThanOrEqual(5);
    for (const { text, watch } of tour.steps) {
      const words = [...text, watch].join(" ").split(" ").length;
      expect(words).toBeLessThanOrEqual(75);
    }
  });
});
