/** Arguments of the bench's child processes: `--name number` pairs, written and read by the bench. */
import process from "node:process";

/** The number after `--name` on this process's command line, or `fallback`. */
export function numberOption(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}

/** `{ conns: 64 }` as `["--conns", "64"]`. */
export function optionArguments(options: Readonly<Record<string, number | string>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Ends this process with its parent, and in any case after `seconds`. */
export function boundLifetime(seconds: number): void {
  process.once("disconnect", () => process.exit(1));
  setTimeout(() => process.exit(1), seconds * 1000).unref();
}
