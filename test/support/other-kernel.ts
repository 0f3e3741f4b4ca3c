/** Kernels that are not this host's, made from the one that is. */
import { ABI_VERSION } from "../../assembly/abi.ts";
import { readFileSync } from "node:fs";
import { packageFile } from "../../host/node/kernel.ts";

const EXPORT_SECTION = 7;
const CODE_SECTION = 10;
const IMPORT_SECTION = 2;
const I32_CONST = 0x41;
const END = 0x0b;

/**
 * The kernel, but that it says to be built for another version of the ABI: the constant that its
 * `abiVersion` returns is replaced. Both versions must take as many bytes.
 */
export async function kernelOfAbi(version: number): Promise<WebAssembly.Module> {
  const bytes = new Uint8Array(readFileSync(packageFile("build/dataplane.wasm")));
  const at = bodyOf(bytes, "abiVersion");
  // No locals, i32.const, end.
  const body = (constant: number): number[] => [0, I32_CONST, ...signed(constant), END];
  const expected = body(ABI_VERSION);
  const found = Array.from(bytes.subarray(at, at + expected.length));
  if (found.join() !== expected.join()) throw new Error(`abiVersion is [${found.join()}]`);
  const other = body(version);
  if (other.length !== expected.length) throw new Error(`version ${version} is of another length`);
  bytes.set(other, at);
  return WebAssembly.compile(bytes);
}

/** A positive number in signed LEB128. */
function signed(value: number): number[] {
  return value < 64 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

/** Where the body of an exported function begins, behind its size. */
function bodyOf(bytes: Uint8Array, name: string): number {
  const sections = new Map<number, number>();
  const reader = new Reader(bytes, 8);
  while (reader.at < bytes.length) {
    const id = reader.byte();
    const size = reader.number();
    sections.set(id, reader.at);
    reader.at += size;
  }
  const index = exportIndex(new Reader(bytes, sections.get(EXPORT_SECTION)!), name);
  const imported = importedFunctions(new Reader(bytes, sections.get(IMPORT_SECTION)!));
  const code = new Reader(bytes, sections.get(CODE_SECTION)!);
  code.number();
  for (let i = imported; i < index; i++) {
    const size = code.number();
    code.at += size;
  }
  code.number();
  return code.at;
}

function exportIndex(reader: Reader, wanted: string): number {
  for (let left = reader.number(); left > 0; left--) {
    const name = reader.text();
    reader.byte();
    const index = reader.number();
    if (name === wanted) return index;
  }
  throw new Error(`the kernel does not export ${wanted}`);
}

/** The release build imports its memory and nothing else. */
function importedFunctions(reader: Reader): number {
  if (reader.number() !== 1) throw new Error("the kernel imports more than its memory");
  return 0;
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.#bytes[this.at++];
  }

  /** LEB128, unsigned. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  text(): string {
    const length = this.number();
    this.at += length;
    return new TextDecoder().decode(this.#bytes.subarray(this.at - length, this.at));
  }
}
