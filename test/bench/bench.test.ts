/** The bench command, with loads so small that only its workings are tested, never its figures. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { spread } from "../../bench/lib/statistics.ts";
import { grouped, ranged, rounded } from "../../bench/lib/report.ts";
import type { BenchRecord } from "../../bench/lib/report.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/bench/index.js", import.meta.url));
const TIMEOUT = 90_000;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    });
  });
}

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ixwasm-bench-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs an experiment and returns what it printed and the records that it wrote. */
async function records(...args: string[]): Promise<{ stdout: string; written: BenchRecord[] }> {
  const file = join(directory, `${args[0]}.json`);
  const { code, stdout, stderr } = await bench(...args, "--json", file);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return { stdout, written: JSON.parse(readFileSync(file, "utf8")) as BenchRecord[] };
}

describe("the command line", () => {
  it("has help with examples for every experiment", async () => {
    const { stdout } = await bench("--help");
    const names = ["echo", "bulk", "grid", "fairness", "connections", "soak"];
    names.push("cores", "elastic", "migration", "flood");
    for (const name of names) {
      expect(stdout).toContain(name);
      expect((await bench(name, "--help")).stdout).toMatch(/npm run bench -- /);
    }
  });

  it.each([
    [["echo", "--conns", "0"], /--conns.*whole number from 1/],
    [["echo", "--size", "64k"], /--size.*whole number/],
    [["--systems", "inline,lwip"], /"lwip" is none of inline, threaded/],
    [["bulk", "--loss", "2"], /--loss.*from 0 to 1/],
    [["bulk", "--profile", "wan"], /none of default, lan/],
    [["ecko"], /no experiment "ecko", only echo, bulk, grid, fairness, connections, soak/],
    [["echo", "--speed", "9"], /unknown option '--speed'/],
  ])("refuses %j and says what would do", async (args, message) => {
    const { code, stderr } = await bench(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("--help");
  });
});

describe("experiments", () => {
  it("echo compares the systems", { timeout: TIMEOUT }, async () => {
    const load = ["--conns", "8", "--size", "100", "--pipeline", "2", "--rounds", "50"];
    const run = ["--systems", "inline,net,epoll", "--seconds", "0.1", "--repeats", "1"];
    const { stdout, written } = await records("echo", ...load, ...run);
    const names = written.map(({ system }) => system);
    expect(names.slice(0, 2)).toEqual(["ixwasm inline", "node:net"]);
    // Without a C compiler epoll is named as absent instead.
    if (!names.includes("epoll")) expect(stdout).toMatch(/epoll: absent/);
    for (const { experiment, params, metrics } of written) {
      expect(experiment).toBe("echo");
      expect(params).toMatchObject({ conns: 8, size: 100, pipeline: 2, rounds: 50, repeats: 1 });
      expect(metrics.msgs_per_s).toBeGreaterThan(0);
      expect(metrics.conns_per_s).toBeGreaterThan(0);
      expect(metrics.p50_us).toBeGreaterThan(0);
      expect(metrics.p99_us).toBeGreaterThanOrEqual(metrics.p50_us);
      expect(metrics.gbit_per_s).toBeCloseTo((metrics.msgs_per_s * 800) / 1e9, 9);
    }
    expect(written[0].metrics.stage_tcp_ns).toBeGreaterThan(0);
    expect(stdout).toMatch(/nic .* receive .* tcp .* app .* send .* total/);
  });

  it("bulk measures a link in virtual time", { timeout: TIMEOUT }, async () => {
    const link = ["--loss", "0.001", "--delay", "1", "--rate", "100", "--seconds", "0.5"];
    const { written } = await records("bulk", ...link);
    expect(written).toHaveLength(1);
    expect(written[0].metrics.mbit_per_s).toBeGreaterThan(1);
    expect(written[0].metrics.link_share).toBeLessThanOrEqual(1);
    const again = await records("bulk", ...link);
    expect(again.written[0].metrics.mbit_per_s).toBeGreaterThan(1);
  });

  it("bulk measures a stream", { timeout: TIMEOUT }, async () => {
    const run = ["--systems", "inline", "--seconds", "0.1", "--repeats", "1"];
    const { written } = await records("bulk", ...run);
    expect(written[0].metrics.gbit_per_s).toBeGreaterThan(0);
  });

  it("connections opens them all", { timeout: TIMEOUT }, async () => {
    const { written } = await records("connections", "--conns", "3000", "--messages", "2");
    expect(written[0].metrics.connections).toBe(3000);
    expect(written[0].metrics.bytes_per_connection).toBeGreaterThan(0);
  });

  it("flood compares the quiet with the flooded", { timeout: TIMEOUT }, async () => {
    const { stdout, written } = await records("flood", "--seconds", "0.1", "--flood", "100000");
    expect(written.map(({ system }) => system)).toEqual(["ixwasm simulated", "ixwasm real"]);
    for (const { metrics } of written) {
      expect(metrics.syns).toBeGreaterThan(0);
      expect(metrics.kept).toBeGreaterThan(0);
      expect(metrics.flooded_served).toBeGreaterThan(0);
    }
    expect(written[1].metrics.server_ns).toBeGreaterThan(0);
    expect(stdout).toMatch(/streams keep/);
  });

  it("soak finds nothing in use at the end", { timeout: TIMEOUT }, async () => {
    const { written } = await records("soak", "--gigabytes", "0.2");
    expect(written[0].metrics.leaks).toBe(0);
    expect(written[0].metrics.connections_opened).toBeGreaterThan(0);
  });

  it("cores simulates more of them than there are", { timeout: TIMEOUT }, async () => {
    const load = ["--cores", "3", "--conns", "128", "--micros", "2000"];
    const run = ["--costs", "reference", "--no-real"];
    const { stdout, written } = await records("cores", ...load, ...run);
    expect(stdout).toMatch(/cores, simulated/);
    expect(written.map(({ params }) => params.cores)).toEqual([1, 2, 3]);
    expect(written[0].metrics.speedup).toBe(1);
    expect(written[2].metrics.speedup).toBeGreaterThan(2.5);
  });

  it("cores measures what work costs, and real cores", { timeout: TIMEOUT }, async () => {
    const load = ["--cores", "1", "--conns", "32", "--micros", "1000", "--seconds", "0.1"];
    const { stdout, written } = await records("cores", ...load);
    expect(stdout).toMatch(/measured costs, ns: poll \d/);
    const real = written.filter(({ system }) => system === "ixwasm threaded");
    expect(real.map(({ params }) => params.cores)).toEqual([1, 2]);
    for (const { metrics } of real) expect(metrics.busy_ns_per_msg).toBeGreaterThan(0);
  });

  it(
    "elastic runs policies under loads and keeps what happened",
    { timeout: TIMEOUT },
    async () => {
      const load = ["--cores", "4", "--service", "20", "--seconds", "0.03", "--conns", "64"];
      const run = ["--policies", "delay,energy", "--patterns", "sine", "--results", directory];
      const { stdout, written } = await records("elastic", ...load, ...run);
      expect(stdout).toMatch(/elastic, simulated: 4 cores/);
      expect(written.map(({ params }) => params.policy)).toEqual(["delay", "energy"]);
      for (const { metrics } of written) expect(metrics.answered).toBe(metrics.requests);
      const lines = readFileSync(join(directory, "elastic.jsonl"), "utf8").trim().split("\n");
      const [first] = lines.map((line) => JSON.parse(line) as { intervals: unknown[] });
      expect(lines).toHaveLength(2);
      expect(first).toMatchObject({ simulated: true, experiment: "elastic" });
      expect(first.intervals.length).toBeGreaterThan(100);
    },
  );

  it("migration moves groups to and fro", { timeout: TIMEOUT }, async () => {
    const { written } = await records("migration", "--migrations", "20", "--conns", "32");
    const names = written.map(({ system, params }) => [system, params.loaded]);
    expect(names).toEqual([
      ["ixwasm inline", false],
      ["ixwasm inline", true],
      ["ixwasm threaded", false],
      ["ixwasm threaded", true],
    ]);
    for (const { metrics } of written) {
      expect(metrics.p99).toBeGreaterThanOrEqual(metrics.p50);
      expect(metrics.max).toBeGreaterThan(0);
    }
    // Messages go on meanwhile.
    expect(written[1].metrics.messages).toBeGreaterThan(0);
  });
});

describe("figures", () => {
  it("are summed up by median, least and most", () => {
    expect(spread([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
    expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  });

  it("are written to be read", () => {
    expect([grouped(1234567.8), grouped(999), grouped(1000)]).toEqual([
      "1 234 568",
      "999",
      "1 000",
    ]);
    expect([rounded(0.123), rounded(12.34), rounded(1234.5)]).toEqual(["0.12", "12.3", "1 235"]);
    expect(ranged({ median: 2, min: 1, max: 3 })).toBe("2.00 (1.00–3.00)");
  });
});
