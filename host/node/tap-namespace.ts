/**
 * Network namespaces: where a TAP's interface appears is decided by the namespace of the thread that
 * opens the device, setns(2) is per thread, and koffi calls on the calling thread.
 */
import { closeSync, openSync } from "node:fs";
import { errorName, TapError } from "./tap-errors.ts";
import { EACCES, EPERM, libc } from "./tap-libc.ts";

const CLONE_NEWNET = 0x40000000;
const OWN = "/proc/thread-self/ns/net";

/** Path of a namespace that is given by its name in `ip netns`, or by a path. */
function pathOf(namespace: string): string {
  return namespace.includes("/") ? namespace : `/run/netns/${namespace}`;
}

/**
 * Runs `action` with this thread in the network namespace, then returns to where it was. What the
 * action opens stays where it was opened. Without a namespace it just runs the action.
 */
export function inNamespace<T>(namespace: string | undefined, action: () => T): T {
  if (namespace === undefined) return action();
  let target: number;
  try {
    target = openSync(pathOf(namespace), "r");
  } catch (cause) {
    throw new TapError(
      "ERR_TAP_NO_NAMESPACE",
      `there is no network namespace ${namespace}: make it with ip netns add`,
      { cause },
    );
  }
  const own = openSync(OWN, "r");
  try {
    enter(target, `enter the network namespace ${namespace}`);
    try {
      return action();
    } finally {
      enter(own, "leave the network namespace again");
    }
  } finally {
    closeSync(own);
    closeSync(target);
  }
}

function enter(fd: number, what: string): void {
  if (libc().setns(fd, CLONE_NEWNET) === 0) return;
  const errno = libc().errno();
  const problem = `Linux refused to ${what} (${errorName(errno)})`;
  throw errno === EPERM || errno === EACCES
    ? new TapError("ERR_TAP_PERMISSION", `${problem}: run as root or with CAP_SYS_ADMIN`, { errno })
    : new TapError("ERR_TAP_SYSTEM", problem, { errno });
}
