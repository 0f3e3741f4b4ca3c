/** What a program's sockets may be: Node's own on loopback, or those of ixwasm in the same process. */
import * as net from "node:net";
import * as ixwasmNet from "../../host/node/net/index.ts";
import type { Host } from "../../host/net/host.ts";

/** "register" is the same program as "loopback", started with `--import ixwasm/register`. */
export type NodeSystem = "loopback" | "register" | "one-host" | "two-hosts";

export const SYSTEM_TITLES: Readonly<Record<NodeSystem, string>> = {
  loopback: "Node on loopback",
  register: "ixwasm/register",
  "one-host": "ixwasm/net, one host",
  "two-hosts": "ixwasm/net, two hosts",
};

const DESCRIPTIONS: Readonly<Record<NodeSystem, string>> = {
  loopback: "node:net, on the system's loopback",
  register: "the same program, started with --import ixwasm/register",
  "one-host": "ixwasm/net, both ends on one host",
  "two-hosts": "ixwasm/net, a host for each end",
};

/** What each is, for the help. */
export function describeNodeSystems(names: readonly NodeSystem[]): string[] {
  return ["Systems:", ...names.map((name) => `  ${name.padEnd(11)} ${DESCRIPTIONS[name]}`)];
}

/** For `node`: puts the program on a dataplane. */
export const REGISTERED = [
  "--import",
  new URL("../../host/node/register/index.js", import.meta.url).href,
];

/** Where both ends of a system are. */
export interface Place {
  readonly net: Pick<typeof net, "connect" | "createServer">;
  /** For the options of a server, and of a client. */
  readonly server: net.ServerOpts & { readonly via?: Host };
  readonly client: { readonly via?: Host; readonly host: string };
}

/** The place of a program that asks for sockets itself. */
export function placeOf(system: NodeSystem): Place {
  if (system === "loopback" || system === "register") {
    return { net, server: {}, client: { host: "127.0.0.1" } };
  }
  const network = ixwasmNet.createNetwork();
  const client = network.addHost("client");
  const server = system === "two-hosts" ? network.addHost("server") : client;
  const own = ixwasmNet as unknown as Place["net"];
  return { net: own, server: { via: server }, client: { via: client, host: server.name } };
}
