/** Figures and tables as they are read on a terminal. */
import Table from "cli-table3";
import process from "node:process";
import type { Spread } from "./statistics.ts";

/** A table: the first column to the left, numbers to the right. */
export function tableText(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, column) => (column === 0 ? "left" : "right")),
    style: { head: process.stdout.isTTY ? ["bold"] : [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

/** A whole number with its thousands apart: "1 234 567". */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, " ");
}

/** A number with two or three digits that matter, or all of a large one: "0.0021", "0.57", "12.3", "1 234". */
export function rounded(value: number): string {
  if (Math.abs(value) >= 100) return grouped(value);
  if (value !== 0 && Math.abs(value) < 0.1) return String(Number(value.toPrecision(2)));
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** "median (min–max)". */
export function ranged(values: Spread, format: (value: number) => string = rounded): string {
  return `${format(values.median)} (${format(values.min)}–${format(values.max)})`;
}

/** "1 core", "2 cores". */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}
