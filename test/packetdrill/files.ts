/** The scripts below the paths of a command line. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Files as given, and of directories every `.pkt` file below them, in order. */
export function scriptsOf(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".pkt"))
      .map((file) => join(path, file))
      .toSorted();
  });
}
