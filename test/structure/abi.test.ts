/** assembly/abi.ts, read by two compilers: both must see the same numbers. */
import { createHash } from "node:crypto";
import { main as compile } from "assemblyscript/asc";
import { expect, test } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { codeOf, readSource, sourcesOf } from "./sources.ts";

/** Compiles abi.ts as an entry file, in memory: each of its constants becomes an exported global. */
async function compiledConstants(): Promise<Record<string, number>> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await compile(
    ["abi.ts", "--runtime", "stub", "--outFile", "abi.wasm"],
    {
      readFile: (name) => (name === "abi.ts" ? readSource("assembly/abi.ts") : null),
      writeFile: (_name, contents) => {
        binary = contents as Uint8Array<ArrayBuffer>;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(stderr.toString(), { cause: error });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary), {});
  return Object.fromEntries(
    Object.entries(exports)
      .filter(([, value]) => value instanceof WebAssembly.Global)
      .map(([name, value]) => [name, (value as WebAssembly.Global).value as number]),
  );
}

test("AssemblyScript and TypeScript read the same constants", async () => {
  const compiled = await compiledConstants();
  const read = Object.fromEntries(Object.entries(abi).map(([name, value]) => [name, value | 0]));
  expect(Object.keys(read).length).toBeGreaterThan(200);
  expect(compiled).toEqual(read);
});

test("every constant has its type and one line", () => {
  const declarations = readSource("assembly/abi.ts").match(/^export .*$/gm) ?? [];
  for (const line of declarations) {
    expect(line).toMatch(/^export const [A-Z][A-Z0-9_]*: (u32 = |i32 = -?)[^;]+;$/);
  }
  expect(declarations).toHaveLength(Object.keys(abi).length);
});

/** Names with one prefix, in order of their value. */
function family(prefix: string): [string, number][] {
  return Object.entries(abi)
    .filter(([name]) => name.startsWith(prefix))
    .toSorted(([, a], [, b]) => a - b);
}

test.each(["SYS_", "EV_", "RC_", "CNT_", "GAUGE_", "CFG_", "OFFLOAD_", "FLAG_"])(
  "no two %s* share a value",
  (prefix) => {
    const values = family(prefix).map(([, value]) => value);
    expect(new Set(values).size).toBe(values.length);
  },
);

test("counters are u64 cells one after the other, inside the core block", () => {
  const counters = family("CNT_");
  expect(counters[0][1]).toBe(abi.CORE_COUNTERS);
  for (const [index, [name, offset]] of counters.entries()) {
    expect(offset, name).toBe(abi.CORE_COUNTERS + 8 * index);
  }
  expect(abi.CNT_END).toBeLessThanOrEqual(abi.CORE_SIZE);
});

test("configuration fields lie inside their block, aligned, apart", () => {
  const wide: Record<string, number> = { CFG_MAC: 8, CFG_IP: 16, CFG_SECRET: 16 };
  const fields = family("CFG_");
  for (const [index, [name, offset]] of fields.entries()) {
    const size = wide[name] ?? 4;
    expect(offset % 4, name).toBe(0);
    const next = fields[index + 1]?.[1] ?? abi.CONFIG_SIZE;
    expect(next - offset, name).toBeGreaterThanOrEqual(size);
  }
});

/** The fields of every record that the kernel has in memory, in order, with its name. */
function records(): string[] {
  const classes = /@unmanaged\s+(?:export )?class (\w+)[^{]*\{([\s\S]*?)\n\}/g;
  return sourcesOf("assembly").flatMap((file) =>
    Array.from(codeOf(file).matchAll(classes), ([, name, body]) =>
      [name, ...(body.match(/^ {2}\w+: \w+;$/gm) ?? [])].join(""),
    ),
  );
}

/** The version, and the digest of the layouts that it stands for. */
const KNOWN = { version: 4, digest: "36b8188dab34d2f1" };

test("ABI_VERSION is raised when a constant or a record changes", () => {
  const { ABI_VERSION: version, ...constants } = abi;
  const layout = [...records().toSorted(), ...Object.entries(constants).toSorted()].join("\n");
  const digest = createHash("sha256").update(layout).digest("hex").slice(0, 16);
  const advice =
    "layouts changed: raise ABI_VERSION in assembly/abi.ts, and have KNOWN say what is received";
  expect({ version, digest }, advice).toEqual(KNOWN);
});

test("the records that ABI_VERSION stands for are found", () => {
  const found = records();
  expect(found.find((text) => text.startsWith("TcbCold "))).toContain("sndEnd: u32;");
  expect(found.filter((text) => text.includes(":")).length).toBeGreaterThan(40);
});
