import { describe, expect, it } from "vitest";
import { all, Tasks, type Steps } from "../../host/dataplane/tasks.ts";

function* waits(times: number, value: number): Steps<number> {
  for (let i = 0; i < times; i++) yield;
  return value;
}

function* fails(times: number): Steps<number> {
  yield* waits(times, 0);
  throw new Error(`after ${times}`);
}

describe("operations as coroutines", () => {
  it("go as far as they can with every advance, and end their promises", async () => {
    const tasks = new Tasks();
    const promise = tasks.start(waits(2, 7));
    expect(tasks.pending).toBe(1);
    expect([tasks.advance(), tasks.advance(), tasks.advance()]).toEqual([0, 0, 1]);
    expect(tasks.pending).toBe(0);
    expect(await promise).toBe(7);
  });

  it("reject what throws, and leave the others alone", async () => {
    const tasks = new Tasks();
    const good = tasks.start(waits(1, 1));
    const bad = tasks.start(fails(0));
    expect(tasks.advance()).toBe(1);
    await expect(bad).rejects.toThrow("after 0");
    expect(tasks.advance()).toBe(1);
    expect(await good).toBe(1);
  });

  it("wait for others side by side", async () => {
    const tasks = new Tasks();
    const both = tasks.start(
      (function* (): Steps<number[]> {
        return yield* all([3, 1].map((times) => tasks.spawn(waits(times, times))));
      })(),
    );
    let rounds = 0;
    for (; tasks.pending > 0; rounds++) tasks.advance();
    expect(await both).toEqual([3, 1]);
    expect(rounds).toBeLessThanOrEqual(5);
  });

  it("throw what the first of those threw when all have ended", async () => {
    const tasks = new Tasks();
    let ended = false;
    const steps = function* (): Steps<number> {
      yield* waits(4, 0);
      ended = true;
      return 0;
    };
    const failing = tasks.start(all([tasks.spawn(fails(1)), tasks.spawn(steps())]));
    while (tasks.pending > 0) tasks.advance();
    await expect(failing).rejects.toThrow("after 1");
    expect(ended).toBe(true);
  });
});
