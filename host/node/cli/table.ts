/** Tables of plain text: the first column to the left, numbers to the right. */

/** Lines of a table with a header. */
export function tableLines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)];
}

const SCALES = ["", "k", "M", "G", "T"];

/** What is as good as nothing: the rest of an average that nothing is added to any more. */
const NOTHING = 0.005;

/** A number in three digits, or four before the first letter: 9 999 as it is, then 10.0k, 1.23M. */
export function compact(value: number): string {
  if (value < NOTHING) return "0";
  if (value >= 9999.5) {
    const scale = Math.min(Math.floor(Math.log10(value * 1.0005) / 3), SCALES.length - 1);
    return (value / 1000 ** scale).toPrecision(3) + SCALES[scale];
  }
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
}

/** A whole number with spaces between groups of three digits. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}
