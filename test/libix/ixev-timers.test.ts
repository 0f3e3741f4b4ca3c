import { beforeEach, describe, expect, it } from "vitest";
import { EV_TIMER, RC_NOMEM, SYS_TIMER_CANCEL, SYS_TIMER_SET } from "../../assembly/abi.ts";
import { operations } from "./fake-kernel.ts";
import { TIMER, World } from "./ixev-world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

describe("timers", () => {
  it("fire in order, once", () => {
    const fired: string[] = [];
    world.ixev.setTimer(300, () => void fired.push("c"));
    world.ixev.setTimer(100, () => void fired.push("a"));
    const cancelled = world.ixev.setTimer(150, () => void fired.push("never"));
    world.ixev.setTimer(200, () => void fired.push("b"));
    world.now = 5000;
    world.round();
    cancelled.cancel();
    expect(world.round()).toMatchObject([{ op: SYS_TIMER_SET, a: 100 }]);
    world.now = 5201;
    world.round({ op: EV_TIMER, cookie: TIMER });
    expect(fired).toEqual(["a", "b"]);
    expect(world.round()).toMatchObject([{ op: SYS_TIMER_SET, a: 99 }]);
    world.now = 5300;
    world.round({ op: EV_TIMER, cookie: TIMER });
    expect(fired).toEqual(["a", "b", "c"]);
    world.round();
    expect(world.kernel.ix.pendingCalls).toBe(0);
  });

  it("that come earlier replace the kernel's timer", () => {
    world.ixev.setTimer(100_000, () => {});
    world.round();
    world.round();
    world.round();
    const timer = world.ixev.setTimer(10, () => {});
    expect(timer.pending).toBe(true);
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_CANCEL, SYS_TIMER_SET]);
  });

  it("that are all cancelled give the kernel's timer back", () => {
    const timers = [50, 100].map((delay) => world.ixev.setTimer(delay, () => {}));
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_SET]);
    timers[0].cancel();
    world.round();
    expect(operations(world.round())).toEqual([]);
    timers[1].cancel();
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_CANCEL]);
    world.ixev.setTimer(10, () => {});
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_SET]);
  });

  it("are tried again when the kernel has none free", () => {
    let refusals = 3;
    world.kernel.respond = ({ op }) =>
      op === SYS_TIMER_SET && refusals-- > 0 ? RC_NOMEM : undefined;
    world.ixev.setTimer(10, () => {});
    world.round();
    for (let i = 0; i < 4; i++) expect(operations(world.round())).toEqual([SYS_TIMER_SET]);
    expect(world.round()).toEqual([]);
  });

  it("set by a timer wait for their time", () => {
    let fired = 0;
    const again = (): void => {
      fired++;
      world.ixev.setTimer(0, again);
    };
    world.ixev.setTimer(0, again);
    world.round();
    expect(fired).toBe(1);
    world.round();
    expect(fired).toBe(2);
  });
});
