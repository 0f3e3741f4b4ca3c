/**
 * Which connection a packet of the script is about. There is one socket under test: the last one made
 * or connected, or, while that one listens or has not begun anything, the connection that the next
 * inbound packet opens. Ports that are written choose among all flows.
 */
import type { PacketSpec } from "../language/script.ts";
import type { Endpoint, Socket } from "../sockets/socket.ts";
import { TcpSocket } from "../sockets/tcp-socket.ts";
import { UdpSocket } from "../sockets/udp-socket.ts";
import { Flow } from "./flow.ts";
import type { Hosts, Settings } from "./settings.ts";

/** Ports of the peers that connect. */
const FIRST_EPHEMERAL = 33_333;

export class Flows {
  readonly #settings: Settings;
  readonly #hosts: Hosts;
  readonly #all: Flow[] = [];
  #ephemeral = FIRST_EPHEMERAL;
  #socket: Socket | undefined;
  #current: Flow | undefined;

  constructor(settings: Settings, hosts: Hosts) {
    this.#settings = settings;
    this.#hosts = hosts;
  }

  get current(): Flow | undefined {
    return this.#current;
  }

  /** Whether the socket under test listens, and nobody has come yet. */
  get listening(): boolean {
    return this.#socket instanceof TcpSocket && this.#socket.listener !== undefined;
  }

  /** A new socket is under test. */
  made(socket: Socket): void {
    this.#socket = socket;
    this.#current = undefined;
  }

  /** A socket connects, and is under test from now on. */
  connecting(socket: Socket, remote: Endpoint): void {
    this.#socket = socket;
    const hosts = { ...this.#hosts, remote: remote.ip };
    const same = this.#current?.remotePort === remote.port;
    if (socket instanceof UdpSocket && same) return;
    this.#current = this.#add(new Flow(hosts, socket.ends.localPort, remote.port, true));
  }

  /** The flow that an inbound packet belongs to, begun if need be. */
  inbound(packet: PacketSpec): Flow {
    if (packet.ports) return this.#withPorts(packet.ports[1], packet.ports[0]);
    if (packet.body.kind === "icmp") {
      this.#current ??= this.#passive();
      return this.#current;
    }
    if (this.#current && !this.#accepts()) return this.#current;
    this.#current = this.#passive();
    this.#socket = undefined;
    return this.#current;
  }

  /** The flow that an outbound packet is expected on. */
  outbound(packet: PacketSpec): Flow | undefined {
    if (packet.ports) return this.#withPorts(packet.ports[0], packet.ports[1]);
    return this.#current;
  }

  /** True while the socket under test takes connections, or does nothing yet. */
  #accepts(): boolean {
    const socket = this.#socket;
    if (!(socket instanceof TcpSocket)) return false;
    return socket.listener !== undefined || (socket.isFresh && this.#current === undefined);
  }

  #passive(): Flow {
    const localPort = this.#socket?.ends.localPort ?? this.#settings.bindPort;
    return this.#add(new Flow(this.#hosts, localPort, this.#ephemeral++));
  }

  #withPorts(local: number, remote: number): Flow {
    const found = this.#all.find(
      (flow) =>
        flow.remotePort === remote && (flow.localPort === undefined || flow.localPort === local),
    );
    const flow = found ?? this.#add(new Flow(this.#hosts, local, remote));
    this.#current = flow;
    this.#socket = undefined;
    return flow;
  }

  #add(flow: Flow): Flow {
    this.#all.push(flow);
    return flow;
  }
}
