/**
 * Wireshark's opinion of a capture: the errors, warnings and notes of its expert information, of every
 * protocol up to TCP and UDP; what those carry is the application's. Each is something that a test has
 * provoked, and names, or a mistake of ours. Checksums of IPv4, TCP and UDP are verified besides those that
 * Wireshark verifies anyway (ICMP, ICMPv6, IGMP).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";

const SETTINGS = [
  ...["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]),
  ...["tcp", "udp"].flatMap((name) => ["-d", `${name}.port==1-65535,data`]),
];

/**
 * Notes on what belongs to TCP's life: endings, repeats and probes. Other notes count, for a malformed TCP option
 * is no more than one.
 */
const ORDINARY = [
  /^TCP: This frame (initiates|undergoes) the connection closing/,
  /^TCP: Duplicate ACK \(#\d+\)/,
  /^TCP: This frame is a \(suspected\) (fast |spurious )?retransmission/,
  /^TCP: TCP keep-alive segment/,
  /^TCP: ACK to a TCP keep-alive segment/,
  /^TCP: A new tcp session is started with the same ports/,
];

export const hasTshark = spawnSync("tshark", ["--version"]).status === 0;
/** For the names of tests that need it. */
export const withoutTshark = hasTshark ? "" : " (skipped: not installed: tshark)";

/** What a test knows of its capture. Patterns match "protocol: summary" of a complaint. */
export interface Expected {
  /** A display filter: the packets to look at, at least one. Default all. */
  readonly filter?: string;
  /** Complaints that the test has provoked: each must be there. */
  readonly provoked?: readonly RegExp[];
  /** Complaints that the test may have provoked: the machine's speed decides, or another's program. */
  readonly possible?: readonly RegExp[];
}

/** What is said of a capture that lacks packets: it began late, or has missed or forgotten some. */
export const PARTIAL = [
  /^TCP: Previous segment\(s\) not captured/,
  /^TCP: ACKed segment that wasn't/,
];

/** What a busy machine makes either side do: repeat what was not lost, and fill a window that is read late. */
export const BUSY = [
  /^TCP: D-SACK/,
  /^TCP: TCP Zero Window segment/,
  /^TCP: TCP window specified by the receiver is now completely full/,
];

/** What is said of a capture that is taken while the connections of a run in real time go on. */
export const LIVE = [...PARTIAL, ...BUSY];

export interface Opinion {
  /** Packets that were looked at. */
  readonly packets: number;
  /** Errors, warnings and notes that are not ordinary, as "protocol: summary", sorted, each once. */
  readonly complaints: readonly string[];
}

/**
 * Demands that Wireshark complains of nothing but what was provoked.
 *
 * @param capture a pcapng file's path, or its bytes
 */
export function expectSound(capture: string | Uint8Array, expected: Expected = {}): void {
  const { filter, provoked = [], possible = [] } = expected;
  if (!hasTshark) {
    console.warn("tshark is not installed: a capture is not looked at");
    return;
  }
  const { packets, complaints } = opinionOf(capture, filter);
  expect(packets, "packets that tshark has looked at").toBeGreaterThan(0);
  const explained = [...provoked, ...possible];
  const others = complaints.filter((found) => !explained.some((known) => known.test(found)));
  expect(others, others.join("; ")).toEqual([]);
  const unseen = provoked.filter((known) => !complaints.some((found) => known.test(found)));
  expect(unseen, `not provoked: ${unseen.join(" ")}`).toEqual([]);
}

/** What Wireshark says of a capture's packets that pass the filter. */
export function opinionOf(capture: string | Uint8Array, filter = ""): Opinion {
  if (typeof capture === "string") return opinionOfFile(capture, filter);
  const directory = mkdtempSync(join(tmpdir(), "ixwasm-expert-"));
  try {
    const file = join(directory, "capture.pcapng");
    writeFileSync(file, capture);
    return opinionOfFile(file, filter);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function opinionOfFile(file: string, filter: string): Opinion {
  const statistics = ["expert,note", "io,phs"].flatMap((statistic) => [
    "-z",
    filter === "" ? statistic : `${statistic},${filter}`,
  ]);
  const args = ["-n", "-r", file, ...SETTINGS, "-q", ...statistics];
  const { status, stdout, stderr } = spawnSync("tshark", args, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new Error(`tshark cannot read ${file}: ${stderr}`);
  // "   Frequency      Group           Protocol  Summary", and a line for each.
  const lines = stdout.matchAll(/^ +\d+ +\S+ +(\S+) {2}(.*)$/gm);
  const notes = new Set(Array.from(lines, ([, protocol, about]) => `${protocol}: ${about}`));
  const complaints = [...notes].filter((note) => !ORDINARY.some((known) => known.test(note)));
  // "eth    frames:12 bytes:3400": the outermost protocol of all packets.
  const packets = /^\w+ +frames:(\d+)/m.exec(stdout)?.[1] ?? 0;
  return { packets: Number(packets), complaints: complaints.toSorted() };
}
