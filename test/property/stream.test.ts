/**
 * Whatever the network does: every byte arrives in order, or the connection is dead with a reason.
 *
 * The runs are the same every time. PROPERTY_SEED draws others, PROPERTY_RUNS more of them; a failing
 * one is shrunk and printed by fast-check with its seed and path.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RC_OK, RC_REFUSED, RC_RESET, RC_TIMEOUT, RC_UNREACHABLE } from "../../assembly/abi.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { Random } from "../support/random.ts";
import { Dispatcher, Talker } from "./application.ts";
import { Network, RIGHT, type PathOptions } from "./network.ts";

const SEED = Number(process.env.PROPERTY_SEED ?? 20_140_813);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 60);
const SECOND = 1_000_000;

interface Scenario {
  readonly seed: number;
  readonly path: PathOptions;
  /** Bytes in each direction, per connection. */
  readonly connections: readonly (readonly [number, number])[];
  readonly receiveWindow: number;
  readonly offloads: boolean;
  readonly sack: boolean;
  readonly timestamps: boolean;
  readonly pressure: keyof typeof PRESSURE;
}

/** Dataplanes that lack something. */
const PRESSURE = {
  none: {},
  events: { batch: 1, events: 8 },
  frames: { frames: 256, ringSize: 64, references: 64 },
  ring: { txRingSize: 64 },
} as const;

const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(2 ** 31),
  path: fc.record({
    delay: fc.constantFrom(0, 50, 1000, 10_000, 100_000),
    jitter: fc.constantFrom(0, 0, 100, 5000),
    loss: fc.constantFrom(0, 0.01, 0.05, 0.2),
    duplicate: fc.constantFrom(0, 0, 0.05, 0.3),
    corrupt: fc.constantFrom(0, 0, 0.02, 0.1),
    pause: fc.constantFrom(0, 0.01, 0.1),
  }),
  connections: fc.array(fc.tuple(fc.nat(60_000), fc.nat(60_000)), { minLength: 1, maxLength: 4 }),
  receiveWindow: fc.constantFrom(4096, 65_536, 262_144),
  offloads: fc.boolean(),
  sack: fc.boolean(),
  timestamps: fc.boolean(),
  pressure: fc.constantFrom("none", "none", "events", "frames", "ring"),
});

const PLAIN = {
  receiveWindow: 65_536,
  offloads: false,
  sack: true,
  timestamps: true,
  pressure: "none",
} as const;

/** How a connection may end when the network was cruel. */
const REASONS: readonly number[] = [RC_RESET, RC_TIMEOUT, RC_REFUSED, RC_UNREACHABLE];

/** Runs a scenario to its end and returns the share of connections that ended in order. */
function simulate(build: KernelBuild, drawn: Scenario): number {
  const { seed, path, connections, receiveWindow, offloads, sack, timestamps, pressure } = drawn;
  const random = new Random(seed);
  const network = new Network(build, path, seed, {
    applicationWindow: 1 << 21,
    frames: 2048,
    references: 2048,
    ...PRESSURE[pressure],
    offloads: { rxChecksum: false, txChecksum: offloads, rxHash: offloads },
    tcp: { receiveWindow, receiveWindowMax: Math.max(receiveWindow, 1 << 20), sack, timestamps },
  });
  const { left, right } = network;
  expect(right.listen(80, { backlog: 16 }).result).toBe(RC_OK);
  const clients = new Dispatcher(left);
  // Which of the connections a knock is shows by its port.
  const byPort = new Map<number, number>();
  const servers = new Dispatcher(right, ({ handle, remotePort }) => {
    const index = byPort.get(remotePort)!;
    const [, sends] = connections[index];
    const talker = new Talker(
      right,
      new Random(random.below(2 ** 31)),
      sends,
      2 * index + 1,
      2 * index,
    );
    expect(right.accept(handle, { flags: talker.flags() })).toBe(RC_OK);
    talker.attach(handle, true);
    servers.talkers.push(talker);
  });
  connections.forEach(([sends], index) => {
    const talker = new Talker(
      left,
      new Random(random.below(2 ** 31)),
      sends,
      2 * index,
      2 * index + 1,
    );
    const sourcePort = 5000 + index;
    byPort.set(sourcePort, index);
    const { result, handle } = left.connect(RIGHT.ip, 80, { sourcePort, flags: talker.flags() });
    expect(result).toBe(RC_OK);
    talker.attach(handle, false);
    clients.talkers.push(talker);
  });
  network.run([clients, servers], 3000 * SECOND);

  let survived = 0;
  for (const [index, client] of clients.talkers.entries()) {
    const server = servers.talkers.find(({ stream }) => stream === 2 * index + 1);
    const log = (): string => network.log();
    const ends = [client.outcome.reason, server?.outcome.reason];
    if (ends.every((reason) => reason === RC_OK)) {
      const [there, back] = connections[index];
      expect(server!.outcome, log()).toMatchObject({ received: there, ended: true });
      expect(client.outcome, log()).toMatchObject({ received: back, ended: true });
      survived++;
    } else {
      const reason = ends.find((end) => end !== RC_OK && end !== undefined);
      expect(REASONS, `${ends.join()}\n${log()}`).toContain(reason);
    }
  }
  network.finish();
  return survived / connections.length;
}

describe.each(kernels)("$name kernel", (build) => {
  test(`${RUNS} networks and applications at random`, { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(scenario, (drawn) => {
        const survived = simulate(build, drawn);
        // With fifteen retries nothing short of an outage kills a connection.
        if (drawn.path.loss <= 0.05 && drawn.path.corrupt <= 0.02) expect(survived).toBe(1);
      }),
      { seed: SEED, numRuns: RUNS, endOnFailure: Boolean(process.env.CI) },
    );
  });

  test("a perfect network, a megabyte each way", () => {
    const path = { delay: 1000, jitter: 0, loss: 0, duplicate: 0, corrupt: 0 };
    const drawn = { seed: 1, path, connections: [[1_000_000, 1_000_000]] as const };
    expect(simulate(build, { ...drawn, ...PLAIN, receiveWindow: 262_144 })).toBe(1);
  });

  test.each([
    [0.02, true],
    [0.02, false],
    [0.1, true],
    [0.1, false],
    [0.3, true],
    [0.3, false],
  ])("a loss of %d, 200 kB each way (SACK: %s)", (loss, sack) => {
    const path = { delay: 5000, jitter: 200, loss, duplicate: 0.01, corrupt: 0.01 };
    const drawn = { seed: 7, path, connections: [[200_000, 200_000]] as const };
    const survived = simulate(build, { ...drawn, ...PLAIN, sack });
    if (loss < 0.3) expect(survived).toBe(1);
  });

  test("an outage kills the connection with a reason", () => {
    const path = { delay: 1000, jitter: 0, loss: 1, duplicate: 0, corrupt: 0 };
    const drawn = { seed: 3, path, connections: [[1000, 1000]] as const };
    expect(simulate(build, { ...drawn, ...PLAIN })).toBe(0);
  });
});
