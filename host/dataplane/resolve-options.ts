/**
 * From the options as given to the options as used: every one is checked once, defaults are filled
 * in, and what depends on another option is held against it. The rest of the host trusts the result.
 * Here are the sizes; what has addresses is in resolve-addresses.ts, what TCP does in resolve-tcp.ts.
 */
import {
  FRAME_HEADROOM,
  FRAME_SIZE,
  MAX_BATCH,
  MAX_CONNECTIONS,
  MAX_CORES,
  MAX_QUEUES_PER_CORE,
} from "../../assembly/abi.ts";
import { formatIp } from "./addresses.ts";
import * as check from "./checks.ts";
import { MINUTE, MTU_MIN, SECOND } from "./limits.ts";
import type { DataplaneOptions, OffloadOptions, ResolvedOptions, TableOptions } from "./options.ts";
import { resolveIp, resolveIp6, resolveNeighbours, resolveRoutes } from "./resolve-addresses.ts";
import { resolveTcp } from "./resolve-tcp.ts";

/** Bytes of an Ethernet header, which a frame holds besides the IP packet. */
const ETHERNET_HEADER = 14;
const MTU_MAX = FRAME_SIZE - FRAME_HEADROOM - ETHERNET_HEADER;

/** Events that one packet can cause at most, for the least capacity of the event array. */
const EVENTS_PER_PACKET = 8;

/** Frames of a core beyond its fill rings: about a full receive window, and as much on its way out. */
const FRAMES_PER_CORE = 4096;
const CONNECTIONS_PER_FRAME = 32;
const REFERENCES_PER_CORE = 4096;
const BUFFERS_MAX = 1 << 21;

/**
 * Checks every option and fills in the defaults.
 *
 * @throws {TypeError} an option has the wrong type, is missing or is unknown
 * @throws {RangeError} an option's value is not allowed; the message names the option and the range
 */
export function resolveOptions(options: DataplaneOptions): ResolvedOptions {
  const given = check.record<DataplaneOptions>("options", options, KNOWN);
  const ip = resolveIp(given.ip);
  const ip6 = resolveIp6(given.ip6);
  const cores = check.integer("cores", given.cores, 1, 1, MAX_CORES);
  const queuesPerCore = check.integer(
    "queuesPerCore",
    given.queuesPerCore,
    1,
    1,
    MAX_QUEUES_PER_CORE,
  );
  const ringSize = check.powerOfTwo("ringSize", given.ringSize, 1024, 64, 32768);
  const batch = check.integer("batch", given.batch, 64, 1, MAX_BATCH);
  const maxConnections = check.integer(
    "maxConnections",
    given.maxConnections,
    Math.max(1024, cores),
    cores,
    MAX_CONNECTIONS,
  );
  const fill = ringSize * queuesPerCore;
  const frames = check.integer(
    "frames",
    given.frames,
    cores * (2 * fill + FRAMES_PER_CORE) + Math.ceil(maxConnections / CONNECTIONS_PER_FRAME),
    cores * (fill + 64),
    BUFFERS_MAX,
  );
  const spare = Math.floor(frames / cores) - fill;
  const tables = resolveTables(given.tables);
  const applicationWindow = check.powerOfTwo(
    "applicationWindow",
    given.applicationWindow,
    1 << 22,
    1 << 16,
    1 << 30,
  );
  const mtu = check.integer("mtu", given.mtu, 1500, MTU_MIN, MTU_MAX);

  return {
    name: check.text("name", given.name, formatIp(ip.address), 64),
    ip,
    ip6,
    mac:
      given.mac === undefined
        ? Uint8Array.of(0x02, 0x00, ...ip.address.subarray(12))
        : check.mac("mac", given.mac),
    routes: resolveRoutes(given, { ip, ip6 }, tables.routes),
    neighbours: resolveNeighbours(given.neighbours, { ip, ip6 }, tables.neighbours),
    mtu,
    ttl: check.integer("ttl", given.ttl, 64, 1, 255),
    cores,
    activeCores: check.integer("activeCores", given.activeCores, cores, 1, cores),
    queuesPerCore,
    ringSize,
    txRingSize: check.powerOfTwo("txRingSize", given.txRingSize, 2 * ringSize, 64, 65536),
    batch,
    maxConnections,
    frames,
    references: check.integer(
      "references",
      given.references,
      cores * REFERENCES_PER_CORE + maxConnections,
      cores,
      BUFFERS_MAX,
    ),
    receiveReserve: check.integer(
      "receiveReserve",
      given.receiveReserve,
      Math.floor(Math.min(fill, spare) / 2),
      0,
      spare - 1,
    ),
    applicationWindow,
    sharedWindow: check.integer(
      "sharedWindow",
      given.sharedWindow,
      0,
      0,
      (applicationWindow / 4) * 3,
    ),
    events: check.integer("events", given.events, 4096, EVENTS_PER_PACKET * batch, 1 << 20),
    calls: check.integer("calls", given.calls, 4096, 1, 1 << 20),
    timers: check.integer("timers", given.timers, 1024, 1, 1 << 20),
    tables,
    offloads: resolveOffloads(given.offloads),
    secret: resolveSecret(given.secret),
    neighbourRefresh: check.integer(
      "neighbourRefresh",
      given.neighbourRefresh,
      MINUTE,
      SECOND,
      30 * MINUTE,
      "µs",
    ),
    announce: check.boolean("announce", given.announce, true),
    tcp: resolveTcp(given.tcp, mtu),
  };
}

const KNOWN = [
  "name",
  "kernel",
  "ip",
  "ip6",
  "mac",
  "gateway",
  "gateway6",
  "routes",
  "neighbours",
  "mtu",
  "ttl",
  "cores",
  "activeCores",
  "queuesPerCore",
  "ringSize",
  "txRingSize",
  "batch",
  "maxConnections",
  "frames",
  "references",
  "receiveReserve",
  "applicationWindow",
  "sharedWindow",
  "events",
  "calls",
  "timers",
  "tables",
  "offloads",
  "secret",
  "neighbourRefresh",
  "announce",
  "tcp",
] as const satisfies readonly (keyof DataplaneOptions)[];

function resolveTables(value: unknown): Required<TableOptions> {
  const known = ["neighbours", "routes", "listeners", "udpPorts", "reassembly"] as const;
  const given = check.record<TableOptions>("tables", value, known);
  return {
    neighbours: check.powerOfTwo("tables.neighbours", given.neighbours, 256, 8, 65536),
    routes: check.integer("tables.routes", given.routes, 64, 1, 4096),
    listeners: check.integer("tables.listeners", given.listeners, 64, 1, 65536),
    udpPorts: check.integer("tables.udpPorts", given.udpPorts, 256, 1, 65536),
    reassembly: check.integer("tables.reassembly", given.reassembly, 8, 1, 1024),
  };
}

function resolveOffloads(value: unknown): Required<OffloadOptions> {
  const known = ["rxChecksum", "txChecksum", "rxHash"] as const;
  const given = check.record<OffloadOptions>("offloads", value, known);
  return {
    rxChecksum: check.boolean("offloads.rxChecksum", given.rxChecksum, true),
    txChecksum: check.boolean("offloads.txChecksum", given.txChecksum, true),
    rxHash: check.boolean("offloads.rxHash", given.rxHash, true),
  };
}

function resolveSecret(value: unknown): Uint8Array {
  if (value === undefined) return crypto.getRandomValues(new Uint8Array(16));
  if (!(value instanceof Uint8Array)) throw check.typeError("secret", "a Uint8Array of 16", value);
  if (value.length !== 16) throw check.rangeError("secret", "a Uint8Array of 16", value);
  return value.slice();
}
