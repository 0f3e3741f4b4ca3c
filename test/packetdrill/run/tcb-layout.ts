/**
 * Where the fields of a connection's control block lie in memory. Read from the kernel's own source, in
 * which the classes `Tcb` and `TcbCold` are the layout: fields in order, aligned as in C. So the offsets
 * cannot go stale; a field that the kernel drops is missing here.
 */
import { existsSync, readFileSync } from "node:fs";
import * as abi from "../../../assembly/abi.ts";
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

/** Layouts of a connection's hot and cold part and of a buffer, and constants of these files by name. */
export interface TcbLayout {
  readonly hot: Layout;
  readonly cold: Layout;
  readonly buffer: Layout;
  readonly constants: ReadonlyMap<string, number>;
}

/** Where the kernel keeps the constants of its flags; a file that is not there has none. */
const SOURCES = ["tcp/tcb.ts", "tcp/states.ts", "tcp/send-queue.ts", "tcp/scoreboard.ts"];
/** The states that applications are told of; the kernel calls them so without this. */
const STATE_PREFIX = "TCP_STATE_";

let known: TcbLayout | undefined;

export function tcbLayout(): TcbLayout {
  if (!known) {
    const tcb = sourceOf("tcp/tcb.ts");
    known = {
      hot: layoutOf(tcb, "Tcb"),
      cold: layoutOf(tcb, "TcbCold"),
      buffer: layoutOf(sourceOf("mem/buffers.ts"), "Buffer"),
      constants: new Map([
        ...SOURCES.flatMap((file) => constantsOf(sourceOf(file))),
        ...statesTold(),
      ]),
    };
  }
  return known;
}

function sourceOf(file: string): string {
  const path = packageFile(`assembly/${file}`);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** The fields of an `@unmanaged` class, by name. */
export function layoutOf(source: string, name: string): Layout {
  const body = new RegExp(`export class ${name} \\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1];
  if (body === undefined) throw new Error(`the kernel has no class ${name}`);
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
function constantsOf(source: string): [string, number][] {
  const found = source.matchAll(/^export const (\w+): u\d+ = (\d+)(?: << (\d+))?;/gm);
  return Array.from(found, ([, name, value, shift]) => [
    name,
    shift === undefined ? Number(value) : (Number(value) << Number(shift)) >>> 0,
  ]);
}

function statesTold(): [string, number][] {
  return Object.entries(abi)
    .filter(([name]) => name.startsWith(STATE_PREFIX))
    .map(([name, value]) => [name.slice(STATE_PREFIX.length), value]);
}
