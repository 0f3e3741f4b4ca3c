/**
 * Linux's own TCP over loopback, server and client in a process each: `node:net`, and C with epoll. A
 * pair per core when there are several.
 */
import { cProgram, runClient, script, whyAbsent, withServer } from "../lib/programs.ts";
import type { Program, ProgramOptions } from "../lib/programs.ts";
import { NO_LATENCY, NO_THROUGHPUT, WARMUP } from "./system.ts";
import type { EchoParams, EchoSample, EchoSystem } from "./system.ts";

/** What a client prints. */
type ClientResult = Omit<EchoSample, "stages">;

abstract class LoopbackSystem implements EchoSystem {
  abstract readonly name: string;
  abstract readonly description: string;
  protected readonly common: ProgramOptions = {};

  protected abstract server(): Program;
  protected abstract client(): Program;

  abstract prepare(): Promise<string | null>;

  async measure(params: EchoParams): Promise<EchoSample> {
    const { seconds, latency } = params;
    const options = { ...this.common, lifetime: seconds + latency + 2 * WARMUP + 30 };
    const throughput = seconds > 0 ? await this.#throughput(params, options) : NO_THROUGHPUT;
    const { p50_us, p99_us } = latency > 0 ? await this.#latency(params, options) : NO_LATENCY;
    return { ...throughput, p50_us, p99_us };
  }

  /** As many pairs of a server and a client as there are cores, all at the same time. */
  async #throughput(params: EchoParams, server: ProgramOptions): Promise<typeof NO_THROUGHPUT> {
    const { conns, size, pipeline, rounds, cores, seconds } = params;
    const load = { ...this.common, size, pipeline, rounds, seconds, warmup: WARMUP };
    const pairs = Array.from({ length: cores }, (_, core) => {
      const share = Math.floor((conns + cores - 1 - core) / cores);
      return withServer(this.server(), server, (port) =>
        runClient<ClientResult>(this.client(), { ...load, conns: share, port }),
      );
    });
    const results = await Promise.all(pairs);
    return {
      messages: results.reduce((total, { messages }) => total + messages, 0),
      opened: results.reduce((total, { opened }) => total + opened, 0),
      seconds: results[0].seconds,
    };
  }

  #latency({ size, latency }: EchoParams, server: ProgramOptions): Promise<ClientResult> {
    const one = { ...this.common, conns: 1, size, latency: 1, warmup: WARMUP, seconds: latency };
    return withServer(this.server(), server, (port) =>
      runClient<ClientResult>(this.client(), { ...one, port }),
    );
  }
}

/** Node's own TCP. */
export class NodeNet extends LoopbackSystem {
  readonly name = "node:net";
  readonly description = "node:net over loopback, a process each";

  prepare(): Promise<string | null> {
    return Promise.resolve(null);
  }

  protected server(): Program {
    return script(new URL("../baseline/net-server.js", import.meta.url));
  }

  protected client(): Program {
    return script(new URL("../baseline/net-client.js", import.meta.url));
  }
}

/** Linux at its best: C, level-triggered epoll; or never sleeping in epoll_wait. */
export class Epoll extends LoopbackSystem {
  readonly name: string;
  readonly description: string;
  protected override readonly common: ProgramOptions;

  constructor(spin: boolean) {
    super();
    this.name = spin ? "epoll-spin" : "epoll";
    const how = spin ? "polled without sleeping" : "level-triggered";
    this.description = `C with epoll over loopback, a process each, ${how}`;
    this.common = { spin: spin ? 1 : 0 };
  }

  prepare(): Promise<string | null> {
    return Promise.resolve(whyAbsent("epoll-server", "epoll-client"));
  }

  protected server(): Program {
    return cProgram("epoll-server");
  }

  protected client(): Program {
    return cProgram("epoll-client");
  }
}
