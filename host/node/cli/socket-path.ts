/**
 * Where runs have their control sockets: one directory a user, which nobody else may enter, and in it
 * NAME.sock for each run. A socket file outlives a process that was killed, so a file alone says
 * nothing: who answers on it is alive.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { CliError } from "./errors.ts";

const SUFFIX = ".sock";
/** Longest path that the address of a Unix socket holds on every system (macOS; Linux has 107). */
const MAX_PATH = 103;

/** The directory of this user's runs. */
export function runDirectory(): string {
  return join(tmpdir(), `ixwasm-${userInfo().uid}`);
}

/** The socket of the run called `name`. */
export function socketOf(name: string): string {
  return join(runDirectory(), name + SUFFIX);
}

/** Makes the directory of a socket: this user's own one with mode 0700, others must exist. */
export function prepareDirectory(path: string): void {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new CliError(
      `${path} is too long for a socket, of which the path has at most ${MAX_PATH} bytes: ` +
        "give a shorter --socket or --name",
    );
  }
  const directory = runDirectory();
  if (dirname(path) !== directory) {
    if (!existsSync(dirname(path))) throw new CliError(`there is no directory ${dirname(path)}`);
    return;
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Anybody may have made it before, in a directory that all can write.
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== userInfo().uid || (stat.mode & 0o077) !== 0) {
    throw new CliError(
      `${directory} must be a directory of yours that nobody else may enter: ` +
        "remove it (or chmod 700), or give --socket",
    );
  }
}

/** Paths of this user's sockets, whether somebody listens or not. */
export function listSockets(): string[] {
  try {
    const names = readdirSync(runDirectory()).filter((name) => name.endsWith(SUFFIX));
    return names.toSorted().map((name) => join(runDirectory(), name));
  } catch {
    return [];
  }
}

/** Whether somebody listens on a socket. */
export function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      // Somebody whose queue is full, or whose socket is not ours to enter, is somebody.
      resolve(code === "EAGAIN" || code === "EACCES");
    });
  });
}

/**
 * The socket of the only run there is.
 *
 * @throws {CliError} there is none, or several
 */
export async function findRun(): Promise<string> {
  const sockets = listSockets();
  const alive = await Promise.all(sockets.map(isAlive));
  const runs = sockets.filter((_, i) => alive[i]);
  if (runs.length === 1) return runs[0];
  if (runs.length === 0) {
    throw new CliError("nothing runs: start it with ixwasm run, or say where it is with --socket");
  }
  const list = runs.map((path) => `  --socket ${path}`).join("\n");
  throw new CliError(`${runs.length} runs are alive; choose one with\n${list}`);
}
