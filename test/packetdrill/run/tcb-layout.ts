/**
 * Where the fields of a connection's control block lie in memory. Read from the kernel's own source, in
 * which the classes `Tcb` and `TcbCold` are the layout: fields in order, aligned as in C. So the offsets
 * cannot go stale; a field that the kernel drops is missing here.
 */
import { readFileSync } from "node:fs";
import { packageFile } from "../../../host/node/kernel.ts";

export interface Field {
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
}

export type Layout = ReadonlyMap<string, Field>;

const SIZES: Readonly<Record<string, number>> = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};
/** A reference to another record: an address. */
const POINTER = 4;

const SOURCE = "assembly/tcp/tcb.ts";

/** Layouts of the hot and the cold part, and the kernel's constants of the same file by name. */
export interface TcbLayout {
  readonly hot: Layout;
  readonly cold: Layout;
  readonly constants: ReadonlyMap<string, number>;
}

let known: TcbLayout | undefined;

export function tcbLayout(): TcbLayout {
  if (!known) {
    const source = readFileSync(packageFile(SOURCE), "utf8");
    known = {
      hot: layoutOf(source, "Tcb"),
      cold: layoutOf(source, "TcbCold"),
      constants: constantsOf(source),
    };
  }
  return known;
}

/** The fields of an `@unmanaged` class, by name. */
export function layoutOf(source: string, name: string): Layout {
  const body = new RegExp(`export class ${name} \\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1];
  if (body === undefined) throw new Error(`${SOURCE} has no class ${name}`);
  const fields = new Map<string, Field>();
  let end = 0;
  const code = body.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  for (const [, field, type] of code.matchAll(/^\s*(\w+): ([\w| ]+);/gm)) {
    const size = SIZES[type] ?? POINTER;
    const offset = Math.ceil(end / size) * size;
    fields.set(field, { offset, size, signed: type.startsWith("i") });
    end = offset + size;
  }
  return fields;
}

/** `export const NAME: u32 = …` whose value is a number or a shift. */
function constantsOf(source: string): Map<string, number> {
  const constants = new Map<string, number>();
  for (const [, name, value, shift] of source.matchAll(
    /^export const (\w+): u32 = (\d+)(?: << (\d+))?;/gm,
  )) {
    constants.set(name, shift === undefined ? Number(value) : (1 << Number(shift)) >>> 0);
  }
  return constants;
}
