import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Elasticity } from "../../host/dataplane/elasticity.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { AppFactory } from "../../host/libix/app.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { createDataplane } from "../../host/node/index.ts";
import { Random } from "../support/random.ts";

const PORT = 7;
const SERVER = "10.0.0.1";
const CLIENT = "10.0.0.2";

/** Echoes what it reads; what cannot be written yet stays unread. */
const server: AppFactory = ({ ix }) => {
  const serve = (): IxevContext => {
    const context = new IxevContext();
    context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, () => {
      while (context.frontLength > 0) {
        const taken = context.sendMemory(context.frontAddress, context.frontLength);
        if (taken <= 0) return;
        context.consume(taken);
      }
      if (context.ended) context.close();
    });
    return context;
  };
  const ixev = new Ixev(ix, { accept: serve, arrived: serve });
  ixev.listen(PORT);
  return ixev;
};

/** Keeps what it reads. */
function collector(received: number[]): AppFactory {
  return ({ ix }) => {
    const take = (): IxevContext => {
      const context = new IxevContext();
      context.setHandler(IXEVIN, () => {
        const into = new Uint8Array(context.available);
        context.recv(into);
        received.push(...into);
        if (context.ended) context.close();
      });
      return context;
    };
    const ixev = new Ixev(ix, { accept: take });
    ixev.listen(PORT);
    return ixev;
  };
}

interface Stream {
  written: number;
  read: number;
  over: boolean;
}

interface Report {
  readonly streams: Stream[];
  readonly errors: string[];
  moves: number;
}

const byteAt = (position: number, stream: number) =>
  (position * 11 + (position >> 8) + stream * 41) & 0xff;

/** Streams that go through the server; each has its number as its tag. */
function client(bytes: number, report: Report): AppFactory {
  return ({ ix, core }) => {
    const drive = (context: IxevContext, number: number): IxevContext => {
      const stream = report.streams[number];
      context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, (_, conditions) => {
        const into = new Uint8Array(5000);
        for (let got = context.recv(into); got > 0; got = context.recv(into)) {
          for (let i = 0; i < got; i++) {
            if (into[i] !== byteAt(stream.read + i, number)) {
              report.errors.push(`byte ${stream.read + i} of stream ${number}`);
              context.abort();
              return;
            }
          }
          stream.read += got;
        }
        if (stream.read === bytes && context.ended) {
          stream.over = true;
          context.close();
        } else if ((conditions & IXEVHUP) !== 0) {
          report.errors.push(`stream ${number} ended: ${context.reason}`);
        } else write(context, stream, number);
      });
      return context;
    };
    const write = (context: IxevContext, stream: Stream, number: number): void => {
      while (stream.written < bytes) {
        const length = Math.min(3000, bytes - stream.written);
        const part = Uint8Array.from({ length }, (_, i) => byteAt(stream.written + i, number));
        const taken = context.send(part);
        stream.written += Math.max(0, taken);
        if (taken < length) return;
      }
      context.shutdown();
    };
    const ixev = new Ixev(ix, {
      arrived: ({ tag }) => drive(new IxevContext(), tag),
      left: (_, _core, complete) => {
        report.moves++;
        if (!complete) report.errors.push("no room for luggage");
      },
    });
    if (core === 0) {
      report.streams.forEach((_, number) => {
        const context = drive(new IxevContext(), number);
        context.tag = number;
        ixev.dial(context, SERVER, PORT);
      });
    }
    return ixev;
  };
}

function makePair(bytes: number, streams: number, delay: number, app = server) {
  const common = {
    ringSize: 512,
    maxConnections: 1024,
    applicationWindow: 1 << 20,
    // Little room, so that much is written and not sent.
    tcp: { profile: "lan", sendBufferMax: 8192, receiveWindow: 8192, receiveWindowMax: 8192 },
  } as const;
  const servers = createDataplane({ ip: `${SERVER}/24`, cores: 3, frames: 6144, ...common });
  const clients = createDataplane({ ip: `${CLIENT}/24`, cores: 2, frames: 6144, ...common });
  const [fromServer, fromClient] = connectPorts(servers.port, clients.port, { delay });
  const report: Report = {
    streams: Array.from({ length: streams }, () => ({ written: 0, read: 0, over: false })),
    errors: [],
    moves: 0,
  };
  const runner = new InlineRunner();
  runner.add(servers, { wire: fromServer, app });
  runner.add(clients, { wire: fromClient, app: client(bytes, report) });
  return { runner, servers, clients, report };
}

/** Moves random groups to a random core and runs until they are there. */
function moveSome(runner: InlineRunner, manager: Elasticity, random: Random): Promise<void> {
  const groups = Array.from({ length: 1 + random.below(100) }, () => random.below(128));
  return move(runner, manager, groups, random.below(manager.cores.length));
}

async function move(
  runner: InlineRunner,
  manager: Elasticity,
  groups: readonly number[],
  to: number,
): Promise<void> {
  let over = false;
  void manager.migrate(groups, to).then(() => (over = true));
  while (!over) {
    runner.run({ forMicros: 20, until: () => over });
    await Promise.resolve();
  }
}

describe("a byte stream written through ixev", () => {
  it("goes on where it was when its connection moves, at either end", async () => {
    const parameters = fc.record({
      seed: fc.nat(2 ** 31),
      delay: fc.constantFrom(0, 20, 500),
      streams: fc.constantFrom(1, 6),
    });
    const property = fc.asyncProperty(parameters, async ({ seed, delay, streams }) => {
      const { runner, servers, clients, report } = makePair(60_000, streams, delay);
      const random = new Random(seed);
      const isOver = () => report.errors.length > 0 || report.streams.every(({ over }) => over);
      while (!isOver()) {
        runner.run({ forMicros: random.below(400), until: isOver });
        const dataplane = random.below(2) === 0 ? servers : clients;
        await moveSome(runner, runner.manager(dataplane), random);
        expect(runner.now).toBeLessThan(60_000_000);
      }
      expect(report.errors).toEqual([]);
      for (const { read } of report.streams) expect(read).toBe(60_000);
      runner.run();
      for (const dataplane of [servers, clients]) dataplane.assertNoLeaks();
    });
    await fc.assert(property, { numRuns: 25, seed: 4 });
  }, 120_000);

  it("delivers what was written and closed while it was being dialed", async () => {
    const received: number[] = [];
    const runner = new InlineRunner();
    const [servers, clients] = [SERVER, CLIENT].map((ip, i) =>
      createDataplane({ ip: `${ip}/24`, cores: 1 + i, frames: 4096, maxConnections: 1024 }),
    );
    const [fromServer, fromClient] = connectPorts(servers.port, clients.port, { delay: 50_000 });
    runner.add(servers, { wire: fromServer, app: collector(received) });
    let left = 0;
    const dialer: AppFactory = ({ ix, core }) => {
      const ixev = new Ixev(ix, { arrived: () => new IxevContext(), left: () => void left++ });
      if (core === 0) {
        const context = new IxevContext();
        ixev.dial(context, SERVER, PORT);
        context.send(Uint8Array.of(1, 2, 3));
        context.close();
      }
      return ixev;
    };
    runner.add(clients, { wire: fromClient, app: dialer });
    runner.run({ forMicros: 120_000 });
    const all = Array.from({ length: 128 }, (_, group) => group);
    await move(runner, runner.manager(clients), all, 1);
    expect({ left, received }).toEqual({ left: 1, received: [] });
    runner.run();
    expect(received).toEqual([1, 2, 3]);
    for (const dataplane of [servers, clients]) dataplane.assertNoLeaks();
  });

  it("is reset where no application takes it", async () => {
    const deaf: AppFactory = ({ ix }) => {
      const ixev = new Ixev(ix, { accept: () => new IxevContext() });
      ixev.listen(PORT);
      return ixev;
    };
    const { runner, servers, report } = makePair(60_000, 4, 20, deaf);
    runner.run({ forMicros: 300 });
    for (let core = 0; core < 3; core++) {
      const all = Array.from({ length: 128 }, (_, group) => group);
      await move(runner, runner.manager(servers), all, core);
    }
    runner.run({ until: () => report.errors.length === 4 });
    expect(report.errors.toSorted()).toEqual([0, 1, 2, 3].map((n) => `stream ${n} ended: -13`));
  });
});
