/** libix on the real kernel: two dataplanes on a cable, in virtual time. */
import { describe, expect, it } from "vitest";
import { RC_CLOSED, RC_OK, RC_REFUSED, RC_RESET, RC_TIMEOUT } from "../../assembly/abi.ts";
import { EchoClient, STAT_MESSAGES, STAT_OPEN, STAT_OPENED } from "../../examples/echo-client.ts";
import type { EchoClientOptions } from "../../examples/echo-client.ts";
import ixevEchoServer from "../../examples/echo-server-ixev.ts";
import rawEchoServer from "../../examples/echo-server.ts";
import { createDataplane } from "../../host/dataplane/dataplane.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { TcpOptions } from "../../host/dataplane/options.ts";
import type { AppFactory } from "../../host/libix/app.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { kernels } from "../support/kernels.ts";
import type { KernelBuild } from "../support/kernels.ts";

const SERVER = "10.0.0.1";
const CLIENT = "10.0.0.2";
const PORT = 7;

interface Setup {
  readonly build: KernelBuild;
  readonly server: AppFactory;
  readonly client: AppFactory;
  readonly link?: LinkOptions;
  readonly tcp?: TcpOptions;
}

class Network {
  readonly runner = new InlineRunner();
  readonly server: Dataplane;
  readonly client: Dataplane;

  constructor({ build, server, client, link = { delay: 20 }, tcp }: Setup) {
    const common = { kernel: build.module, tcp: { profile: "lan" as const, ...tcp } };
    this.server = createDataplane({ ...common, ip: `${SERVER}/24` });
    this.client = createDataplane({ ...common, ip: `${CLIENT}/24` });
    const [fromServer, fromClient] = connectPorts(this.server.port, this.client.port, link);
    const options = { ports: [PORT] };
    this.runner.add(this.server, { wire: fromServer, app: server, options });
    this.runner.add(this.client, { wire: fromClient, app: client });
  }

  /** Lets everything come to an end, and demands that nothing is left. */
  finish(): void {
    this.runner.run();
    this.server.assertNoLeaks();
    this.client.assertNoLeaks();
  }
}

describe.each(kernels)("on the $name kernel", (build) => {
  describe.each([
    ["raw", rawEchoServer],
    ["ixev", ixevEchoServer],
  ])("the %s echo server", (_, server) => {
    const loads: [string, Partial<EchoClientOptions>, LinkOptions?][] = [
      ["single bytes", { conns: 3, size: 1, rounds: 50 }],
      ["small messages", { conns: 50, size: 64, rounds: 20 }],
      ["full segments", { conns: 5, size: 1460, rounds: 20 }],
      ["messages of many segments", { conns: 4, size: 50_000, rounds: 5 }],
      ["more than fits a send buffer", { conns: 2, size: 1_000_000, rounds: 2, pipeline: 2 }],
      ["pipelines", { conns: 5, size: 100, rounds: 64, pipeline: 16 }],
      ["a bad link", { conns: 5, size: 3000, rounds: 10 }, { delay: 50, loss: 0.03, seed: 7 }],
    ];

    it.each(loads)("echoes %s", (_, load, link) => {
      const stats = new SharedArrayBuffer(64);
      const counts = new Uint32Array(stats);
      const options = { server: SERVER, ports: [PORT], atEnd: "idle", stats, ...load };
      const app = new EchoClient(options as EchoClientOptions);
      const network = new Network({ build, server, client: () => app, link });
      const total = load.conns! * load.rounds!;
      expect(network.runner.run({ until: () => counts[STAT_MESSAGES] === total })).toBe(true);
      expect(counts[STAT_OPEN]).toBe(load.conns);
      app.stop(network.runner.threads[1].ix);
      network.runner.run();
      network.client.assertNoLeaks();
      // A reset may get lost, and a server that only waits never hears of it.
      if (link?.loss === undefined) network.server.assertNoLeaks();
    });

    it("sees connections reset and opened again", () => {
      const stats = new SharedArrayBuffer(64);
      const counts = new Uint32Array(stats);
      const options = { server: SERVER, ports: [PORT], conns: 20, size: 64, rounds: 3, stats };
      const app = new EchoClient(options);
      const network = new Network({ build, server, client: () => app });
      expect(network.runner.run({ until: () => counts[STAT_OPENED] >= 500 })).toBe(true);
      expect(counts[STAT_MESSAGES]).toBeGreaterThanOrEqual(3 * 480);
      app.stop(network.runner.threads[1].ix);
      network.finish();
    });

    it("waits for a peer that does not read, and closes after it", () => {
      const length = 6_000_000;
      let echoed = 0;
      let wrong = 0;
      let reading = false;
      const context = new IxevContext();
      let ixev: Ixev | undefined;
      const network = new Network({
        build,
        server,
        client({ ix }) {
          ixev = new Ixev(ix);
          const block = ix.window.allocate(1 << 18);
          for (let i = 0; i < 1 << 18; i++) ix.bytes[block + i] = i * 7;
          let begun = 0;
          context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, () => {
            while (begun < length && context.unsent === 0) {
              const part = Math.min(1 << 18, length - begun);
              context.sendZeroCopy(block, part, () => void context.enable(IXEVOUT));
              begun += part;
            }
            if (begun === length) context.shutdown();
            while (reading && context.available > 0) {
              if (ix.bytes[context.frontAddress] !== ((echoed * 7) & 0xff)) wrong++;
              echoed += context.frontLength;
              context.consume(context.frontLength);
            }
          });
          ixev.dial(context, SERVER, PORT);
          ixev.setTimer(200_000, () => {
            reading = true;
            context.enable(IXEVIN);
          });
          return ixev;
        },
      });
      network.runner.run({ forMicros: 150_000 });
      // Both buffers are full; the server holds what it cannot send.
      expect(context.unsent).toBeGreaterThan(0);
      network.finish();
      expect(echoed).toBe(length);
      expect(wrong).toBe(0);
      expect(context.isDead).toBe(true);
      expect(context.reason).toBe(RC_OK);
    });
  });

  describe("the event layer", () => {
    it("says why a dial fails", () => {
      const outcomes: number[] = [];
      let released = 0;
      const network = new Network({
        build,
        server: ({ ix }) => new Ixev(ix),
        client({ ix }) {
          const ixev = new Ixev(ix, {
            dialed: (_, outcome) => void outcomes.push(outcome),
            released: () => void released++,
          });
          ixev.dial(new IxevContext(), SERVER, 81);
          return ixev;
        },
      });
      network.finish();
      expect(outcomes).toEqual([RC_REFUSED]);
      expect(released).toBe(1);
    });

    it("says that nobody answers", () => {
      const outcomes: number[] = [];
      const network = new Network({
        build,
        server: ({ ix }) => new Ixev(ix),
        tcp: { synRetries: 2, initialRto: 10_000 },
        link: { loss: 1 },
        client({ ix }) {
          const dialed = (_: IxevContext, outcome: number): void => void outcomes.push(outcome);
          const ixev = new Ixev(ix, { dialed });
          ixev.dial(new IxevContext(), SERVER, PORT);
          return ixev;
        },
      });
      network.finish();
      expect(outcomes).toHaveLength(1);
      expect(outcomes[0]).toBeLessThan(0);
    });

    it("sees its peer refuse and reset", () => {
      const reasons: number[] = [];
      const network = new Network({
        build,
        server({ ix }) {
          const ixev: Ixev = new Ixev(ix, {
            accept({ port }) {
              if (port === 40_001) return null;
              const context = new IxevContext();
              context.setHandler(IXEVIN, () => context.abort());
              return context;
            },
          });
          ixev.listen(PORT);
          return ixev;
        },
        client({ ix }) {
          const ixev = new Ixev(ix);
          for (const port of [40_000, 40_001]) {
            const context = new IxevContext();
            context.setHandler(IXEVHUP, () => void reasons.push(context.reason));
            context.send(new Uint8Array(0));
            ixev.dial(context, SERVER, PORT, port);
            context.send(new TextEncoder().encode("hello"));
          }
          return ixev;
        },
      });
      network.finish();
      expect(reasons).toEqual([RC_RESET, RC_RESET]);
    });

    it("loses its peer", () => {
      const reasons: number[] = [];
      const network = new Network({
        build,
        server: rawEchoServer,
        tcp: { dataRetries: 3 },
        client({ ix }) {
          const ixev = new Ixev(ix);
          const context = new IxevContext();
          context.setHandler(IXEVHUP, () => void reasons.push(context.reason));
          ixev.dial(context, SERVER, PORT);
          ixev.setTimer(5000, () => {
            // The peer's machine stops: no ACK will ever come.
            const [peer] = network.runner.threads;
            peer.iterate = () => 0;
            peer.nextDeadline = () => Infinity;
            context.send(new TextEncoder().encode("anybody there?"));
          });
          return ixev;
        },
      });
      network.runner.run();
      expect(reasons).toEqual([RC_TIMEOUT]);
      network.client.assertNoLeaks();
    });

    it("carries streams both ways at once and ends them in order", () => {
      const length = 300_000;
      const byte = (position: number): number => (position * 37 + (position >>> 9)) & 0xff;
      const ends: [string, number, number, number][] = [];
      /** Sends `length` numbered bytes and a FIN, reads as many, reports how it ended. */
      const station = (name: string, context: IxevContext): void => {
        let written = 0;
        let read = 0;
        let wrong = 0;
        const into = new Uint8Array(777);
        context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, (_, conditions) => {
          for (let got = context.recv(into); got > 0; got = context.recv(into)) {
            for (let i = 0; i < got; i++) if (into[i] !== byte(read + i)) wrong++;
            read += got;
          }
          if ((conditions & IXEVHUP) !== 0) ends.push([name, context.reason, read, wrong]);
          while (written < length) {
            const part = Math.min(9999, length - written);
            const chunk = Uint8Array.from({ length: part }, (_, i) => byte(written + i));
            const taken = context.send(chunk);
            if (taken === RC_CLOSED) return;
            written += taken;
            if (taken < part) return;
          }
          context.shutdown();
        });
      };
      const network = new Network({
        build,
        link: { delay: 100, loss: 0.02, duplicate: 0.02, seed: 3 },
        server({ ix }) {
          const ixev = new Ixev(ix, {
            accept() {
              const context = new IxevContext();
              station("server", context);
              return context;
            },
          });
          ixev.listen(PORT);
          return ixev;
        },
        client({ ix }) {
          const ixev = new Ixev(ix);
          const context = new IxevContext();
          station("client", context);
          ixev.dial(context, SERVER, PORT);
          return ixev;
        },
      });
      network.finish();
      expect(ends.toSorted()).toEqual([
        ["client", RC_OK, length, 0],
        ["server", RC_OK, length, 0],
      ]);
    });

    it("keeps time", () => {
      const fired: [string, number][] = [];
      const network = new Network({
        build,
        server: ({ ix }) => new Ixev(ix),
        client({ ix }) {
          const ixev = new Ixev(ix);
          const note = (name: string) => () => void fired.push([name, ixev.now]);
          ixev.setTimer(90_000_000, note("late"));
          ixev.setTimer(1000, note("early"));
          ixev.setTimer(50_000, note("never")).cancel();
          return ixev;
        },
      });
      network.finish();
      expect(fired.map(([name]) => name)).toEqual(["early", "late"]);
      const [[, early], [, late]] = fired;
      expect(early).toBeGreaterThanOrEqual(1000);
      expect(early).toBeLessThan(1100);
      expect(late).toBeGreaterThanOrEqual(90_000_000);
      expect(late).toBeLessThan(90_100_000);
    });
  });
});
