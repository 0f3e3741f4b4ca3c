/**
 * TCP ports that stay with the operating system although they are on this host: a database on localhost, or
 * a server that a browser is to reach. IXWASM_PASS lists them: "5432", "localhost:6379", "[::1]:8080",
 * separated by commas; a port alone means whatever host is said, or none.
 */
import { OptionTypeError } from "../../dataplane/errors.ts";
import { addressOf, isThisHost } from "../../net/names.ts";

interface Passed {
  /** Undefined: any. */
  readonly host: string | undefined;
  readonly port: number;
}

const ENTRY = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/;

let passed: readonly Passed[] = [];

/**
 * Takes the list of IXWASM_PASS.
 *
 * @throws {TypeError} an entry is none
 */
export function pass(list: string): void {
  passed = list.split(",").map((entry) => {
    const [, v6, name, port] = ENTRY.exec(entry.trim()) ?? [];
    if (port === undefined || Number(port) > 65535) {
      throw new OptionTypeError(
        `ixwasm: IXWASM_PASS takes ports and hosts with ports, like "5432,localhost:6379", not "${entry}"`,
      );
    }
    const host = v6 ?? name;
    return { host: host && canonical(host), port: Number(port) };
  });
}

/** True for what the list names. */
export function isPassed(host: string | undefined, port: number | string | null): boolean {
  if (passed.length === 0) return false;
  const asked = canonical(host || "localhost");
  return passed.some((each) => {
    return each.port === Number(port) && (each.host === undefined || each.host === asked);
  });
}

/** All that means this host is the same. */
function canonical(host: string): string {
  const bare = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  const address = addressOf(bare) ?? bare;
  return address === "localhost" || isThisHost(address) ? "localhost" : address;
}
