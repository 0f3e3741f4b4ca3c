/**
 * What scanners send: nmap's port scan and its guess of the operating system, hping3's segments with odd
 * flags, lengths and fragments. The stack stays healthy, and Wireshark finds nothing wrong with its answers.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUSY } from "../support/expert.ts";
import { tapUnavailable } from "./namespace.ts";
import { DATAPLANE, type Responder, startResponder } from "./responder.ts";

const unavailable = tapUnavailable("curl", "nmap", "hping3", "dumpcap", "tshark");
const reason = unavailable ? ` (skipped: ${unavailable})` : "";
const TIMEOUT = 120_000;
/** Datagrams in fragments that a dataplane holds at most, for a minute. */
const DATAGRAMS = 8;

/** A few packets of each, to the open port where it is not said otherwise. */
const ODD: readonly string[] = [
  // Flags: none, all, and combinations that no state has an edge for.
  "-p 80",
  "-SAFRPUXY -p 80",
  "-SAFRPU -p 80",
  "-SF -p 80",
  "-SR -p 80",
  "-SA -p 80",
  "-FPU -p 80",
  "-FA -p 80",
  "-RA -p 80",
  "-UXY -p 80",
  "-SXY -p 80",
  "-SAFRPUXY -p 81",
  "-A -p 81",
  "-F -p 81",
  "-S -p 0",
  "-S -s 0 -k -p 80",
  // Lengths: data in a SYN, an offset below and beyond the segment, a wrong checksum, an odd window.
  "-S -d 500 -p 80",
  "-S -O 0 -p 80",
  "-S -O 3 -p 80",
  "-S -O 15 -p 80",
  "-A -O 15 -d 3 -p 80",
  "-S -b -p 80",
  "-A -w 0 -M 4294967295 -L 4294967295 -p 80",
  "-S --tcp-timestamp -p 80",
  // Fragments: small ones, one that never ends, one that begins in the middle, overlong ones.
  "-S -f -d 200 -p 80",
  "-S -x -d 64 -p 80",
  "-S -x -g 8 -d 64 -p 80",
  "-S -g 65528 -d 64 -p 80",
  "-A -m 8 -d 1400 -p 80",
  // Other protocols: UDP, ICMP of odd types, IP protocols that nobody speaks, options.
  "-2 -p 53 -d 100",
  "-2 -p 53 -b",
  "-1 -C 13",
  "-1 -C 17",
  "-1 -C 3 -K 4",
  "-1 -C 5",
  "-1 -d 1400 -f",
  "-0 -H 255 -d 40",
  "-0 -H 6 -d 7",
  "-0 -H 17 -d 3",
  "-S -G -p 80",
];

/** Below those that Linux and nmap take. */
const FIRST_PORT = 2000;

describe.skipIf(unavailable)(`probes${reason}`, () => {
  let responder: Responder;

  beforeAll(async () => {
    responder = await startResponder({ build: "debug", run: "inline" });
  });

  afterAll(() => responder.stop());

  const run = (line: string) =>
    responder.namespace.run("timeout", ["-k", "1", "60", ...line.split(" ")], { timeout: 70_000 });

  /** The page is served, and when all is over nothing is held but datagrams that wait for a fragment. */
  async function expectHealth(): Promise<void> {
    const page = await run(`curl -sS -m 10 http://${DATAPLANE}/`);
    expect(page).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining("It works"),
    });
    const held = (): object => {
      const { fill: _, buffers, ...rest } = responder.dataplane.gauges();
      return { ...rest, buffers: Math.max(buffers - DATAGRAMS, 0) };
    };
    const nothing = Object.fromEntries(Object.keys(held()).map((name) => [name, 0]));
    await expect.poll(held, { timeout: 10_000 }).toEqual(nothing);
  }

  it("nmap -sS finds the one port that is open", { timeout: TIMEOUT }, async () => {
    const { code, stdout } = await run(`nmap -sS -n -Pn -T4 -p 1-1500 ${DATAPLANE}`);
    expect(code).toBe(0);
    expect(stdout.match(/^\d+\/tcp +open .*$/gm)).toEqual([
      expect.stringMatching(/^80\/tcp +open/),
    ]);
    expect(stdout).toMatch(/1499 closed/);
    await expectHealth();
  });

  it("nmap -O gets its answers", { timeout: TIMEOUT }, async () => {
    const { code, stdout } = await run(`nmap -O -n -Pn -p 79-81 --max-os-tries 1 ${DATAPLANE}`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/80\/tcp +open/);
    await expectHealth();
  });

  it("hping3: odd flags, lengths and fragments", { timeout: TIMEOUT }, async () => {
    // Eight at a time: each waits a second for answers that may never come.
    for (let i = 0; i < ODD.length; i += 8) {
      const lines = ODD.slice(i, i + 8);
      // Source ports of its own for each, or Wireshark would take two for one connection.
      const probes = lines.map((odd, at) => `-s ${FIRST_PORT + (i + at) * 10} ${odd}`);
      await Promise.all(probes.map((odd) => run(`hping3 -q -n -c 4 -i u2000 ${odd} ${DATAPLANE}`)));
      const page = await run(`curl -sS -m 10 http://${DATAPLANE}/`);
      expect(page, lines.join("; ")).toMatchObject({ code: 0, stderr: "" });
    }
    const { dropTcpMalformed, dropTcpChecksum } = responder.dataplane.counters();
    expect(dropTcpMalformed).toBeGreaterThan(0);
    expect(dropTcpChecksum).toBeGreaterThan(0);
    await expectHealth();
  });

  it("hping3: the same from everywhere at once", { timeout: TIMEOUT }, async () => {
    const before = responder.dataplane.counters().rxPackets;
    await Promise.all(
      ["-S -p 80", "-SAFRPUXY -p 80", "-A -f -d 200 -p 80", "-S -x -d 64 -p 80"].map((odd) =>
        run(`hping3 -q -n -c 500 -i u500 --rand-source ${odd} ${DATAPLANE}`),
      ),
    );
    expect(responder.dataplane.counters().rxPackets - before).toBeGreaterThan(1500);
    await expectHealth();
  });

  it("Wireshark finds nothing wrong with the answers", { timeout: TIMEOUT }, async () => {
    expect(responder.dataplane.counters().tcpFastOpensIn).toBe(0);
    await responder.capture.expectSound({
      filter: `ip.src == ${DATAPLANE}`,
      provoked: [/^TCP: Connection reset/],
      possible: BUSY,
    });
  });
});
