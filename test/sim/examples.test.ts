/** The programs of examples/sim, on networks that are not kind to them. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { leaders, Peer } from "../../examples/sim/election.ts";
import { askWithRetries, shoutingServer } from "../../examples/sim/retry.ts";
import { download, fileServer } from "../../examples/sim/slow-client.ts";
import { simTests } from "../../host/node/sim/index.ts";
import type { NodeSimulatedNetwork } from "../../host/node/sim/index.ts";

const simTest = simTests(test);

describe("an election", () => {
  const names = ["a", "b", "c", "d", "e"];

  function peers(network: NodeSimulatedNetwork): Peer[] {
    return names.map((name) => new Peer(network.addHost(name), names));
  }

  /** Until one leads and all the others among `group` follow. */
  async function agreed(network: NodeSimulatedNetwork, group: readonly Peer[]): Promise<Peer> {
    const leading = (): Peer | undefined =>
      group.find(({ role, name, term }) => {
        const all = group.every((peer) => peer.leader === name && peer.term === term);
        return role === "leader" && all;
      });
    await network.until(() => leading() !== undefined, { limit: 20_000 });
    return leading()!;
  }

  simTest("ends with one leader", { seed: 1 }, async (network) => {
    const all = peers(network);
    const leader = await agreed(network, all);
    await network.advance(5000);
    expect([...leaders(all).values()].flat()).toEqual([leader.name]);
  });

  simTest(
    "is held again by the majority when the leader is cut off",
    { seed: 2 },
    async (network) => {
      const all = peers(network);
      const first = await agreed(network, all);
      const rest = all.filter((peer) => peer !== first);
      network.partition(
        [first.name],
        rest.map(({ name }) => name),
      );
      const second = await agreed(network, rest);
      expect(second.term).toBeGreaterThan(first.term);
      // It has not heard of it, and nobody hears it.
      expect(first.role).toBe("leader");
      network.heal();
      const last = await agreed(network, all);
      expect(last.term).toBeGreaterThanOrEqual(second.term);
      expect(first.role === "leader" && first !== last).toBe(false);
    },
  );

  simTest("has no winner without a majority", { seed: 3 }, async (network) => {
    const all = peers(network);
    const first = await agreed(network, all);
    const others = names.filter((name) => name !== first.name);
    network.partition(first.name, others.slice(0, 2), others.slice(2));
    await network.advance(10_000);
    expect([...leaders(all).values()].flat()).toEqual([first.name]);
  });

  test("never gives a term two leaders, whatever the seed", async () => {
    const { simulate } = await import("../../host/node/sim/index.ts");
    for (let seed = 100; seed < 110; seed++) {
      const link = { delay: 5000, jitter: 5000, loss: 0.1 };
      await simulate(`seed ${seed}`, { seed, link }, async (network) => {
        const all = peers(network);
        for (let round = 0; round < 40; round++) {
          const cut = names[Math.floor(network.random() * names.length)];
          if (round % 4 === 0) network.heal();
          if (round % 4 === 1)
            network.partition(
              cut,
              names.filter((name) => name !== cut),
            );
          await network.advance(100);
          for (const led of leaders(all).values()) expect(led.length).toBe(1);
        }
      });
    }
  }, 120_000);
});

describe("a retry policy", () => {
  const policy = { tries: 8, timeout: 500, pause: 100 };

  simTest("asks once where nothing is lost", { seed: 1 }, async (network) => {
    shoutingServer(network.addHost("server"));
    const client = network.addHost("client");
    expect(await askWithRetries(client, "server", "hello", policy)).toEqual({
      answer: "HELLO",
      tries: 1,
    });
    expect(network.now).toBeLessThan(10);
  });

  simTest("outlasts a link that is down for a while", { seed: 2 }, async (network) => {
    shoutingServer(network.addHost("server"));
    const client = network.addHost("client");
    network.link("server").down();
    setTimeout(() => network.link("server").up(), 2000);
    const { answer, tries } = await askWithRetries(client, "server", "hello", policy);
    expect(answer).toBe("HELLO");
    expect(tries).toBeGreaterThan(2);
    expect(network.now).toBeLessThan(8000);
  });

  simTest("gets its answers through heavy loss", { seed: 3 }, async (network) => {
    shoutingServer(network.addHost("server"));
    const client = network.addHost("client", { link: { delay: 10_000, loss: 0.3 } });
    for (let i = 0; i < 10; i++) {
      const { answer } = await askWithRetries(client, "server", `line ${i}`, policy);
      expect(answer).toBe(`LINE ${i}`);
    }
  });

  simTest("gives up in the end", { seed: 4 }, async (network) => {
    network.addHost("server");
    const client = network.addHost("client");
    network.block("client", "server");
    await expect(
      askWithRetries(client, "server", "hello", { ...policy, tries: 3 }),
    ).rejects.toMatchObject({ name: "AbortError" });
    // Three tries of 500 ms, pauses of 50 to 150 and 100 to 300 ms.
    expect(network.now).toBeGreaterThan(1650);
    expect(network.now).toBeLessThan(1950);
  });
});

describe("a slow client", () => {
  const size = 1 << 20;

  simTest("gets all of it, and little waits in memory", { seed: 1 }, async (network) => {
    const files = fileServer(network.addHost("server"), { size, patience: 30_000 });
    const modem = network.addHost("modem", { link: { delay: 50_000, down: { rate: 1e6 } } });
    const { done } = download(modem, "server");
    expect(await done).toEqual({ bytes: size, whole: true });
    // 8 Mbit at 1 Mbit/s, and what surrounds them.
    expect(network.now).toBeGreaterThan(8000);
    expect(network.now).toBeLessThan(12_000);
    expect(files.mostWaiting()).toBeLessThan(64 * 1024);
  });

  simTest("does not slow down the others", { seed: 2 }, async (network) => {
    fileServer(network.addHost("server"), { size, patience: 30_000 });
    const slow = download(
      network.addHost("slow", { link: { delay: 100, down: { rate: 1e5 } } }),
      "server",
    );
    await once(slow.socket, "connect");
    const before = network.now;
    const fast = await download(network.addHost("fast"), "server").done;
    expect(fast.whole).toBe(true);
    expect(network.now - before).toBeLessThan(1000);
    slow.socket.destroy();
  });

  simTest("that takes nothing any more is dropped", { seed: 3 }, async (network) => {
    const files = fileServer(network.addHost("server"), { size: 8 * size, patience: 5000 });
    const { socket, done } = download(network.addHost("client"), "server");
    await once(socket, "data");
    socket.pause();
    await network.until(() => files.dropped() === 1);
    expect(network.now).toBeGreaterThan(5000);
    socket.resume();
    expect((await done).whole).toBe(false);
  });
});
