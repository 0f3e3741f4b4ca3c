/** The turns that take operations on the cores of other threads further. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CoreStatus } from "../../host/dataplane/elasticity.ts";
import { Operations } from "../../host/dataplane/operations.ts";

/** Operations on one core, with an event loop that turns when it is told to. */
function plant() {
  const state = { status: "running" as CoreStatus, isBusy: true, isOver: false };
  /** What the next looks find done, and how many looks there were. */
  const work: number[] = [];
  const polled: number[] = [];
  let looks = 0;
  let next: (() => void) | undefined;
  const operations = new Operations({
    elasticity: {
      get isBusy() {
        return state.isBusy;
      },
      advance: () => {
        looks++;
        return work.shift() ?? 0;
      },
    },
    cores: [
      {
        get status() {
          return state.status;
        },
        advance: (now) => {
          polled.push(now);
          return 0;
        },
      },
    ],
    clock: () => 7,
    soon: (callback) => {
      expect(next).toBeUndefined();
      next = callback;
    },
    isOver: () => state.isOver,
  });
  /** Whether there was a turn asked for. */
  const turn = (): boolean => {
    const callback = next;
    next = undefined;
    callback?.();
    return callback !== undefined;
  };
  return { operations, state, work, polled, turn, looks: () => looks };
}

describe("operations", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("are taken further turn by turn while they get on", () => {
    const { operations, state, work, polled, turn, looks } = plant();
    work.push(1, 1);
    operations.wake();
    operations.wake();
    expect(turn()).toBe(true);
    expect(turn()).toBe(true);
    state.isBusy = false;
    expect(turn()).toBe(true);
    expect(turn()).toBe(false);
    expect(looks()).toBe(3);
    expect(polled).toEqual([7, 7, 7]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("are looked at every millisecond while they wait for cores", () => {
    const { operations, turn, looks } = plant();
    operations.wake();
    turn();
    expect(turn()).toBe(false);
    vi.advanceTimersByTime(3);
    expect(looks()).toBe(4);
  });

  it("go on while a core is being rescued, though none is pending", () => {
    const { operations, state, turn, looks } = plant();
    Object.assign(state, { isBusy: false, status: "rescuing" });
    operations.wake();
    turn();
    vi.advanceTimersByTime(2);
    expect(looks()).toBe(3);
    state.status = "stopped";
    vi.advanceTimersByTime(5);
    expect(looks()).toBe(4);
  });

  it("begin again when they are woken", () => {
    const { operations, state, turn, looks } = plant();
    state.isBusy = false;
    operations.wake();
    turn();
    operations.wake();
    expect(turn()).toBe(true);
    expect(looks()).toBe(2);
  });

  it("end where they are when all is over", () => {
    const { operations, state, turn, looks } = plant();
    operations.wake();
    turn();
    state.isOver = true;
    vi.advanceTimersByTime(5);
    operations.wake();
    expect(turn()).toBe(false);
    expect(looks()).toBe(1);
  });
});
