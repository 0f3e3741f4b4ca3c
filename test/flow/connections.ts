/** Connections between the two dataplanes of `MovingCores`, drawn at random, and how they are set up. */
import fc from "fast-check";
import { expect } from "vitest";
import { Talker } from "../property/application.ts";
import type { KernelBuild } from "../support/kernels.ts";
import { Random } from "../support/random.ts";
import { MovingCores, SERVER, Traveller, type MoveOptions } from "./traffic.ts";

export interface Scenario extends MoveOptions {
  readonly seed: number;
  readonly cores: number;
  /** Of each the bytes that go there, and back. */
  readonly connections: readonly (readonly [there: number, back: number])[];
}

/** How many cores and connections there are, and how often and slowly groups move. */
export const SCENARIO = {
  seed: fc.nat(2 ** 31),
  cores: fc.constantFrom(2, 3, 4),
  delay: fc.constantFrom(0, 20, 200, 1000),
  steering: fc.constantFrom(0, 50, 1000),
  connections: fc.array(fc.tuple(fc.nat(40_000), fc.nat(40_000)), { minLength: 1, maxLength: 6 }),
};

const PORT = 80;
/** Source port of the first connection. */
const FIRST = 5000;

/** Opens the connections; `accepted` are the codes that accepting one may have. */
export function connectAll(
  build: KernelBuild,
  drawn: Scenario,
  accepted: readonly number[],
): MovingCores {
  const { seed, connections, cores: count } = drawn;
  const random = new Random(seed);
  const all = new MovingCores(build, count, random, drawn, { applicationWindow: 1 << 21 });
  const { cores, client } = all;
  cores.listen(PORT);
  const draw = (): Random => new Random(random.below(2 ** 31));
  all.onKnock = ({ handle, remotePort }, k) => {
    const index = remotePort - FIRST;
    const [, back] = connections[index];
    const traveller = new Traveller(cores.at(0), draw(), back, streamBack(index), 2 * index);
    traveller.handle = handle;
    traveller.k = k;
    all.travellers.set(handle, traveller);
    expect(accepted).toContain(k.accept(handle));
  };
  connections.forEach(([there], index) => {
    const talker = new Talker(client, draw(), there, 2 * index, streamBack(index));
    const { handle } = client.connect(SERVER.ip, PORT, { sourcePort: FIRST + index });
    talker.attach(handle, false);
    all.clients.talkers.push(talker);
  });
  return all;
}

/** Number of the stream that comes back on a connection. */
export function streamBack(index: number): number {
  return 2 * index + 1;
}

/** Fails unless neither end holds anything any more. */
export function finishAll({ cores, client }: MovingCores): void {
  client.finish();
  for (const k of cores.all) k.finish();
  expect(Object.values(cores.held())).toEqual([0, 0, 0, 0]);
}
