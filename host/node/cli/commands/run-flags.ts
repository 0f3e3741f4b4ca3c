/** The options of `ixwasm run`, and which of them make no sense together. */
import { Option, type Command } from "commander";
import { cidr, decimal, hostPort, integer, json, type HostPort } from "../arguments.ts";
import { usageError } from "../errors.ts";
import { POLICIES } from "../policies.ts";

export interface RunFlags {
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
  readonly window?: number;
  readonly sharedWindow?: number;
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

/** Declares all of them. */
export function addRunOptions(command: Command): void {
  command
    .argument("[app]", "module of the application; without one it is an echo server")
    .option("--echo", "run the echo server (what is run without <app>)")
    .option("--options <json>", "what the application is handed as its options", json)
    .option("-p, --port <port>", "port of the echo server, and of the load", integer(1, 65535), 7)
    .option("--name <name>", "name of the run (default: that of the application)")
    .option("-s, --socket <path>", "control socket (default: NAME.sock in a directory of yours)")
    .option("-m, --metrics <address>", "serve Prometheus' text form at HOST:PORT or PORT", hostPort)
    .option("-d, --duration <s>", "end after so many seconds", decimal(0.001, 1e9));
  addDataplaneOptions(command);
  addTapOptions(command);
  addEmulationOptions(command);
}

function addDataplaneOptions(command: Command): void {
  command
    .optionsGroup("Dataplane:")
    .option("--ip <cidr>", "address and prefix of the dataplane", cidr, "10.9.0.2/24")
    .option("--gateway <ip>", "where packets for other networks go")
    .option("-c, --cores <n>", "cores, each with a thread", integer(1, 64), 1)
    .option("--active <n>", "cores that are active at first (default: all)", integer(1, 64))
    .addOption(policyOption())
    .option("--batch <n>", "the bound B: packets that an iteration takes", integer(1, 256))
    .option("--connections <n>", "connections at once", integer(1, 1 << 20), 4096)
    .option("--window <MiB>", "the application's window, a power of two", integer(1, 1024))
    .option("--shared-window <MiB>", "the part of it that all cores share", integer(1, 768))
    .addOption(profileOption())
    .addOption(idleOption())
    .option(
      "--hang-timeout <ms>",
      "time without an answer after which others take over a core; 0: never",
      integer(0, 1e6),
      1000,
    );
}

function addTapOptions(command: Command): void {
  command
    .optionsGroup("TAP device (Linux, root):")
    .option("--tap <name>", "connect the NIC to this TAP device, made if it does not exist")
    .option("--host <cidr>", "address and prefix for Linux's end", cidr)
    .option("--namespace <name>", "network namespace of the TAP device");
}

function addEmulationOptions(command: Command): void {
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

/** Throws a CliError for options that contradict each other. */
export function refuseContradictions(app: string | undefined, flags: RunFlags): void {
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
