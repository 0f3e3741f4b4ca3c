/** What a bundler makes of a module for a browser. */
import { build, type BuildOptions } from "esbuild";
import { expect } from "vitest";

/** The bundle's text; fails when the bundler has anything to say against it. */
export async function browserBundle(entry: string, options: BuildOptions = {}): Promise<string> {
  const { errors, warnings, outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    target: "es2022",
    logLevel: "silent",
    ...options,
  });
  expect([...errors, ...warnings]).toEqual([]);
  return outputFiles![0].text;
}
