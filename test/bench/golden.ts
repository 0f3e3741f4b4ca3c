/**
 * Tables that virtual time makes the same on every machine. The files hold all rows; a test looks at some
 * of them, at all with IXWASM_LONG=1, and writes them anew with IXWASM_GOLDEN=1: for whoever changes loss
 * recovery or a congestion control on purpose.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

export type Table = Readonly<Record<string, readonly number[]>>;

export const all = process.env.IXWASM_LONG === "1" || process.env.IXWASM_GOLDEN === "1";

/** A change of the kernel that changes when a single segment is sent moves figures by a little. */
const TOLERANCE = 0.15;

/** The figures of a row that differ from the golden ones by more than `least` and 15 %; "": none. */
export function differences(
  found: readonly number[],
  golden: readonly number[],
  least: number,
): string {
  const far = found.filter((figure, index) => {
    return Math.abs(figure - golden[index]) > Math.max(least, TOLERANCE * golden[index]);
  });
  const wrong = far.length > 0 || found.length !== golden.length;
  return wrong ? `${found.join(" ")} instead of ${golden.join(" ")}` : "";
}

export class GoldenFile {
  readonly #url: URL;
  readonly table: Table;
  readonly #fresh: Record<string, readonly number[]> = {};

  constructor(name: string) {
    this.#url = new URL(`golden/${name}.json`, import.meta.url);
    this.table = JSON.parse(readFileSync(this.#url, "utf8")) as Table;
  }

  /** Takes a row down for `write`. */
  note(row: string, figures: readonly number[]): void {
    this.#fresh[row] = figures;
  }

  /** Writes the rows that were noted, if that was asked for. */
  write(): void {
    if (process.env.IXWASM_GOLDEN !== "1") return;
    const rows = Object.entries(this.#fresh).map(
      ([row, figures]) => `  ${JSON.stringify(row)}: [${figures.join(", ")}]`,
    );
    writeFileSync(this.#url, `{\n${rows.join(",\n")}\n}\n`);
  }
}
