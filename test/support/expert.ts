/**
 * Wireshark's opinion of a capture: the errors and warnings of its expert information, each of which is
 * something that a test has provoked or a mistake of ours.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SETTINGS = [
  ...["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]),
  // What a sender repeats a byte of is no malformed packet of the protocol above.
  ...["-o", "tcp.desegment_tcp_streams:FALSE"],
];

export const hasTshark = spawnSync("tshark", ["--version"]).status === 0;

/**
 * What Wireshark complains of in a pcapng file, as "protocol: summary", sorted, each once.
 *
 * @param filter a display filter: the packets to look at. Default all
 */
export function complaints(file: string, filter = ""): string[] {
  const statistic = filter === "" ? "expert,warn" : `expert,warn,${filter}`;
  const output = execFileSync("tshark", ["-r", file, ...SETTINGS, "-q", "-z", statistic], {
    encoding: "utf8",
    maxBuffer: 64 << 20,
    stdio: ["ignore", "pipe", "ignore"],
  });
  // "   Frequency      Group           Protocol  Summary", and a line for each.
  const lines = output.matchAll(/^ +\d+ +\S+ +(\S+) {2}(.*)$/gm);
  return [
    ...new Set(Array.from(lines, ([, protocol, summary]) => `${protocol}: ${summary}`)),
  ].toSorted();
}

/** The same for a capture in memory. */
export function complaintsOf(capture: Uint8Array, filter = ""): string[] {
  const directory = mkdtempSync(join(tmpdir(), "ixwasm-expert-"));
  try {
    const file = join(directory, "capture.pcapng");
    writeFileSync(file, capture);
    return complaints(file, filter);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Those of `found` that nothing in `provoked` explains. */
export function unprovoked(found: readonly string[], provoked: readonly RegExp[]): string[] {
  return found.filter((complaint) => !provoked.some((pattern) => pattern.test(complaint)));
}
