/** Connections as the kernel's memory holds them: for assertions, never for changes. */
import {
  CFG_CONNECTIONS,
  CFG_TCB_COLD,
  CFG_TCB_HOT,
  CONFIG_BASE,
  HANDLE_INDEX_MASK,
  TCB_COLD_SIZE,
  TCB_HOT_SIZE,
} from "../../../assembly/abi.ts";
import { tcbLayout, type Layout } from "./tcb-layout.ts";

/** One connection's fields by their names in the kernel. */
export class TcbView {
  readonly #view: DataView;
  readonly #hot: number;
  readonly #cold: number;

  constructor(memory: WebAssembly.Memory, index: number) {
    this.#view = new DataView(memory.buffer);
    const base = (offset: number): number => this.#view.getUint32(CONFIG_BASE + offset, true);
    this.#hot = base(CFG_TCB_HOT) + index * TCB_HOT_SIZE;
    this.#cold = base(CFG_TCB_COLD) + index * TCB_COLD_SIZE;
  }

  /** The connection behind a handle; undefined when it is gone. */
  static ofHandle(memory: WebAssembly.Memory, handle: number): TcbView | undefined {
    const tcb = new TcbView(memory, handle & HANDLE_INDEX_MASK);
    return tcb.get("handle") === handle ? tcb : undefined;
  }

  /** Every connection that is not closed. */
  static all(memory: WebAssembly.Memory): TcbView[] {
    const view = new DataView(memory.buffer);
    const count = view.getUint32(CONFIG_BASE + CFG_CONNECTIONS, true);
    return Array.from({ length: count }, (_, index) => new TcbView(memory, index)).filter(
      (tcb) => tcb.get("state") !== 0,
    );
  }

  /** A field's value; undefined when this kernel has no such field. */
  get(name: string): number | undefined {
    const { hot, cold } = tcbLayout();
    return this.#read(hot, this.#hot, name) ?? this.#read(cold, this.#cold, name);
  }

  /** Ports in host order; the kernel has them as they lie in received packets. */
  get localPort(): number {
    return swapped((this.get("ports") ?? 0) >>> 16);
  }

  get remotePort(): number {
    return swapped((this.get("ports") ?? 0) & 0xffff);
  }

  /** The kernel's name of the connection's state. */
  get state(): string {
    const state = this.get("state");
    for (const name of STATES) if (tcbLayout().constants.get(name) === state) return name;
    return "CLOSED";
  }

  /** Whether a flag of that name is set in a field; undefined when this kernel has no such flag. */
  flag(name: string, field = "flags"): boolean | undefined {
    const bit = tcbLayout().constants.get(name);
    const flags = this.get(field);
    return bit === undefined || flags === undefined ? undefined : (flags & bit) !== 0;
  }

  /** Segments in flight with a flag of that name; undefined when this kernel has no such flag. */
  inFlightWith(name: string): number | undefined {
    const { buffer, constants } = tcbLayout();
    const bit = constants.get(name);
    if (bit === undefined) return undefined;
    const end = this.get("txNext");
    let count = 0;
    for (let at = this.get("txHead") ?? 0; at !== 0 && at !== end;) {
      if ((this.#read(buffer, at, "flags") ?? 0) & bit) count++;
      at = this.#read(buffer, at, "next") ?? 0;
    }
    return count;
  }

  /** Bytes of what is to be sent next; undefined when nothing is. */
  get nextLength(): number | undefined {
    const at = this.get("txNext") ?? 0;
    return at === 0 ? undefined : this.#read(tcbLayout().buffer, at, "length");
  }

  #read(layout: Layout, base: number, name: string): number | undefined {
    const field = layout.get(name);
    if (!field) return undefined;
    const at = base + field.offset;
    if (field.size === 1) return this.#view.getUint8(at);
    if (field.size === 2) return this.#view.getUint16(at, true);
    if (field.size === 8) return Number(this.#view.getBigUint64(at, true));
    return field.signed ? this.#view.getInt32(at, true) : this.#view.getUint32(at, true);
  }
}

function swapped(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}

const STATES = [
  "SYN_SENT",
  "SYN_RECEIVED",
  "FAST_OPENED",
  "ESTABLISHED",
  "FIN_WAIT_1",
  "FIN_WAIT_2",
  "CLOSING",
  "TIME_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
];
