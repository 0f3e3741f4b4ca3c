/** The run in the page's address. */
import { describe, expect, test } from "vitest";
import { fromHash, toHash } from "../../demo/state/address.ts";
import { FIRST_PACE, FIRST_SCENARIO } from "../../demo/state/first.ts";
import type { Scenario } from "../../demo/engine/messages.ts";

const first = { scenario: FIRST_SCENARIO, pace: FIRST_PACE };

describe("the address", () => {
  test("of the run that the page begins with is empty, and the other way round", () => {
    expect(toHash(first)).toBe("");
    expect(fromHash("")).toEqual(first);
  });

  test("gives back every lever, the seed and the pace", () => {
    const scenario: Scenario = {
      cores: 7,
      connections: 3,
      load: 0,
      inFlight: 9,
      size: 1448,
      work: 2.5,
      batch: 16,
      loss: 0.01,
      reorder: 0.2,
      delay: 1000,
      jitter: 10,
      rate: 1e9,
      congestion: "bbr",
      flood: 5000,
      pattern: "sine",
      policy: "delay",
      seed: 0xffff_ffff,
    };
    const differing = Object.entries(scenario).filter(
      ([key, value]) => FIRST_SCENARIO[key as keyof Scenario] === value,
    );
    expect(differing, "levers that are as at first show nothing here").toEqual([]);
    for (const pace of [1, 50_000, "full"] as const) {
      expect(fromHash(toHash({ scenario, pace }))).toEqual({ scenario, pace });
    }
  });

  test("names only what differs", () => {
    expect(toHash({ scenario: { ...FIRST_SCENARIO, loss: 0.01 }, pace: "full" })).toBe(
      "#loss=0.01&pace=full",
    );
  });

  test.each([
    "#cores=0",
    "#cores=9",
    "#cores=",
    "#cores=many",
    "#loss=-1",
    "#loss=NaN",
    "#congestion=reno",
    "#policy=__proto__",
    "#pace=0",
    "#pace=Infinity",
    "#unknown=1",
    "#__proto__=1&&&==%",
  ])("%s is not taken", (hash) => {
    expect(fromHash(hash)).toEqual(first);
  });
});
