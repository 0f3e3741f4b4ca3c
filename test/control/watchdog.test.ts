import { describe, expect, it } from "vitest";
import { PHASE_KERNEL, PHASE_OUTSIDE } from "../../assembly/abi.ts";
import { placeOf, UNRESPONSIVE, Watchdog } from "../../host/control/watchdog.ts";

const sighting = (lastPoll: number, isParked = false, phase: number = PHASE_OUTSIDE) => ({
  lastPoll,
  phase,
  isParked,
});

describe("the watchdog", () => {
  it("is content with a core that polls or sleeps", () => {
    const watchdog = new Watchdog();
    for (let now = 0; now < 1e6; now += 5000) {
      expect(watchdog.look(sighting(now), now)).toBeUndefined();
    }
    for (let now = 1e6; now < 2e6; now += 5000) {
      expect(watchdog.look(sighting(7, true), now)).toBeUndefined();
    }
    // Awake, it has as long as any other.
    expect(watchdog.look(sighting(7), 2e6)).toBeUndefined();
  });

  it("says once where a silent core is, and again after it has lived", () => {
    const watchdog = new Watchdog();
    watchdog.look(sighting(5), 0);
    expect(watchdog.look(sighting(5), UNRESPONSIVE)).toBeUndefined();
    const first = watchdog.look(sighting(5), UNRESPONSIVE + 1);
    expect(first).toEqual({ micros: UNRESPONSIVE + 1, where: "application", isNews: true });
    const second = watchdog.look(sighting(5, false, PHASE_KERNEL), 50_000);
    expect(second).toEqual({ micros: 50_000, where: "kernel", isNews: false });
    expect(watchdog.look(sighting(6), 60_000)).toBeUndefined();
    expect(watchdog.look(sighting(6), 75_000)).toMatchObject({ micros: 15_000, isNews: true });
  });

  it("does not count against a core what it did not watch itself", () => {
    const watchdog = new Watchdog();
    watchdog.look(sighting(5), 0);
    // A machine that stood still for ten seconds.
    expect(watchdog.look(sighting(5), 10e6)!.micros).toBeLessThanOrEqual(50_000);
    for (let now = 10e6; now <= 12e6; now += 5000) watchdog.look(sighting(5), now);
    expect(watchdog.look(sighting(5), 12e6)!.micros).toBeGreaterThanOrEqual(2e6);
  });

  it("begins anew with another thread", () => {
    const watchdog = new Watchdog();
    watchdog.look(sighting(5), 0);
    watchdog.reset();
    expect(watchdog.look(sighting(5), 1e6)).toBeUndefined();
  });

  it("knows the phases of a core", () => {
    expect([PHASE_OUTSIDE, PHASE_KERNEL].map(placeOf)).toEqual(["application", "kernel"]);
  });
});
