/**
 * The flood in real time: server, clients and the source of the SYNs take turns on this thread, so the
 * streams lose what the flood takes of all of them.
 */
import { InlineRunner } from "../../host/node/index.ts";
import type { ElasticThread } from "../../host/dataplane/elastic-thread.ts";
import { createBed } from "./bed.ts";
import type { Bed, BedOptions } from "./bed.ts";
import { phaseOf, tally } from "./simulate.ts";
import type { FloodOutcome, Phase } from "./simulate.ts";

export interface RealFlood extends BedOptions {
  /** SYNs a second. */
  readonly flood: number;
  /** Seconds before measuring, and of each phase. */
  readonly warmup: number;
  readonly seconds: number;
}

export interface RealOutcome extends FloodOutcome {
  /** What a SYN takes with nothing else to do, ns: the source and the NIC, and the server. */
  readonly sourceNanos: number;
  readonly serverNanos: number;
}

/** SYNs sent at a time at most; so many fit the server's ring beside all else. */
const BURST = 256;
/** Bursts for the cost of a SYN: to warm up, and measured. */
const COLD_BURSTS = 2000;
const BURSTS = 4000;

export function runFlood(options: RealFlood): RealOutcome {
  const bed = createBed(options);
  const { server, client, newcomers, wires, source } = bed;
  const runner = new InlineRunner({ clock: "real" });
  const [thread] = runner.add(server, { wire: wires.server, app: () => bed.receiver });
  runner.add(client, { wire: wires.client, app: () => bed.sender });
  runner.add(newcomers, { wire: wires.newcomers, app: () => bed.newcomer });
  runner.run({ forMicros: options.warmup * 1e6 });
  const quiet = during(bed, options.seconds, () => runner.step());
  const begin = performance.now();
  let sent = 0;
  const flooded = during(bed, options.seconds, () => {
    const due = ((performance.now() - begin) / 1000) * options.flood - sent;
    const burst = Math.min(Math.floor(due), BURST);
    source.send(burst, runner.now);
    sent += burst;
    runner.step();
  });
  costOfSyns(bed, thread, runner.now, COLD_BURSTS);
  const costs = costOfSyns(bed, thread, runner.now + 1e6, BURSTS);
  runner.close();
  return { quiet, flooded, ...costs };
}

/** Takes steps for so many seconds. */
function during(bed: Bed, seconds: number, step: () => void): Phase {
  const before = tally(bed);
  const begin = performance.now();
  const end = begin + seconds * 1000;
  while (performance.now() < end) step();
  return phaseOf(bed, before, 0, (performance.now() - begin) / 1000);
}

/** The time that SYNs take where there is nothing else, ns each. Only the server goes on. */
function costOfSyns(
  { source }: Bed,
  server: ElasticThread,
  start: number,
  bursts: number,
): Pick<RealOutcome, "sourceNanos" | "serverNanos"> {
  let sourceMillis = 0;
  let serverMillis = 0;
  for (let i = 0; i < bursts; i++) {
    const now = start + i * BURST;
    const begin = performance.now();
    source.send(BURST, now);
    const between = performance.now();
    while (server.iterate(now) !== 0);
    sourceMillis += between - begin;
    serverMillis += performance.now() - between;
  }
  const each = 1e6 / (bursts * BURST);
  return { sourceNanos: sourceMillis * each, serverNanos: serverMillis * each };
}
