/**
 * The demo's machines and cables: a server of MAX_CORES cores, the clients' dataplane, and the flooder, on
 * a switch. What the link lever makes worse is the cable of the clients, both ways. All of it is plain
 * data for whoever runs it.
 */
import {
  createDataplane,
  Random,
  Switch,
  type Dataplane,
  type LinkOptions,
} from "../../host/index.ts";
import type { PortHandle, SwitchWire } from "../../host/index.ts";
import { CLIENT_IP, FLOODER_IP, FLOODER_MAC, SERVER_IP } from "./addresses.ts";
import type { Board } from "./board.ts";
import { createFlooderPort } from "./flooder.ts";
import { MAX_CORES, RANGES, type Scenario } from "./messages.ts";

export interface Network {
  readonly server: Dataplane;
  readonly client: Dataplane;
  readonly flooder: PortHandle;
  readonly wires: {
    readonly server: SwitchWire;
    readonly client: SwitchWire;
    readonly flooder: SwitchWire;
  };
}

/**
 * What depends on the clock. In virtual time rings are small enough that they can be seen to fill, and
 * timeouts those of a data centre. In real time a thread may be held up for long, because others have its
 * processor: that is neither a loss nor a reason to drop.
 */
const CLOCKS = {
  virtual: { ringSize: 256, frames: 1536, tcp: { profile: "lan" } },
  real: { ringSize: 1024, frames: 5120, tcp: { minRto: 200_000, delayedAck: 1000 } },
} as const;

export function createNetwork(
  scenario: Scenario,
  kernel: WebAssembly.Module,
  clock: keyof typeof CLOCKS,
): Network {
  const { ringSize, frames } = CLOCKS[clock];
  const random = new Random(scenario.seed);
  const secret = (): Uint8Array => Uint8Array.from({ length: 16 }, () => random.below(256));
  const tcp = { ...CLOCKS[clock].tcp, congestionControl: scenario.congestion };
  const server = createDataplane({
    name: "server",
    kernel,
    ip: `${SERVER_IP}/24`,
    gateway: FLOODER_IP,
    neighbours: [{ ip: FLOODER_IP, mac: macText(FLOODER_MAC) }],
    cores: MAX_CORES,
    activeCores: scenario.cores,
    batch: scenario.batch,
    ringSize,
    txRingSize: 4 * ringSize,
    frames: MAX_CORES * frames,
    // What one core may have to take, and those that the flood leaves half open.
    maxConnections: MAX_CORES * 2 * RANGES.connections[1],
    applicationWindow: MAX_CORES << 20,
    secret: secret(),
    tcp,
  });
  const client = createDataplane({
    name: "client",
    kernel,
    ip: `${CLIENT_IP}/24`,
    maxConnections: 4 * RANGES.connections[1],
    secret: secret(),
    tcp,
  });
  const flooder = createFlooderPort();
  const center = new Switch();
  const wires = {
    server: center.connect(server.port),
    client: center.connect(client.port),
    flooder: center.connect(flooder),
  };
  return { server, client, flooder, wires };
}

/**
 * Makes the clients' cable what the board says, for backends of the calling thread: `wire` is any of the
 * switch's, or a thread's copy of it.
 */
export function applyLink({ wires: { client } }: Pick<Network, "wires">, board: Board): void {
  const { ways, port } = client;
  Object.assign(ways.ports[port], { up: linkOf(board, 1), down: linkOf(board, 2) });
  ways.version++;
}

function linkOf(board: Board, way: number): LinkOptions {
  const delay = board.get("delay");
  const rate = board.get("rate");
  return {
    delay,
    jitter: board.get("jitter"),
    loss: board.get("loss"),
    reorder: board.get("reorder"),
    reorderDelay: 10 + 2 * delay,
    rate: rate > 0 ? Math.max(rate, 1e6) : undefined,
    // Room for about a millisecond at 10 Gbit/s; DCTCP wants its marks early (RFC 8257).
    queueLimit: 256,
    ecnThreshold: rate > 0 ? 20 : undefined,
    seed: board.get("seed") * 2 + way,
  };
}

function macText(mac: readonly number[]): string {
  return mac.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
