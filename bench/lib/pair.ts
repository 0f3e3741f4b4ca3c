/** Two dataplanes on one cable, as the experiments on ixwasm have them: a server and a client. */
import { connectPorts, createDataplane } from "../../host/node/index.ts";
import type { Dataplane, DataplaneOptions, LinkOptions, Wire } from "../../host/node/index.ts";

export const SERVER_IP = "10.0.0.1";
export const CLIENT_IP = "10.0.0.2";

export interface Pair {
  readonly server: Dataplane;
  readonly client: Dataplane;
  /** The wires that each sends on. */
  readonly serverWire: Wire;
  readonly clientWire: Wire;
}

/**
 * Makes the pair; `options` are for both dataplanes, `link` for both directions, and `serverOptions` what
 * the server has different.
 */
export function createPair(
  options: Partial<DataplaneOptions> = {},
  link: LinkOptions = {},
  serverOptions: Partial<DataplaneOptions> = {},
): Pair {
  const tcp = { profile: "lan" as const, ...options.tcp };
  const common = { ...options, tcp };
  const server = createDataplane({
    name: "server",
    ip: `${SERVER_IP}/24`,
    ...common,
    ...serverOptions,
  });
  const client = createDataplane({ name: "client", ip: `${CLIENT_IP}/24`, ...options, tcp });
  const [serverWire, clientWire] = connectPorts(server.port, client.port, link);
  return { server, client, serverWire, clientWire };
}
