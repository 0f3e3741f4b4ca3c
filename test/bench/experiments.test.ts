/** Every experiment, with loads so small that only its workings are tested, never its figures. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXPERIMENTS } from "../../bench/experiments.ts";
import { readResults, type ResultLine } from "../../bench/lib/results.ts";
import { bench } from "./bench-command.ts";

const TIMEOUT = 120_000;
/** Long enough that a thread which is kept from its processor still gets something done. */
const BRIEF = ["--seconds", "0.5", "--repeats", "1"];

/** Arguments that make a run small. Whoever adds an experiment says here how. */
const TINY: Readonly<Record<string, readonly string[]>> = {
  echo: [
    ...["--conns", "8", "--size", "100", "--pipeline", "2", "--rounds", "50"],
    ...["--systems", "inline,net,epoll", ...BRIEF],
  ],
  bulk: ["--systems", "inline", ...BRIEF],
  grid: ["--cc", "cubic", "--rates", "10", "--rtts", "5", "--losses", "0,1", "--seconds", "1"],
  fairness: [
    ...["--cc", "cubic", "--rate", "10", "--flows", "1,2", "--repeats", "2"],
    ...["--warmup", "2", "--seconds", "1"],
  ],
  connections: ["--conns", "100,3000", "--messages", "2", "--repeats", "1", "--linux", "100"],
  netpipe: ["--sizes", "4,20000", ...BRIEF],
  latency: ["--rates", "500,1000", "--conns", "8", "--seconds", "0.2", "--repeats", "1"],
  rounds: ["--rounds", "1,4", "--conns", "8", "--systems", "inline,net,epoll", ...BRIEF],
  sizes: ["--sizes", "64,4000", "--conns", "8", "--systems", "inline,threaded", ...BRIEF],
  kv: ["--loads", "usr", "--fractions", "0.1,0.3", ...BRIEF],
  batch: ["--batches", "1,64", "--conns", "16", "--systems", "inline", ...BRIEF],
  soak: ["--gigabytes", "0.2"],
  flood: ["--seconds", "0.3", "--flood", "100000", "--repeats", "2"],
  cores: ["--cores", "2", "--conns", "32", "--micros", "1000", ...BRIEF],
  elastic: [
    ...["--cores", "4", "--service", "20", "--seconds", "0.03", "--conns", "64"],
    ...["--policies", "delay,energy", "--patterns", "sine"],
  ],
  migration: ["--migrations", "20", "--conns", "32"],
  http: ["--conns", "4", "--seconds", "1", "--repeats", "1"],
  "net-bulk": BRIEF,
  "net-sockets": ["--conns", "50", "--repeats", "1"],
};

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ixwasm-bench-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Run {
  readonly stdout: string;
  readonly lines: readonly ResultLine[];
}

const runs = new Map<string, Promise<Run>>();

/** Runs an experiment, or takes the run there was, and returns what it printed and wrote. */
function run(name: string, ...args: readonly string[]): Promise<Run> {
  const key = [name, ...args].join(" ");
  if (!runs.has(key)) runs.set(key, runOnce(name, args));
  return runs.get(key)!;
}

async function runOnce(name: string, args: readonly string[]): Promise<Run> {
  const { code, stdout, stderr } = await bench(name, ...args, "--results", directory);
  expect(code, stdout + stderr).toBe(0);
  return { stdout, lines: readResults(join(directory, `${name}.jsonl`)) };
}

function expectWellFormed(line: ResultLine, name: string): void {
  expect(line.experiment).toBe(name);
  expect(line.system).toMatch(/\w/);
  expect(typeof line.simulated).toBe("boolean");
  expect(line.run).toMatchObject({ machine: expect.stringContaining("Node") });
  expect(Date.parse(line.run.date)).toBeGreaterThan(0);
  expect(line.run.versions).toHaveProperty("ixwasm");
  expect(Object.keys(line.metrics)).not.toEqual([]);
  for (const [metric, { median, min, max, values }] of Object.entries(line.metrics)) {
    expect(values.length, metric).toBeGreaterThan(0);
    for (const value of values) expect(Number.isFinite(value), metric).toBe(true);
    expect(min, metric).toBeLessThanOrEqual(median);
    expect(max, metric).toBeGreaterThanOrEqual(median);
  }
  const lengths = Object.values(line.series ?? {}).map(({ length }) => length);
  expect(new Set(lengths).size).toBeLessThanOrEqual(1);
}

describe("experiments", () => {
  it("are all tested here", () => {
    expect(EXPERIMENTS.map(({ name }) => name).toSorted()).toEqual(Object.keys(TINY).toSorted());
  });

  it.each(EXPERIMENTS)(
    "$name runs and writes well-formed lines",
    { timeout: TIMEOUT },
    async (e) => {
      const { name, charts } = e;
      const { lines } = await run(name, ...TINY[name]);
      for (const line of lines) expectWellFormed(line, name);
      for (const chart of charts) {
        const drawn = lines.filter(({ metrics, series }) =>
          chart.kind === "series" ? chart.x.column in (series ?? {}) : chart.y.metric in metrics,
        );
        expect(drawn, chart.title).not.toEqual([]);
      }
    },
  );

  it("echo compares the systems", { timeout: TIMEOUT }, async () => {
    const { stdout, lines } = await run("echo", ...TINY.echo);
    const names = lines.map(({ system }) => system);
    expect(names.slice(0, 2)).toEqual(["ixwasm inline", "node:net"]);
    // Without a C compiler epoll is named as absent instead.
    if (!names.includes("epoll")) expect(stdout).toMatch(/epoll: absent/);
    for (const { params, metrics } of lines) {
      expect(params).toMatchObject({ conns: 8, size: 100, pipeline: 2, rounds: 50, repeats: 1 });
      expect(metrics.msgs_per_s.median).toBeGreaterThan(0);
      expect(metrics.conns_per_s.median).toBeGreaterThan(0);
      expect(metrics.p99_us.median).toBeGreaterThanOrEqual(metrics.p50_us.median);
    }
    expect(lines[0].metrics.stage_tcp_ns.median).toBeGreaterThan(0);
    expect(stdout).toMatch(/nic .* receive .* tcp .* app .* send .* total/);
  });

  it("bulk measures a link in virtual time", { timeout: TIMEOUT }, async () => {
    const link = ["--loss", "0.001", "--delay", "1", "--rate", "100", "--seconds", "0.5"];
    const [{ metrics, simulated }] = (await run("bulk", ...link)).lines;
    expect(simulated).toBe(true);
    expect(metrics.mbit_per_s.median).toBeGreaterThan(1);
    expect(metrics.link_share.median).toBeLessThanOrEqual(1);
  });

  it("connections opens them all", { timeout: TIMEOUT }, async () => {
    const { lines } = await run("connections", ...TINY.connections);
    const ours = lines.filter(({ system }) => system === "ixwasm inline");
    expect(ours.map(({ metrics }) => metrics.connections.median)).toEqual([100, 3000]);
    expect(ours[0].metrics.bytes_per_connection.median).toBeGreaterThan(0);
  });

  it("flood compares the quiet with the flooded", { timeout: TIMEOUT }, async () => {
    const { stdout, lines } = await run("flood", ...TINY.flood);
    expect(lines.map(({ system }) => system)).toEqual(["ixwasm simulated", "ixwasm real"]);
    for (const { metrics } of lines) {
      expect(metrics.syns.median).toBeGreaterThan(0);
      expect(metrics.kept.median).toBeGreaterThan(0);
      expect(metrics.flooded_served.median).toBeGreaterThan(0);
    }
    expect(lines[1].metrics.server_ns.median).toBeGreaterThan(0);
    expect(stdout).toMatch(/streams keep/);
  });

  it("soak finds nothing in use at the end", { timeout: TIMEOUT }, async () => {
    const [{ metrics }] = (await run("soak", ...TINY.soak)).lines;
    expect(metrics.leaks.median).toBe(0);
    expect(metrics.connections_opened.median).toBeGreaterThan(0);
  });

  it("cores simulates more of them than there are", { timeout: TIMEOUT }, async () => {
    const load = ["--cores", "3", "--conns", "128", "--micros", "2000"];
    const { lines: all } = await run("cores", ...load, "--costs", "reference", "--no-real");
    const [model, ...lines] = all;
    expect(model.metrics.poll.median).toBeGreaterThan(0);
    expect(lines.map(({ params }) => params.cores)).toEqual([1, 2, 3]);
    expect(lines.every(({ simulated }) => simulated)).toBe(true);
    expect(lines[0].metrics.speedup.median).toBe(1);
    expect(lines[2].metrics.speedup.median).toBeGreaterThan(2.5);
  });

  it("elastic answers every request and keeps what happened", { timeout: TIMEOUT }, async () => {
    const { lines } = await run("elastic", ...TINY.elastic);
    expect(lines.map(({ params }) => params.policy)).toEqual(["delay", "energy"]);
    for (const { metrics, series } of lines) {
      expect(metrics.answered).toEqual(metrics.requests);
      expect(series!.at.length).toBeGreaterThan(100);
    }
  });
});
