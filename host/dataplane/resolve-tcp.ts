/** Options of TCP: every time, bound and switch, with those of Fast Open and the ports it may choose. */
import {
  FAST_OPEN_KEY_SIZE,
  FAST_OPEN_KEYS_MAX,
  KEEP_ALIVE_IDLE_MAX,
  KEEP_ALIVE_INTERVAL_MAX,
  KEEP_ALIVE_PROBES_MAX,
} from "../../assembly/abi.ts";
import * as check from "./checks.ts";
import { MINUTE, MTU_MIN, SECOND } from "./limits.ts";
import { CONGESTION_CONTROLS, ECN_MODES, ECN_OPTIONS } from "./options.ts";
import type { FastOpenOptions, ResolvedTcp, TcpOptions } from "./options.ts";

/** 65535 << 14, the largest window that scaling can express (RFC 7323 section 2.3). */
const WINDOW_MAX = 1_073_725_440;

/** Options of `tcp`. What fills a window depends on the `mtu`. */
export function resolveTcp(value: unknown, mtu: number): ResolvedTcp {
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
    synLinearRetries: amount("synLinearRetries", 0, 0, 32),
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
    ecnOption: check.oneOf("tcp.ecnOption", given.ecnOption, "full", ECN_OPTIONS),
    ecnBeacon: amount("ecnBeacon", 3, 0, 255),
    ecnFallback: check.boolean("tcp.ecnFallback", given.ecnFallback, true),
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
  "synLinearRetries",
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
  "ecnOption",
  "ecnBeacon",
  "ecnFallback",
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
