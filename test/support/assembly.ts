/**
 * Parts of the kernel compiled by themselves, so that a test can call functions that the kernel does
 * not export. Only for files without state: bytes and arithmetic.
 */
import { readFileSync } from "node:fs";
import { main as compile } from "assemblyscript/asc";

export interface CompiledPart {
  readonly name: "debug" | "release";
  /** 4 MiB, all zero. */
  readonly memory: Uint8Array;
  readonly view: DataView;
  readonly call: Record<string, (...args: (number | bigint)[]) => number>;
  /** Exported variables. */
  readonly globals: Record<string, WebAssembly.Global>;
}

const PAGES = 64;

/**
 * Compiles an entry file that exports everything of `files` (below assembly/), as the debug and as the
 * release target are compiled.
 */
export async function compileParts(...files: readonly string[]): Promise<CompiledPart[]> {
  const entry = files.map((file) => `export * from "./${file.replace(/\.ts$/, "")}";`).join("\n");
  return Promise.all([
    compilePart("debug", entry, ["--debug"]),
    compilePart("release", entry, ["-O3", "--converge", "--noAssert"]),
  ]);
}

async function compilePart(
  name: CompiledPart["name"],
  entry: string,
  flags: readonly string[],
): Promise<CompiledPart> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const options = ["--runtime", "stub", "--enable", "simd", "--initialMemory", `${PAGES}`];
  const { error, stderr } = await compile(["entry.ts", "--outFile", "out", ...options, ...flags], {
    readFile: (file) => (file === "entry.ts" ? entry : readPart(file)),
    writeFile: (_file, contents) => {
      binary = contents as Uint8Array<ArrayBuffer>;
    },
    listFiles: () => [],
  });
  if (error || !binary) throw new Error(stderr.toString(), { cause: error });
  const abort = (): never => {
    throw new Error("aborted");
  };
  const module = new WebAssembly.Module(binary);
  const { exports } = new WebAssembly.Instance(module, { env: { abort } });
  const { buffer } = exports.memory as WebAssembly.Memory;
  const members = Object.entries(exports);
  return {
    name,
    memory: new Uint8Array(buffer),
    view: new DataView(buffer),
    call: Object.fromEntries(
      members.filter(([, value]) => typeof value === "function"),
    ) as CompiledPart["call"],
    globals: Object.fromEntries(
      members.filter(([, value]) => value instanceof WebAssembly.Global),
    ) as CompiledPart["globals"],
  };
}

function readPart(file: string): string | null {
  try {
    return readFileSync(new URL(`../../assembly/${file}`, import.meta.url), "utf8");
  } catch {
    return null;
  }
}
