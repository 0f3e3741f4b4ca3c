/** What a core has to spare goes to those that need it, and comes back when it is needed there. */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_TCP_NO_MEMORY,
  FLOW_GROUPS,
  GAUGE_CONNECTIONS,
  RC_OK,
} from "../../assembly/abi.ts";
import { Cores, portFor } from "../flow/cores.ts";
import { pattern } from "../support/bytes.ts";
import { PEER } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const ALL = Array.from({ length: FLOW_GROUPS }, (_, group) => group);

/** Opens connections to a core until it takes no more, `most` at the most; returns how many. */
function openMany(cores: Cores, core: number, most: number): number {
  const k = cores.at(core);
  const dropped = k.counter(CNT_DROP_TCP_NO_MEMORY);
  for (let opened = 0; opened < most; opened++) {
    const port = 1024 + opened * 20;
    const peer = new TcpPeer(k, { port, host: PEER });
    peer.sendSyn();
    if (k.counter(CNT_DROP_TCP_NO_MEMORY) !== dropped) return opened;
    peer.take();
  }
  return most;
}

describe.each(kernels)("$name kernel", (build) => {
  test("a core that gave its groups away leaves its TCBs to the others", () => {
    const cores = new Cores(build, 2, { maxConnections: 512, frames: 4096 });
    cores.listen(80, { backlog: 1000 });
    expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
    // Its own 256, and three chunks of 64.
    expect(openMany(cores, 1, 600)).toBe(448);
  });

  test("and gets some back when it has groups again", () => {
    const cores = new Cores(build, 2, { maxConnections: 512, frames: 4096 });
    cores.listen(80, { backlog: 1000 });
    expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
    expect(cores.migrate(1, 0, ALL)).toBe(RC_OK);
    expect(openMany(cores, 0, 600)).toBeGreaterThan(256);
  });

  test("a core with groups gives nothing of its share", () => {
    const cores = new Cores(build, 2, { maxConnections: 512, frames: 4096 });
    cores.listen(80, { backlog: 1000 });
    const others = ALL.filter((group) => group !== 0);
    expect(cores.migrate(0, 1, others)).toBe(RC_OK);
    const port = portFor(0, FLOW_GROUPS);
    const guest = new TcpPeer(cores.at(0), { port });
    guest.sendSyn();
    guest.expect({ flags: "SA" });
    // Some go to the group that core 0 kept.
    expect(openMany(cores, 1, 300)).toBeLessThan(300);
    expect(cores.at(1).gauge(GAUGE_CONNECTIONS)).toBe(256);
  });

  test("frames of a core without groups carry the data of one that has them", () => {
    const held = [false, true].map((idle) => {
      const cores = new Cores(build, 2, { frames: 1024, references: 64, txRingSize: 4096 });
      if (idle) expect(cores.migrate(0, 1, ALL)).toBe(RC_OK);
      const k = cores.at(1);
      let sent = 0;
      let taken = 0;
      for (let i = 0; i < 40 && taken >= 0; i++) {
        const port = portFor(1, 2, 20_000 + 40 * i);
        const peer = TcpPeer.established(k, { port, windowScale: 7, window: 1 << 20 });
        // Until the connection, or the core, takes no more.
        do {
          taken = k.send(peer.handle, pattern(700));
          sent += Math.max(taken, 0);
        } while (taken === 700);
        k.sent();
        k.events();
      }
      return sent;
    });
    expect(held[1]).toBeGreaterThan(held[0] * 1.3);
  });
});
