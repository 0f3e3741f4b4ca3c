/** Taking the place of a core's thread that is gone. */
import { describe, expect, it } from "vitest";
import { FLOW_GROUPS } from "../../assembly/abi.ts";
import { CoreControl } from "../../host/dataplane/core-control.ts";
import { Core } from "../../host/dataplane/core.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import { ElasticThread } from "../../host/dataplane/elastic-thread.ts";
import { Elasticity } from "../../host/dataplane/elasticity.ts";
import { NOBODY, Rescuer } from "../../host/dataplane/rescuer.ts";
import { connectPorts, createBackend } from "../../host/nic/index.ts";
import type { QueueBackend } from "../../host/nic/types.ts";
import { CLIENT_IP, SERVER_IP, smallDataplane } from "./support.ts";

const ALL = Array.from({ length: FLOW_GROUPS }, (_, group) => group);

/** A dataplane of two cores on a cable, and what is behind a core's queue; `closed` counts. */
function plant() {
  const dataplane = smallDataplane(SERVER_IP, { cores: 2 });
  const peer = smallDataplane(CLIENT_IP);
  const [wire] = connectPorts(dataplane.port, peer.port);
  const closed = { count: 0 };
  const backend = (core: number): QueueBackend => {
    const inner = createBackend(dataplane.port, core, wire);
    return {
      pump: (now) => inner.pump(now),
      nextDeadline: () => inner.nextDeadline(),
      close: () => closed.count++,
    };
  };
  return { dataplane, backend, closed };
}

function coreOf({ handle }: Dataplane, id: number): Core {
  return new Core(handle.kernel, handle.memory, id);
}

function ownersOf(dataplane: Dataplane): number[] {
  const nobody = () => expect.unreachable();
  const host = {
    status: nobody,
    failure: nobody,
    start: nobody,
    stop: nobody,
    kill: nobody,
    rescue: nobody,
    release: nobody,
    wake: nobody,
  };
  return [...new Set(new Elasticity(dataplane, host).owners())].toSorted((a, b) => a - b);
}

describe("a rescuer", () => {
  it("gives away what a core owns whose thread is gone, and then the core", () => {
    const { dataplane, backend, closed } = plant();
    const { port } = dataplane;
    const start = (id: number): ElasticThread =>
      new ElasticThread(coreOf(dataplane, id), 0, {
        port,
        backends: [backend(id)],
        app: () => NOBODY,
      });
    // Core 0's thread is never heard of again.
    start(0).iterate(0);
    const alive = start(1);
    expect(ownersOf(dataplane)).toEqual([0, 1]);

    const rescuer = new Rescuer({ core: coreOf(dataplane, 0), port, backends: [backend(0)] }, 1);
    const control = new CoreControl(dataplane.memory, dataplane.cores[0].block);
    control.migrate(ALL, 1);
    let now = 2;
    for (; control.isMigrating && now < 10_000; now++) {
      rescuer.advance(now);
      alive.iterate(now);
    }
    expect(ownersOf(dataplane)).toEqual([1]);
    expect(rescuer.isOver).toBe(false);

    rescuer.release();
    while (!rescuer.isOver && now < 20_000) rescuer.advance(now++);
    expect(rescuer.isOver).toBe(true);
    expect(closed.count).toBe(1);
    // The core is as good as any: another thread may have it.
    expect(() => start(0)).not.toThrow();
  });

  it("keeps the core while a frame of it is on its way", () => {
    const { dataplane } = plant();
    const { port } = dataplane;
    let due = 1000;
    const link: QueueBackend = {
      pump: (now) => {
        if (now < due) return 0;
        due = Infinity;
        return 1;
      },
      nextDeadline: () => due,
    };
    const orphan = { core: coreOf(dataplane, 0), port, backends: [link] };
    const rescuer = new Rescuer(orphan, 0);
    rescuer.release();
    rescuer.advance(999);
    expect(rescuer.isOver).toBe(false);
    rescuer.advance(1000);
    expect(rescuer.isOver).toBe(true);
  });

  it("polls a busy core a bounded number of times in a row", () => {
    const { dataplane } = plant();
    let pumps = 0;
    const busy: QueueBackend = { pump: () => ++pumps, nextDeadline: () => Infinity };
    const { port } = dataplane;
    const orphan = { core: coreOf(dataplane, 0), port, backends: [busy] };
    const rescuer = new Rescuer(orphan, 0);
    expect(rescuer.advance(1)).toBeGreaterThan(0);
    expect(pumps).toBe(64);
  });

  it("lets go of what it holds once, and does nothing after that", () => {
    const { dataplane, backend, closed } = plant();
    const { port } = dataplane;
    const orphan = { core: coreOf(dataplane, 0), port, backends: [backend(0)] };
    const rescuer = new Rescuer(orphan, 0);
    rescuer.close();
    rescuer.close();
    expect(closed.count).toBe(1);
    expect(rescuer.advance(1)).toBe(0);
  });
});
