/** The sources as text, and what they import: for tests of the house's order. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Paths of the TypeScript files below a directory, relative to the repository, with slashes. */
export function sourcesOf(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(directory, file).replaceAll("\\", "/"))
    .toSorted();
}

export function readSource(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** The source without comments and without the contents of strings, so that words can be searched. */
export function codeOf(file: string): string {
  return readSource(file)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|[^:"'`])\/\/.*$/gm, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}

export interface Import {
  readonly specifier: string;
  /** The imported file relative to the repository, when the specifier is relative. */
  readonly file: string | undefined;
  readonly typeOnly: boolean;
}

/** Static imports, re-exports and dynamic imports of a source file. */
export function importsOf(file: string): Import[] {
  const source = readSource(file).replace(/\/\*[\s\S]*?\*\//g, "");
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[^;"'`]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;
  return Array.from(source.matchAll(pattern), ([, typeOnly, fixed, dynamic]) => {
    const specifier = fixed ?? dynamic;
    return {
      specifier,
      file: specifier.startsWith(".") ? resolve(file, specifier) : undefined,
      typeOnly: typeOnly !== undefined,
    };
  });
}

function resolve(from: string, specifier: string): string {
  const path = posix.normalize(posix.join(dirname(from), specifier));
  return path.endsWith(".ts") ? path : `${path}.ts`;
}

/** The folder of a file below a base: `folderOf("assembly", "assembly/net/arp.ts")` is "net". */
export function folderOf(base: string, file: string): string {
  const inside = relative(base, file).replaceAll("\\", "/");
  return inside.includes("/") ? inside.slice(0, inside.indexOf("/")) : "";
}
