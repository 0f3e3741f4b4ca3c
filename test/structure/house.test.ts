/** The order of the house (DESIGN.md, "The house"): who may know whom. */
import { builtinModules } from "node:module";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { browserBundle } from "../support/browser-bundle.ts";
import { codeOf, folderOf, importsOf, root, sourcesOf } from "./sources.ts";

const nodeModules = new Set([...builtinModules, "koffi", "piscina"]);

function isNodeModule(specifier: string): boolean {
  return specifier.startsWith("node:") || nodeModules.has(specifier);
}

describe("the isomorphic host", () => {
  const files = sourcesOf("host").filter((file) => !file.startsWith("host/node/"));

  test.each(files)("%s imports nothing of Node", (file) => {
    const imports = importsOf(file);
    expect(imports.filter(({ specifier }) => isNodeModule(specifier))).toEqual([]);
    expect(imports.filter((entry) => entry.file?.startsWith("host/node/"))).toEqual([]);
    const packages = imports.filter((entry) => entry.file === undefined);
    expect(packages, "packages from a registry").toEqual([]);
  });

  test.each(files)("%s uses no global of Node", (file) => {
    const globals =
      /(?<![.\w$#])(process|Buffer|global|require|__dirname|__filename|setImmediate)\b/;
    expect(globals.exec(codeOf(file))?.[0]).toBeUndefined();
  });

  test.runIf(existsSync(join(root, "host/index.ts")))(
    "bundles for a browser from its entry",
    async () => {
      const text = await browserBundle(join(root, "host/index.ts"));
      expect(text).toContain("createDataplane");
    },
  );
});

/** What each folder of the kernel may import besides itself, abi.ts and trap.ts. */
const kernelLayers: Record<string, readonly string[]> = {
  // Bytes and meaning: no state at all.
  wire: [],
  time: ["core"],
  mem: ["core"],
  nic: ["core", "mem"],
};

describe("the kernel's layers", () => {
  const files = sourcesOf("assembly");

  test("import with relative paths inside assembly/, and no host", () => {
    for (const file of files) {
      for (const entry of importsOf(file)) {
        expect(entry.file, `${file} imports ${entry.specifier}`).toMatch(/^assembly\//);
      }
    }
  });

  test.each(Object.entries(kernelLayers))("%s knows only %j", (folder, allowed) => {
    const inside = files.filter((file) => folderOf("assembly", file) === folder);
    const others = inside.flatMap((file) =>
      importsOf(file)
        .map((entry) => folderOf("assembly", entry.file ?? ""))
        .filter((other) => other !== "" && other !== folder),
    );
    expect([...new Set(others)].filter((other) => !allowed.includes(other))).toEqual([]);
  });

  test("core, time, mem and nic do not know the protocols, but for what runs the iteration", () => {
    const shared = ["core/config.ts", "core/counters.ts", "core/packet.ts"];
    for (const file of shared.map((name) => `assembly/${name}`)) {
      const folders = importsOf(file).map((entry) => folderOf("assembly", entry.file ?? ""));
      expect(folders.filter((folder) => ["net", "tcp", "user", "flow"].includes(folder))).toEqual(
        [],
      );
    }
  });

  test("nothing below user/ and core/ imports the system-call gate", () => {
    for (const file of files) {
      const folder = folderOf("assembly", file);
      if (["", "core", "user"].includes(folder)) continue;
      const gates = importsOf(file).filter((entry) => entry.file?.endsWith("syscalls.ts"));
      expect(gates, file).toEqual([]);
    }
  });

  test("of tcp, only the way out of a segment knows the rings", () => {
    const aware = files.filter((file) => {
      const folders = importsOf(file).map((entry) => folderOf("assembly", entry.file ?? ""));
      return folderOf("assembly", file) === "tcp" && folders.includes("nic");
    });
    // Making frames of segments, and the end of a batch, which stops where the ring is full.
    expect(aware).toEqual([
      "assembly/tcp/emit-syn.ts",
      "assembly/tcp/emit.ts",
      "assembly/tcp/flush.ts",
    ]);
  });

  test("the entry file is imported by nobody", () => {
    for (const file of files) {
      expect(importsOf(file).map((entry) => entry.file)).not.toContain("assembly/index.ts");
    }
  });
});

describe("the demo's engine", () => {
  const files = [...sourcesOf("demo/engine"), ...sourcesOf("demo/packets")];

  test.each(files)("%s knows the host's entry and abi.ts, and no page", (file) => {
    for (const { specifier, file: imported = "" } of importsOf(file)) {
      const known = /^demo\/(engine|packets)\/|^host\/index\.ts$|^assembly\/abi\.ts$/;
      expect(known.test(imported) || imported.startsWith("build/"), specifier).toBe(true);
    }
  });
});

/** What each folder of the host may import besides itself and assembly/abi.ts. */
const hostLayers: Record<string, readonly string[]> = {
  libix: [],
  nic: [],
};

describe("the host's layers", () => {
  const files = sourcesOf("host");

  test.each(Object.entries(hostLayers))("host/%s knows only %j", (folder, allowed) => {
    const inside = files.filter((file) => folderOf("host", file) === folder);
    const others = inside.flatMap((file) =>
      importsOf(file)
        .map((entry) => entry.file ?? "")
        .filter((other) => other.startsWith("host/"))
        .map((other) => folderOf("host", other))
        .filter((other) => other !== folder && other !== ""),
    );
    expect([...new Set(others)].filter((other) => !allowed.includes(other))).toEqual([]);
  });

  test("of the kernel's sources the host reads abi.ts alone", () => {
    for (const file of files) {
      const kernel = importsOf(file).filter((entry) => entry.file?.startsWith("assembly/"));
      for (const entry of kernel) expect(entry.file, file).toBe("assembly/abi.ts");
    }
  });

  test("examples and benchmarks use what the package exports, or the host", () => {
    for (const file of [...sourcesOf("examples"), ...sourcesOf("bench")]) {
      const kernel = importsOf(file).filter((entry) => entry.file?.startsWith("assembly/"));
      for (const entry of kernel) expect(entry.file, file).toBe("assembly/abi.ts");
    }
  });
});
