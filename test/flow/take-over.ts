/** What becomes of core 0 once its thread is gone: it is rescued, and core 1 gets all that it had. */
import { expect } from "vitest";
import {
  CORE_PHASE,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_FILL,
  GAUGE_TIMERS,
  PHASE_OUTSIDE,
  RC_OK,
} from "../../assembly/abi.ts";
import type { Cores } from "./cores.ts";

export const ALL = Array.from({ length: FLOW_GROUPS }, (_, group) => group);

/** Moves core 0's flow groups to core 1, of which some may be on their way already. */
export function giveAllAway(cores: Cores): void {
  for (let tries = 0; ALL.some((group) => cores.owner(group) === 0); tries++) {
    expect(tries).toBeLessThan(3);
    expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
  }
}

/** Takes core 0 over and gives everything to core 1. Nothing is sent meanwhile, and nothing stays behind. */
export function takeOver(cores: Cores): void {
  const [dead] = cores.all;
  const sent = dead.outbox.length;
  dead.rescue();
  expect(dead.word(CORE_PHASE)).toBe(PHASE_OUTSIDE);
  giveAllAway(cores);
  dead.events();
  expect(dead.outbox).toHaveLength(sent);
  expect(dead.gauge(GAUGE_CONNECTIONS)).toBe(0);
  expect(dead.gauge(GAUGE_BUFFERS)).toBe(0);
  expect(dead.gauge(GAUGE_TIMERS)).toBe(0);
  expect(dead.gauge(GAUGE_FILL)).toBe(dead.nic.held);
}
