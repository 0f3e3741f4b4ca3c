import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ABI_VERSION, RC_RESET } from "../../assembly/abi.ts";
import type { Incident } from "../../host/control/watchdog.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { loadKernelSync } from "../../host/node/kernel.ts";
import { startThreaded, type ThreadedOptions } from "../../host/node/threaded.ts";
import { kernelOfAbi } from "../support/other-kernel.ts";
import { Random } from "../support/random.ts";
import { movingEnds, SERVER_IP, smallDataplane } from "./support.ts";

const MODULE = new URL("./fixtures/moving.js", import.meta.url);
/** Long runs are asked for: `IXWASM_LONG=1`. */
const ROUNDS = process.env.IXWASM_LONG ? 100 : 12;
/** Changes of the number of cores, of which there are enough when streams have ended meanwhile, too. */
const CHANGES = process.env.IXWASM_LONG ? 250 : 40;
const STREAMS = 6;

/**
 * A thread that has to wait for a processor does not look like a lost segment, and is not probed. A
 * segment that is lost stops its stream for longer than any test waits.
 */
const PATIENT = {
  profile: "lan",
  minRto: 40_000_000,
  initialRto: 40_000_000,
  sack: false,
} as const;
/** Where frames are lost with a thread. */
const PROMPT = { profile: "lan" } as const;

/**
 * An echo server of several cores on worker threads under load from a client that checks every byte.
 * `poison` makes one of its cores fail; see the fixture.
 */
async function loaded(options: {
  cores?: number;
  activeCores?: number;
  poison?: object;
  threaded?: ThreadedOptions;
  tcp?: DataplaneOptions["tcp"];
}) {
  const { cores = 3, activeCores = cores, poison, threaded: given, tcp = PATIENT } = options;
  const { server, client } = movingEnds({ cores, activeCores }, 1, { tcp });
  const [fromServer, fromClient] = connectPorts(server.port, client.port);
  const errors: unknown[] = [];
  const incidents: Incident[] = [];
  let streams = 0;
  let resets = 0;
  const onMessage = (message: unknown) => {
    const { error } = message as { error?: string };
    if (error === undefined) streams++;
    else if (error.startsWith(`dead ${RC_RESET} `)) resets++;
    else errors.push(message);
  };
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const load = { connections: 24, bytes: 40_000, ahead: 2048, dials: { made: 0, wanted: 1e9 } };
  const threaded = await startThreaded(
    [
      {
        dataplane: server,
        wire: fromServer,
        app: { module: MODULE, options: { role: "server", port: 7, poison } },
        onMessage,
      },
      {
        dataplane: client,
        wire: fromClient,
        app: {
          module: MODULE,
          options: {
            role: "client",
            server: SERVER_IP,
            port: 7,
            stop,
            streams: new Map(),
            ...load,
          },
        },
        onMessage,
      },
    ],
    {
      spinIterations: 50,
      stopTimeout: 20_000,
      onIncident: (incident) => incidents.push(incident),
      ...given,
    },
  );
  threaded.done.catch(() => {});
  const manager = threaded.manager(server);
  return {
    threaded,
    server,
    client,
    manager,
    errors,
    incidents,
    streams: () => streams,
    /** Waits until so many more streams have been echoed. */
    async echo(more: number) {
      const wanted = streams + more;
      await expect
        .poll(() => streams >= wanted || errors.length > 0, { timeout: 20_000 })
        .toBe(true);
      expect(errors).toEqual([]);
    },
    /** Lets the client end its streams, and waits until nothing is in use any more. */
    async finish() {
      Atomics.store(stop, 0, 1);
      const inUse = () =>
        [server, client].map((dataplane) => {
          const { connections, timers, buffers, timeWait } = dataplane.gauges();
          return [connections, timers, buffers, timeWait];
        });
      const nothing = [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ];
      await expect.poll(inUse, { timeout: 20_000 }).toEqual(nothing);
      await threaded.stop();
      await threaded.done;
      expect(errors).toEqual([]);
      // What a lost thread was changing, and nothing else.
      expect(resets).toBeLessThanOrEqual(server.counters().rescueResets);
      for (const dataplane of [server, client]) dataplane.assertNoLeaks();
    },
  };
}

describe("cores on worker threads under load", () => {
  it(
    "come and go, and no byte is lost, sent again or out of order",
    async () => {
      const { manager, server, client, errors, streams, finish } = await loaded({ activeCores: 1 });
      const random = new Random(7);
      let wanted = 1;
      for (let changes = 0; changes < CHANGES || streams() < STREAMS; changes++) {
        expect(errors).toEqual([]);
        // Never as many as there are.
        wanted = 1 + ((wanted + random.below(2)) % 3);
        await manager.setActive(wanted);
        expect(manager.cores.filter((state) => state === "active")).toHaveLength(wanted);
        await sleep(20);
      }
      const active = manager.cores.flatMap((state, core) => (state === "active" ? [core] : []));
      expect(new Set(manager.owners())).toEqual(new Set(active));
      await finish();
      for (const dataplane of [server, client]) {
        expect(dataplane.counters()).toMatchObject({
          tcpRetransmits: 0,
          tcpTimeouts: 0,
          dropForeignGroup: 0,
        });
      }
    },
    process.env.IXWASM_LONG ? 300_000 : 120_000,
  );

  it("move groups while they are parked and nothing comes", async () => {
    const { manager, threaded } = await idle();
    const results = await manager.migrate([0, 2, 4], 1);
    expect(results).toMatchObject([{ from: 0, to: 1, groups: 3, connections: 0 }]);
    await manager.revoke(0);
    expect(manager.cores).toEqual(["idle", "active"]);
    await manager.add(0);
    expect(manager.cores).toEqual(["active", "active"]);
    await threaded.stop();
    await threaded.done;
    const other = smallDataplane("10.0.0.8");
    expect(() => threaded.manager(other)).toThrow(/not among what was started/);
  });
});

describe("another kernel", () => {
  it("takes over on every core under load, also on one that is added later", async () => {
    const { threaded, server, client, manager, echo, finish } = await loaded({ activeCores: 2 });
    await echo(5);
    for (const build of ["debug", "release"] as const) {
      await threaded.upgrade(server, loadKernelSync(build));
      await threaded.upgrade(client, loadKernelSync(build));
      await echo(5);
    }
    await manager.setActive(3);
    await echo(5);
    await finish();
    expect(server.counters()).toMatchObject({ tcpRetransmits: 0, tcpTimeouts: 0 });
  }, 60_000);

  it("of another ABI is refused, and all goes on", async () => {
    const { threaded, server, echo, finish } = await loaded({ cores: 2 });
    const stranger = await kernelOfAbi(ABI_VERSION + 1);
    await expect(threaded.upgrade(server, stranger)).rejects.toThrow(
      `version ${ABI_VERSION + 1} of the ABI`,
    );
    await echo(5);
    await finish();
  }, 90_000);
});

describe("a core whose thread is lost in mid-traffic", () => {
  it.each(["throw", "exit", "hang", "trap"])(
    "is taken over by the others, and all streams go on: %s",
    async (how) => {
      const { manager, echo, finish, incidents } = await loaded({
        poison: { core: 1, how, after: 500 },
        // Longer than a busy machine keeps one of the others from its processor.
        threaded: { hangTimeout: 2000 },
        tcp: PROMPT,
      });
      const wasTakenOver = () => incidents.some(({ what }) => what === "taken over");
      await expect.poll(wasTakenOver, { timeout: 20_000 }).toBe(true);
      expect(manager.cores).toEqual(["active", "idle", "active"]);
      expect(new Set(manager.owners())).toEqual(new Set([0, 2]));
      const what = incidents.filter(({ core }) => core === 1).map((incident) => incident.what);
      expect(what).toContain(how === "hang" ? "hung" : "died");
      if (how === "hang") expect(what).toContain("unresponsive");
      for (const incident of incidents) {
        // A thread that waits for a processor may do so anywhere, and be thought unresponsive.
        if (incident.core === 1 && incident.what !== "unresponsive") {
          const where = how === "trap" ? "kernel" : "application";
          expect(incident).toMatchObject({ dataplane: SERVER_IP, where });
        }
      }
      await echo(20);
      // A worker in its place; the application of this one is as healthy as it was at first.
      await manager.add(1);
      expect(manager.cores[1]).toBe("active");
      await finish();
    },
    60_000,
  );

  it("ends the run where no other core runs", async () => {
    const { threaded, manager, incidents } = await loaded({
      cores: 2,
      activeCores: 1,
      poison: { core: 0, how: "throw", after: 100 },
    });
    await expect(threaded.done).rejects.toMatchObject({ dataplane: SERVER_IP, core: 0 });
    expect(manager.cores[0]).not.toBe("active");
    expect(incidents.filter(({ what }) => what !== "unresponsive")).toEqual([]);
  }, 30_000);

  it("is taken away by force when it was asked in vain", async () => {
    const { manager, echo, finish } = await loaded({ cores: 2, tcp: PROMPT });
    await echo(3);
    const results = await manager.evict(1);
    expect(results.reduce((sum, { groups }) => sum + groups, 0)).toBe(64);
    expect(manager.cores).toEqual(["active", "idle"]);
    await echo(20);
    await finish();
  }, 60_000);
});

describe("threads that are ended at any moment", () => {
  it("leave streams that go on with retransmissions only", async () => {
    const { manager, server, client, streams, finish } = await loaded({ tcp: PROMPT });
    const random = new Random(11);
    for (let round = 0; round < ROUNDS; round++) {
      const core = random.below(3);
      const before = streams();
      await sleep(1 + random.below(25));
      await manager.evict(core);
      expect(manager.cores[core]).toBe("idle");
      expect([...manager.owners()]).not.toContain(core);
      await manager.setActive(3);
      await expect.poll(() => streams() > before, { timeout: 20_000 }).toBe(true);
    }
    await finish();
    expect(server.counters().rescueResets).toBeLessThanOrEqual(ROUNDS);
    for (const dataplane of [server, client]) {
      expect(dataplane.counters().tcpDeadTimeout).toBe(0);
    }
  }, 120_000);
});

/** Two cores that nobody sends anything to. */
async function idle() {
  const server = smallDataplane("10.0.0.9", { cores: 2, announce: false });
  const [wire] = connectPorts(server.port, server.port);
  const app = { module: MODULE, options: { role: "server", port: 7 } };
  const threaded = await startThreaded([{ dataplane: server, wire, app }], { spinIterations: 1 });
  return { server, threaded, manager: threaded.manager(server) };
}
