/** What can be done to a network while it runs: partitions, links that go down, links that get worse. */
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { Socket } from "../../host/node/dgram/index.ts";
import type { NodeSimulatedNetwork } from "../../host/node/sim/index.ts";
import { aNetwork, connected, counting, echoServer } from "./support.ts";

/** Sockets of UDP at each of the hosts, and a way to see who hears whom. */
async function talkers(network: NodeSimulatedNetwork, names: readonly string[]) {
  const heard: string[] = [];
  const sockets = new Map<string, Socket>();
  for (const name of names) {
    const socket = network.host(name).dgram.createSocket("udp4", (message) => {
      heard.push(`${String(message)}>${name}`);
    });
    socket.bind(9);
    await network.run(once(socket, "listening"));
    sockets.set(name, socket);
  }
  /** Everybody sends to everybody; who was heard where. */
  const round = async (): Promise<string[]> => {
    heard.length = 0;
    for (const from of names) {
      for (const to of names) if (from !== to) sockets.get(from)!.send(from, 9, to);
    }
    await network.advance(5);
    return heard.toSorted();
  };
  // Neighbours have to be known for a datagram to be one frame.
  await round();
  return {
    round,
    send: (from: string, to: string, text = from) => sockets.get(from)!.send(text, 9, to),
    heard,
  };
}

describe("a partition", () => {
  it("parts groups both ways until it is healed", async () => {
    const network = aNetwork(["a", "b", "c"]);
    const { round } = await talkers(network, ["a", "b", "c"]);
    const all = ["a>b", "a>c", "b>a", "b>c", "c>a", "c>b"];
    expect(await round()).toEqual(all);
    network.partition(["a", "b"], ["c"]);
    expect(await round()).toEqual(["a>b", "b>a"]);
    network.partition("a", "b");
    expect(await round()).toEqual([]);
    network.heal();
    expect(await round()).toEqual(all);
  });

  it("can be one-way", async () => {
    const network = aNetwork(["a", "b", "c"]);
    const { round } = await talkers(network, ["a", "b", "c"]);
    network.block(["a", "b"], "c");
    expect(await round()).toEqual(["a>b", "b>a", "c>a", "c>b"]);
    network.unblock("a", "c");
    expect(await round()).toEqual(["a>b", "a>c", "b>a", "c>a", "c>b"]);
  });

  it("does not end connections that outlast it", async () => {
    const network = aNetwork(["a", "b"], { timers: "virtual" });
    await echoServer(network.host("a"));
    const socket = await connected(network.host("b"), "a");
    const count = counting(socket);
    network.partition("a", "b");
    socket.write("through");
    await network.advance(500);
    expect(count.received).toBe(0);
    network.heal();
    await network.until(() => count.received === 7);
  });

  it("makes connecting time out", async () => {
    const network = aNetwork(["a", "b"]);
    await echoServer(network.host("a"));
    // The neighbour is known, so it is the SYN that is lost.
    await connected(network.host("b"), "a");
    network.block("b", "a");
    const socket = network.host("b").net.connect(7, "a");
    const [error] = await network.run(once(socket, "error").catch((reason: unknown) => [reason]));
    expect(error).toMatchObject({ code: "ETIMEDOUT" });
  });

  it("names hosts that exist", () => {
    const network = aNetwork(["a"]);
    expect(() => network.partition("a", "nobody")).toThrow(/no host "nobody"/);
    expect(() => network.link("nobody")).toThrow(RangeError);
    expect(() => network.host("nobody")).toThrow(RangeError);
    expect(() => network.addHost("a")).toThrow(RangeError);
    expect(network.link("a").isUp).toBe(true);
  });
});

describe("a link", () => {
  it("goes down and up again", async () => {
    const network = aNetwork(["a", "b", "c"]);
    const { round } = await talkers(network, ["a", "b", "c"]);
    network.link("b").down();
    expect(network.link("b").isUp).toBe(false);
    expect(await round()).toEqual(["a>c", "c>a"]);
    network.link("b").up();
    expect((await round()).length).toBe(6);
  });

  it("loses what is on its way when it goes down", async () => {
    const network = aNetwork(["a", "b"]);
    const { send, heard } = await talkers(network, ["a", "b"]);
    heard.length = 0;
    send("a", "b");
    await network.advance(0.15);
    network.link("b").down();
    await network.advance(0.1);
    network.link("b").up();
    await network.advance(10);
    expect(heard).toEqual([]);
  });

  it("delays as it says, each way", async () => {
    const network = aNetwork(["a"]);
    network.addHost("b", { link: { delay: 1000, down: { delay: 4000 } } });
    const { send, heard } = await talkers(network, ["a", "b"]);
    const arrival = async (from: string, to: string): Promise<number> => {
      await network.advance(50);
      heard.length = 0;
      const before = network.now;
      send(from, to);
      await network.until(() => heard.length > 0);
      return network.now - before;
    };
    expect(await arrival("a", "b")).toBeCloseTo(0.1 + 4, 6);
    expect(await arrival("b", "a")).toBeCloseTo(1 + 0.1, 6);
    network.link("b").set({ delay: 500 });
    expect(await arrival("a", "b")).toBeCloseTo(0.1 + 0.5, 6);
    network.link("b").set({ up: { delay: 20_000 } });
    expect(network.link("b").options.down.delay).toBe(500);
    expect(await arrival("b", "a")).toBeCloseTo(20 + 0.1, 6);
  });

  it("carries as many bits a second as it says", async () => {
    const network = aNetwork(["a", "b"]);
    const { send, heard } = await talkers(network, ["a", "b"]);
    network.link("a").set({ delay: 0, up: { rate: 1e6 } });
    network.link("b").set({ delay: 0 });
    heard.length = 0;
    const before = network.now;
    for (let i = 0; i < 10; i++) send("a", "b", "x".repeat(958));
    await network.until(() => heard.length === 10);
    // A frame of 1000 bytes and 24 around it is 8192 µs at 1 Mbit/s.
    expect(network.now - before).toBeCloseTo(81.92, 6);
  });

  it("drops at the tail of its queue", async () => {
    const network = aNetwork(["a", "b"]);
    const { send, heard } = await talkers(network, ["a", "b"]);
    network.link("a").set({ rate: 1e6, queueLimit: 4 });
    heard.length = 0;
    for (let i = 0; i < 20; i++) send("a", "b");
    await network.advance(1000);
    // One on the line, four that wait.
    expect(heard.length).toBe(5);
  });

  it("loses, doubles and damages as often as it says", async () => {
    const network = aNetwork(["a", "b"]);
    const { send, heard } = await talkers(network, ["a", "b"]);
    const hundred = async (): Promise<number> => {
      heard.length = 0;
      for (let i = 0; i < 100; i++) send("a", "b");
      await network.advance(20);
      return heard.length;
    };
    network.link("a").set({ up: { loss: 1 } });
    expect(await hundred()).toBe(0);
    network.link("a").set({ up: { loss: 0, duplicate: 1 } });
    expect(await hundred()).toBe(200);
    network.link("a").set({ up: { duplicate: 0, corrupt: 1 } });
    // Nothing checks the sender's MAC address, 48 of 344 bits.
    expect(await hundred()).toBeLessThan(40);
    network.link("a").set({ up: { corrupt: undefined, loss: 0.5 } });
    const half = await hundred();
    expect(half).toBeGreaterThan(30);
    expect(half).toBeLessThan(70);
  });

  it("refuses what it cannot be, and stays as it was", () => {
    const network = aNetwork(["a"]);
    const { options } = network.link("a");
    expect(() => network.link("a").set({ loss: 2 })).toThrow(/loss/);
    expect(network.link("a").options).toEqual(options);
  });
});
