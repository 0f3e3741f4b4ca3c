import { describe, expect, it, vi } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { Core } from "../../host/dataplane/core.ts";
import { widen } from "../../host/dataplane/clock.ts";
import { queuesOf } from "../../host/dataplane/queues.ts";
import {
  codeName,
  KernelError,
  MemoryError,
  LeakError,
  StateError,
  SystemCallError,
} from "../../host/dataplane/errors.ts";
import { Port } from "../../host/nic/port.ts";
import { loadKernelSync, type KernelBuild } from "../../host/node/kernel.ts";
import { SERVER_IP, smallDataplane } from "./support.ts";

const BUILDS: KernelBuild[] = ["debug", "release"];

/** Counts frames in the fill rings of a core. */
function filled(words: Uint32Array, queue: number): number {
  const producer = words[(queue + abi.QUEUE_FILL + abi.RING_PRODUCER) >>> 2];
  return words[producer >>> 2];
}

describe.each(BUILDS)("a dataplane on the %s kernel", (build) => {
  const kernel = loadKernelSync(build);

  it("tells its kernel what was decided", () => {
    const { memory, map } = smallDataplane(SERVER_IP, { kernel, mtu: 1400, cores: 2 });
    const view = new DataView(memory.buffer);
    const config = (offset: number) => view.getUint32(abi.CONFIG_BASE + offset, true);
    expect(memory.buffer.byteLength).toBe(map.size);
    expect(config(abi.CFG_ABI)).toBe(abi.ABI_VERSION);
    expect(config(abi.CFG_CORES)).toBe(2);
    expect(config(abi.CFG_MTU)).toBe(1400);
    expect(config(abi.CFG_PREFIX)).toBe(24);
    expect(config(abi.CFG_MEMORY_SIZE)).toBe(map.size);
    expect(config(abi.CFG_WINDOW)).toBe(map.window.address);
    const bytes = new Uint8Array(memory.buffer, abi.CONFIG_BASE);
    const at = (offset: number, length: number) => [...bytes.subarray(offset, offset + length)];
    expect(at(abi.CFG_MAC, 6)).toEqual([2, 0, 10, 0, 0, 1]);
    expect(at(abi.CFG_IP + 12, 4)).toEqual([10, 0, 0, 1]);
    expect(at(abi.CFG_SECRET, 16)).toEqual([...Array(16).keys()]);
  });

  it("fills every cell of the configuration that has a name", () => {
    const { memory } = smallDataplane(SERVER_IP, {
      kernel,
      tcp: { pacing: true, ecn: "accurate", synLinearRetries: 4 },
      sharedWindow: 4096,
      ip6: "2001:db8::1/64",
    });
    const view = new DataView(memory.buffer);
    const zero = Object.entries(abi)
      .filter(([name]) => name.startsWith("CFG_"))
      .filter(([, offset]) => view.getUint32(abi.CONFIG_BASE + offset, true) === 0)
      .map(([name]) => name);
    // The first bytes of an IPv4-mapped address are zero.
    expect(zero).toEqual(["CFG_IP"]);
  });

  it("gives each core's queues buffers when it is attached", () => {
    const { memory, cores, port } = smallDataplane(SERVER_IP, {
      kernel,
      cores: 2,
      queuesPerCore: 2,
    });
    const words = new Uint32Array(memory.buffer);
    expect(port.queues.map((queue) => filled(words, queue))).toEqual([0, 0, 0, 0]);
    cores[1].attach(0);
    expect(port.queues.map((queue) => filled(words, queue))).toEqual([0, 128, 0, 128]);
    cores[0].attach(0);
    expect(port.queues.map((queue) => filled(words, queue))).toEqual([128, 128, 128, 128]);
  });

  it("has flow groups where the NIC puts their packets", () => {
    for (const [cores, queuesPerCore] of [
      [1, 1],
      [3, 1],
      [3, 2],
      [5, 8],
    ]) {
      const { port, map, memory } = smallDataplane(SERVER_IP, {
        kernel,
        cores,
        queuesPerCore,
        frames: 65536,
      });
      const words = new Uint32Array(memory.buffer);
      for (const [group, queue] of new Port(port).retaEntries().entries()) {
        const owner = words[(map.groups.address + group * abi.GROUP_SIZE) >>> 2];
        expect(words[(port.queues[queue] + abi.QUEUE_CORE) >>> 2]).toBe(map.cores[owner].block);
        expect(queuesOf(port, cores, owner)).toContain(queue);
      }
    }
  });

  it("has cores that are attached once, on whichever thread", () => {
    const { cores, memory } = smallDataplane(SERVER_IP, { kernel, cores: 2 });
    expect(() => cores[1].poll(0)).toThrow(StateError);
    cores[1].attach(0);
    expect(() => cores[1].attach(0)).toThrow(StateError);
    // As a worker would make it.
    expect(() => new Core(kernel, memory, 1).attach(0)).toThrow(StateError);
    expect(cores[1].poll(1)).toBe(0);
    expect(cores[1].nextDeadline(1)).toBe(Infinity);
  });

  it("lists what leaks, which the frames in the fill rings do not", () => {
    const dataplane = smallDataplane(SERVER_IP, { kernel, cores: 2 });
    dataplane.cores[1].attach(0);
    expect(dataplane.gauges().fill).toBe(128);
    expect(dataplane.gauges(0).fill).toBe(0);
    dataplane.assertNoLeaks();
    const view = new DataView(dataplane.memory.buffer);
    view.setUint32(dataplane.cores[1].block + abi.GAUGE_TIMERS, 3, true);
    expect(() => dataplane.assertNoLeaks()).toThrow(LeakError);
    expect(() => dataplane.assertNoLeaks()).toThrow(/10.0.0.1 still holds: core 1 timers 3/);
    expect(() => dataplane.counters(2)).toThrow(RangeError);
  });
});

describe("a module that is not the kernel", () => {
  /** A module with nothing in it but the magic number and the version. */
  const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

  it("is refused", () => {
    const create = () => smallDataplane(SERVER_IP, { kernel: empty });
    expect(create).toThrow(KernelError);
    expect(create).toThrow(/does not export initialize, attach, adopt/);
  });
});

describe("an engine without room for a dataplane", () => {
  it("is reported with what needs how much, and what can be done", () => {
    const memory = vi.spyOn(WebAssembly, "Memory").mockImplementation(function () {
      throw new RangeError("could not allocate memory");
    });
    try {
      const create = () => smallDataplane(SERVER_IP, { maxConnections: 65536 });
      expect(create).toThrow(MemoryError);
      expect(create).toThrow(
        /cannot allocate \d+ MiB of shared memory for .*: ask for less of them, or for fewer dataplanes/,
      );
    } finally {
      memory.mockRestore();
    }
  });
});

describe("codes", () => {
  it("have Node's names", () => {
    expect(codeName(abi.RC_REFUSED)).toBe("ECONNREFUSED");
    expect(codeName(-999)).toBe("EUNKNOWN");
    const error = new SystemCallError("connect", abi.RC_TIMEOUT);
    expect(error).toMatchObject({ code: "ETIMEDOUT", errno: -11, syscall: "connect" });
    expect(error.message).toBe("connect ETIMEDOUT: connection timed out");
  });

  it("are complete", () => {
    for (const [name, code] of Object.entries(abi)) {
      if (name.startsWith("RC_")) expect(codeName(code), name).not.toBe("EUNKNOWN");
    }
  });
});

describe("instants modulo 2^32", () => {
  it("are widened to the one nearest to now", () => {
    const turn = 2 ** 32;
    expect(widen(100, 50)).toBe(100);
    expect(widen(100, 5 * turn + 50.7)).toBe(5 * turn + 100);
    expect(widen(100, 5 * turn - 50)).toBe(5 * turn + 100);
    expect(widen(turn - 1, 5 * turn + 3)).toBe(5 * turn - 1);
  });
});
