/** From what is observed to what the core manager is told, with cores that only pretend. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  CNT_RX_PACKETS,
  FLOW_GROUPS,
  GROUP_PACKETS,
  GROUP_SIZE,
  METRIC_BUSY_TIME,
} from "../../assembly/abi.ts";
import { Controller, type ControllerOptions } from "../../host/control/controller.ts";
import { Machine, shareCores } from "../../host/control/machine.ts";
import type { Demand, Observation, Policy } from "../../host/control/policy.ts";
import type { CoreManager, CoreState } from "../../host/dataplane/core-manager.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import { SERVER_IP, smallDataplane } from "../dataplane/support.ts";

const CORES = 4;

/** Does what it is told when the test says so. */
class TestManager implements CoreManager {
  readonly cores: CoreState[] = ["active", "idle", "idle", "idle"];
  readonly told: unknown[] = [];
  readonly groups = new Uint8Array(FLOW_GROUPS);
  #finish: (error?: Error) => void = () => {};

  setActive(cores: number | readonly number[]): Promise<void> {
    this.told.push(cores);
    return this.#later(() => {
      for (let core = 0; core < CORES; core++) {
        this.cores[core] = core < (cores as number) ? "active" : "idle";
      }
    });
  }

  migrate(groups: Iterable<number>, to: number): Promise<readonly []> {
    this.told.push([[...groups], to]);
    return this.#later(() => {}).then(() => []);
  }

  add(): Promise<void> {
    throw new Error("not asked for");
  }

  revoke(): Promise<void> {
    throw new Error("not asked for");
  }

  owners(): Uint8Array {
    return this.groups;
  }

  /** Ends what is under way. */
  async finish(error?: Error): Promise<void> {
    this.#finish(error);
    for (let i = 0; i < 8; i++) await Promise.resolve();
  }

  #later(action: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#finish = (error) => {
        if (error) reject(error);
        else resolve(action());
      };
    });
  }
}

/** Wants what `wanted` says, and keeps what it saw. */
class TestPolicy implements Policy<number> {
  readonly name = "test";
  readonly period = 1000;
  readonly initial = 0;
  readonly seen: Observation[] = [];
  wanted: Demand = { cores: 1 };

  decide(state: number, observation: Observation): number {
    this.seen.push(observation);
    return state + 1;
  }

  demand(): Demand {
    return this.wanted;
  }
}

let dataplane: Dataplane;
let manager: TestManager;
let policy: TestPolicy;

beforeEach(() => {
  dataplane = smallDataplane(SERVER_IP, { cores: CORES });
  manager = new TestManager();
  policy = new TestPolicy();
});

function controller(options: Partial<ControllerOptions<number>> = {}): Controller<number> {
  return new Controller({ dataplane, manager, policy, ...options });
}

/** Lets a core have worked so long and taken so many packets since the start. */
function work(core: number, busy: number, packets: number): void {
  const view = new DataView(dataplane.memory.buffer);
  const { block } = dataplane.cores[core];
  view.setFloat64(block + METRIC_BUSY_TIME, busy, true);
  view.setBigUint64(block + CNT_RX_PACKETS, BigInt(packets), true);
}

/** Lets so many packets of a flow group have been processed since the start. */
function processed(group: number, packets: bigint): void {
  const at = dataplane.map.groups.address + group * GROUP_SIZE + GROUP_PACKETS;
  new DataView(dataplane.memory.buffer).setBigUint64(at, packets, true);
}

describe("a controller", () => {
  it("shows the policy the active cores and what they did since the last time", () => {
    const control = controller();
    manager.cores[2] = "active";
    policy.wanted = { cores: 2 };
    work(0, 500, 10);
    control.tick(1000);
    work(0, 1200, 25);
    work(1, 999, 99);
    work(2, 100, 1);
    processed(5, 12n);
    control.tick(3000);
    expect(policy.seen[0]).toMatchObject({ now: 1000, interval: 0, busy: 0, arrived: 0 });
    expect(policy.seen[1]).toMatchObject({
      now: 3000,
      interval: 2000,
      busy: 800,
      arrived: 16,
      processed: 12,
    });
    expect(policy.seen[1].cores).toHaveLength(2);
  });

  it("has the manager do what the policy asks for, and decides nothing meanwhile", async () => {
    const changes: unknown[] = [];
    const control = controller({ onChange: (demand, at) => changes.push([demand.cores, at]) });
    manager.cores[1] = "active";
    policy.wanted = { cores: 2 };
    control.tick(1000);
    expect(manager.told).toEqual([]);
    policy.wanted = { cores: 3 };
    control.tick(2000);
    policy.wanted = { cores: 4 };
    control.tick(3000);
    control.tick(4000);
    expect(manager.told).toEqual([3]);
    expect(policy.seen).toHaveLength(2);
    expect(control.isChanging).toBe(true);
    await manager.finish();
    expect(control.isChanging).toBe(false);
    expect(changes).toEqual([[3, 2000]]);
    control.tick(5000);
    expect(manager.told).toEqual([3, 4]);
    expect(policy.seen.at(-1)!.interval).toBe(3000);
  });

  it("adds many cores by doubling them", async () => {
    const control = controller();
    policy.wanted = { cores: 4 };
    control.tick(1000);
    expect(manager.told).toEqual([2]);
    await manager.finish();
    expect(manager.told).toEqual([2, 4]);
    await manager.finish();
    expect(control.isChanging).toBe(false);
    expect(control.active).toEqual([0, 1, 2, 3]);
  });

  it("sets the speed where there is one to be set, once", () => {
    const speeds: Demand[] = [];
    const control = controller({ setSpeed: (demand) => speeds.push(demand) });
    policy.wanted = { cores: 1, frequency: 2.4, hyperthreads: true };
    control.tick(1000);
    return control.settled.then(() => {
      control.tick(2000);
      expect(speeds).toEqual([policy.wanted]);
      expect(manager.told).toEqual([]);
    });
  });

  it("forgets a decision that failed and tries again after a second", async () => {
    const errors: unknown[] = [];
    const control = controller({ onError: (error) => errors.push(error) });
    policy.wanted = { cores: 2 };
    control.tick(1000);
    await manager.finish(new Error("no such core"));
    expect(errors).toEqual([new Error("no such core")]);
    control.tick(500_000);
    expect(manager.told).toEqual([2]);
    control.tick(1_001_000);
    expect(manager.told).toEqual([2, 2]);
  });

  it("asks again for a core that was lost", async () => {
    const control = controller();
    policy.wanted = { cores: 2 };
    control.tick(1000);
    await manager.finish();
    manager.cores[1] = "dead";
    control.tick(2000);
    expect(manager.told).toEqual([2, 2]);
  });

  it("moves flow groups by the packets they had, every so often", async () => {
    const control = controller({ rebalance: { period: 5000 } });
    manager.cores[1] = "active";
    policy.wanted = { cores: 2 };
    for (let group = 64; group < FLOW_GROUPS; group++) manager.groups[group] = 1;
    // What happened before the first look is of no interest.
    processed(100, 1_000_000n);
    control.tick(1000);
    processed(0, 900n);
    processed(7, 500n);
    processed(70, 400n);
    control.tick(2000);
    expect(manager.told).toEqual([]);
    control.tick(6000);
    expect(manager.told).toEqual([[[7], 1]]);
    await manager.finish();
    expect(control.isChanging).toBe(false);
  });
});

describe("sharing cores", () => {
  it.each([
    ["what is asked for, when there is enough", 8, [[3], [4]], [3, 4]],
    ["equal shares, when there is not", 8, [[9], [9], [1]], [4, 3, 1]],
    [
      "the more important first",
      8,
      [
        [9, 1, 0],
        [6, 1, 1],
      ],
      [2, 6],
    ],
    [
      "a minimum in any case",
      4,
      [
        [4, 1, 5],
        [4, 2, 0],
      ],
      [2, 2],
    ],
    ["nothing that nobody asks for", 8, [[2], [0, 1]], [2, 1]],
  ] as const)("gives %s", (_, cores, wishes, shares) => {
    const full = wishes.map(([wanted, min = 1, priority = 0]) => ({
      cores: wanted,
      min,
      priority,
    }));
    expect(shareCores(cores, full)).toEqual(shares);
  });

  it("refuses minima that cannot be met", () => {
    const wish = { cores: 1, min: 3, priority: 0 };
    expect(() => shareCores(5, [wish, wish])).toThrow(/add up to 6/);
  });
});

describe("a machine", () => {
  it("takes cores before it gives them, and the background job gives way first", async () => {
    const order: string[] = [];
    const tenant = (name: string, active: number) => {
      const own = new TestManager();
      own.cores.fill("active", 0, active);
      const wish = new TestPolicy();
      wish.wanted = { cores: active };
      const control = new Controller<unknown>({
        dataplane: smallDataplane(SERVER_IP, { cores: CORES }),
        manager: own,
        policy: wish as Policy,
        onChange: ({ cores }) => order.push(`${name} ${cores}`),
      });
      return { own, wish, control };
    };
    const [a, b] = [tenant("a", 3), tenant("b", 2)];
    const machine = new Machine({
      cores: 6,
      tenants: [{ controller: a.control }, { controller: b.control }],
      background: (cores) => void order.push(`background ${cores}`),
    });
    machine.tick(1000);
    await a.own.finish();
    expect(order).toEqual(["background 1"]);
    a.wish.wanted = { cores: 2 };
    b.wish.wanted = { cores: 4 };
    machine.tick(2000);
    await Promise.resolve();
    await Promise.resolve();
    expect([a.own.told, b.own.told]).toEqual([[2], []]);
    expect(machine.isChanging).toBe(true);
    await a.own.finish();
    expect(b.own.told).toEqual([4]);
    await b.own.finish();
    expect(order).toEqual(["background 1", "background 0", "a 2", "b 4"]);
    a.wish.wanted = { cores: 1 };
    machine.tick(3000);
    await b.own.finish();
    await a.own.finish();
    expect(order.slice(4)).toEqual(["a 1", "background 1"]);
  });

  it("gives nothing where a core could not be taken", async () => {
    const managers = [new TestManager(), new TestManager()];
    managers[0].cores.fill("active", 0, 3);
    const wishes = [new TestPolicy(), new TestPolicy()];
    const tenants = managers.map((own, i) => ({
      controller: new Controller<unknown>({
        dataplane,
        manager: own,
        policy: wishes[i] as Policy,
      }),
    }));
    const machine = new Machine({ cores: 4, tenants });
    wishes[1].wanted = { cores: 3 };
    machine.tick(1000);
    await Promise.resolve();
    await managers[0].finish(new Error("it does not answer"));
    expect(managers[1].told).toEqual([]);
    expect(machine.isChanging).toBe(false);
  });
});
