import { describe, expect, it } from "vitest";
import { RX_META_CHECKSUM_OK } from "../../assembly/abi.ts";
import { connectPorts, createBackend } from "../../host/nic/index.ts";
import type { LinkOptions } from "../../host/nic/index.ts";
import { ipFrame, onesComplementSum, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import type { FakeKernelOptions } from "./kernel.ts";

const TCP = { start: 34, offset: 16 };

function link(options: LinkOptions, ofA: FakeKernelOptions = {}, ofB: FakeKernelOptions = {}) {
  const a = new FakeKernel("a", { ringSize: 1024, fill: 0, pages: 96, ...ofA });
  const b = new FakeKernel("b", { ringSize: 1024, pages: 96, ...ofB });
  const [wire] = connectPorts(a.handle, b.handle, options);
  const backend = createBackend(a.handle, 0, wire);
  const number = ({ bytes }: { bytes: Uint8Array }) => bytes[54] | (bytes[55] << 8);
  return {
    a,
    b,
    backend,
    counters: () => a.counters.queues[0],
    /** Sends frames numbered from `first`. */
    send(first: number, count: number, length = 60) {
      for (let i = first; i < first + count; i++) {
        const payload = pattern(length - 54);
        payload.splice(0, 2, i & 255, i >> 8);
        a.send(ipFrame({ payload }));
      }
    },
    /** Pumps at `now` and returns the numbers of the frames that arrived. */
    pump(now: number) {
      backend.pump(now);
      a.completions();
      return b.receive().map(number);
    },
    /** Runs until nothing is on its way; the times and numbers of what arrived. */
    drain(from: number) {
      const arrivals: [time: number, number: number][] = [];
      for (let now = from; now !== Infinity; now = backend.nextDeadline()) {
        for (const arrived of this.pump(now)) arrivals.push([now, arrived]);
      }
      return arrivals;
    },
  };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("a link", () => {
  it("delays", () => {
    const net = link({ delay: 500 });
    net.send(0, 1);
    expect(net.pump(1000)).toEqual([]);
    expect(net.backend.nextDeadline()).toBe(1500);
    net.send(1, 1);
    expect(net.pump(1100)).toEqual([]);
    expect(net.pump(1499.9)).toEqual([]);
    expect(net.pump(1500)).toEqual([0]);
    expect(net.backend.nextDeadline()).toBe(1600);
    expect(net.pump(1700)).toEqual([1]);
    expect(net.backend.nextDeadline()).toBe(Infinity);
    expect(net.counters()).toMatchObject({ sent: 2, linkDelivered: 2 });
  });

  it("completes what it has taken, long before it delivers", () => {
    const net = link({ delay: 500 });
    net.send(0, 3);
    net.backend.pump(0);
    expect(net.a.completions().length).toBe(3);
  });

  it("serialises at its rate, Ethernet's overhead and shortest frame included", () => {
    const net = link({ rate: 100e6 });
    net.send(0, 3, 1514);
    net.send(3, 1, 56);
    const bits = (1514 + 24) * 8;
    const [one, two, three, four] = net.drain(0).map(([time]) => time);
    expect(one).toBeCloseTo(bits / 100, 6);
    expect(two).toBeCloseTo((2 * bits) / 100, 6);
    expect(three).toBeCloseTo((3 * bits) / 100, 6);
    expect(four).toBeCloseTo((3 * bits + (60 + 24) * 8) / 100, 6);
    net.send(4, 1, 1514);
    net.backend.pump(10_000);
    expect(net.backend.nextDeadline()).toBeCloseTo(10_000 + bits / 100, 6);
  });

  it("shares one line among the queues of a port", () => {
    const a = new FakeKernel("a", { queueCount: 2, fill: 0 });
    const b = new FakeKernel("b");
    const [wire] = connectPorts(a.handle, b.handle, { rate: 8e6 });
    const backends = [0, 1].map((queue) => createBackend(a.handle, queue, wire));
    a.send(ipFrame({ payload: pattern(46) }), { queue: 0 });
    a.send(ipFrame({ payload: pattern(46) }), { queue: 1 });
    backends.forEach((backend) => backend.pump(0));
    expect(backends.map((backend) => backend.nextDeadline())).toEqual([124, 248]);
  });

  it("drops at the tail when too many wait for the rate", () => {
    const net = link({ rate: 1e6, queueLimit: 10 });
    net.send(0, 30);
    // One is being sent, ten wait.
    expect(net.drain(0).map(([, number]) => number)).toEqual(range(11));
    expect(net.counters()).toMatchObject({ linkQueueDropped: 19, linkDelivered: 11 });
    net.send(30, 11);
    expect(net.drain(1e6).length).toBe(11);
  });

  it("loses as many as it should, the same ones for the same seed", () => {
    const run = (seed: number) => {
      const net = link({ loss: 0.1, delay: 1, seed });
      const got: number[] = [];
      for (let i = 0; i < 10; i++) {
        net.send(i * 500, 500);
        got.push(...net.drain(i * 10).map(([, number]) => number));
      }
      expect(net.counters().linkLost).toBe(5000 - got.length);
      expect([...got].sort((x, y) => x - y)).toEqual(got);
      return got;
    };
    const got = run(7);
    // 500 expected, standard deviation 21.
    expect(Math.abs(5000 - got.length - 500)).toBeLessThan(85);
    expect(run(7)).toEqual(got);
    expect(run(8)).not.toEqual(got);
  });

  it("draws another sequence for each queue", () => {
    const lost = (queue: number) => {
      const a = new FakeKernel("a", { queueCount: 2, fill: 0, ringSize: 512 });
      const b = new FakeKernel("b", { ringSize: 512 });
      const [wire] = connectPorts(a.handle, b.handle, { loss: 0.5 });
      for (let i = 0; i < 200; i++) a.send(ipFrame({ payload: [i] }), { queue });
      createBackend(a.handle, queue, wire).pump(0);
      return b.receive().map(({ bytes }) => bytes[54]);
    };
    expect(lost(0)).not.toEqual(lost(1));
  });

  it("loses nothing at 0 and everything at 1", () => {
    const all = link({ loss: 1 });
    all.send(0, 100);
    expect(all.drain(0)).toEqual([]);
    const none = link({ loss: 0, delay: 1 });
    none.send(0, 100);
    expect(none.drain(0).length).toBe(100);
  });

  it("keeps the order of frames that jitter", () => {
    const net = link({ delay: 100, jitter: 1000 });
    net.send(0, 300);
    const arrivals = net.drain(0);
    expect(arrivals.map(([, number]) => number)).toEqual(range(300));
    expect(arrivals[0][0]).toBeGreaterThanOrEqual(100);
    expect(arrivals[299][0]).toBeGreaterThan(900);
    expect(arrivals[299][0]).toBeLessThan(1100);
  });

  it("lets others pass frames that it reorders", () => {
    const net = link({ delay: 10, reorder: 0.2, reorderDelay: 50 });
    for (let i = 0; i < 100; i++) {
      net.send(i, 1);
      net.backend.pump(i * 10);
    }
    const order = net.drain(1000).map(([, number]) => number);
    const early = net.b.counters.queues[0].received;
    expect(early).toBe(100);
    const { linkReordered } = net.counters();
    expect(linkReordered).toBeGreaterThan(5);
    expect(linkReordered).toBeLessThan(40);
    const late = order.filter((number, i) => i > 0 && number < order[i - 1]).length;
    expect(late).toBeGreaterThan(0);
    expect([...order].sort((x, y) => x - y)).toEqual(range(100));
  });

  it("duplicates", () => {
    const net = link({ duplicate: 0.25, delay: 5 });
    net.send(0, 200);
    const numbers = net.drain(0).map(([, number]) => number);
    const { linkDuplicated } = net.counters();
    expect(numbers.length).toBe(200 + linkDuplicated);
    expect(linkDuplicated).toBeGreaterThan(25);
    expect(linkDuplicated).toBeLessThan(80);
    expect([...new Set(numbers)]).toEqual(range(200));
    expect([...numbers].sort((x, y) => x - y)).toEqual(numbers);
  });

  it("corrupts one bit, which the receiver's port notices", () => {
    const net = link({ corrupt: 1 }, {}, { promiscuous: true });
    const payload = pattern(200);
    const clean = ipFrame({ payload });
    for (let i = 0; i < 100; i++) {
      net.a.send(ipFrame({ payload, checksum: "pseudo" }), { checksum: TCP });
    }
    net.backend.pump(0);
    const got = net.b.receive();
    expect(got.length).toBe(100);
    for (const { bytes, flags } of got) {
      let bits = 0;
      bytes.forEach((byte, i) => {
        for (let x = byte ^ clean[i]; x !== 0; x &= x - 1) bits++;
        if (byte !== clean[i] && i >= 14) expect(flags & RX_META_CHECKSUM_OK).toBe(0);
      });
      expect(bits).toBe(1);
    }
    expect(net.counters().linkCorrupted).toBe(100);
  });

  it("carries checksum requests as a perfect wire does", () => {
    const options = { payload: pattern(99) };
    const request = ipFrame({ ...options, checksum: "pseudo" });
    const trusting = link({ delay: 1 });
    trusting.a.send(request, { checksum: TCP });
    trusting.drain(0);
    const looking = link({ delay: 1, duplicate: 1 }, {}, { offloads: 0 });
    looking.a.send(request, { checksum: TCP });
    looking.backend.pump(0);
    looking.backend.pump(1);
    const got = looking.b.receive();
    expect(got.map(({ bytes }) => bytes)).toEqual([ipFrame(options), ipFrame(options)]);
    const invalid = link({ corrupt: 1 });
    invalid.a.send(request, { checksum: { start: 34, offset: 5000 } });
    invalid.backend.pump(0);
    expect(invalid.counters().badChecksumRequest).toBe(1);
  });

  it("drops what no receiver takes, and counts it", () => {
    const net = link({ delay: 1 });
    net.a.descriptor(0, net.a.place(pattern(3000)), 3000);
    net.backend.pump(0);
    expect(net.b.counters.tooLong).toBe(1);
    expect(net.backend.nextDeadline()).toBe(Infinity);
    expect(net.a.completions().length).toBe(1);
  });

  it("has room for thousands on their way", () => {
    const net = link({ delay: 1000, jitter: 10 });
    for (let i = 0; i < 6000; i += 500) {
      net.send(i, 500);
      net.pump(i / 1000);
    }
    expect(net.drain(999).map(([, number]) => number)).toEqual(range(6000));
  });

  it.each([
    ["rate", 0],
    ["rate", -1],
    ["delay", -1],
    ["delay", NaN],
    ["jitter", -1],
    ["loss", 1.1],
    ["loss", -0.1],
    ["duplicate", 2],
    ["corrupt", 2],
    ["reorder", 2],
    ["reorderDelay", -1],
    ["queueLimit", 0],
    ["queueLimit", 1.5],
    ["seed", -1],
  ])("refuses %s %d", (name, value) => {
    const { a, b } = link({});
    expect(() => connectPorts(a.handle, b.handle, { [name]: value })).toThrow(RangeError);
    expect(() => connectPorts(a.handle, b.handle, { [name]: value })).toThrow(name);
  });

  it("may differ by direction", () => {
    const { a, b } = link({});
    const [fromA, fromB] = connectPorts(a.handle, b.handle, [{ delay: 5 }, {}]);
    expect(fromA).toMatchObject({ to: b.handle, options: { delay: 5 } });
    expect(fromB).toMatchObject({ to: a.handle, options: {} });
  });
});

describe("a link with an ECN threshold", () => {
  /** A frame with these two ECN bits, and a right checksum over its header. */
  function frameWith(ecn: number, source?: number[], destination?: number[]): Uint8Array {
    const frame = ipFrame({ payload: pattern(200), source, destination });
    if (source?.length === 16) {
      frame[15] |= ecn << 4;
    } else {
      frame[15] |= ecn;
      frame.fill(0, 24, 26);
      const sum = ~onesComplementSum(frame.subarray(14, 34)) & 0xffff;
      frame[24] = sum >> 8;
      frame[25] = sum;
    }
    return frame;
  }

  /** Sends frames at once; which of them came with what in their ECN bits. */
  function through(options: LinkOptions, frames: readonly Uint8Array[], shift = 0) {
    const net = link(options);
    for (const frame of frames) net.a.send(frame);
    const marks: number[] = [];
    const arrived: Uint8Array[] = [];
    for (let now = 0; now !== Infinity; now = net.backend.nextDeadline()) {
      net.backend.pump(now);
      for (const { bytes } of net.b.receive()) {
        marks.push((bytes[15] >> shift) & 3);
        arrived.push(Uint8Array.from(bytes));
      }
    }
    return { marks, arrived, counters: net.counters() };
  }

  it("marks what finds that many frames waiting, and no other", () => {
    const frames = range(10).map(() => frameWith(2));
    const { marks, counters } = through({ rate: 1e6, ecnThreshold: 4 }, frames);
    // The first is on the line at once; four wait, then.
    expect(marks).toEqual([2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
    expect(counters).toMatchObject({ linkMarked: 5, linkDelivered: 10 });
  });

  it("leaves alone who does not know ECN, and who is marked already", () => {
    const frames = [0, 1, 2, 3].map((ecn) => frameWith(ecn));
    const { marks, counters } = through({ rate: 1e6, ecnThreshold: 0 }, frames);
    expect(marks).toEqual([0, 3, 3, 3]);
    expect(counters.linkMarked).toBe(2);
  });

  it("keeps the header's checksum right, whatever the header", () => {
    for (let i = 0; i < 500; i++) {
      const source = [10, i & 255, (i * 7) & 255, (i * 31) & 255];
      const destination = [i & 255, 255 - (i & 255), (i * 13) & 255, 2];
      const frame = frameWith(1 + (i % 2), source, destination);
      const { arrived } = through({ rate: 1e6, ecnThreshold: 0 }, [frame]);
      expect(onesComplementSum(arrived[0].subarray(14, 34))).toBe(0xffff);
      // Nothing but the two bits and the checksum has changed.
      const changed = [...arrived[0].keys()].filter((at) => arrived[0][at] !== frame[at]);
      expect(changed.every((at) => at === 15 || at === 24 || at === 25)).toBe(true);
    }
  });

  it("marks IPv6 too", () => {
    const host = (last: number) => [0xfd, ...Array<number>(14).fill(0), last];
    const frames = [0, 1, 2, 3].map((ecn) => frameWith(ecn, host(1), host(2)));
    expect(through({ rate: 1e6, ecnThreshold: 0 }, frames, 4).marks).toEqual([0, 3, 3, 3]);
  });

  it("is a whole number of frames", () => {
    expect(() => link({ ecnThreshold: 1.5 })).toThrow(RangeError);
    expect(() => link({ ecnThreshold: -1 })).toThrow(RangeError);
  });
});
