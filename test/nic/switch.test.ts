import { describe, expect, it } from "vitest";
import { createBackend, createSwitch, Switch } from "../../host/nic/index.ts";
import type { LinkOptions } from "../../host/nic/index.ts";
import { createMacTable, MacTable } from "../../host/nic/switch.ts";
import { ipFrame } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";

const mac = (last: number) => [2, 0, 0, 0, 0, last];
const BROADCAST = [255, 255, 255, 255, 255, 255];

/** Promiscuous ports on a switch, so that it is the switch that decides who gets a frame. */
function network(names: string, options: LinkOptions | LinkOptions[] = {}) {
  const kernels = Array.from(names, (name) => new FakeKernel(name, { promiscuous: true }));
  const wires = createSwitch(
    kernels.map(({ handle }) => handle),
    options,
  );
  const backends = kernels.map(({ handle }, i) => createBackend(handle, 0, wires[i]));
  return {
    kernels,
    backends,
    /** Sends a frame from a port; which ports got it. */
    send(from: number, source: number[], destination: number[]): number[] {
      kernels[from].send(ipFrame({ from: source, to: destination }));
      backends[from].pump(0);
      return kernels.flatMap((kernel, i) => kernel.receive().map(() => i));
    },
  };
}

describe("a switch", () => {
  it("floods what it does not know and learns who is where", () => {
    const net = network("abcd");
    expect(net.send(0, mac(97), mac(98))).toEqual([1, 2, 3]);
    expect(net.send(1, mac(98), mac(97))).toEqual([0]);
    expect(net.send(0, mac(97), mac(98))).toEqual([1]);
    expect(net.send(2, mac(99), mac(98))).toEqual([1]);
    expect(net.send(3, mac(100), mac(1))).toEqual([0, 1, 2]);
  });

  it("floods broadcast and multicast", () => {
    const net = network("abc");
    expect(net.send(0, mac(97), BROADCAST)).toEqual([1, 2]);
    expect(net.send(1, mac(98), [1, 0, 0x5e, 0, 0, 1])).toEqual([0, 2]);
  });

  it("does not take a group address for a station", () => {
    const net = network("abc");
    net.send(0, BROADCAST, mac(1));
    expect(net.send(1, mac(98), BROADCAST)).toEqual([0, 2]);
  });

  it("follows a station that moves", () => {
    const net = network("abc");
    net.send(0, mac(50), BROADCAST);
    expect(net.send(2, mac(99), mac(50))).toEqual([0]);
    net.send(1, mac(50), BROADCAST);
    expect(net.send(2, mac(99), mac(50))).toEqual([1]);
    net.send(0, mac(50), BROADCAST);
    expect(net.send(2, mac(99), mac(50))).toEqual([0]);
  });

  it("keeps to itself what is for a station behind the same port", () => {
    const net = network("ab");
    net.send(0, mac(50), BROADCAST);
    expect(net.send(0, mac(51), mac(50))).toEqual([]);
    expect(net.kernels[0].counters.queues[0].switchFiltered).toBe(1);
  });

  it("leaves the ports' own filters in force", () => {
    const a = new FakeKernel("a");
    const others = ["b", "c"].map((name) => new FakeKernel(name));
    const wires = createSwitch([a, ...others].map(({ handle }) => handle));
    a.send(ipFrame({ to: mac(98) }));
    createBackend(a.handle, 0, wires[0]).pump(0);
    expect(others.map((kernel) => kernel.receive().length)).toEqual([1, 0]);
    expect(others[1].counters.macFilter).toBe(1);
  });

  it("copies a flooded frame to each, metadata included", () => {
    const net = network("abc");
    net.kernels[0].send(ipFrame({ to: BROADCAST, payload: [1, 2, 3] }));
    net.backends[0].pump(0);
    const got = net.kernels.slice(1).map((kernel) => kernel.receive()[0]);
    expect(got[0].bytes).toEqual(got[1].bytes);
    expect(got[0].flags).toBe(got[1].flags);
    expect(got[0].hash).toBe(got[1].hash);
  });

  it("has links of its own to each port", () => {
    const net = network("ab", [{ delay: 100 }, {}]);
    expect(net.send(1, mac(98), mac(97))).toEqual([0]);
    expect(net.send(0, mac(97), mac(98))).toEqual([]);
    expect(net.backends[0].nextDeadline()).toBe(100);
    net.backends[0].pump(100);
    expect(net.kernels[1].receive().length).toBe(1);
  });

  it("refuses options for another number of ports", () => {
    expect(() => network("abc", [{}, {}])).toThrow(RangeError);
    expect(() => network("ab", [{}, { loss: 2 }])).toThrow("loss");
  });
});

describe("the MAC table", () => {
  it("is shared by all views of it", () => {
    const state = createMacTable();
    const [one, two] = [new MacTable(state), new MacTable(state)];
    one.learn(0x02, 0x6100, 3);
    expect(two.lookup(0x02, 0x6100)).toBe(3);
    expect(two.lookup(0x02, 0x6200)).toBe(-1);
    two.learn(0x02, 0x6100, 4);
    one.learn(0x02, 0x6100, 3);
    expect(two.lookup(0x02, 0x6100)).toBe(3);
  });

  it("knows the station whose address is nearly zero", () => {
    const table = new MacTable(createMacTable());
    table.learn(0, 0, 0);
    expect(table.lookup(0, 0)).toBe(0);
  });

  it("forgets somebody when a bucket overflows, never the wrong port", () => {
    const table = new MacTable(createMacTable());
    for (let i = 0; i < 20_000; i++) table.learn(i << 17, i, i % 30);
    let known = 0;
    for (let i = 0; i < 20_000; i++) {
      const port = table.lookup(i << 17, i);
      if (port >= 0) {
        expect(port).toBe(i % 30);
        known++;
      }
    }
    expect(known).toBeGreaterThan(3500);
    expect(known).toBeLessThanOrEqual(4096);
  });
});

/** Ports on a switch that changes, each with one peer to talk to. */
function changing(names: string, ...links: [up?: LinkOptions, down?: LinkOptions][]) {
  const center = new Switch();
  const kernels = Array.from(names, (name) => new FakeKernel(name));
  const backends = kernels.map(({ handle }, i) =>
    createBackend(handle, 0, center.connect(handle, ...(links[i] ?? []))),
  );
  const station = (port: number): number[] => [...kernels[port].handle.mac];
  const send = (from: number, to: number, payload = [0]): void => {
    kernels[from].send(ipFrame({ from: station(from), to: station(to), payload }));
  };
  return {
    center,
    kernels,
    backends,
    send,
    broadcast(from: number): void {
      kernels[from].send(ipFrame({ from: station(from), to: BROADCAST }));
    },
    /** Pumps all ports at `now`; how many frames each has received. */
    pump(now: number): number[] {
      for (const backend of backends) backend.pump(now);
      return kernels.map((kernel) => kernel.receive().length);
    },
    counters: (port: number) => kernels[port].counters.queues[0],
  };
}

describe("the way from a switch to a port", () => {
  it("adds its delay to that of the way there", () => {
    const net = changing("ab", [{ delay: 100 }], [{}, { delay: 30 }]);
    net.send(0, 1);
    expect(net.pump(0)).toEqual([0, 0]);
    expect(net.pump(100)).toEqual([0, 0]);
    expect(net.backends[0].nextDeadline()).toBe(130);
    expect(net.pump(130)).toEqual([0, 1]);
    expect(net.backends[0].nextDeadline()).toBe(Infinity);
    net.send(1, 0);
    expect(net.pump(130)).toEqual([1, 0]);
  });

  it("is one line for all who send there", () => {
    // 84 byte times for the shortest frame, so 672 µs at 1 Mbit/s.
    const net = changing("abc", [], [], [{}, { rate: 1e6 }]);
    net.send(0, 2);
    net.send(1, 2);
    expect(net.pump(0)).toEqual([0, 0, 0]);
    expect(net.backends.map((backend) => backend.nextDeadline())).toEqual([672, 1344, Infinity]);
    expect(net.pump(672)).toEqual([0, 0, 1]);
    expect(net.pump(1344)).toEqual([0, 0, 1]);
  });

  it("takes a copy of what is sent to all", () => {
    const net = changing("abc", [], [{}, { delay: 10 }], [{}, { delay: 20, duplicate: 1 }]);
    net.broadcast(0);
    expect(net.pump(0)).toEqual([0, 0, 0]);
    expect(net.pump(10)).toEqual([0, 1, 0]);
    expect(net.pump(20)).toEqual([0, 0, 2]);
  });

  it("loses by other chances for every sender", () => {
    const lossy: [LinkOptions, LinkOptions] = [{}, { loss: 0.5, seed: 9 }];
    const net = changing("abc", [], [], lossy);
    const arrived = [0, 1].map((from) =>
      Array.from({ length: 64 }, () => {
        net.send(from, 2);
        return net.pump(0)[2];
      }),
    );
    expect(arrived[0]).not.toEqual(arrived[1]);
    expect(arrived.flat().filter((count) => count === 1).length).toBeGreaterThan(32);
    expect(net.counters(0).linkLost).toBeGreaterThan(16);
  });

  it("leaves alone what a port sends to itself", () => {
    const net = changing("ab", [{}, { delay: 10 }]);
    net.send(0, 0);
    expect(net.pump(0)).toEqual([1, 0]);
  });
});

describe("a switch that changes", () => {
  it("treats frames by what holds when they are sent", () => {
    const net = changing("ab");
    net.send(0, 1);
    expect(net.pump(0)).toEqual([0, 1]);
    net.center.setLink(0, { delay: 500 }, {});
    net.send(0, 1);
    expect(net.pump(10)).toEqual([0, 0]);
    net.center.setLink(0, {}, {});
    expect(net.pump(509)).toEqual([0, 0]);
    expect(net.pump(510)).toEqual([0, 1]);
    net.send(0, 1);
    expect(net.pump(511)).toEqual([0, 1]);
  });

  it("keeps the order of frames when a delay shrinks", () => {
    const net = changing("ab", [{ delay: 500 }]);
    net.send(0, 1);
    net.pump(0);
    net.center.setLink(0, { delay: 10 }, {});
    net.send(0, 1);
    expect(net.pump(20)).toEqual([0, 0]);
    expect(net.pump(500)).toEqual([0, 2]);
  });

  it("keeps those that wait for the line when the queue gets another limit", () => {
    const net = changing("ab", [{ rate: 1e6, queueLimit: 3 }]);
    for (let i = 0; i < 6; i++) net.send(0, 1);
    net.pump(0);
    expect(net.counters(0).linkQueueDropped).toBe(2);
    net.center.setLink(0, { rate: 1e6, queueLimit: 5 }, {});
    for (let i = 0; i < 3; i++) net.send(0, 1);
    net.pump(0);
    expect(net.counters(0).linkQueueDropped).toBe(3);
    expect(net.pump(1e6)).toEqual([0, 6]);
  });

  it("parts ports one way, and joins them again", () => {
    const net = changing("abc");
    for (const port of [0, 1, 2]) net.broadcast(port);
    net.pump(0);
    net.center.setBlocked(0, 1, true);
    net.send(0, 1);
    net.send(1, 0);
    net.send(0, 2);
    expect(net.pump(0)).toEqual([1, 0, 1]);
    expect(net.counters(0).switchBlocked).toBe(1);
    net.center.setBlocked(0, 1, false);
    net.send(0, 1);
    expect(net.pump(0)).toEqual([0, 1, 0]);
  });

  it("loses what is on its way through a cable that is pulled", () => {
    const net = changing("ab", [{ delay: 100 }], [{}, { delay: 100 }]);
    net.send(0, 1);
    net.pump(0);
    net.pump(100);
    net.center.setCut(1, true);
    net.send(0, 1);
    expect(net.pump(150)).toEqual([0, 0]);
    expect(net.pump(300)).toEqual([0, 0]);
    expect(net.counters(0).switchBlocked).toBe(2);
    net.center.setCut(1, false);
    net.send(0, 1);
    net.pump(300);
    net.pump(400);
    expect(net.pump(500)).toEqual([0, 1]);
  });

  it("refuses options outside their range, and changes nothing then", () => {
    const net = changing("ab", [{ delay: 100 }]);
    expect(() => net.center.setLink(0, {}, { loss: 2 })).toThrow(RangeError);
    net.send(0, 1);
    expect(net.pump(0)).toEqual([0, 0]);
    expect(net.pump(100)).toEqual([0, 1]);
  });
});

describe("flow control", () => {
  /** Two ports; what the second takes at most are the frames of its ring. */
  function pair(flowControl: boolean) {
    const a = new FakeKernel("a", { ringSize: 256 });
    const b = new FakeKernel("b", { ringSize: 64 });
    const center = new Switch({ flowControl });
    const wire = center.connect(a.handle);
    center.connect(b.handle);
    const backend = createBackend(a.handle, 0, wire);
    for (let i = 0; i < 200; i++) a.send(ipFrame({ from: mac(97), to: mac(98) }));
    return { b, backend };
  }

  it("has a sender wait for a ring that is full, and go on when it has room", () => {
    const { b, backend } = pair(true);
    expect(backend.pump(0)).toBe(64);
    expect(backend.pump(10)).toBe(0);
    expect(backend.nextDeadline()).toBeGreaterThan(10);
    let received = 0;
    for (let now = 20; received < 200 && now < 1000; now += 10) {
      const taken = b.receive().length;
      received += taken;
      backend.pump(now);
    }
    expect(received).toBe(200);
    expect(b.counters.queues[0]).toMatchObject({ received: 200, rxRingFull: 0 });
    expect(backend.nextDeadline()).toBe(Infinity);
  });

  it("does not wait for ever for one that is silent", () => {
    const { b, backend } = pair(true);
    backend.pump(0);
    expect(backend.pump(1)).toBe(0);
    expect(backend.pump(1_000_000)).toBe(136);
    expect(b.counters.queues[0].received).toBe(64);
    expect(backend.nextDeadline()).toBe(Infinity);
  });

  it("does not wait for a core that has not begun, and holds nobody awake for it", () => {
    const a = new FakeKernel("a", { ringSize: 256 });
    const b = new FakeKernel("b", { fill: 0 });
    const center = new Switch({ flowControl: true });
    const wire = center.connect(a.handle);
    center.connect(b.handle);
    const backend = createBackend(a.handle, 0, wire);
    for (let i = 0; i < 100; i++) a.send(ipFrame({ from: mac(97), to: mac(98) }));
    expect(backend.pump(0)).toBe(100);
    expect(backend.nextDeadline()).toBe(Infinity);
  });

  it("is not there unless asked for: what finds no room is dropped", () => {
    const { b, backend } = pair(false);
    expect(backend.pump(0)).toBe(200);
    expect(b.counters.queues[0].received).toBe(64);
  });
});
