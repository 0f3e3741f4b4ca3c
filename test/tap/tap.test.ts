/** openTap and TapBackend against Linux's driver: two TAPs, joined by a bridge of Linux's. */
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DESC_CONTINUED,
  OFFLOAD_TX_CHECKSUM,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RX_META_CHECKSUM_OK,
} from "../../assembly/abi.ts";
import { openTap, type Tap, TapBackend, TapError, type TapOptions } from "../../host/node/tap.ts";
import { concat } from "../support/bytes.ts";
import { buildEthernet, ETHERTYPE_IPV6 } from "../support/packet/ethernet.ts";
import { icmpFrame, type Path, tcpFrame, udpFrame } from "../support/packet/frames.ts";
import { rssHash, toeplitz } from "../support/toeplitz.ts";
import { Namespace, tapUnavailable } from "./namespace.ts";
import { TestPort } from "./test-port.ts";

const unavailable = tapUnavailable();

/** A frame from end `from` to the other one, recognisable by its payload. */
function frameFrom(from: 1 | 2, length: number, seed = 0): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([2, 0, 0, 0, 0, 3 - from, 2, 0, 0, 0, 0, from, 0x88, 0xb5]);
  for (let i = 14; i < length; i++) frame[i] = i * 7 + seed;
  return frame;
}

describe("openTap's options", () => {
  it.each<[TapOptions, string]>([
    [{ name: "" }, "name"],
    [{ name: "a-name-too-long-for-linux" }, "name"],
    [{ name: "tap%d" }, "name"],
    [{ name: "a/b" }, "name"],
    [{ queues: 0 }, "queues"],
    [{ queues: 1.5 }, "queues"],
    [{ queues: 257 }, "queues"],
    [{ mtu: 67 }, "mtu"],
    [{ mtu: 9000 }, "mtu"],
    [{ mac: "01:00:00:00:00:00" }, "mac"],
    [{ address: "10.9.0.1" }, "address"],
    [{ address: "fe80::1/64" }, "address"],
  ])("refuses %o", (options, option) => {
    expect(() => openTap(options)).toThrow(RangeError);
    expect(() => openTap(options)).toThrow(`"${option}"`);
  });

  it("refuses wrong types and unknown options", () => {
    expect(() => openTap({ queues: "2" } as unknown as TapOptions)).toThrow(TypeError);
    expect(() => openTap({ device: "tap0" } as unknown as TapOptions)).toThrow(
      /"device" is unknown/,
    );
  });
});

describe.skipIf(unavailable)(`TAP${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let namespace: Namespace;
  let taps: Tap[];
  let backends: TapBackend[];

  beforeEach(() => {
    namespace = new Namespace();
    taps = [];
    backends = [];
  });

  afterEach(async () => {
    for (const backend of backends) backend.close();
    for (const tap of taps) tap.close();
    await namespace.delete();
  });

  function open(options: TapOptions): Tap {
    const tap = openTap({ namespace: namespace.name, ...options });
    taps.push(tap);
    return tap;
  }

  function attach(tap: Tap, port: TestPort): TapBackend {
    const backend = tap.backend(port.handle);
    backends.push(backend);
    return backend;
  }

  /** Two ports, each behind a TAP, and Linux's bridge between. */
  function bridged(
    options: TapOptions = {},
    ports: [TestPort, TestPort] = [new TestPort(), new TestPort()],
  ): { ports: [TestPort, TestPort]; backends: [TapBackend, TapBackend] } {
    namespace.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
    namespace.ip("link", "set", "br0", "up");
    const pair = ports.map((port, i) => {
      const tap = open({ name: `tap${i + 1}`, ...options });
      namespace.ip("link", "set", tap.name, "master", "br0");
      return attach(tap, port);
    });
    // The bridge learns where both ends are, and delivers to them alone.
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ]) {
      ports[from].send(frameFrom((from + 1) as 1 | 2, 60));
      ports[to].fill(1);
      pair[from].pump(0);
      pair[to].pump(0);
      expect(ports[to].take()).toHaveLength(1);
      ports[from].completions();
    }
    return { ports, backends: pair as [TapBackend, TapBackend] };
  }

  describe("openTap", () => {
    it("makes an interface with what was asked for, and removes it on close", () => {
      const mac = "02:00:00:00:09:01";
      const tap = open({ name: "blue", address: "10.9.0.1/20", mac, mtu: 1400 });
      const shown = namespace.ip("addr", "show", "blue");
      expect(shown).toContain("inet 10.9.0.1/20");
      expect(shown).toContain(`link/ether ${mac}`);
      expect(shown).toContain("mtu 1400");
      expect(shown).toMatch(/<[A-Z,_]*\bUP\b/);
      expect(tap).toMatchObject({ name: "blue", queues: 1, mac, closed: false });
      expect(tap.offloads).toEqual({ rxChecksum: false, txChecksum: false, rxHash: false });
      tap.close();
      tap.close();
      expect(tap.closed).toBe(true);
      expect(namespace.ip("link")).not.toContain("blue");
      expect(() => tap.backend(new TestPort().handle)).toThrow(
        expect.objectContaining({ code: "ERR_TAP_CLOSED" }),
      );
    });

    it("leaves this thread in its own namespace", () => {
      const before = readFileSync("/proc/thread-self/net/dev", "utf8");
      open({ name: "only-there" });
      expect(readFileSync("/proc/thread-self/net/dev", "utf8")).not.toContain("only-there");
      expect(before).not.toContain("only-there");
    });

    it("lets Linux choose the name, and opens several queues", () => {
      const tap = open({ queues: 3, up: false });
      expect(tap.name).toMatch(/^tap\d+$/);
      expect(new Set(tap.wire.fds).size).toBe(3);
      const shown = namespace.ip("-d", "link", "show", tap.name);
      expect(shown).toContain("numqueues 3");
      expect(shown).not.toMatch(/<[A-Z,_]*\bUP\b/);
      expect(() => new TapBackend(new TestPort().handle, 3, tap.wire)).toThrow(RangeError);
      expect(() => new TapBackend(new TestPort().handle, 1, tap.wire)).toThrow(RangeError);
    });

    it("says what is wrong", () => {
      open({ name: "single" });
      open({ name: "several", queues: 2 });
      const failure = (options: TapOptions): TapError => {
        try {
          open(options);
        } catch (error) {
          expect(error).toBeInstanceOf(TapError);
          return error as TapError;
        }
        throw new Error("it did not fail");
      };
      expect(failure({ name: "single" }).code).toBe("ERR_TAP_BUSY");
      expect(failure({ name: "single", queues: 2 }).code).toBe("ERR_TAP_MISMATCH");
      expect(failure({ name: "several" }).code).toBe("ERR_TAP_MISMATCH");
      expect(failure({ name: "lo" }).code).toBe("ERR_TAP_MISMATCH");
      expect(failure({ namespace: "ixwasm-none" }).code).toBe("ERR_TAP_NO_NAMESPACE");
    });

    it("leaves no file descriptor behind when it fails", () => {
      open({ name: "single" });
      const before = readdirSync("/proc/self/fd").length;
      for (let i = 0; i < 5; i++)
        expect(() => open({ name: "single", queues: 4 })).toThrow(TapError);
      expect(readdirSync("/proc/self/fd")).toHaveLength(before);
    });
  });

  describe("TapBackend", () => {
    it("carries frames of every size both ways, unchanged", () => {
      const { ports, backends } = bridged();
      for (const length of [14, 15, 59, 60, 61, 577, 1513, 1514]) {
        for (const from of [1, 2] as const) {
          const frame = frameFrom(from, length, length);
          ports[from - 1].send(frame);
          ports[2 - from].fill(1);
          expect(backends[from - 1].pump(0)).toBe(1);
          expect(backends[2 - from].pump(0)).toBe(1);
          expect(ports[2 - from].take()).toEqual([{ frame, flags: 0 }]);
        }
      }
    });

    it("gathers a packet from its descriptors, and completes each of them in order", () => {
      const { ports, backends } = bridged();
      const frame = frameFrom(1, 1200);
      ports[0].send(frame, { parts: [54, 1, 700] });
      ports[0].send(frameFrom(1, 60));
      ports[1].fill(2);
      backends[0].pump(0);
      const completed = ports[0].completions();
      expect(completed).toHaveLength(5);
      expect(completed.slice(1, 4).map((address, i) => address - completed[i])).toEqual([
        54, 1, 700,
      ]);
      backends[1].pump(0);
      expect(ports[1].take().map((received) => received.frame)).toEqual([frame, frameFrom(1, 60)]);
    });

    it("waits for the rest of a packet", () => {
      const { ports, backends } = bridged();
      ports[0].sendDescriptor(0x40080, 60, DESC_CONTINUED);
      expect(backends[0].pump(0)).toBe(0);
      expect(ports[0].used(QUEUE_TX)).toBe(1);
      ports[0].sendDescriptor(0x40080, 60, 0);
      expect(backends[0].pump(0)).toBe(1);
      expect(ports[0].completions()).toHaveLength(2);
    });

    it("leaves frames in Linux until there is a frame to put them in", () => {
      const { ports, backends } = bridged();
      for (let i = 0; i < 10; i++) ports[0].send(frameFrom(1, 100, i));
      backends[0].pump(0);
      expect(backends[1].pump(0)).toBe(0);
      expect(backends[1].wantsToReceive).toBe(false);
      ports[1].fill(4);
      expect(backends[1].wantsToReceive).toBe(true);
      expect(backends[1].pump(0)).toBe(4);
      ports[1].fill(12);
      expect(backends[1].pump(0)).toBe(6);
      const frames = ports[1].take().map((received) => received.frame);
      expect(frames).toEqual(Array.from({ length: 10 }, (_, i) => frameFrom(1, 100, i)));
      expect(taps[1].counters().rxStarved).toBeGreaterThan(0);
    });

    it("leaves frames in Linux while the rx ring is full", () => {
      const { ports, backends } = bridged({}, [new TestPort(16), new TestPort(4)]);
      for (let i = 0; i < 6; i++) ports[0].send(frameFrom(1, 100, i));
      backends[0].pump(0);
      ports[1].fill(4);
      expect(backends[1].pump(0)).toBe(4);
      ports[1].fill(4);
      expect(backends[1].pump(0)).toBe(0);
      expect(ports[1].used(QUEUE_RX)).toBe(4);
      expect(ports[1].used(QUEUE_FILL)).toBe(4);
      ports[1].take(1);
      expect(backends[1].pump(0)).toBe(1);
    });

    it("holds packets back while the completion ring is full", () => {
      const { ports, backends } = bridged({}, [new TestPort(4), new TestPort()]);
      for (let i = 0; i < 4; i++) ports[0].send(frameFrom(1, 60, i));
      expect(backends[0].pump(0)).toBe(4);
      ports[0].send(frameFrom(1, 60), { parts: [14] });
      expect(backends[0].pump(0)).toBe(0);
      expect(ports[0].used(QUEUE_TX)).toBe(2);
      ports[0].completions();
      expect(backends[0].pump(0)).toBe(1);
      expect(ports[0].completions()).toHaveLength(2);
    });

    it("moves a bounded number of frames per pump", () => {
      const port = new TestPort(256);
      const backend = attach(open({}), port);
      for (let i = 0; i < 100; i++) port.send(frameFrom(1, 60));
      expect(backend.pump(0)).toBe(64);
      expect(backend.pump(0)).toBe(36);
    });

    it("carries thousands of frames through rings that wrap", () => {
      const { ports, backends } = bridged();
      let sent = 0;
      let received = 0;
      while (received < 3000) {
        while (sent < 3000 && ports[0].used(QUEUE_TX) < 16) ports[0].send(frameFrom(1, 80, sent++));
        ports[1].fill(16 - ports[1].used(QUEUE_FILL));
        backends[0].pump(0);
        backends[1].pump(0);
        ports[0].completions();
        for (const { frame } of ports[1].take()) {
          expect(frame[20]).toBe((20 * 7 + received++) & 0xff);
        }
      }
      expect(taps[0].counters()).toMatchObject({ txFrames: 3001, txBlocked: 0, txRefused: 0 });
      expect(taps[1].counters(0)).toMatchObject({ rxFrames: 3001, rxBytes: 3000 * 80 + 60 });
    });

    it("neither sends from, nor receives to, addresses outside memory", () => {
      const { ports, backends } = bridged();
      const end = ports[0].bytes.length;
      ports[0].sendDescriptor(end - 59, 60, 0);
      ports[0].sendDescriptor(0xffffffff, 60, 0);
      ports[0].sendDescriptor(0, 0xffffffff, 0);
      ports[0].send(frameFrom(1, 60));
      ports[1].fillWith(end - 2047);
      ports[1].fillWith(0xfffff800);
      ports[1].fillWith(0x40001);
      ports[1].fill(1);
      expect(backends[0].pump(0)).toBe(4);
      expect(ports[0].completions()).toHaveLength(4);
      expect(backends[1].pump(0)).toBe(1);
      expect(taps[0].counters().txInvalid).toBe(3);
      expect(taps[1].counters().rxInvalid).toBe(3);
      expect(ports[1].take()).toHaveLength(1);
    });

    it("does not send packets of too many descriptors, nor what is no frame", () => {
      const port = new TestPort(128);
      const backend = attach(open({}), port);
      port.send(frameFrom(1, 200), { parts: Array.from({ length: 64 }, () => 3) });
      port.send(frameFrom(1, 13 + 1).subarray(0, 13));
      expect(backend.pump(0)).toBe(2);
      expect(port.completions()).toHaveLength(66);
      expect(taps[0].counters()).toMatchObject({ txFrames: 0, txInvalid: 1, txRefused: 1 });
    });

    it("is an unplugged cable while the interface is down, deleted or closed", () => {
      const port = new TestPort();
      const tap = open({ name: "tap0", up: false });
      const backend = attach(tap, port);
      port.fill(4);
      const sendOne = (): number => {
        port.send(frameFrom(1, 60));
        const moved = backend.pump(0);
        expect(port.completions()).toHaveLength(1);
        return moved;
      };
      sendOne();
      expect(tap.counters()).toMatchObject({ txRefused: 1, txFrames: 0 });
      namespace.ip("link", "set", "tap0", "up");
      sendOne();
      expect(tap.counters()).toMatchObject({ txRefused: 1, txFrames: 1 });
      namespace.ip("link", "delete", "tap0");
      sendOne();
      sendOne();
      expect(tap.counters()).toMatchObject({ txRefused: 3, txFrames: 1 });
      expect(backend.wantsToReceive).toBe(false);
      tap.close();
      sendOne();
      expect(tap.counters()).toMatchObject({ txRefused: 4, txFrames: 1 });
    });

    it("waits until a frame comes, no longer than asked", () => {
      const { ports, backends } = bridged();
      ports[1].fill(1);
      const timed = (micros: number): number => {
        const before = performance.now();
        backends[1].wait(micros);
        return performance.now() - before;
      };
      expect(timed(30_000)).toBeGreaterThanOrEqual(29);
      ports[0].send(frameFrom(1, 60));
      backends[0].pump(0);
      expect(timed(10_000_000)).toBeLessThan(5_000);
      expect(backends[1].pump(0)).toBe(1);
      expect(backends[1].nextDeadline()).toBe(Infinity);
    });

    it("leaves checksums to Linux, and takes its word for them, when asked to", () => {
      const { ports, backends } = bridged({ checksumOffload: true }, [
        new TestPort(16, OFFLOAD_TX_CHECKSUM),
        new TestPort(),
      ]);
      const frame = frameFrom(1, 200);
      ports[0].send(frame, { checksum: { start: 34, offset: 6 }, parts: [42] });
      ports[0].send(frame);
      ports[1].fill(2);
      backends[0].pump(0);
      backends[1].pump(0);
      expect(ports[1].take()).toEqual([
        { frame, flags: RX_META_CHECKSUM_OK },
        { frame, flags: 0 },
      ]);
      expect(taps[0].offloads).toEqual({ rxChecksum: true, txChecksum: true, rxHash: false });
    });

    it("gets each flow from the queue that RSS chooses, and from another when steered", () => {
      namespace.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
      namespace.ip("link", "set", "br0", "up");
      const sender = new TestPort();
      const from = attach(open({ name: "tap1" }), sender);
      const tap = open({ name: "tap2", queues: 4 });
      const queues = [0, 1, 2, 3].map((queue) => {
        const port = new TestPort(16, 0, 4);
        const backend = tap.backend(port.handle, queue);
        backends.push(backend);
        return { port, backend };
      });
      for (const name of ["tap1", "tap2"]) namespace.ip("link", "set", name, "master", "br0");
      const queueOf = (frame: Uint8Array): number => {
        sender.send(frame);
        from.pump(0);
        sender.completions();
        const hits = queues.flatMap(({ port, backend }, queue) => {
          port.fill(1);
          backend.pump(0);
          return port.take().map((received) => ({ queue, frame: received.frame }));
        });
        expect(hits.map((hit) => hit.frame)).toEqual([frame]);
        return hits[0].queue;
      };

      const path: Path = {
        from: { mac: "02:00:00:00:00:01", ip: "10.9.0.1" },
        to: { mac: "02:00:00:00:00:02", ip: "198.51.100.77" },
      };
      const address = (host: number): Path => ({
        ...path,
        from: { ...path.from, ip: `10.9.${host}.9` },
      });
      const frames = Array.from({ length: 24 }, (_, i) => [
        tcpFrame(path, { sourcePort: 40_000 + 7 * i, destinationPort: 80 }),
        udpFrame(path, { sourcePort: 53, destinationPort: 1000 * i }, new Uint8Array(i)),
        icmpFrame(address(i), { type: 8, code: 0 }),
        udpFrame(
          { ...address(i), ip: { moreFragments: true } },
          { sourcePort: i, destinationPort: 7 },
        ),
      ]).flat();
      const seen = new Set<number>();
      for (const frame of frames) {
        const queue = queueOf(frame);
        expect(queue).toBe((rssHash(frame)! & 127) % 4);
        seen.add(queue);
      }
      expect(seen.size).toBe(4);
      expect(queueOf(frameFrom(1, 60))).toBe(0);

      for (let i = 0; i < 8; i++) {
        const input = Uint8Array.from({ length: 36 }, (_, at) => at * 31 + i);
        const header = Uint8Array.of(0x60, 0, 0, 0, 0, 20, i % 2 === 0 ? 6 : 17, 64);
        const packet = concat(header, input, new Uint8Array(16));
        const macs = { source: path.from.mac, destination: path.to.mac };
        const frame = buildEthernet({ ...macs, type: ETHERTYPE_IPV6 }, packet);
        expect(queueOf(frame)).toBe((toeplitz(input) & 127) % 4);
      }

      const group = rssHash(frames[0])! & 127;
      tap.steer(group, ((group % 4) + 1) % 4);
      expect(queueOf(frames[0])).toBe((group + 1) % 4);
      // As the thread of any queue does it when a flow group moves to another core.
      expect(queues[2].backend.steer([[group, (group + 2) % 4]])).toBe(1000);
      expect(queueOf(frames[0])).toBe((group + 2) % 4);
      tap.steer(group, group % 4);
      expect(queueOf(frames[0])).toBe(group % 4);
      expect(from.steer([[group, 0]])).toBe(0);
      expect(() => tap.steer(128, 0)).toThrow(RangeError);
      expect(() => tap.steer(0, 4)).toThrow(RangeError);
      expect(() => taps[0].steer(0, 0)).toThrow(TapError);
    });

    it("refuses a port that counts on offloads the TAP does not do", () => {
      const tap = open({});
      expect(() => tap.backend(new TestPort(16, OFFLOAD_TX_CHECKSUM).handle)).toThrow(
        /create the dataplane with the TAP's `offloads`/,
      );
    });
  });
});
