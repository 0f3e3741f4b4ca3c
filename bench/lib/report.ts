/** What a bench run says: progress to stderr, tables to stdout, records to a JSON file. */
import Table from "cli-table3";
import { writeFileSync } from "node:fs";
import process from "node:process";
import type { Spread } from "./statistics.ts";

/** One line of the JSON output. */
export interface BenchRecord {
  readonly experiment: string;
  readonly system: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Shows what is being done, where somebody is watching; an empty text clears the line. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Prints a table: the first column to the left, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, column) => (column === 0 ? "left" : "right")),
    style: { head: process.stdout.isTTY ? ["bold"] : [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  console.log(table.toString());
}

/** Writes the records of a run as a JSON array. */
export function writeRecords(file: string, records: readonly BenchRecord[]): void {
  writeFileSync(file, `${JSON.stringify(records, null, 2)}\n`);
}

/** A whole number with its thousands apart: "1 234 567". */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, " ");
}

/** A number with about three digits that matter: "0.57", "12.3", "1 234". */
export function rounded(value: number): string {
  if (value >= 100) return grouped(value);
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** "median (min–max)". */
export function ranged(values: Spread, format: (value: number) => string = rounded): string {
  return `${format(values.median)} (${format(values.min)}–${format(values.max)})`;
}

/** Name, name_min and name_max for the JSON output. */
export function spreadMetrics(name: string, values: Spread): Record<string, number> {
  return { [name]: values.median, [`${name}_min`]: values.min, [`${name}_max`]: values.max };
}
