/**
 * What a flood is let loose on: a server with streams from one client and a newcomer after the other from
 * a second one, on a switch, with the source of the SYNs behind a port of its own.
 *
 *   client ── link of the given rate ──┐
 *   newcomers ─────────────────────────┤ switch ── server
 *   SYNs, whose senders are elsewhere ─┘           takes the source for its gateway
 */
import { createDataplane, createSwitch } from "../../host/node/index.ts";
import type { Dataplane, DataplaneOptions, Wire } from "../../host/node/index.ts";
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import { FlowReceiver, FlowSender, PORT } from "../flows/apps.ts";
import { CLIENT_IP, SERVER_IP } from "../lib/pair.ts";
import { Newcomer } from "./newcomer.ts";
import { SynSource } from "./syn-source.ts";

export interface BedOptions {
  /** Streams, and what their link carries: bits a second, µs each way. */
  readonly streams: number;
  readonly rate: number;
  readonly delay: number;
}

export interface Bed {
  readonly server: Dataplane;
  readonly client: Dataplane;
  readonly newcomers: Dataplane;
  readonly wires: { readonly server: Wire; readonly client: Wire; readonly newcomers: Wire };
  readonly receiver: FlowReceiver;
  readonly sender: FlowSender;
  readonly newcomer: Newcomer;
  readonly source: SynSource;
}

const GATEWAY_IP = "10.0.0.254";
const GATEWAY_MAC = [2, 0, 0, 0, 0, 254];
const NEWCOMER_IP = "10.0.0.3";
/** Of the frames that wait for the link: as many as it carries in a round trip, at least this many. */
const LEAST_QUEUE = 64;
const FRAME = 1500;
const CUBIC = CONGESTION_CONTROLS.indexOf("cubic") + 1;

export function createBed({ streams, rate, delay }: BedOptions): Bed {
  const common: Partial<DataplaneOptions> = {
    maxConnections: 4096,
    secret: new Uint8Array(16).fill(7),
    tcp: { profile: "lan" },
  };
  const mac = GATEWAY_MAC.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  const server = createDataplane({
    ...common,
    name: "server",
    ip: `${SERVER_IP}/24`,
    gateway: GATEWAY_IP,
    neighbours: [{ ip: GATEWAY_IP, mac }],
  });
  const client = createDataplane({ ...common, name: "client", ip: `${CLIENT_IP}/24` });
  const newcomers = createDataplane({ ...common, name: "newcomers", ip: `${NEWCOMER_IP}/24` });
  const ip = SERVER_IP.split(".").map(Number);
  const source = new SynSource(GATEWAY_MAC, { mac: server.port.mac, ip, port: PORT }, 1);
  const queueLimit = Math.max(Math.ceil((rate * delay * 2) / 8e6 / FRAME), LEAST_QUEUE);
  const link = { rate, delay, queueLimit };
  const ports = [server.port, client.port, newcomers.port, source.handle];
  const [toServer, toClient, toNewcomers, out] = createSwitch(ports, [{}, link, { delay }, {}]);
  source.connect(out);
  return {
    server,
    client,
    newcomers,
    wires: { server: toServer, client: toClient, newcomers: toNewcomers },
    receiver: new FlowReceiver(),
    sender: new FlowSender(Array.from({ length: streams }, () => CUBIC)),
    newcomer: new Newcomer(PORT),
    source,
  };
}
