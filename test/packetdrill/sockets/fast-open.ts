/**
 * What Linux lets sockets do with Fast Open (RFC 7413): its switches, which scripts change while the stack
 * runs, and what the kernel knows of servers, which decides whether a `connect` may wait for data.
 */
import {
  CFG_FAST_OPEN,
  CFG_FAST_OPEN_CACHE,
  CFG_FAST_OPEN_ENTRIES,
  CFG_FAST_OPEN_KEYS,
  CFG_FAST_OPEN_KEY_COUNT,
  CONFIG_BASE,
  FAST_OPEN_CLIENT,
  FAST_OPEN_CLIENT_BARE,
  FAST_OPEN_ENTRY_SIZE,
  FAST_OPEN_KEY_SIZE,
  FAST_OPEN_SERVER,
  FAST_OPEN_SERVER_BARE,
} from "../../../assembly/abi.ts";
import { parseIp } from "../../../host/dataplane/addresses.ts";

/** Bits of net.ipv4.tcp_fastopen. */
const CLIENT = 1;
const SERVER = 2;
const CLIENT_NO_COOKIE = 4;
const SERVER_NO_COOKIE = 0x200;
/** Listeners need not ask for it. */
const SERVER_ALWAYS = 0x400;

// An entry of the kernel's table (assembly/tcp/fast-open-cache.ts).
const ENTRY_USED_AT = 36;
const ENTRY_COOKIE_BYTES = 46;

/** The two sysctls. */
export class FastOpenSettings {
  /** As Linux has it without any preamble. */
  bits = CLIENT;
  /** None: the dataplane's own. */
  keys: readonly Uint8Array[] = [];

  get client(): boolean {
    return (this.bits & CLIENT) !== 0;
  }

  /** The most connections half open of a listener with that backlog and that TCP_FASTOPEN. */
  limitOf(backlog: number, asked: number | undefined): number {
    if (!(this.bits & SERVER)) return 0;
    if (asked !== undefined && asked > 0) return asked;
    return this.bits & SERVER_ALWAYS ? Math.max(backlog, 1) : 0;
  }

  /** `xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx`, perhaps two of them with a comma. */
  setKeys(text: string): boolean {
    if (!/^([0-9a-f]{8}(-[0-9a-f]{8}){3})(,[0-9a-f]{8}(-[0-9a-f]{8}){3})?$/i.test(text))
      return false;
    this.keys = text.split(",").map((key) => {
      const view = new DataView(new ArrayBuffer(FAST_OPEN_KEY_SIZE));
      for (const [index, word] of key.split("-").entries()) {
        view.setUint32(4 * index, parseInt(word, 16), true);
      }
      return new Uint8Array(view.buffer);
    });
    return true;
  }

  /** Tells the kernel. */
  apply(memory: WebAssembly.Memory): void {
    const { bits, keys } = this;
    const words = new DataView(memory.buffer, CONFIG_BASE);
    const allowed =
      (bits & CLIENT ? FAST_OPEN_CLIENT : 0) |
      (bits & SERVER ? FAST_OPEN_SERVER : 0) |
      (bits & CLIENT_NO_COOKIE ? FAST_OPEN_CLIENT_BARE : 0) |
      (bits & SERVER_NO_COOKIE ? FAST_OPEN_SERVER_BARE : 0);
    words.setUint32(CFG_FAST_OPEN, allowed, true);
    if (keys.length === 0) return;
    words.setUint32(CFG_FAST_OPEN_KEY_COUNT, keys.length, true);
    for (const [index, key] of keys.entries()) {
      const at = CONFIG_BASE + CFG_FAST_OPEN_KEYS + index * FAST_OPEN_KEY_SIZE;
      new Uint8Array(memory.buffer).set(key, at);
    }
  }

  /** Whether a SYN to that host may take data along. */
  maySendData(memory: WebAssembly.Memory, ip: string): boolean {
    if (!this.client) return false;
    if (this.bits & CLIENT_NO_COOKIE) return true;
    const address = parseIp(ip)!.join();
    return entriesOf(memory).some((entry) => {
      const used =
        new DataView(entry.buffer, entry.byteOffset).getUint32(ENTRY_USED_AT, true) !== 0;
      return used && entry[ENTRY_COOKIE_BYTES] > 0 && entry.subarray(0, 16).join() === address;
    });
  }
}

/** Forgets what the kernel knows of servers. */
export function forgetServers(memory: WebAssembly.Memory): void {
  for (const entry of entriesOf(memory)) entry.fill(0);
}

function entriesOf(memory: WebAssembly.Memory): Uint8Array[] {
  const words = new DataView(memory.buffer, CONFIG_BASE);
  const table = words.getUint32(CFG_FAST_OPEN_CACHE, true);
  const count = words.getUint32(CFG_FAST_OPEN_ENTRIES, true);
  return Array.from(
    { length: count },
    (_, index) =>
      new Uint8Array(memory.buffer, table + index * FAST_OPEN_ENTRY_SIZE, FAST_OPEN_ENTRY_SIZE),
  );
}

/** The bytes of `"\xf7\x63…"`; undefined when they are no keys. */
export function keysOf(text: string): Uint8Array | undefined {
  const plain = text.replace(/\\x([0-9a-f]{2})/gi, (_, byte: string) =>
    String.fromCharCode(parseInt(byte, 16)),
  );
  const bytes = Uint8Array.from(plain, (character) => character.charCodeAt(0));
  const whole = bytes.length > 0 && bytes.length % FAST_OPEN_KEY_SIZE === 0;
  return whole && bytes.length <= 2 * FAST_OPEN_KEY_SIZE ? bytes : undefined;
}
