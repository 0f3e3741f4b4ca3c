/**
 * TAP devices: Linux's own network stack at the other end of a dataplane's wire. `openTap` makes or
 * opens the interface; each of its queues then stands behind a NIC queue pair (tap-backend.ts).
 *
 *   const tap = openTap({ name: "tap0", address: "10.9.0.1/24" });
 *   const dataplane = createDataplane({ ip: "10.9.0.2/24", offloads: tap.offloads, … });
 *
 * Root or CAP_NET_ADMIN is needed, unless root has made the interface for this user
 * (ip tuntap add dev tap0 mode tap user NAME).
 */
import { closeSync, constants, openSync } from "node:fs";
import { FRAME_HEADROOM, FRAME_SIZE } from "../../assembly/abi.ts";
import * as check from "../dataplane/checks.ts";
import type { PortHandle } from "../nic/types.ts";
import { TapBackend } from "./tap-backend.ts";
import { errorName, TapError, type TapErrorCode } from "./tap-errors.ts";
import { EACCES, EBUSY, EINVAL, EPERM, libc } from "./tap-libc.ts";
import {
  configureLink,
  IFNAMSIZ,
  InterfaceRequest,
  linkMac,
  type LinkSettings,
} from "./tap-link.ts";
import { inNamespace } from "./tap-namespace.ts";
import { Steering } from "./tap-steering.ts";
import {
  closedFlag,
  countersOf,
  createTapState,
  TAP_COUNTERS,
  type TapCounters,
  type TapWire,
} from "./tap-wire.ts";

export { TapBackend } from "./tap-backend.ts";
export { TapError, type TapErrorCode } from "./tap-errors.ts";
export { type TapCounters, type TapWire } from "./tap-wire.ts";

const DEVICE = "/dev/net/tun";

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** TUNSETOFFLOAD: packets with partial checksums are welcome. */
const TUN_F_CSUM = 1;

/** The driver's own limit (MAX_TAP_QUEUES). */
const MAX_QUEUES = 256;
const ETHERNET_HEADER = 14;
/** What IPv4 demands of every link (RFC 791). */
const MIN_MTU = 68;
const MAX_MTU = FRAME_SIZE - FRAME_HEADROOM - ETHERNET_HEADER;

export interface TapOptions {
  /**
   * Name of the interface, at most 15 characters. It is made if it does not exist, and goes away with
   * the process then. Absent: Linux chooses a free tapN.
   */
  readonly name?: string;
  /**
   * Network namespace in which the interface is made: its name in `ip netns`, or a path like
   * "/proc/PID/ns/net". Needs root or CAP_SYS_ADMIN. Absent: that of this thread.
   */
  readonly namespace?: string;
  /** Queues, 1 to 256: as many as the dataplane's port has. Default 1. */
  readonly queues?: number;
  /**
   * Of several queues, let each flow go to the one that RSS chooses, as a dataplane of several cores
   * needs. Needs root or CAP_BPF. Default true; without meaning for a single queue.
   */
  readonly steering?: boolean;
  /** IPv4 address and prefix of Linux's end, "10.9.0.1/24". Absent: left as it is. */
  readonly address?: string;
  /** MAC of Linux's end, "02:00:00:00:00:01". Absent: Linux chooses. Not the dataplane's own MAC. */
  readonly mac?: string;
  /** Largest IP packet that Linux sends, 68 to 1906 bytes. Absent: left as it is, normally 1500. */
  readonly mtu?: number;
  /** Bring the interface up. Default true. */
  readonly up?: boolean;
  /**
   * Exchange TCP and UDP packets with Linux without computing their checksums, since they never are
   * on a wire. Saves both sides the work; a capture then shows checksums that are not filled in.
   * Default false.
   */
  readonly checksumOffload?: boolean;
}

const OPTION_NAMES: readonly (keyof TapOptions)[] = [
  "name",
  "namespace",
  "queues",
  "steering",
  "address",
  "mac",
  "mtu",
  "up",
  "checksumOffload",
];

/** What a NIC can do for a dataplane, as `createDataplane({ offloads })` takes it. */
export interface TapOffloads {
  readonly rxChecksum: boolean;
  readonly txChecksum: boolean;
  readonly rxHash: boolean;
}

/** An open TAP device. Garbage collection does not close it. */
export class Tap {
  /** The interface's name on Linux's side. */
  readonly name: string;
  /** Number of queues. */
  readonly queues: number;
  /** The TAP as plain data, for `new TapBackend(port, queue, wire)` on any thread of this process. */
  readonly wire: TapWire;
  /** MAC of Linux's end, for a static neighbour entry. */
  readonly mac: string;
  /** For `createDataplane({ offloads })`: a TAP computes no hash, and checksums only on demand. */
  readonly offloads: TapOffloads;

  /** Use `openTap`. */
  constructor(wire: TapWire, mac: string) {
    this.name = wire.name;
    this.queues = wire.fds.length;
    this.wire = wire;
    this.mac = mac;
    const checksum = wire.checksumOffload;
    this.offloads = { rxChecksum: checksum, txChecksum: checksum, rxHash: false };
  }

  /** Puts a queue behind the same queue of a port; call it on the thread that runs that queue. */
  backend(port: PortHandle, queue = 0): TapBackend {
    if (this.closed) throw new TapError("ERR_TAP_CLOSED", `${this.name} was closed`);
    return new TapBackend(port, queue, this.wire);
  }

  /**
   * Sends what belongs to a flow group (its RSS hash modulo 128) to another queue from now on. It
   * begins on queue `group` modulo `queues`, as in a port's RETA.
   */
  steer(group: number, queue: number): void {
    if (this.closed) throw new TapError("ERR_TAP_CLOSED", `${this.name} was closed`);
    if (this.wire.reta < 0) {
      throw new TapError("ERR_TAP_NO_STEERING", `${this.name} has one queue, or steering: false`);
    }
    new Steering(this.wire.reta, this.queues).steer(group, queue);
  }

  /** What a queue has counted, or all queues together. Any thread may ask. */
  counters(queue?: number): TapCounters {
    if (queue !== undefined && !(queue >= 0 && queue < this.queues)) {
      throw new RangeError(`queue must be from 0 to ${this.queues - 1}, not ${queue}`);
    }
    const first = queue ?? 0;
    const last = queue ?? this.queues - 1;
    const sums = TAP_COUNTERS.map((_, counter) => {
      let sum = 0;
      for (let i = first; i <= last; i++) sum += countersOf(this.wire.state, i)[counter];
      return sum;
    });
    return Object.fromEntries(TAP_COUNTERS.map((name, i) => [name, sums[i]])) as TapCounters;
  }

  get closed(): boolean {
    return Atomics.load(closedFlag(this.wire.state), 0) !== 0;
  }

  /**
   * Closes the file descriptors; an interface that was made by `openTap` goes away. Stop the threads
   * that pump its queues first. To a dataplane that still runs, the cable was pulled.
   */
  close(): void {
    if (Atomics.exchange(closedFlag(this.wire.state), 0, 1) !== 0) return;
    if (this.wire.reta >= 0) closeSync(this.wire.reta);
    for (const fd of this.wire.fds) closeSync(fd);
  }
}

/**
 * Opens a TAP device, which must not be done per connection or the like: it makes an interface.
 * Throws a TypeError or RangeError for wrong options, else a TapError whose `code` and message say
 * what is missing: koffi, the device, the right to use it.
 */
export function openTap(options: TapOptions = {}): Tap {
  const resolved = resolveOptions(options);
  libc();
  return inNamespace(resolved.namespace, () => open(resolved));
}

function open(options: ResolvedTapOptions): Tap {
  const { queues, steering, checksumOffload } = options;
  const fds: number[] = [];
  try {
    let { name } = options;
    for (let i = 0; i < queues; i++) {
      fds.push(openDevice());
      name = attach(fds[i], name, queues > 1, checksumOffload);
    }
    configureLink(name, options);
    const reta = steering && queues > 1 ? Steering.install(fds[0], queues).fd : -1;
    if (reta >= 0) fds.push(reta);
    const wire: TapWire = {
      kind: "tap",
      name,
      fds: fds.slice(0, queues),
      checksumOffload,
      reta,
      state: createTapState(queues),
    };
    return new Tap(wire, linkMac(name));
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}

interface ResolvedTapOptions extends LinkSettings {
  /** "" lets Linux choose. */
  readonly name: string;
  readonly namespace: string | undefined;
  readonly queues: number;
  readonly steering: boolean;
  readonly checksumOffload: boolean;
}

function resolveOptions(options: TapOptions): ResolvedTapOptions {
  const given = check.record<TapOptions>("options", options, OPTION_NAMES);
  const name = given.name === undefined ? "" : check.text("name", given.name, "", IFNAMSIZ - 1);
  if (/[^!-~]|[/:%]|^\.\.?$/.test(name)) {
    throw check.rangeError(
      "name",
      'a name of printable ASCII without space, "/", ":" and "%"',
      name,
    );
  }
  const { namespace, address, mac, mtu } = given;
  return {
    name,
    namespace: namespace === undefined ? undefined : check.text("namespace", namespace, "", 4096),
    queues: check.integer("queues", given.queues, 1, 1, MAX_QUEUES),
    steering: check.boolean("steering", given.steering, true),
    address: address === undefined ? undefined : check.ipv4Cidr("address", address, "10.9.0.1/24"),
    mac: mac === undefined ? undefined : check.mac("mac", mac),
    mtu: mtu === undefined ? undefined : check.integer("mtu", mtu, 0, MIN_MTU, MAX_MTU, "bytes"),
    up: check.boolean("up", given.up, true),
    checksumOffload: check.boolean("checksumOffload", given.checksumOffload, false),
  };
}

function openDevice(): number {
  try {
    return openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const { code, errno } = cause as NodeJS.ErrnoException;
    const details = { cause, errno: errno === undefined ? undefined : -errno };
    if (code === "EACCES" || code === "EPERM") {
      throw new TapError(
        "ERR_TAP_PERMISSION",
        `${DEVICE} may not be opened (${code}): run as root, or let root chmod it to 0666`,
        details,
      );
    }
    if (code === "ENOENT" || code === "ENODEV" || code === "ENXIO") {
      throw new TapError(
        "ERR_TAP_NO_DEVICE",
        `${DEVICE} is not there (${code}): load the driver (modprobe tun), make the device ` +
          `(mknod ${DEVICE} c 10 200), or give it to the container (--device ${DEVICE})`,
        details,
      );
    }
    throw new TapError("ERR_TAP_SYSTEM", `${DEVICE} cannot be opened (${code})`, details);
  }
}

/** Makes `fd` a queue of the interface `name`, or of a new one when it is "". Returns its name. */
function attach(fd: number, name: string, multiQueue: boolean, checksumOffload: boolean): string {
  const request = new InterfaceRequest(name === "" ? "tap%d" : name);
  let flags = IFF_TAP | IFF_NO_PI;
  if (multiQueue) flags |= IFF_MULTI_QUEUE;
  if (checksumOffload) flags |= IFF_VNET_HDR;
  request.view.setUint16(IFNAMSIZ, flags, true);
  if (libc().ioctl(fd, TUNSETIFF, request.address) < 0) throw attachFailed(name, multiQueue);
  // The argument is no pointer but the flags themselves. An interface that outlives its user may have
  // been left with more of them than are welcome here.
  if (libc().ioctl(fd, TUNSETOFFLOAD, checksumOffload ? TUN_F_CSUM : 0) < 0) {
    const errno = libc().errno();
    const message = `the offloads of ${request.name} cannot be set (${errorName(errno)})`;
    throw new TapError("ERR_TAP_SYSTEM", message, { errno });
  }
  return request.name;
}

function attachFailed(name: string, multiQueue: boolean): TapError {
  const errno = libc().errno();
  const what = name === "" ? "a new TAP" : `the TAP ${name}`;
  const system = errorName(errno);
  const error = (code: TapErrorCode, message: string): TapError =>
    new TapError(code, `${what}: ${message} (${system})`, { errno });
  switch (errno) {
    case EPERM:
    case EACCES:
      return error(
        "ERR_TAP_PERMISSION",
        "making it needs root or CAP_NET_ADMIN; root can make one for you with " +
          `ip tuntap add dev NAME mode tap user $USER${multiQueue ? " multi_queue" : ""}`,
      );
    case EBUSY:
      return error("ERR_TAP_BUSY", "it is open in another process, or all of its queues are");
    case EINVAL:
      return error(
        "ERR_TAP_MISMATCH",
        "the interface exists and is no TAP, or was made " +
          (multiQueue ? "for a single queue" : "for several queues") +
          " (ip -d link show tells)",
      );
    default:
      return error("ERR_TAP_SYSTEM", "Linux refused to make it");
  }
}
