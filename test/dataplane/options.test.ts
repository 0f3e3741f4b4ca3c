import { describe, expect, it } from "vitest";
import { createDataplane } from "../../host/dataplane/dataplane.ts";
import { OptionRangeError, OptionTypeError } from "../../host/dataplane/errors.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import { resolveOptions } from "../../host/dataplane/resolve-options.ts";
import { formatIp, formatMac } from "../../host/dataplane/addresses.ts";

const IP = { ip: "10.0.0.1/24" };

describe("defaults", () => {
  it("need nothing but an address", () => {
    const options = resolveOptions(IP);
    expect(options).toMatchObject({
      name: "10.0.0.1",
      mtu: 1500,
      ttl: 64,
      cores: 1,
      queuesPerCore: 1,
      ringSize: 1024,
      txRingSize: 2048,
      batch: 64,
      maxConnections: 1024,
      applicationWindow: 1 << 22,
      sharedWindow: 0,
      offloads: { rxChecksum: true, txChecksum: true, rxHash: true },
      announce: true,
    });
    expect(formatMac(options.mac)).toBe("02:00:0a:00:00:01");
    expect(options.tcp).toMatchObject({
      minRto: 200_000,
      maxRto: 60_000_000,
      initialRto: 1_000_000,
      delayedAck: 40_000,
      timeWait: 60_000_000,
    });
  });

  it("of the LAN profile are shorter, and yield to what is given", () => {
    const { tcp } = resolveOptions({ ...IP, tcp: { profile: "lan", delayedAck: 5 } });
    expect(tcp).toMatchObject({
      minRto: 1000,
      initialRto: 200_000,
      delayedAck: 5,
      timeWait: 1_000_000,
    });
  });

  it("follow the options they depend on", () => {
    const { frames, references, receiveReserve } = resolveOptions({
      ...IP,
      cores: 2,
      queuesPerCore: 2,
      ringSize: 256,
      maxConnections: 6400,
    });
    expect(frames).toBe(2 * (2 * 512 + 4096) + 200);
    expect(references).toBe(2 * 4096 + 6400);
    expect(receiveReserve).toBe(256);
    expect(resolveOptions({ ...IP, tcp: { maxRto: 2000 } }).tcp).toMatchObject({
      minRto: 2000,
      initialRto: 2000,
    });
    expect(resolveOptions({ ...IP, tcp: { receiveWindow: 1 << 23 } }).tcp.receiveWindowMax).toBe(
      1 << 23,
    );
    expect(resolveOptions({ ...IP, cores: 64, maxConnections: 64 }).maxConnections).toBe(64);
  });

  it("contain a secret that is new every time", () => {
    expect(resolveOptions(IP).secret).not.toEqual(resolveOptions(IP).secret);
  });

  it("put the gateway in front of the other routes", () => {
    const { routes } = resolveOptions({
      ...IP,
      gateway: "10.0.0.254",
      routes: [{ to: "10.2.0.0/16", via: "10.0.0.253" }],
    });
    const text = routes.map(({ to, via }) => [formatIp(to.address), to.prefix, formatIp(via)]);
    expect(text).toEqual([
      ["0.0.0.0", 0, "10.0.0.254"],
      ["10.2.0.0", 16, "10.0.0.253"],
    ]);
  });
});

/** What is wrong, and what the message must say. */
const REFUSED: [Record<string, unknown>, typeof RangeError | typeof TypeError, string][] = [
  [{ cores: 0 }, RangeError, 'ixwasm: option "cores" must be an integer from 1 to 64, got 0'],
  [{ cores: 65 }, RangeError, '"cores" must be an integer from 1 to 64, got 65'],
  [{ cores: 1.5 }, RangeError, "got 1.5"],
  [{ cores: NaN }, RangeError, "got NaN"],
  [{ cores: "4" }, TypeError, '"cores" must be an integer from 1 to 64, got "4"'],
  [{ cores: null }, TypeError, "got null"],
  [{ cores: 4n }, TypeError, "got 4n"],
  [{ core: 4 }, TypeError, 'option "core" is unknown; known are'],
  [{ core: 4 }, TypeError, 'tcp. Did you mean "cores"?'],
  [{ tcp: { minrto: 4 } }, TypeError, 'Did you mean "tcp.minRto"?'],
  [{ queuesPerCore: 9 }, RangeError, '"queuesPerCore" must be an integer from 1 to 8'],
  [{ ringSize: 1000 }, RangeError, '"ringSize" must be a power of two from 64 to 32768, got 1000'],
  [{ ringSize: 32 }, RangeError, '"ringSize"'],
  [{ ringSize: true }, TypeError, "got true"],
  [{ txRingSize: 3 }, RangeError, '"txRingSize"'],
  [{ batch: 257 }, RangeError, '"batch" must be an integer from 1 to 256'],
  [{ events: 511 }, RangeError, '"events" must be an integer from 512 to'],
  [{ events: 1024, batch: 256 }, RangeError, '"events" must be an integer from 2048 to'],
  [{ calls: 0 }, RangeError, '"calls"'],
  [{ timers: 0 }, RangeError, '"timers"'],
  [{ maxConnections: 1_048_577 }, RangeError, '"maxConnections" must be an integer from 1 to'],
  [{ cores: 4, maxConnections: 3 }, RangeError, '"maxConnections" must be an integer from 4 to'],
  [{ frames: 1000 }, RangeError, '"frames" must be an integer from 1088 to'],
  [{ references: 0 }, RangeError, '"references"'],
  [{ frames: 2048, receiveReserve: 1024 }, RangeError, '"receiveReserve" must be an integer'],
  [{ applicationWindow: 1 << 15 }, RangeError, '"applicationWindow" must be a power of two from'],
  [
    { sharedWindow: (3 << 20) + 1 },
    RangeError,
    '"sharedWindow" must be an integer from 0 to 3145728',
  ],
  [{ mtu: 575 }, RangeError, '"mtu" must be an integer from 576 to 1906'],
  [{ mtu: 1907 }, RangeError, '"mtu"'],
  [{ ttl: 256 }, RangeError, '"ttl"'],
  [{ name: "" }, RangeError, '"name" must be a string of 1 to 64 characters, got ""'],
  [{ name: 7 }, TypeError, '"name"'],
  [{ ip: undefined }, TypeError, '"ip" must be an IPv4 address with prefix length such as'],
  [{ ip: "10.0.0.1" }, RangeError, '"ip"'],
  [{ ip: "10.0.0.256/24" }, RangeError, '"ip"'],
  [{ ip: "10.0.0.1/33" }, RangeError, '"ip"'],
  [{ ip: "fe80::1/64" }, RangeError, '"ip" must be an IPv4 address'],
  [{ ip: "10.0.0.0/24" }, RangeError, '"ip" must be a host\'s unicast address'],
  [{ ip: "10.0.0.255/24" }, RangeError, '"ip" must be a host\'s unicast address'],
  [{ ip: "224.0.0.1/4" }, RangeError, '"ip"'],
  [{ ip: "127.0.0.1/8" }, RangeError, '"ip"'],
  [{ ip: "0.0.0.1/8" }, RangeError, '"ip"'],
  [{ mac: "02:00:00:00:00" }, RangeError, '"mac" must be a unicast MAC address such as'],
  [{ mac: "01:00:5e:00:00:01" }, RangeError, '"mac"'],
  [{ mac: "00:00:00:00:00:00" }, RangeError, '"mac"'],
  [{ mac: 2 }, TypeError, '"mac"'],
  [{ gateway: "10.0.1.1" }, RangeError, '"gateway" must be another host\'s address on the network'],
  [{ gateway: "10.0.0.1" }, RangeError, '"gateway"'],
  [{ gateway: "somewhere" }, RangeError, '"gateway" must be an IP address'],
  [{ routes: {} }, TypeError, '"routes" must be an array'],
  [{ routes: [{ to: "10.2.0.1/16", via: "10.0.0.2" }] }, RangeError, '"routes[0].to"'],
  [{ routes: [{ to: "10.2.0.0/16" }] }, TypeError, '"routes[0].via"'],
  [{ routes: [{ to: "10.2.0.0/16", by: "" }] }, TypeError, '"routes[0].by" is unknown'],
  [
    { tables: { routes: 1 }, gateway: "10.0.0.2", routes: [{}] },
    RangeError,
    '"routes" must be an array of at most 0, got an array of 1',
  ],
  [{ neighbours: [{ ip: "10.9.0.1", mac: "02::" }] }, RangeError, '"neighbours[0].ip"'],
  [{ neighbours: [{ ip: "10.0.0.9", mac: "02::" }] }, RangeError, '"neighbours[0].mac"'],
  [{ tables: { neighbours: 100 } }, RangeError, '"tables.neighbours" must be a power of two'],
  [{ tables: { listeners: 0 } }, RangeError, '"tables.listeners"'],
  [{ tables: { udpPorts: 0 } }, RangeError, '"tables.udpPorts"'],
  [{ tables: 4 }, TypeError, '"tables" must be an object'],
  [{ offloads: { rxHash: 1 } }, TypeError, '"offloads.rxHash" must be a boolean, got 1'],
  [{ offloads: { rx: true } }, TypeError, '"offloads.rx" is unknown'],
  [{ announce: "yes" }, TypeError, '"announce" must be a boolean'],
  [{ secret: [1] }, TypeError, '"secret" must be a Uint8Array of 16, got an array of 1'],
  [{ secret: new Uint8Array(8) }, RangeError, "got Uint8Array of 8 bytes"],
  [{ neighbourRefresh: 1 }, RangeError, '"neighbourRefresh" must be an integer from 1000000 to'],
  [{ tcp: [] }, TypeError, '"tcp" must be an object, got an array of 0'],
  [{ tcp: { profile: "wan" } }, RangeError, '"tcp.profile" must be "default" or "lan", got "wan"'],
  [{ tcp: { minRto: 99 } }, RangeError, '"tcp.minRto" must be an integer from 100 to 60000000 µs'],
  [{ tcp: { maxRto: 1000, minRto: 2000 } }, RangeError, '"tcp.minRto"'],
  [{ tcp: { initialRto: 100 } }, RangeError, '"tcp.initialRto" must be an integer from 200000 to'],
  [{ tcp: { delayedAck: 500_000 } }, RangeError, '"tcp.delayedAck" must be an integer from 0 to'],
  [{ tcp: { timeWait: -1 } }, RangeError, '"tcp.timeWait"'],
  [{ tcp: { finWait2: 0 } }, RangeError, '"tcp.finWait2"'],
  [{ tcp: { synRetries: 33 } }, RangeError, '"tcp.synRetries"'],
  [{ tcp: { dataRetries: 65 } }, RangeError, '"tcp.dataRetries"'],
  [{ tcp: { receiveWindow: 100 } }, RangeError, '"tcp.receiveWindow"'],
  [
    { tcp: { receiveWindowMax: 1000 } },
    RangeError,
    '"tcp.receiveWindowMax" must be an integer from',
  ],
  [{ tcp: { sendBufferMax: 0 } }, RangeError, '"tcp.sendBufferMax"'],
  [{ tcp: { copyBreak: 65_537 } }, RangeError, '"tcp.copyBreak"'],
  [{ tcp: { reassemblyMax: -1 } }, RangeError, '"tcp.reassemblyMax"'],
  [{ tcp: { initialWindow: 0 } }, RangeError, '"tcp.initialWindow"'],
  [{ tcp: { ephemeral: [2, 1] } }, RangeError, '"tcp.ephemeral" must be two ports'],
  [{ tcp: { ephemeral: [1] } }, RangeError, '"tcp.ephemeral"'],
  [{ tcp: { ephemeral: 5 } }, TypeError, '"tcp.ephemeral"'],
  [{ tcp: { nagle: true } }, TypeError, '"tcp.nagle" is unknown'],
];

describe("an option that is wrong", () => {
  it.each(REFUSED)("%o", (options, type, message) => {
    const resolve = () => resolveOptions({ ...IP, ...options } as DataplaneOptions);
    expect(resolve).toThrow(type);
    expect(resolve).toThrow(message);
    expect(resolve).toThrow(/^ixwasm: option "/);
  });

  it("carries a code", () => {
    const codeOf = (options: object): unknown => {
      try {
        return resolveOptions({ ...IP, ...options });
      } catch (error) {
        return [(error as Error).constructor, (error as { code: string }).code];
      }
    };
    expect(codeOf({ ttl: 0 })).toEqual([OptionRangeError, "ERR_OUT_OF_RANGE"]);
    expect(codeOf({ ttl: "0" })).toEqual([OptionTypeError, "ERR_INVALID_ARG_TYPE"]);
  });

  it("may be all of them", () => {
    expect(() => resolveOptions(null as never)).toThrow('option "options" must be an object');
    expect(() => resolveOptions(undefined as never)).toThrow(TypeError);
  });

  it("may be the kernel", () => {
    expect(() => createDataplane({ ...IP })).toThrow(
      'option "kernel" must be a WebAssembly.Module, from loadKernel(), got undefined',
    );
    expect(() => createDataplane({ ...IP, kernel: {} as never })).toThrow(TypeError);
  });
});
