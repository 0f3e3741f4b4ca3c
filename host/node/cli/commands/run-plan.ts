/** What `ixwasm run` starts, by what it was asked for. */
import { existsSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { formatIp, parseCidr } from "../../../dataplane/addresses.ts";
import * as check from "../../../dataplane/checks.ts";
import type { DataplaneOptions } from "../../../dataplane/options.ts";
import { checkLinkOptions } from "../../../nic/link.ts";
import type { LinkOptions } from "../../../nic/types.ts";
import { packageFile } from "../../kernel.ts";
import { CliError, usageError } from "../errors.ts";
import { createLoadState } from "../load-state.ts";
import type { LoadOptions } from "../load-app.ts";
import type { AppModule, Peer, RunOptions } from "../run.ts";
import { socketOf } from "../socket-path.ts";
import type { RunFlags } from "./run-flags.ts";

/** What --link may say. */
const LINK_OPTIONS: readonly (keyof LinkOptions)[] = [
  "rate",
  "delay",
  "jitter",
  "loss",
  "duplicate",
  "corrupt",
  "reorder",
  "reorderDelay",
  "queueLimit",
  "seed",
];

/** All of a run's options but for who hears of what happens. */
export type RunPlan = Omit<RunOptions, "version" | "onIncident" | "onMessage">;

/**
 * The options for a run of `app`, or of the echo server.
 *
 * @throws {CliError} there is no such module, or an option's value is not allowed
 */
export function planRun(app: string | undefined, flags: RunFlags): RunPlan {
  const served =
    app === undefined
      ? exampleApp("echo", "echo-server-ixev", { ports: [flags.port] })
      : userApp(app, flags.options);
  const name = flags.name ?? served.name;
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw usageError(`a name has letters, digits, ".", "_" and "-", not ${JSON.stringify(name)}`);
  }
  const { metrics, policy, tap, host, namespace } = flags;
  return {
    name,
    socket: flags.socket ?? socketOf(name),
    app: served,
    dataplane: dataplaneOptions(flags),
    threads: { idle: flags.idle, hangTimeout: flags.hangTimeout },
    network:
      tap === undefined
        ? { peer: peerOf(flags) }
        : { tap: { name: tap, address: host, namespace, queues: flags.cores } },
    metrics,
    policy,
  };
}

function dataplaneOptions(flags: RunFlags): DataplaneOptions {
  const { ip, gateway, cores, active, batch, connections, profile } = flags;
  return {
    ip,
    gateway,
    cores,
    activeCores: active,
    batch,
    maxConnections: connections,
    applicationWindow: mebibytes(flags.window),
    sharedWindow: mebibytes(flags.sharedWindow),
    tcp: { profile },
  };
}

function mebibytes(size: number | undefined): number | undefined {
  return size === undefined ? undefined : size * 2 ** 20;
}

/** The other end of the cable: the load generator, or a module of the user's. */
function peerOf(flags: RunFlags): Peer {
  const { ip, peer, loadCores: cores, loadConnections: connections, profile } = flags;
  const link = linkOptions(flags.link);
  const options = { ip: neighbourOf(ip), tcp: { profile } };
  if (peer !== undefined)
    return { app: userApp(peer, flags.peerOptions), dataplane: options, link };
  const state = createLoadState(cores);
  const load: LoadOptions = {
    server: ip.slice(0, ip.indexOf("/")),
    port: flags.port,
    connections,
    rate: flags.loadRate,
    size: flags.loadSize,
    cores,
    state,
  };
  const module = packageFile("dist/host/node/cli/load-app.js").href;
  return {
    app: { name: "load", module, options: load },
    // Flow groups are dealt to cores, so one core may have more than its share of connections.
    dataplane: { ...options, cores, maxConnections: 2 * connections + 256 },
    link,
    load: state,
  };
}

function linkOptions(given: unknown): LinkOptions {
  const link = check.record<LinkOptions>("--link", given, LINK_OPTIONS);
  try {
    checkLinkOptions(link);
  } catch (error) {
    throw usageError(`--link: ${(error as Error).message}`);
  }
  return link;
}

/** Another address of the same network, with its prefix. */
function neighbourOf(ip: string): string {
  const { address, prefix } = parseCidr(ip)!;
  if (prefix > 30) throw usageError(`--ip ${ip}: the network has no room for a second address`);
  const last = address[15];
  // Neither the network's own address nor its broadcast address ends in 01 or 10.
  address[15] = (last & 3) === 1 ? last + 1 : (last & ~3) | 1;
  return `${formatIp(address)}/${prefix}`;
}

function exampleApp(name: string, file: string, options: unknown): AppModule {
  return { name, module: packageFile(`dist/examples/${file}.js`).href, options };
}

function userApp(path: string, options: unknown): AppModule {
  const file = resolve(path);
  if (!existsSync(file)) throw new CliError(`there is no module ${file}`);
  return { name: basename(file, extname(file)), module: pathToFileURL(file).href, options };
}
