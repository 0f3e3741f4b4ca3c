/** Figures as they are summed up and written. */
import { describe, expect, it } from "vitest";
import { spread } from "../../bench/lib/statistics.ts";
import { grouped, ranged, rounded } from "../../bench/lib/text.ts";

describe("figures", () => {
  it("are summed up by median, least and most", () => {
    expect(spread([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
    expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  });

  it("are written to be read", () => {
    expect([grouped(1234567.8), grouped(999), grouped(1000)]).toEqual([
      "1 234 568",
      "999",
      "1 000",
    ]);
    expect([rounded(0.123), rounded(12.34), rounded(1234.5)]).toEqual(["0.12", "12.3", "1 235"]);
    expect([rounded(0.00214), rounded(-0.0214), rounded(0)]).toEqual(["0.0021", "-0.021", "0.00"]);
    expect(ranged({ median: 2, min: 1, max: 3 })).toBe("2.00 (1.00–3.00)");
  });
});
