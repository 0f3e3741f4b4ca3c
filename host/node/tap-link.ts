/**
 * Linux's end of a TAP: the interface's address, MTU, MAC and whether it is up, set by the ioctls of
 * netdevice(7), so that nothing needs the `ip` command.
 */
import { closeSync } from "node:fs";
import { formatIp, formatMac, type Cidr } from "../dataplane/addresses.ts";
import { errorName, TapError } from "./tap-errors.ts";
import { EACCES, EPERM, libc } from "./tap-libc.ts";

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const ARPHRD_ETHER = 1;
const IFF_UP = 1;

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFADDR = 0x8916;
const SIOCSIFNETMASK = 0x891c;
const SIOCSIFMTU = 0x8922;
const SIOCSIFHWADDR = 0x8924;
const SIOCGIFHWADDR = 0x8927;

/** Bytes of an interface's name with its terminating zero. */
export const IFNAMSIZ = 16;

/** struct ifreq: the name, then a union of what the request is about. */
export class InterfaceRequest {
  readonly bytes = new Uint8Array(new SharedArrayBuffer(64));
  readonly view = new DataView(this.bytes.buffer);
  readonly address = libc().address(this.bytes);

  constructor(name: string) {
    for (let i = 0; i < name.length; i++) this.bytes[i] = name.charCodeAt(i);
  }

  /** The name, which the kernel may have chosen. */
  get name(): string {
    const end = this.bytes.indexOf(0);
    return String.fromCharCode(...this.bytes.subarray(0, end));
  }

  /** Clears the union, to write it anew from byte IFNAMSIZ on. */
  clear(): this {
    this.bytes.fill(0, IFNAMSIZ);
    return this;
  }
}

/** What to set; what is undefined is left as it is. */
export interface LinkSettings {
  /** IPv4 address of Linux's end, with its prefix. */
  readonly address: Cidr | undefined;
  /** MAC of Linux's end, 6 bytes. */
  readonly mac: Uint8Array | undefined;
  /** Largest IP packet that Linux sends, bytes. */
  readonly mtu: number | undefined;
  readonly up: boolean;
}

/** Applies what is given to the interface `name`. Throws a TapError. */
export function configureLink(name: string, settings: LinkSettings): void {
  withSocket((socket) => {
    const request = new InterfaceRequest(name);
    const set = (code: number, what: string): void => {
      if (libc().ioctl(socket, code, request.address) < 0) throw refused(name, what);
    };
    const { address, mac, mtu } = settings;
    if (mac !== undefined) {
      request.clear().view.setUint16(IFNAMSIZ, ARPHRD_ETHER, true);
      request.bytes.set(mac, IFNAMSIZ + 2);
      set(SIOCSIFHWADDR, `set its MAC to ${formatMac(mac)}`);
    }
    if (mtu !== undefined) {
      request.clear().view.setUint32(IFNAMSIZ, mtu, true);
      set(SIOCSIFMTU, `set its MTU to ${mtu}`);
    }
    if (address !== undefined) {
      const what = `set its address to ${formatIp(address.address)}/${address.prefix}`;
      writeSocketAddress(request, address.address.subarray(12));
      set(SIOCSIFADDR, what);
      writeSocketAddress(request, netmask(address.prefix));
      set(SIOCSIFNETMASK, what);
    }
    if (settings.up) {
      request.clear();
      set(SIOCGIFFLAGS, "read its flags");
      const flags = request.view.getUint16(IFNAMSIZ, true);
      if ((flags & IFF_UP) !== 0) return;
      request.view.setUint16(IFNAMSIZ, flags | IFF_UP, true);
      set(SIOCSIFFLAGS, "bring it up");
    }
  });
}

/** The MAC of the interface on Linux's side, "02:00:00:00:00:01". */
export function linkMac(name: string): string {
  return withSocket((socket) => {
    const request = new InterfaceRequest(name);
    if (libc().ioctl(socket, SIOCGIFHWADDR, request.address) < 0) {
      throw refused(name, "read its MAC");
    }
    return formatMac(request.bytes.subarray(IFNAMSIZ + 2, IFNAMSIZ + 8));
  });
}

function netmask(prefix: number): Uint8Array {
  const mask = new Uint8Array(4);
  for (let bit = 0; bit < prefix; bit++) mask[bit >> 3] |= 0x80 >> (bit & 7);
  return mask;
}

/** struct sockaddr_in with port 0. */
function writeSocketAddress(request: InterfaceRequest, ip: Uint8Array): void {
  request.clear().view.setUint16(IFNAMSIZ, AF_INET, true);
  request.bytes.set(ip, IFNAMSIZ + 4);
}

function withSocket<T>(use: (socket: number) => T): T {
  const socket = libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    const errno = libc().errno();
    const message = `no socket to configure a TAP with: ${errorName(errno)}`;
    throw new TapError("ERR_TAP_SYSTEM", message, { errno });
  }
  try {
    return use(socket);
  } finally {
    closeSync(socket);
  }
}

function refused(name: string, what: string): TapError {
  const errno = libc().errno();
  const problem = `Linux refused for ${name} to ${what} (${errorName(errno)})`;
  return errno === EPERM || errno === EACCES
    ? new TapError(
        "ERR_TAP_PERMISSION",
        `${problem}: run as root or with CAP_NET_ADMIN, or let root do it with the ip command ` +
          "and open the TAP with up: false and without address, mac and mtu",
        { errno },
      )
    : new TapError("ERR_TAP_SYSTEM", problem, { errno });
}
