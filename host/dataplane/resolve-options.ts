/**
 * From the options as given to the options as used: every one is checked once, defaults are filled
 * in, and what depends on another option is held against it. The rest of the host trusts the result.
 */
import {
  FAST_OPEN_KEY_SIZE,
  FAST_OPEN_KEYS_MAX,
  FRAME_HEADROOM,
  FRAME_SIZE,
  IP6_ADDRESSES_MAX,
  MAX_BATCH,
  MAX_CONNECTIONS,
  MAX_CORES,
  MAX_QUEUES_PER_CORE,
  KEEP_ALIVE_IDLE_MAX,
  KEEP_ALIVE_INTERVAL_MAX,
  KEEP_ALIVE_PROBES_MAX,
} from "../../assembly/abi.ts";
import {
  formatIp,
  inNetwork,
  isBroadcastAddress,
  isIpv4,
  isIpv6Host,
  isLinkLocal,
  isMulticast,
  isNetworkAddress,
  parseIp,
  type Cidr,
} from "./addresses.ts";
import * as check from "./checks.ts";
import { CONGESTION_CONTROLS, ECN_MODES } from "./options.ts";
import type {
  DataplaneOptions,
  FastOpenOptions,
  Ip6Options,
  Neighbour,
  NeighbourOptions,
  OffloadOptions,
  ResolvedIp6,
  ResolvedOptions,
  ResolvedTcp,
  Route,
  RouteOptions,
  TableOptions,
  TcpOptions,
} from "./options.ts";

/** Bytes of an Ethernet header, which a frame holds besides the IP packet. */
const ETHERNET_HEADER = 14;
const MTU_MAX = FRAME_SIZE - FRAME_HEADROOM - ETHERNET_HEADER;
/** The least IP packet that every host must take (RFC 791 section 3.1). */
const MTU_MIN = 576;

/** Events that one packet can cause at most, for the least capacity of the event array. */
const EVENTS_PER_PACKET = 8;

/** Frames of a core beyond its fill rings: about a full receive window, and as much on its way out. */
const FRAMES_PER_CORE = 4096;
const CONNECTIONS_PER_FRAME = 32;
const REFERENCES_PER_CORE = 4096;
const BUFFERS_MAX = 1 << 21;

/** The wheel spans 268 s; instants are compared modulo 2^32 µs, so no span may reach 2^31. */
const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;

/** 65535 << 14, the largest window that scaling can express (RFC 7323 section 2.3). */
const WINDOW_MAX = 1_073_725_440;

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

/** Own address: one that a host may have (RFC 1122 section 3.2.1.3). */
function resolveIp(value: unknown): Cidr {
  const ip = check.ipv4Cidr("ip", value, "10.0.0.1/24");
  const first = ip.address[12];
  const edge = ip.prefix < 31 && (isNetworkAddress(ip) || isBroadcastAddress(ip));
  if (ip.prefix === 0 || first === 0 || first === 127 || first >= 224 || edge) {
    throw check.rangeError("ip", "a host's unicast address and a prefix length of 1 to 32", value);
  }
  return ip;
}

/** Own IPv6 addresses, and whether routers give more; undefined without IPv6. */
function resolveIp6(value: unknown): ResolvedIp6 | undefined {
  if (value === undefined) return undefined;
  if (value === "auto") return resolveIp6({});
  if (typeof value === "string") return resolveIp6({ addresses: [value] });
  if (Array.isArray(value)) return resolveIp6({ addresses: value });
  const known = ["addresses", "autoconfigured", "detectDuplicates"] as const;
  const given = check.record<Ip6Options>("ip6", value, known);
  const listed = check.array("ip6.addresses", given.addresses, IP6_ADDRESSES_MAX);
  return {
    addresses: listed.map((item, index) => {
      const name = `ip6.addresses[${index}]`;
      const own = check.ipv6Cidr(name, item);
      if (own.prefix === 0 || !isIpv6Host(own.address)) {
        throw check.rangeError(name, "a host's unicast address and a prefix length over 0", item);
      }
      return own;
    }),
    autoconfigured: check.boolean("ip6.autoconfigured", given.autoconfigured, true),
    detectDuplicates: check.boolean("ip6.detectDuplicates", given.detectDuplicates, true),
  };
}

/** What the dataplane is attached to: whose gateways and neighbours it can have. */
export interface Attached {
  readonly ip: Cidr;
  readonly ip6: ResolvedIp6 | undefined;
}

/** A gateway or neighbour: another host's address on an attached network. */
function resolveOnLink(name: string, value: unknown, own: Attached): Uint8Array {
  const address = check.ip(name, value);
  if (!isIpv4(address)) return resolveOnLink6(name, value, address, own);
  const isOwn = formatIp(address) === formatIp(own.ip.address);
  if (isOwn || isMulticast(address) || !inNetwork(address, own.ip)) {
    const network = `${formatIp(own.ip.address)}/${own.ip.prefix}`;
    throw check.rangeError(name, `another host's address on the network of ${network}`, value);
  }
  return address;
}

/** Prefixes may come to be known later, from routers; what is no host's never will be. */
function resolveOnLink6(
  name: string,
  value: unknown,
  address: Uint8Array,
  own: Attached,
): Uint8Array {
  if (!own.ip6) throw check.rangeError(name, 'an IPv4 address, or the option "ip6" set', value);
  const attached =
    isLinkLocal(address) || own.ip6.addresses.some((network) => inNetwork(address, network));
  const isOwn = own.ip6.addresses.some((mine) => formatIp(mine.address) === formatIp(address));
  if (isOwn || !isIpv6Host(address) || !attached) {
    const allowed = "another host's address: link-local, or on a network of ip6";
    throw check.rangeError(name, allowed, value);
  }
  return address;
}

function resolveRoutes(
  given: Partial<DataplaneOptions>,
  own: Attached,
  max: number,
): readonly Route[] {
  const routes: Route[] = [];
  for (const [name, anywhere] of [
    ["gateway", "0.0.0.0"],
    ["gateway6", "::"],
  ] as const) {
    const value = given[name];
    if (value === undefined) continue;
    const to = { address: parseIp(anywhere)!, prefix: 0 };
    const via = resolveOnLink(name, value, own);
    if (isIpv4(via) !== isIpv4(to.address)) {
      const version = isIpv4(to.address) ? "an IPv4" : "an IPv6";
      throw check.rangeError(name, `${version} address`, value);
    }
    routes.push({ to, via });
  }
  const listed = check.array("routes", given.routes, max - routes.length);
  for (const [index, item] of listed.entries()) {
    routes.push(resolveRoute(`routes[${index}]`, item, own));
  }
  return routes;
}

/** A route as given, checked; `name` is what messages call it. */
export function resolveRoute(name: string, value: unknown, own: Attached): Route {
  const route = check.record<RouteOptions>(name, value, ["to", "via"]);
  const to = resolveNetwork(`${name}.to`, route.to);
  const via = resolveOnLink(`${name}.via`, route.via, own);
  if (isIpv4(via) !== isIpv4(to.address)) {
    throw check.rangeError(`${name}.via`, `an address of the version of ${name}.to`, route.via);
  }
  return { to, via };
}

/** A network as given, checked. */
export function resolveNetwork(name: string, value: unknown): Cidr {
  const network = check.ipCidr(name, value);
  if (!isNetworkAddress(network)) {
    throw check.rangeError(name, "a network with no bit set behind its prefix", value);
  }
  return network;
}

function resolveNeighbours(value: unknown, own: Attached, max: number): readonly Neighbour[] {
  // Half the hash table, so that static entries leave room for learnt ones.
  return check.array("neighbours", value, max / 2).map((item, index) => {
    const name = `neighbours[${index}]`;
    const neighbour = check.record<NeighbourOptions>(name, item, ["ip", "mac"]);
    return {
      ip: resolveOnLink(`${name}.ip`, neighbour.ip, own),
      mac: check.mac(`${name}.mac`, neighbour.mac),
    };
  });
}

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

function resolveTcp(value: unknown, mtu: number): ResolvedTcp {
  const given = check.record<TcpOptions>("tcp", value, KNOWN_TCP);
  const profile = check.oneOf("tcp.profile", given.profile, "default", ["default", "lan"]);
  const lan = profile === "lan";
  const time = (name: keyof TcpOptions, fallback: number, min: number, max: number): number =>
    check.integer(`tcp.${name}`, given[name], fallback, min, max, "µs");
  const seconds = (name: keyof TcpOptions, fallback: number, max: number): number =>
    check.integer(`tcp.${name}`, given[name], fallback, 1, max, "s");
  const amount = (name: keyof TcpOptions, fallback: number, min: number, max: number): number =>
    check.integer(`tcp.${name}`, given[name], fallback, min, max);

  const maxRto = time("maxRto", MINUTE, 1000, 2 * MINUTE);
  const minRto = time("minRto", Math.min(lan ? 1000 : 200_000, maxRto), 100, maxRto);
  const initialRto = Math.min(Math.max(lan ? 200_000 : SECOND, minRto), maxRto);
  const receiveWindow = amount("receiveWindow", 1 << 18, MTU_MIN, WINDOW_MAX);
  const receiveWindowMax = amount(
    "receiveWindowMax",
    Math.max(1 << 22, receiveWindow),
    receiveWindow,
    WINDOW_MAX,
  );
  // A window's worth of full segments behind one that is missing.
  const reassembly = Math.min(Math.max(Math.ceil(receiveWindowMax / (mtu - 52)), 1024), 65535);
  return {
    profile,
    minRto,
    maxRto,
    initialRto: time("initialRto", initialRto, minRto, maxRto),
    // RFC 1122 section 4.2.3.2: the delay MUST be less than 0.5 s.
    delayedAck: time("delayedAck", lan ? 500 : 40_000, 0, 499_999),
    quickAcks: amount("quickAcks", 16, 0, 255),
    timeWait: time("timeWait", lan ? SECOND : MINUTE, 0, 4 * MINUTE),
    finWait2: time("finWait2", MINUTE, 1000, 30 * MINUTE),
    synRetries: amount("synRetries", 6, 0, 32),
    dataRetries: amount("dataRetries", 15, 0, 64),
    keepAliveIdle: seconds("keepAliveIdle", 7200, KEEP_ALIVE_IDLE_MAX),
    keepAliveInterval: seconds("keepAliveInterval", 75, KEEP_ALIVE_INTERVAL_MAX),
    keepAliveProbes: amount("keepAliveProbes", 9, 1, KEEP_ALIVE_PROBES_MAX),
    receiveWindow,
    receiveWindowMax,
    sendBufferMax: amount("sendBufferMax", 1 << 22, 2048, WINDOW_MAX),
    copyBreak: amount("copyBreak", 1024, 0, 65536),
    reassemblyMax: amount("reassemblyMax", reassembly, 0, 65535),
    sack: check.boolean("tcp.sack", given.sack, true),
    timestamps: check.boolean("tcp.timestamps", given.timestamps, true),
    synCookies: check.boolean("tcp.synCookies", given.synCookies, true),
    mtuProbing: check.boolean("tcp.mtuProbing", given.mtuProbing, true),
    fastOpen: resolveFastOpen(given.fastOpen),
    challengeAcks: amount("challengeAcks", 1000, 1, 1_000_000),
    initialWindow: amount("initialWindow", 10, 1, 1024),
    congestionControl: check.oneOf(
      "tcp.congestionControl",
      given.congestionControl,
      "cubic",
      CONGESTION_CONTROLS,
    ),
    pacing: check.boolean("tcp.pacing", given.pacing, false),
    ecn: check.oneOf("tcp.ecn", given.ecn, "accept", ECN_MODES),
    ephemeral: resolveEphemeral(given.ephemeral),
  };
}

const KNOWN_TCP = [
  "profile",
  "minRto",
  "maxRto",
  "initialRto",
  "delayedAck",
  "quickAcks",
  "timeWait",
  "finWait2",
  "synRetries",
  "dataRetries",
  "keepAliveIdle",
  "keepAliveInterval",
  "keepAliveProbes",
  "receiveWindow",
  "receiveWindowMax",
  "sendBufferMax",
  "copyBreak",
  "reassemblyMax",
  "sack",
  "timestamps",
  "synCookies",
  "mtuProbing",
  "fastOpen",
  "challengeAcks",
  "initialWindow",
  "congestionControl",
  "pacing",
  "ecn",
  "ephemeral",
] as const satisfies readonly (keyof TcpOptions)[];

function resolveFastOpen(value: unknown): Required<FastOpenOptions> {
  const given = check.record<FastOpenOptions>("tcp.fastOpen", value, KNOWN_FAST_OPEN);
  const is = (name: keyof FastOpenOptions, fallback: boolean): boolean =>
    check.boolean(`tcp.fastOpen.${name}`, given[name], fallback);
  return {
    client: is("client", true),
    server: is("server", true),
    keys: resolveKeys(given.keys),
    servers: check.powerOfTwo("tcp.fastOpen.servers", given.servers, 64, 4, 65536),
    clientWithoutCookie: is("clientWithoutCookie", false),
    serverWithoutCookie: is("serverWithoutCookie", false),
  };
}

const KNOWN_FAST_OPEN = [
  "client",
  "server",
  "keys",
  "servers",
  "clientWithoutCookie",
  "serverWithoutCookie",
] as const satisfies readonly (keyof FastOpenOptions)[];

function resolveKeys(value: unknown): readonly Uint8Array[] {
  const keys = check.array("tcp.fastOpen.keys", value, FAST_OPEN_KEYS_MAX).map((key, index) => {
    const name = `tcp.fastOpen.keys[${index}]`;
    const allowed = `a Uint8Array of ${FAST_OPEN_KEY_SIZE}`;
    if (!(key instanceof Uint8Array)) throw check.typeError(name, allowed, key);
    if (key.length !== FAST_OPEN_KEY_SIZE) throw check.rangeError(name, allowed, key);
    return key.slice();
  });
  return keys.length > 0 ? keys : [crypto.getRandomValues(new Uint8Array(FAST_OPEN_KEY_SIZE))];
}

function resolveEphemeral(value: unknown): readonly [number, number] {
  if (value === undefined) return [32768, 60999];
  const allowed = "two ports from 1 to 65535 in ascending order";
  if (!Array.isArray(value)) throw check.typeError("tcp.ephemeral", allowed, value);
  const [low, high] = value as readonly unknown[];
  if (value.length !== 2 || !isPort(low) || !isPort(high) || low > high) {
    throw check.rangeError("tcp.ephemeral", allowed, value);
  }
  return [low, high];
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65535;
}
