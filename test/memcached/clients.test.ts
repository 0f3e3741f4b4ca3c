/** Clients from npm as they are, on ixwasm/net, and the server on a dataplane of the same network. */
import { createRequire } from "node:module";
import net from "node:net";
import type Memcached from "memcached";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import memcached from "../../examples/memcached/app.ts";
import { Network } from "../../host/net/network.ts";
import type { Host } from "../../host/net/host.ts";
import type { SwitchWire } from "../../host/nic/index.ts";
import { connect, Socket } from "../../host/node/net/index.ts";
import { loadKernelSync } from "../../host/node/index.ts";

const SERVER = "memcached";
const require = createRequire(import.meta.url);

/** What is used here of memjs, which has no types. */
interface Memjs {
  readonly Client: {
    create(servers: string, options: object): MemjsClient;
  };
}

interface MemjsClient {
  get(key: string): Promise<{ value: Uint8Array | null }>;
  set(key: string, value: string, options: object): Promise<boolean>;
  add(key: string, value: string, options: object): Promise<boolean>;
  replace(key: string, value: string, options: object): Promise<boolean>;
  increment(key: string, by: number, options: object): Promise<{ value: number }>;
  touch(key: string, expires: number): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  close(): void;
}

/** A network on which one host is the server. */
class NetworkWithServer extends Network {
  protected override plan(host: Host, wire: SwitchWire) {
    if (host.name !== SERVER) return super.plan(host, wire);
    return { wire, app: (context: Parameters<typeof memcached>[0]) => memcached(context) };
  }
}

let network: NetworkWithServer;
let address: string;

beforeAll(() => {
  network = new NetworkWithServer({ kernel: loadKernelSync("release") });
  const sizes = { applicationWindow: 32 << 20, sharedWindow: 24 << 20 };
  ({ address } = network.addHost(SERVER, sizes));
  const via = network.addHost("client");
  // The clients ask node:net for their connections.
  vi.spyOn(net, "connect").mockImplementation(((port: number, host: string, open?: () => void) =>
    connect({ port, host, via }, open)) as never);
  class Stream extends Socket {
    override connect(...args: never[]): this {
      const [port, host] = args as unknown as [number, string];
      return super.connect({ port, host, via } as never);
    }
  }
  vi.spyOn(net, "Stream" as never, "get" as never).mockReturnValue(Stream as never);
});

afterAll(async () => {
  vi.restoreAllMocks();
  await network.close();
});

describe("memjs (the binary protocol)", () => {
  it("stores, gets, counts and deletes", async () => {
    const { Client } = require("memjs") as Memjs;
    const client = Client.create(`${address}:11211`, { retries: 1, timeout: 5 });
    const value = "välue\r\n".repeat(20_000);
    expect(await client.set("key", value, { expires: 60 })).toBe(true);
    expect(String((await client.get("key")).value)).toBe(value);
    expect((await client.get("none")).value).toBeNull();
    expect(await client.add("key", "other", {})).toBe(false);
    expect(await client.replace("key", "other", {})).toBe(true);
    expect(await client.increment("count", 5, { initial: 10 })).toMatchObject({ value: 10 });
    expect(await client.increment("count", 5, {})).toMatchObject({ value: 15 });
    expect(await client.touch("key", 100)).toBe(true);
    expect(await client.delete("key")).toBe(true);
    expect((await client.get("key")).value).toBeNull();
    client.close();
  });
});

describe("memcached (the text protocol)", () => {
  it("stores, gets many, compares and swaps, and asks for statistics", async () => {
    const Client = require("memcached") as typeof Memcached;
    const client = new Client(`${address}:11211`, { retries: 0, timeout: 5000 });
    const ask = <T>(call: (callback: (error: unknown, result: T) => void) => void): Promise<T> =>
      new Promise((resolve, reject) => {
        call((error, result) => (error ? reject(error as Error) : resolve(result)));
      });
    const value = "x".repeat(200_000);
    expect(await ask((back) => client.set("large", value, 60, back))).toBe(true);
    expect(await ask((back) => client.get("large", back))).toBe(value);
    await ask((back) => client.set("a", { nested: [1, 2] }, 0, back));
    const many = await ask((back) => client.getMulti(["a", "large", "none"], back));
    expect(many).toEqual({ a: { nested: [1, 2] }, large: value });
    const { cas } = await ask<{ cas: string }>((back) => client.gets("a", back as never));
    expect(await ask((back) => client.cas("a", "new", cas, 0, back))).toBe(true);
    expect(await ask((back) => client.cas("a", "newer", cas, 0, back))).toBe(false);
    expect(await ask((back) => client.append("a", "er", back))).toBe(true);
    expect(await ask((back) => client.get("a", back))).toBe("newer");
    await ask((back) => client.set("n", 5, 0, back));
    expect(await ask((back) => client.incr("n", 3, back))).toBe(8);
    const [stats] = await ask<Record<string, unknown>[]>((back) => client.stats(back as never));
    expect(stats).toMatchObject({ version: "1.6.18", curr_items: expect.anything() });
    expect(await ask((back) => client.del("a", back))).toBe(true);
    await ask((back) => client.flush(back as never));
    expect(await ask((back) => client.get("large", back))).toBeUndefined();
    client.end();
  });
});
