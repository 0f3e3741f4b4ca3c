/**
 * What an engine sees of the kernel. Instances share one memory and are made at any time, so nothing
 * may run, or be written, when an instance is made: no data, start or element section, no table.
 */
import { describe, expect, test } from "vitest";
import { debugKernel, kernels, releaseKernel } from "../support/kernels.ts";

const SECTION = { custom: 0, import: 2, table: 4, memory: 5, start: 8, element: 9, data: 11 };

/** The section numbers of a module in order. */
function sections(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  let at = 8;
  while (at < bytes.length) {
    ids.push(bytes[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return ids;
}

describe.each(kernels)("$name kernel", ({ bytes, module }) => {
  test("is WebAssembly 1", () => {
    expect(Array.from(bytes.subarray(0, 8))).toEqual([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  });

  test("exports the entry points that the host calls", () => {
    const names = WebAssembly.Module.exports(module).map(({ name }) => name);
    const wanted =
      "initialize attach adopt rescue abiVersion poll dispatch steered stage addRoute removeRoute addNeighbour announce";
    expect(names).toEqual(expect.arrayContaining(wanted.split(" ")));
  });

  test("exports functions only, so that constants cost nothing", () => {
    const others = WebAssembly.Module.exports(module).filter(({ kind }) => kind !== "function");
    expect(others).toEqual([]);
  });
});

describe("release kernel", () => {
  const ids = sections(releaseKernel.bytes);

  test.each(["data", "start", "table", "element", "memory"] as const)(
    "has no %s section",
    (name) => {
      expect(ids).not.toContain(SECTION[name]);
    },
  );

  test("imports one shared memory and nothing else", () => {
    const imports = WebAssembly.Module.imports(releaseKernel.module);
    expect(imports).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
    const unshared = new WebAssembly.Memory({ initial: 2, maximum: 65_536 });
    expect(
      () => new WebAssembly.Instance(releaseKernel.module, { env: { memory: unshared } }),
    ).toThrow(WebAssembly.LinkError);
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    expect(() => new WebAssembly.Instance(releaseKernel.module, { env: { memory } })).not.toThrow();
  });

  test("leaves the memory alone when it is instantiated", () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const instance = new WebAssembly.Instance(releaseKernel.module, { env: { memory } });
    expect(instance.exports).toHaveProperty("poll");
    expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  });
});

test("the debug kernel needs nothing beyond memory and abort", () => {
  const imports = WebAssembly.Module.imports(debugKernel.module).map(({ name }) => name);
  expect(imports.filter((name) => name !== "abort")).toEqual(["memory"]);
});
