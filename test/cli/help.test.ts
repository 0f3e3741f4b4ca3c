/** Help, versions, and what is no command. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Place } from "./support.ts";

const COMMANDS = ["run", "top", "stats", "capture", "cores", "migrate", "policy"];

let place: Place;
beforeAll(() => {
  place = new Place();
});
afterAll(() => place.delete());

const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

it("--version prints the package's", async () => {
  expect(await place.ixwasm("--version")).toMatchObject({
    code: 0,
    stdout: `${version}\n`,
    stderr: "",
  });
});

it("--help lists all commands", async () => {
  const { code, stdout } = await place.ixwasm("--help");
  expect(code).toBe(0);
  for (const command of COMMANDS) {
    expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
  }
});

it.each(COMMANDS)("%s --help has examples", async (command) => {
  const { code, stdout } = await place.ixwasm(command, "--help");
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^Examples:\\n(.*\\n)*? +(sudo )?ixwasm ${command}`, "m"));
});

it.each([
  [[], "Usage: ixwasm"],
  [["frobnicate"], "unknown command 'frobnicate'"],
  [["--frobnicate"], "unknown option '--frobnicate'"],
])("%j is refused with exit code 2", async (args, message) => {
  const { code, stdout, stderr } = await place.ixwasm(...args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(message);
});
