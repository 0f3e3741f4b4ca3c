import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ABI_VERSION } from "../../assembly/abi.ts";
import type { Elasticity } from "../../host/dataplane/elasticity.ts";
import { KernelError } from "../../host/dataplane/errors.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { AppFactory } from "../../host/libix/app.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { loadKernelSync } from "../../host/node/kernel.ts";
import { kernelOfAbi } from "../support/other-kernel.ts";
import { Random } from "../support/random.ts";
import { movingEnds, SERVER_IP } from "./support.ts";

const MODULE = new URL("./fixtures/moving.js", import.meta.url);
const moving = ((await import(MODULE.href)) as { default: AppFactory }).default;

const PORT = 7;

interface PairOptions {
  readonly cores?: number;
  readonly activeCores?: number;
  readonly clientCores?: number;
  readonly connections?: number;
  readonly bytes?: number;
  readonly rounds?: number;
  readonly link?: LinkOptions;
}

/** An echo server of several cores and its client, in virtual time. */
function echoPair(options: PairOptions = {}) {
  const { cores = 4, clientCores = 1, connections = 12, bytes = 20_000, rounds = 1 } = options;
  const { activeCores = cores, link = { delay: 20 } } = options;
  const { server, client } = movingEnds({ cores, activeCores }, clientCores);
  const [fromServer, fromClient] = connectPorts(server.port, client.port, link);
  const runner = new InlineRunner();
  const errors: unknown[] = [];
  const wanted = connections * clientCores * rounds;
  let streams = 0;
  const onMessage = (message: unknown) => {
    if (typeof message === "object" && "streamed" in message!) streams++;
    else errors.push(message);
  };
  runner.add(server, {
    wire: fromServer,
    app: moving,
    options: { role: "server", port: PORT },
    onMessage,
  });
  runner.add(client, {
    wire: fromClient,
    app: moving,
    options: {
      role: "client",
      server: SERVER_IP,
      port: PORT,
      connections,
      bytes,
      ahead: 2048,
      dials: { made: 0, wanted },
      streams: new Map(),
    },
    onMessage,
  });
  return {
    runner,
    server,
    client,
    errors,
    manager: runner.manager(server),
    clients: runner.manager(client),
    streams: () => streams,
    isOver: () => streams >= wanted || errors.length > 0,
    /** Lets everything end and looks at what is left. */
    finish() {
      expect(runner.run({ until: () => streams >= wanted || errors.length > 0 })).toBe(true);
      expect(errors).toEqual([]);
      runner.run();
      for (const dataplane of [server, client]) {
        dataplane.assertNoLeaks();
        expect(dataplane.counters()).toMatchObject({
          tcpRetransmits: 0,
          tcpTimeouts: 0,
          dropForeignGroup: 0,
        });
      }
    },
  };
}

/** Runs until an operation of a manager has ended. */
async function during<T>(runner: InlineRunner, operation: Promise<T>): Promise<T> {
  let over = false;
  const ended = operation.finally(() => (over = true));
  ended.catch(() => {});
  for (let rounds = 0; !over; rounds++) {
    if (rounds === 100_000) throw new Error("the operation does not end");
    runner.run({ forMicros: 50, until: () => over, maxSteps: 100_000 });
    await Promise.resolve();
    await Promise.resolve();
  }
  return ended;
}

const shares = (manager: Elasticity) => {
  const counts = manager.cores.map(() => 0);
  for (const owner of manager.owners()) counts[owner]++;
  return counts;
};

describe("flow groups of a running dataplane", () => {
  it("move on command, with their connections and without a retransmission", async () => {
    const { runner, manager, finish } = echoPair();
    runner.run({ forMicros: 500 });
    const results = await during(runner, manager.migrate([0, 1, 4, 5, 8], 2));
    expect(results.map(({ from, to, groups }) => [from, to, groups])).toEqual([
      [0, 2, 3],
      [1, 2, 2],
    ]);
    expect([...manager.owners().slice(0, 9)]).toEqual([2, 2, 2, 3, 2, 2, 2, 3, 2]);
    finish();
  });

  it("move all from one core while every connection is busy", async () => {
    const { runner, manager, server, finish } = echoPair({ connections: 40, cores: 2 });
    runner.run({ forMicros: 300 });
    const [result] = await during(
      runner,
      manager.migrate(
        Array.from({ length: 128 }, (_, group) => group),
        1,
      ),
    );
    expect(result).toMatchObject({ from: 0, to: 1, groups: 64 });
    expect(result.connections).toBeGreaterThan(5);
    expect(server.gauges(0).connections).toBe(0);
    finish();
  });

  it("are asked for of cores and groups that there are", () => {
    const { manager } = echoPair({ cores: 2 });
    expect(() => manager.migrate([128], 0)).toThrow(RangeError);
    expect(() => manager.migrate([1], 2)).toThrow(RangeError);
    expect(() => manager.setActive(0)).toThrow(RangeError);
    expect(() => manager.setActive([0, 2])).toThrow(RangeError);
  });
});

describe("cores of a running dataplane", () => {
  it("begin with the first ones, and all groups are theirs", () => {
    const { manager, finish } = echoPair({ activeCores: 2 });
    expect(manager.cores).toEqual(["active", "active", "idle", "idle"]);
    expect(shares(manager)).toEqual([64, 64, 0, 0]);
    finish();
  });

  it("come and go, also the first one, and come back", async () => {
    const { runner, manager, finish } = echoPair({ activeCores: 1, rounds: 20, bytes: 4000 });
    runner.run({ forMicros: 300 });
    for (const [wanted, expected] of [
      [3, [43, 43, 42, 0]],
      [[3], [0, 0, 0, 128]],
      [4, [32, 32, 32, 32]],
      [2, [64, 64, 0, 0]],
      [
        [1, 2],
        [0, 64, 64, 0],
      ],
    ] as const) {
      await during(runner, manager.setActive(wanted));
      expect(shares(manager).toSorted()).toEqual([...expected].toSorted());
      expect(shares(manager).map((n) => n > 0)).toEqual(expected.map((n) => n > 0));
      expect(manager.cores).toEqual(expected.map((n) => (n > 0 ? "active" : "idle")));
      runner.run({ forMicros: 200 });
    }
    finish();
  });

  it("are added empty, and revoked with all they have", async () => {
    const { runner, manager, finish } = echoPair({ activeCores: 2 });
    runner.run({ forMicros: 300 });
    await during(runner, manager.add(3));
    expect(manager.cores[3]).toBe("active");
    expect(shares(manager)).toEqual([64, 64, 0, 0]);
    await during(runner, manager.revoke(0));
    expect(manager.cores[0]).toBe("idle");
    expect(shares(manager)[0]).toBe(0);
    await expect(during(runner, manager.migrate([1], 0))).rejects.toThrow(/core 0 .* not active/);
    await during(runner, manager.revoke(1));
    await expect(during(runner, manager.revoke(3))).rejects.toThrow(/is the last that is active/);
    finish();
  });
});

describe("a core that is taken away by force", () => {
  it("leaves its connections to the others, whenever that is", async () => {
    const property = fc.asyncProperty(fc.nat(2 ** 31), async (seed) => {
      const random = new Random(seed);
      const { runner, manager, server, client, errors, isOver } = echoPair({ rounds: 4 });
      runner.run({ forMicros: 100 + random.below(400) });
      for (let i = 0; i < 3 && !isOver(); i++) {
        const core = random.below(4);
        // In the middle of a migration, too.
        const moving = random.below(2) === 0 ? moveSome(manager, random) : undefined;
        moving?.catch(() => {});
        runner.run({ forMicros: random.below(60) });
        await during(runner, manager.evict(core));
        expect(manager.cores[core]).toBe("idle");
        expect(shares(manager)[core]).toBe(0);
        runner.run({ forMicros: random.below(300) });
        await during(runner, manager.add(core));
        await during(runner, manager.setActive(4));
      }
      expect(runner.run({ until: isOver, maxSteps: 1_000_000 })).toBe(true);
      expect(errors).toEqual([]);
      runner.run();
      for (const dataplane of [server, client]) dataplane.assertNoLeaks();
    });
    await fc.assert(property, { numRuns: 20, seed: 5 });
  }, 120_000);
});

describe("another kernel", () => {
  it("takes over between two iterations, in mid-traffic and in the middle of a migration", async () => {
    const { runner, manager, server, finish } = echoPair({ rounds: 3 });
    runner.run({ forMicros: 300 });
    for (const build of ["debug", "release", "debug"] as const) {
      const moving = manager.migrate([0, 1, 2, 3, 17, 33], 2);
      runner.step();
      runner.upgrade(server, loadKernelSync(build));
      await during(runner, moving);
      await during(runner, manager.setActive(4));
    }
    finish();
  });

  it("of another ABI is refused before anything is touched", async () => {
    const { runner, server, finish } = echoPair();
    runner.run({ forMicros: 300 });
    const stranger = await kernelOfAbi(ABI_VERSION + 1);
    expect(() => runner.upgrade(server, stranger)).toThrow(KernelError);
    const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    expect(() => runner.upgrade(server, empty)).toThrow(/is not the kernel/);
    finish();
  });
});

describe("whatever moves under load", () => {
  it("changes no byte of any stream and loses no buffer", async () => {
    const property = fc.asyncProperty(
      fc.record({
        seed: fc.nat(2 ** 31),
        delay: fc.constantFrom(0, 10, 300),
        clientCores: fc.constantFrom(1, 3),
        connections: fc.constantFrom(4, 30),
      }),
      async ({ seed, delay, clientCores, connections }) => {
        const random = new Random(seed);
        const pair = echoPair({ link: { delay }, clientCores, connections, rounds: 3 });
        const { runner, manager, clients, isOver } = pair;
        runner.run({ forMicros: random.below(500) });
        while (!isOver() && runner.now < 10_000_000) {
          // An application that dials stays on its core; only its connections move.
          const operation = [
            () => manager.setActive(1 + random.below(manager.cores.length)),
            () => moveSome(manager, random),
            () => moveSome(clients, random),
          ][random.below(3)]();
          await during(runner, operation);
          runner.run({ forMicros: random.below(1500), until: isOver });
        }
        pair.finish();
      },
    );
    await fc.assert(property, { numRuns: 20, seed: 1411 });
  }, 120_000);
});

/** Moves random groups to a random active core. */
function moveSome(manager: Elasticity, random: Random): Promise<unknown> {
  const active = manager.cores.flatMap((state, core) => (state === "active" ? [core] : []));
  const groups = Array.from({ length: 1 + random.below(60) }, () => random.below(128));
  return manager.migrate(groups, active[random.below(active.length)]);
}
