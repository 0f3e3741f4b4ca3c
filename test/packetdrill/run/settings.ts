/**
 * What a script's options and its shell commands before the first event ask for, and the dataplane
 * options that follow. Defaults are those of packetdrill: addresses, ports, tolerances.
 */
import type { DataplaneOptions, TcpOptions } from "../../../host/dataplane/options.ts";
import { SyntaxFault, Unsupported } from "../language/errors.ts";
import type { Script, ScriptOption } from "../language/script.ts";
import { addressBytes, addressText, type IpVersion } from "../packets/addresses.ts";
import { FastOpenSettings } from "../sockets/fast-open.ts";

/** Which packetdrill the script was written for. */
export type Dialect = "google" | "nplab";

export interface Settings {
  dialect: Dialect;
  version: IpVersion;
  localIp: string | undefined;
  remoteIp: string | undefined;
  prefix: number | undefined;
  gatewayIp: string | undefined;
  mtu: number | undefined;
  /** Payload of the segments that an inbound packet larger than the MTU was merged from. */
  mergedSegment: number | undefined;
  bindPort: number;
  connectPort: number;
  toleranceMicros: number;
  tolerancePercent: number | undefined;
  /** µs a tick of the stack's timestamp clock; undefined: values are not checked. */
  timestampTick: number | undefined;
  scaledEcho: boolean;
  strictSegments: boolean;
  tcp: TcpOptions;
  /** Sizes of files, by name; all of them hold zeros. */
  readonly files: Map<string, number>;
  fastOpen: FastOpenSettings;
  ttl: number | undefined;
  /** Bytes a socket holds for sending and for receiving, before SO_SNDBUF and SO_RCVBUF. */
  sendBuffer: number;
  receiveBuffer: number;
  /** Unsent bytes from which on a socket has no room. */
  notSentLowWater: number;
}

/** A host of IPv6 scripts has an IPv4 address too, which none of them uses. */
const IPV4_BESIDES = "192.168.0.1";
export const REMOTE_MAC = "02:00:00:00:00:02";
export const LOCAL_MAC = "02:00:00:00:00:01";

/** What Linux' and packetdrill's defaults are, without any preamble. */
export function defaultSettings(script: Script): Settings {
  const dialect = /\bsysctl -w (net\.inet6?|kern\.ipc)\./.test(script.source) ? "nplab" : "google";
  return {
    dialect,
    version: 4,
    localIp: undefined,
    remoteIp: undefined,
    prefix: undefined,
    gatewayIp: undefined,
    mtu: undefined,
    mergedSegment: undefined,
    bindPort: 8080,
    connectPort: 8080,
    toleranceMicros: 4000,
    tolerancePercent: undefined,
    timestampTick: undefined,
    scaledEcho: false,
    strictSegments: dialect === "nplab",
    // Linux does without unless it is told to.
    tcp: { mtuProbing: false },
    files: new Map(),
    fastOpen: new FastOpenSettings(),
    ttl: undefined,
    sendBuffer: 4 << 20,
    receiveBuffer: 131_072,
    notSentLowWater: 0xffffffff,
  };
}

/** Applies `--name=value`; `-D` was applied by the lexer. */
export function applyOption(settings: Settings, { name, value, line }: ScriptOption): void {
  const number = (): number => {
    const result = Number(value);
    if (!Number.isFinite(result)) throw new SyntaxFault(line, `--${name} needs a number`);
    return result;
  };
  switch (name) {
    case "ip_version":
      settings.version = value === "ipv6" ? 6 : 4;
      return;
    case "local_ip":
      settings.localIp = value;
      return;
    case "remote_ip":
      settings.remoteIp = value?.replace(/\/.*/, "");
      return;
    case "gateway_ip":
      settings.gatewayIp = value;
      return;
    case "netmask_ip":
      settings.prefix = maskLength(value ?? "");
      return;
    case "mtu":
      settings.mtu = number();
      return;
    case "mss":
      settings.mergedSegment = number();
      return;
    case "bind_port":
      settings.bindPort = number();
      return;
    case "connect_port":
      settings.connectPort = number();
      return;
    case "tolerance_usecs":
      settings.toleranceMicros = number();
      return;
    case "tolerance_percent":
      settings.tolerancePercent = number();
      return;
    case "tcp_ts_tick_usecs":
      settings.timestampTick = number();
      return;
    case "tcp_ts_ecr_scaled":
      settings.scaledEcho = true;
      return;
    case "strict_segments":
      settings.strictSegments = true;
      return;
    // What is wrong counts, whatever the script thinks of it.
    case "non_fatal":
    case "define":
    case "init_scripts":
    case "send_omit_free":
      return;
    default:
      throw new Unsupported(`option --${name}`);
  }
}

function maskLength(mask: string): number {
  return mask
    .split(".")
    .map((part) => Number(part).toString(2).replaceAll("0", "").length)
    .reduce((sum, bits) => sum + bits, 0);
}

/** Addresses of the two hosts and of the router between them. */
export interface Hosts {
  readonly local: string;
  readonly remote: string;
  readonly gateway: string;
  readonly prefix: number;
}

export function hostsOf(settings: Settings): Hosts {
  const ipv6 = settings.version === 6;
  const local = settings.localIp ?? (ipv6 ? "fd3d:0a0b:17d6::1" : "192.168.0.1");
  const remote = settings.remoteIp ?? (ipv6 ? "fd3d:fa7b:d17d::1" : "192.0.2.1");
  const gateway = settings.gatewayIp ?? (ipv6 ? "fd3d:0a0b:17d6:8888::0" : neighbourOf(local));
  return {
    local: canonical(local),
    remote: canonical(remote),
    gateway: canonical(gateway),
    prefix: settings.prefix ?? (ipv6 ? 48 : 16),
  };
}

/** An address as received packets show theirs. */
function canonical(address: string): string {
  return addressText(addressBytes(address));
}

/** Another host of the attached network, to be its router. */
function neighbourOf(local: string): string {
  const last = Number(local.slice(local.lastIndexOf(".") + 1));
  return `${local.slice(0, local.lastIndexOf("."))}.${last === 254 ? 253 : last + 1}`;
}

/** The dataplane that a script runs against. */
export function dataplaneOptions(settings: Settings, kernel: WebAssembly.Module): DataplaneOptions {
  const { local, remote, gateway, prefix } = hostsOf(settings);
  const ipv6 = settings.version === 6;
  const onLink = !ipv6 && samePrefix(local, remote, prefix);
  const neighbour = onLink ? remote : gateway;
  const addresses = ipv6
    ? {
        ip: `${IPV4_BESIDES}/16`,
        ip6: {
          addresses: [`${local}/${prefix}`],
          autoconfigured: false,
          detectDuplicates: false,
        },
        gateway6: gateway,
      }
    : { ip: `${local}/${prefix}`, ...(onLink ? {} : { gateway }) };
  const mtu = settings.mtu ?? (ipv6 ? 1520 : 1500);
  if (mtu < 576 || mtu > 1906) throw new Unsupported(`MTU of ${mtu} bytes`);
  return {
    kernel,
    ...addresses,
    mac: LOCAL_MAC,
    neighbours: [{ ip: neighbour, mac: REMOTE_MAC }],
    mtu,
    ...(settings.ttl === undefined ? {} : { ttl: settings.ttl }),
    maxConnections: 64,
    ringSize: 1024,
    frames: 8192,
    references: 8192,
    applicationWindow: 1 << 22,
    offloads: { rxChecksum: false, txChecksum: false, rxHash: false },
    secret: Uint8Array.from({ length: 16 }, (_, index) => 255 - index),
    announce: false,
    tcp: settings.tcp,
  };
}

function samePrefix(a: string, b: string, prefix: number): boolean {
  const word = (text: string): number =>
    text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const shift = 2 ** (32 - prefix);
  return Math.floor(word(a) / shift) === Math.floor(word(b) / shift);
}
