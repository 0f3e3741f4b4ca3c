/**
 * Linux's end of a TAP: the interface's address, MTU, MAC and whether it is up, set by the ioctls of
 * netdevice(7), so that nothing needs the `ip` command.
 */
import { closeSync } from "node:fs";
import { IpAddress } from "../libix/ip-address.ts";
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

export interface LinkSettings {
  /** IPv4 address and prefix of Linux's end, "10.9.0.1/24". */
  readonly address?: string;
  /** MAC of Linux's end, "02:00:00:00:00:01". */
  readonly mac?: string;
  /** Largest IP packet that Linux sends, bytes. */
  readonly mtu?: number;
  readonly up: boolean;
}

/** Applies what is given to the interface `name`. Throws a TapError. */
export function configureLink(name: string, settings: LinkSettings): void {
  withSocket((socket) => {
    const request = new InterfaceRequest(name);
    const set = (code: number, what: string): void => {
      if (libc().ioctl(socket, code, request.address) < 0) throw refused(name, what);
    };
    if (settings.mac !== undefined) {
      request.clear().view.setUint16(IFNAMSIZ, ARPHRD_ETHER, true);
      request.bytes.set(parseMac(settings.mac), IFNAMSIZ + 2);
      set(SIOCSIFHWADDR, `set its MAC to ${settings.mac}`);
    }
    if (settings.mtu !== undefined) {
      request.clear().view.setUint32(IFNAMSIZ, settings.mtu, true);
      set(SIOCSIFMTU, `set its MTU to ${settings.mtu}`);
    }
    if (settings.address !== undefined) {
      const { ip, mask } = parseNetwork(settings.address);
      writeSocketAddress(request, ip);
      set(SIOCSIFADDR, `set its address to ${settings.address}`);
      writeSocketAddress(request, mask);
      set(SIOCSIFNETMASK, `set its address to ${settings.address}`);
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
    const bytes = request.bytes.subarray(IFNAMSIZ + 2, IFNAMSIZ + 8);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
  });
}

/** Six bytes; throws a TypeError for anything but six pairs of hexadecimal digits. */
export function parseMac(text: string): Uint8Array {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) {
    throw new TypeError(`mac must be like "02:00:00:00:00:01", not ${JSON.stringify(text)}`);
  }
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** IPv4 address and mask as four bytes each; throws a TypeError for anything but "a.b.c.d/n". */
export function parseNetwork(text: string): { ip: Uint8Array; mask: Uint8Array } {
  const wrong = (): TypeError =>
    new TypeError(`address must be like "10.9.0.1/24", not ${JSON.stringify(text)}`);
  const [, ipText, prefixText] = /^([\d.]+)\/(\d+)$/.exec(text) ?? [];
  const prefix = Number(prefixText);
  if (ipText === undefined || prefix > 32) throw wrong();
  const mask = new Uint8Array(4);
  for (let bit = 0; bit < prefix; bit++) mask[bit >> 3] |= 0x80 >> (bit & 7);
  try {
    return { ip: IpAddress.parse(ipText).toBytes().subarray(12), mask };
  } catch {
    throw wrong();
  }
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
