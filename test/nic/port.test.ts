import { describe, expect, it } from "vitest";
import { CORE_MULTICAST, QUEUE_FILL, RING_CONSUMER } from "../../assembly/abi.ts";
import { connectPorts, createBackend, createPort, Port } from "../../host/nic/index.ts";
import { MAX_FILTERS } from "../../host/nic/port-state.ts";
import { hashIpv4, STANDARD_TABLES } from "../../host/nic/rss.ts";
import { ipFrame, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import type { FakeKernelOptions } from "./kernel.ts";

function pair(ofB: FakeKernelOptions = {}) {
  const a = new FakeKernel("a");
  const b = new FakeKernel("b", { queueCount: 4, ringSize: 64, ...ofB });
  const backend = createBackend(a.handle, 0, connectPorts(a.handle, b.handle)[0]);
  return { a, b, backend };
}

const received = (kernel: FakeKernel) => kernel.counters.queues.map((queue) => queue.received);

describe("createPort", () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const good = { name: "p", memory, queues: [0x10000], mac: [2, 0, 0, 0, 0, 1], offloads: 0 };

  it.each([
    ["mac", { mac: [2, 0, 0, 0, 0] }],
    ["mac", { mac: [2, 0, 0, 0, 0, 256] }],
    ["mac", { mac: [3, 0, 0, 0, 0, 1] }],
    ["queues", { queues: [] }],
    ["queues", { queues: [0] }],
    ["queues", { queues: [0x10002] }],
    ["queues", { queues: [0x20000] }],
  ])("refuses a bad %s: %o", (name, bad) => {
    expect(() => createPort({ ...good, ...bad })).toThrow(RangeError);
    expect(() => createPort({ ...good, ...bad })).toThrow(name);
  });

  it("makes a handle that survives structured cloning", () => {
    const { mac, queues, name } = structuredClone({ ...createPort(good), memory: undefined });
    expect({ mac, queues, name }).toEqual({ mac: good.mac, queues: good.queues, name: "p" });
  });
});

describe("the MAC filter", () => {
  const to = (mac: number[]) => ipFrame({ to: mac });
  const own = [2, 0, 0, 0, 0, 98];
  const broadcast = [255, 255, 255, 255, 255, 255];
  const multicast = [1, 0, 0x5e, 0, 0, 1];
  const other = [2, 0, 0, 0, 0, 99];

  const taken = (options: FakeKernelOptions) => {
    const { a, b, backend } = pair(options);
    for (const mac of [own, broadcast, multicast, other]) a.send(to(mac));
    backend.pump(0);
    const macs = [0, 1, 2, 3].flatMap((queue) =>
      b.receive(queue).map(({ bytes }) => Array.from(bytes.slice(0, 6))),
    );
    expect(macs.length + b.counters.macFilter).toBe(4);
    return macs;
  };

  it("takes what is for the port and what is for all", () => {
    expect(taken({})).toEqual([own, broadcast]);
  });

  it("takes multicast and everything when told to", () => {
    expect(taken({ multicast: true })).toEqual([own, broadcast, multicast]);
    expect(taken({ promiscuous: true })).toEqual([own, broadcast, multicast, other]);
  });

  it("takes the groups that a core asked for, by their hash", () => {
    const { a, b, backend } = pair();
    const bit = (multicast[3] ^ multicast[4] ^ multicast[5]) & 63;
    b.words[(b.core + CORE_MULTICAST + (bit >> 5) * 4) >>> 2] = 1 << (bit & 31);
    a.send(to(multicast));
    a.send(to([1, 0, 0x5e, 0, 0, 2]));
    backend.pump(0);
    expect(b.counters.macFilter).toBe(1);
    expect(received(b).reduce((x, y) => x + y)).toBe(1);
  });

  it("can be changed while frames flow", () => {
    const { a, b, backend } = pair();
    a.send(to(other));
    backend.pump(0);
    b.port.setPromiscuous(true);
    a.send(to(other));
    backend.pump(0);
    b.port.setPromiscuous(false);
    b.port.setMulticast(true);
    a.send(to(multicast));
    a.send(to(other));
    backend.pump(0);
    expect(b.counters.macFilter).toBe(2);
    expect(received(b).reduce((x, y) => x + y)).toBe(2);
  });
});

describe("RSS", () => {
  it("spreads flow groups over the queues in turn, and keeps a flow where it is", () => {
    const { a, b, backend } = pair();
    expect(b.port.retaEntries()).toEqual(Array.from({ length: 128 }, (_, i) => i % 4));
    for (let port = 1; port <= 50; port++) {
      const frame = ipFrame({ sourcePort: port });
      a.send(frame);
      a.send(frame);
      backend.pump(0);
      const queue = (hashIpv4(STANDARD_TABLES, frame, 26, 34) & 127) % 4;
      const hashes = b.receive(queue).map(({ hash }) => hash & 127);
      expect(hashes).toEqual([hashes[0], hashes[0]]);
      a.completions();
    }
    for (const count of received(b)) expect(count).toBeGreaterThan(10);
  });

  it("sends what has no hash to queue 0", () => {
    const { a, b, backend } = pair();
    const arp = new Uint8Array(42);
    arp.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 97, 8, 6]);
    a.send(arp);
    backend.pump(0);
    expect(received(b)).toEqual([1, 0, 0, 0]);
  });

  it("follows an update of the table, all of it at once", () => {
    const { a, b, backend } = pair();
    const everywhere = () => {
      for (let port = 1; port <= 60; port++) a.send(ipFrame({ sourcePort: port }));
      backend.pump(0);
      a.completions();
    };
    // Another thread's view of the same port.
    const control = new Port(b.handle);
    control.updateReta(Array.from({ length: 128 }, (_, group) => [group, 3] as const));
    everywhere();
    expect(received(b)).toEqual([0, 0, 0, 60]);
    b.receive(3);
    control.updateReta([[5, 1]]);
    expect(b.port.retaEntries().filter((queue) => queue !== 3)).toEqual([1]);
    expect(b.port.retaEntries()[5]).toBe(1);
  });

  it("refuses groups and queues that there are not, and changes nothing then", () => {
    const { b } = pair();
    const before = b.port.retaEntries();
    for (const bad of [
      [128, 0],
      [-1, 0],
      [0, 4],
      [0, -1],
      [0.5, 0],
    ] as const) {
      expect(() => b.port.updateReta([[1, 2], bad])).toThrow(RangeError);
    }
    expect(b.port.retaEntries()).toEqual(before);
  });
});

describe("exact-match filters", () => {
  const tuple = {
    protocol: 6,
    source: [10, 0, 0, 1],
    sourcePort: 1000,
    destination: [10, 0, 0, 2],
    destinationPort: 2000,
  };

  const queueOf = ({ a, b, backend }: ReturnType<typeof pair>, frame: Uint8Array) => {
    const before = received(b);
    a.send(frame);
    backend.pump(0);
    a.completions();
    const queue = received(b).findIndex((count, i) => count !== before[i]);
    b.receive(queue);
    return queue;
  };

  it("send one flow to a queue and leave its neighbours alone", () => {
    const net = pair();
    const { b } = net;
    const usual = queueOf(net, ipFrame());
    const chosen = (usual + 1) % 4;
    expect(b.port.addFilter(tuple, chosen)).toBe(true);
    expect(queueOf(net, ipFrame())).toBe(chosen);
    for (const other of [
      { protocol: 17 },
      { sourcePort: 1001 },
      { destinationPort: 2001 },
      { source: [10, 0, 0, 3] },
      { destination: [10, 0, 0, 3] },
    ]) {
      const frame = ipFrame(other);
      const group = hashIpv4(STANDARD_TABLES, frame, 26, 34) & 127;
      expect(queueOf(net, frame)).toBe(group % 4);
    }
    expect(b.port.addFilter(tuple, (usual + 2) % 4)).toBe(true);
    expect(queueOf(net, ipFrame())).toBe((usual + 2) % 4);
    expect(b.port.filters.count).toBe(1);
    expect(b.port.removeFilter(tuple)).toBe(true);
    expect(b.port.removeFilter(tuple)).toBe(false);
    expect(queueOf(net, ipFrame())).toBe(usual);
  });

  it("take an IPv4-mapped address for the IPv4 address", () => {
    const net = pair();
    const mapped = (address: number[]) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...address];
    const usual = queueOf(net, ipFrame());
    const { source, destination } = tuple;
    net.b.port.addFilter(
      { ...tuple, source: mapped(source), destination: mapped(destination) },
      (usual + 1) % 4,
    );
    expect(queueOf(net, ipFrame())).toBe((usual + 1) % 4);
    expect(net.b.port.removeFilter(tuple)).toBe(true);
  });

  it("match IPv6", () => {
    const net = pair();
    const six = { source: pattern(16, 1), destination: pattern(16, 2) };
    const usual = queueOf(net, ipFrame(six));
    net.b.port.addFilter({ ...tuple, ...six }, (usual + 1) % 4);
    expect(queueOf(net, ipFrame(six))).toBe((usual + 1) % 4);
    expect(queueOf(net, ipFrame({ ...six, sourcePort: 1 }))).toBeGreaterThanOrEqual(0);
  });

  it("match no fragment", () => {
    const net = pair();
    const frame = ipFrame({ fragment: 0x2000, payload: pattern(8) });
    const usual = queueOf(net, frame);
    for (let queue = 0; queue < 4; queue++) net.b.port.addFilter(tuple, (usual + 1) % 4);
    expect(queueOf(net, frame)).toBe(usual);
  });

  it("fill a table that says when it is full, and empties without trace", () => {
    const { b } = pair();
    const nth = (i: number) => ({ ...tuple, sourcePort: i & 0xff, destinationPort: i >> 8 });
    for (let i = 0; i < MAX_FILTERS; i++) expect(b.port.addFilter(nth(i), i % 4)).toBe(true);
    expect(b.port.addFilter(nth(MAX_FILTERS), 0)).toBe(false);
    expect(b.port.addFilter(nth(7), 0)).toBe(true);
    for (let i = 0; i < MAX_FILTERS; i++) expect(b.port.removeFilter(nth(i))).toBe(true);
    expect(b.port.filters.count).toBe(0);
    expect(b.port.addFilter(nth(MAX_FILTERS), 0)).toBe(true);
  });

  it("refuse what they cannot match", () => {
    const { b } = pair();
    expect(() => b.port.addFilter({ ...tuple, protocol: 1 }, 0)).toThrow(RangeError);
    expect(() => b.port.addFilter({ ...tuple, source: [1, 2] }, 0)).toThrow(RangeError);
    expect(() => b.port.addFilter({ ...tuple, source: pattern(16) }, 0)).toThrow(TypeError);
    expect(() => b.port.addFilter(tuple, 4)).toThrow(RangeError);
    for (const sourcePort of [-1, 65536, 1.5]) {
      expect(() => b.port.addFilter({ ...tuple, sourcePort }, 0)).toThrow(RangeError);
    }
  });
});

describe("several senders", () => {
  it("share a receiving queue without losing or mixing frames", () => {
    const senders = ["a", "c"].map((name) => new FakeKernel(name));
    const b = new FakeKernel("b");
    const backends = senders.map((sender) =>
      createBackend(sender.handle, 0, connectPorts(sender.handle, b.handle)[0]),
    );
    for (let round = 0; round < 10; round++) {
      senders.forEach((sender, i) => {
        for (let k = 0; k < 20; k++) sender.send(ipFrame({ sourcePort: i, payload: [round, k] }));
        backends[i].pump(round);
        sender.completions();
      });
      const got = b.receive().map(({ bytes }) => [bytes[35], bytes[54], bytes[55]]);
      const expected = [0, 1].flatMap((i) => Array.from({ length: 20 }, (_, k) => [i, round, k]));
      expect(got).toEqual(expected);
    }
    expect(b.word(0, QUEUE_FILL, RING_CONSUMER)).toBe(400);
  });
});
