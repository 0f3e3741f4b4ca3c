/** `ixwasm run`: a dataplane with an application, until it is stopped. */
import { Command, Option } from "commander";
import { existsSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import type { Incident } from "../../../control/watchdog.ts";
import { formatIp, parseCidr } from "../../../dataplane/addresses.ts";
import * as check from "../../../dataplane/checks.ts";
import type { DataplaneOptions } from "../../../dataplane/options.ts";
import { checkLinkOptions } from "../../../nic/link.ts";
import type { LinkOptions } from "../../../nic/types.ts";
import { packageFile } from "../../kernel.ts";
import { cidr, decimal, hostPort, integer, json, type HostPort } from "../arguments.ts";
import { CliError, EXIT_HUNG_UP, EXIT_INTERRUPTED, usageError } from "../errors.ts";
import { incidentText } from "../incidents.ts";
import { createLoadState } from "../load-state.ts";
import type { LoadOptions } from "../load-app.ts";
import { write } from "../output.ts";
import { POLICIES } from "../policies.ts";
import { Run, type AppModule, type Peer, type RunOptions } from "../run.ts";
import { socketOf } from "../socket-path.ts";

const EXAMPLES = `
Examples:
  ixwasm run                                     echo, with a client that sends 10 000 messages a second
  ixwasm run --cores 2 --load-rate 0             two cores, as much load as they take
  ixwasm run --metrics 9464                      Prometheus' text form at http://127.0.0.1:9464/metrics
  ixwasm run app.js --load --port 80             an application of your own, with the same load
  sudo ixwasm run --tap tap0 --host 10.9.0.1/24  echo for Linux: nc 10.9.0.2 7

An application is a module whose default export makes an App (see "Applications" in the README); what
it posts is printed.
While it runs, ixwasm top, stats and capture show what it does. SIGTERM ends it with exit code 0,
Ctrl-C with 130.
`;

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

interface RunFlags {
  readonly echo?: boolean;
  readonly options?: unknown;
  readonly port: number;
  readonly ip: string;
  readonly gateway?: string;
  readonly cores: number;
  readonly active?: number;
  readonly policy?: string;
  readonly batch?: number;
  readonly connections: number;
  readonly profile: "default" | "lan";
  readonly idle: "park" | "spin";
  readonly hangTimeout: number;
  readonly tap?: string;
  readonly host?: string;
  readonly namespace?: string;
  readonly load?: boolean;
  readonly loadRate: number;
  readonly loadConnections: number;
  readonly loadSize: number;
  readonly loadCores: number;
  readonly peer?: string;
  readonly peerOptions?: unknown;
  readonly link?: unknown;
  readonly name?: string;
  readonly socket?: string;
  readonly metrics?: HostPort;
  readonly duration?: number;
}

export function runCommand(version: string): Command {
  const command = new Command("run")
    .description("Runs an application on a dataplane, on emulated NICs or a TAP device.")
    .argument("[app]", "module of the application; without one it is an echo server")
    .option("--echo", "run the echo server (what is run without <app>)")
    .option("--options <json>", "what the application is handed as its options", json)
    .option("-p, --port <port>", "port of the echo server, and of the load", integer(1, 65535), 7)
    .option("--name <name>", "name of the run (default: that of the application)")
    .option("-s, --socket <path>", "control socket (default: NAME.sock in a directory of yours)")
    .option("-m, --metrics <address>", "serve Prometheus' text form at HOST:PORT or PORT", hostPort)
    .option("-d, --duration <s>", "end after so many seconds", decimal(0.001, 1e9));
  command
    .optionsGroup("Dataplane:")
    .option("--ip <cidr>", "address and prefix of the dataplane", cidr, "10.9.0.2/24")
    .option("--gateway <ip>", "where packets for other networks go")
    .option("-c, --cores <n>", "cores, each with a thread", integer(1, 64), 1)
    .option("--active <n>", "cores that are active at first (default: all)", integer(1, 64))
    .addOption(policyOption())
    .option("--batch <n>", "the bound B: packets that an iteration takes", integer(1, 256))
    .option("--connections <n>", "connections at once", integer(1, 1 << 20), 4096)
    .addOption(profileOption())
    .addOption(idleOption())
    .option(
      "--hang-timeout <ms>",
      "time without an answer after which others take over a core; 0: never",
      integer(0, 1e6),
      1000,
    );
  command
    .optionsGroup("TAP device (Linux, root):")
    .option("--tap <name>", "connect the NIC to this TAP device, made if it does not exist")
    .option("--host <cidr>", "address and prefix for Linux's end", cidr)
    .option("--namespace <name>", "network namespace of the TAP device");
  command
    .optionsGroup("Emulated NIC:")
    .option("--load", "put load on the application; the echo server has it without asking")
    .option(
      "--load-rate <n>",
      "messages a second; 0: as many as come back",
      integer(0, 1e9),
      10_000,
    )
    .option("--load-connections <n>", "connections of the load", integer(1, 1 << 16), 64)
    .option("--load-size <bytes>", "bytes of a message", integer(1, 65536), 64)
    .option("--load-cores <n>", "cores that make the load", integer(1, 64), 1)
    .option("--peer <app>", "module to run at the other end of the cable instead")
    .option("--peer-options <json>", "what that one is handed as its options", json)
    .option(
      "--link <json>",
      `what the cable does: '{"delay":50,"loss":0.01}', as connectPorts`,
      json,
    );
  return command
    .addHelpText("after", EXAMPLES)
    .action((app: string | undefined, flags: RunFlags) => run(app, flags, version));
}

function policyOption(): Option {
  return new Option("--policy <name>", "who decides how many cores are active").choices([
    ...POLICIES.keys(),
  ]);
}

function profileOption(): Option {
  return new Option("--profile <name>", "timers of TCP: for the Internet, or for a data centre")
    .choices(["default", "lan"])
    .default("default");
}

function idleOption(): Option {
  return new Option("--idle <what>", "what a core without work does: sleep, or go on polling")
    .choices(["park", "spin"])
    .default("park");
}

async function run(app: string | undefined, flags: RunFlags, version: string): Promise<void> {
  refuseContradictions(app, flags);
  const ending = untilToldToEnd(flags.duration);
  const running = await Run.start(runOptions(app, flags, version));
  try {
    await write(`${introduction(running, flags)}\n`);
    await Promise.race([running.done, ending]);
  } finally {
    await running.stop();
  }
  await running.done;
}

/** Fulfilled by a signal, or when the time is over. A second signal ends the process at once. */
function untilToldToEnd(duration: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (exitCode: number): void => {
      if (process.exitCode !== undefined) process.exit(exitCode);
      process.exitCode = exitCode;
      resolve();
    };
    process.on("SIGINT", () => onSignal(EXIT_INTERRUPTED));
    process.on("SIGTERM", () => onSignal(0));
    process.on("SIGHUP", () => onSignal(EXIT_HUNG_UP));
    if (duration !== undefined) setTimeout(resolve, duration * 1000).unref();
  });
}

function refuseContradictions(app: string | undefined, flags: RunFlags): void {
  if (app !== undefined && flags.echo) throw usageError("give <app> or --echo, not both");
  if (app === undefined && flags.options !== undefined) {
    throw usageError("--options is for an <app>; the echo server takes --port");
  }
  const emulated = flags.load ? "--load" : flags.peer !== undefined ? "--peer" : undefined;
  if (flags.tap !== undefined && emulated !== undefined) {
    throw usageError(`${emulated} is for emulated NICs: who is behind a TAP device is Linux`);
  }
  if (app !== undefined && flags.tap === undefined && emulated === undefined) {
    throw usageError(
      "an application needs somebody to talk to: give --load (which sends what it expects back), " +
        "--peer <app>, or --tap <name>",
    );
  }
  if (flags.load && flags.peer !== undefined) throw usageError("give --load or --peer, not both");
  for (const option of ["host", "namespace"] as const) {
    if (flags[option] !== undefined && flags.tap === undefined) {
      throw usageError(`--${option} is for --tap`);
    }
  }
  if (flags.peerOptions !== undefined && flags.peer === undefined) {
    throw usageError("--peer-options is for --peer");
  }
}

function runOptions(app: string | undefined, flags: RunFlags, version: string): RunOptions {
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
    version,
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
    onIncident: printIncident,
    onMessage: printMessage,
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
    tcp: { profile },
  };
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

function printIncident(incident: Incident): void {
  const text = incidentText(incident);
  if (text !== undefined) process.stderr.write(`${text}\n`);
}

/** Prints what an application posts. */
function printMessage(message: unknown, core: number): void {
  const text = typeof message === "string" ? message : inspect(message, { breakLength: Infinity });
  // Who has stopped to read the output does not stop the run.
  write(`core ${core}: ${text}\n`).catch(() => {});
}

/** What a run says when it has started. */
function introduction(running: Run, flags: RunFlags): string {
  const { name, app, ip, nic, cores } = running.snapshot();
  const threads = cores.length === 1 ? "one core" : `${cores.length} cores`;
  const lines = [`${name}: ${app} at ${ip}, ${threads}, NIC: ${nic}`];
  if (running.metricsUrl !== undefined) lines.push(`metrics: ${running.metricsUrl}`);
  const how = flags.duration === undefined ? "Ctrl-C ends it" : `it ends in ${flags.duration} s`;
  lines.push(`control socket: ${running.socket}; ${how}`);
  return lines.join("\n");
}
