/** Dialing with data (RFC 7413): what a context has to send goes with its SYN, as far as the kernel takes it. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  EV_CONNECTED,
  FAST_OPEN_CLIENT,
  RC_OK,
  RC_TIMEOUT,
  RC_UNREACHABLE,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_SEND,
  SYS_SENDV,
} from "../../assembly/abi.ts";
import { createDataplane } from "../../host/dataplane/dataplane.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { FastOpenOptions } from "../../host/dataplane/options.ts";
import { IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { kernels } from "../support/kernels.ts";
import { type Call, operations } from "./fake-kernel.ts";
import { ALL, bytes, numbered, sent, World, type Peer } from "./ixev-world.ts";

describe("on a scripted kernel", () => {
  let world: World;

  beforeEach(() => {
    world = new World({}, {}, { fastOpen: FAST_OPEN_CLIENT });
  });

  /** Dials with `data` written at once; `taken` of it go with the SYN. */
  function dial(taken: number, write: (context: IxevContext) => void): [Peer, Call] {
    const context = new IxevContext();
    const calls: number[] = [];
    context.setHandler(ALL, (_, conditions) => void calls.push(conditions));
    world.kernel.respond = ({ op }) => (op === SYS_CONNECT_SEND ? taken : undefined);
    world.ixev.dial(context, "10.0.0.1", 80, 40_000, true);
    write(context);
    world.round();
    const [call] = world.round();
    return [{ context, calls, handle: context.handle, cookie: context.cookie }, call];
  }

  const connected = ({ handle, cookie }: Peer, result: number = RC_OK) => ({
    op: EV_CONNECTED,
    handle,
    cookie,
    result,
  });

  it("names the endpoint, and what was written", () => {
    const [{ context }, call] = dial(5, (fresh) => void fresh.send(bytes("early")));
    expect(call).toMatchObject({ op: SYS_CONNECT_SEND, handle: 40_000, cookie: context.cookie });
    const { ix } = world.kernel;
    expect(ix.readAddress(call.c)).toEqual(IpAddress.parse("10.0.0.1"));
    expect(ix.endpointPort(call.c)).toBe(80);
    expect(ix.view(call.a, call.b)).toEqual(bytes("early"));
    expect(context.unsent).toBe(0);
    expect(context.isOpen).toBe(false);
    expect(context.handle).not.toBe(0);
  });

  it("is done when the server took all of it", () => {
    const [peer] = dial(5, (context) => void context.send(bytes("early")));
    expect(world.round(connected(peer), sent(peer, 5))).toEqual([]);
    expect(world.round()).toEqual([]);
    expect(world.dialed).toEqual([[peer.context, RC_OK]]);
    expect(peer.context.unacknowledged).toBe(0);
  });

  it("sends what did not go along once it is connected, and not before", () => {
    const [peer] = dial(2, (context) => void context.send(bytes("early")));
    expect(peer.context.unsent).toBe(3);
    expect(world.round()).toEqual([]);
    world.round(connected(peer), sent(peer, 2));
    const [rest] = world.round();
    expect(rest).toMatchObject({ op: SYS_SEND, b: 3 });
    expect(world.kernel.payload(rest)).toEqual([...bytes("rly")]);
  });

  it("sends all of it then when the server's cookie is not known", () => {
    const [peer] = dial(0, (context) => void context.send(bytes("early")));
    world.round(connected(peer));
    expect(world.round()).toMatchObject([{ op: SYS_SEND, b: 5 }]);
  });

  it("asks for a cookie when there is nothing to send", () => {
    const [peer, call] = dial(0, () => {});
    expect(call).toMatchObject({ op: SYS_CONNECT_SEND, b: 0 });
    world.round(connected(peer));
    expect(peer.calls).toEqual([IXEVOUT]);
    expect(world.round()).toEqual([]);
  });

  it("takes the first of several ranges along, and tells when each is free", () => {
    const done: [string, boolean][] = [];
    const [peer, call] = dial(100, (context) => {
      const block = world.ixev.ix.window.allocate(256);
      context.sendZeroCopy(block, 100, (acknowledged) => done.push(["first", acknowledged]));
      context.sendZeroCopy(block + 100, 50, (acknowledged) => done.push(["second", acknowledged]));
    });
    expect(call.b).toBe(100);
    expect(done).toEqual([]);
    world.round(connected(peer), sent(peer, 100));
    expect(done).toEqual([["first", true]]);
    expect(world.round()).toMatchObject([{ op: SYS_SEND, b: 50 }]);
  });

  it("closes after what it took along, not before", () => {
    const [peer] = dial(5, (context) => {
      context.send(bytes("early"));
      context.close();
    });
    expect(world.round()).toEqual([]);
    world.round(connected(peer));
    expect(operations(world.round())).toEqual([SYS_CLOSE]);
  });

  it("reports failure, of the call and of the handshake, and gives buffers back", () => {
    const outcomes: boolean[] = [];
    const [refused] = dial(RC_UNREACHABLE, (context) => void context.send(bytes("early")));
    const [silent] = dial(8, (context) => {
      const block = world.ixev.ix.window.allocate(64);
      context.sendZeroCopy(block, 8, (acknowledged) => void outcomes.push(acknowledged));
    });
    world.round(connected(silent, RC_TIMEOUT));
    expect(world.dialed).toEqual([
      [refused.context, RC_UNREACHABLE],
      [silent.context, RC_TIMEOUT],
    ]);
    expect(outcomes).toEqual([false]);
    expect(world.ixev.segments.inUse).toBe(0);
  });

  it("connects as ever where the dataplane has Fast Open off", () => {
    world = new World();
    const [peer, call] = dial(0, (context) => void context.send(bytes("early")));
    expect(call).toMatchObject({ op: SYS_CONNECT });
    world.round(connected(peer));
    expect(world.round()).toMatchObject([{ op: SYS_SEND, b: 5 }]);
  });

  it("leaves endpoints and vectors alone until the kernel has read them", () => {
    const first = world.accept();
    const second = world.accept();
    const { window } = world.ixev.ix;
    for (const { context } of [first, second]) {
      context.sendZeroCopy(window.allocate(64), 64);
      context.sendZeroCopy(window.allocate(64), 32);
      // Between rounds, each at once.
      world.ixev.commit();
    }
    const calls = world.round();
    expect(operations(calls)).toEqual([SYS_SENDV, SYS_SENDV]);
    const [one, other] = calls.map((call) => world.kernel.vector(call));
    expect(one.map(({ length }) => length)).toEqual([64, 32]);
    expect(one[0].address).not.toBe(other[0].address);
  });
});

const SERVER = "10.0.0.1";
const PORT = 80;

interface Sides {
  readonly server?: FastOpenOptions;
  readonly client?: FastOpenOptions;
  /** Connections that the server opens by their SYN. */
  readonly limit?: number;
}

/** A client that dials again and again, with data, and a server that keeps what it gets. */
class Pair {
  readonly runner = new InlineRunner();
  readonly server;
  readonly client;
  /** What each connection has brought, and when its first bytes came, µs. */
  readonly received: number[][] = [];
  readonly firstAt: number[] = [];
  #ixev!: Ixev;

  constructor(kernel: WebAssembly.Module, { server = {}, client = {}, limit = 0 }: Sides) {
    const tcp = { profile: "lan" as const };
    this.server = createDataplane({
      kernel,
      ip: `${SERVER}/24`,
      tcp: { ...tcp, fastOpen: server },
    });
    this.client = createDataplane({
      kernel,
      ip: "10.0.0.2/24",
      tcp: { ...tcp, fastOpen: client },
    });
    const [fromServer, fromClient] = connectPorts(this.server.port, this.client.port, {
      delay: 1000,
    });
    this.runner.add(this.server, {
      wire: fromServer,
      app: ({ ix }) => {
        const ixev: Ixev = new Ixev(ix, { accept: () => this.#accept(ixev) });
        ixev.listen(PORT, 16, 0, limit);
        return ixev;
      },
    });
    this.runner.add(this.client, {
      wire: fromClient,
      app: ({ ix }) => (this.#ixev = new Ixev(ix)),
    });
  }

  #accept(ixev: Ixev): IxevContext {
    const context = new IxevContext();
    const got: number[] = [];
    this.received.push(got);
    context.setHandler(IXEVIN, () => {
      if (got.length === 0) this.firstAt.push(ixev.now);
      const into = new Uint8Array(context.available);
      context.recv(into);
      got.push(...into);
      if (context.ended) context.close();
    });
    return context;
  }

  /** A connection from dial to end. Returns how long its first bytes took to the server, µs. */
  exchange(data: Uint8Array): number {
    const context = new IxevContext();
    const begun = this.runner.now;
    this.#ixev.dial(context, SERVER, PORT, 0, true);
    expect(context.send(data)).toBe(data.length);
    context.close();
    this.runner.run();
    return this.firstAt.at(-1)! - begun;
  }
}

describe.each(kernels)("on the $name kernel", ({ module }) => {
  const data = numbered(700);
  const long = numbered(9000);

  it("takes data along from the second connection on, and saves a round trip", () => {
    const pair = new Pair(module, { limit: 16 });
    const first = pair.exchange(data);
    const second = pair.exchange(data);
    const third = pair.exchange(long);
    expect(pair.received).toEqual([[...data], [...data], [...long]]);
    expect(first).toBeGreaterThanOrEqual(3000);
    expect(second).toBeLessThan(1500);
    expect(third).toBeLessThan(1500);
    const { tcpFastOpensOut, tcpFastOpensOutFailed } = pair.client.counters();
    expect({ tcpFastOpensOut, tcpFastOpensOutFailed }).toEqual({
      tcpFastOpensOut: 2,
      tcpFastOpensOutFailed: 0,
    });
    pair.server.assertNoLeaks();
    pair.client.assertNoLeaks();
  });

  it.each<[string, Sides]>([
    ["the listener opens none so", {}],
    ["the server has Fast Open off", { limit: 16, server: { server: false } }],
    ["the client has Fast Open off", { limit: 16, client: { client: false } }],
    [
      "the client sends without a cookie, which the server does not take",
      {
        limit: 16,
        client: { clientWithoutCookie: true },
      },
    ],
  ])("delivers everything once, after the handshake, where %s", (_, sides) => {
    const pair = new Pair(module, sides);
    for (let i = 0; i < 3; i++) expect(pair.exchange(long)).toBeGreaterThanOrEqual(3000);
    expect(pair.received).toEqual([[...long], [...long], [...long]]);
    expect(pair.client.counters().tcpFastOpensOut).toBe(0);
    pair.server.assertNoLeaks();
    pair.client.assertNoLeaks();
  });
});
