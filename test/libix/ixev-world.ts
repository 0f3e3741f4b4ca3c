/** An event layer on a scripted kernel, and the events that a connection sees. */
import { expect } from "vitest";
import { EV_DEAD, EV_KNOCK, EV_RECV, EV_SENT, RC_OK, SYS_ACCEPT } from "../../assembly/abi.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import type { IxevOperations, IxevOptions } from "../../host/libix/ixev-operations.ts";
import { essential, FakeKernel } from "./fake-kernel.ts";
import type { Call, FakeEvent, FakeOptions } from "./fake-kernel.ts";

export const ALL = IXEVHUP | IXEVIN | IXEVOUT;
/** Cookie of the layer's own timer. */
export const TIMER = 0xffffffff;

/** A connection's life as its application sees it. */
export interface Peer {
  readonly context: IxevContext;
  readonly handle: number;
  readonly cookie: number;
  /** Conditions of each call of the handler. */
  readonly calls: number[];
}

export class World {
  readonly kernel: FakeKernel;
  readonly ixev: Ixev;
  readonly released: IxevContext[] = [];
  readonly dialed: [IxevContext, number][] = [];
  next: IxevContext | null = null;
  now = 1000;
  #handles = 0x7700000;

  constructor(
    operations: Partial<IxevOperations> = {},
    options: IxevOptions = {},
    fake: FakeOptions = {},
  ) {
    this.kernel = new FakeKernel(fake);
    this.ixev = new Ixev(
      this.kernel.ix,
      {
        accept: () => this.next,
        dialed: (context, outcome) => void this.dialed.push([context, outcome]),
        released: (context) => void this.released.push(context),
        ...operations,
      },
      options,
    );
    this.ixev.listen(7);
    this.round();
  }

  /** The kernel's poll and a round of the loop; returns the calls that the poll ran. */
  round(...events: FakeEvent[]): Call[] {
    return essential(this.kernel.round(this.ixev, events, this.now));
  }

  /** An accepted connection whose handler waits for `mask`. */
  accept(mask = ALL, handler: (peer: Peer, conditions: number) => void = () => {}): Peer {
    const context = new IxevContext();
    const calls: number[] = [];
    const handle = this.#handles++;
    this.next = context;
    let peer: Peer | undefined;
    context.setHandler(mask, (_, conditions) => {
      calls.push(conditions);
      handler(peer!, conditions);
    });
    peer = { context, handle, calls, cookie: 0 };
    this.round({ op: EV_KNOCK, handle });
    peer = { ...peer, cookie: context.cookie };
    this.next = null;
    const [accepted] = this.round();
    expect(accepted).toMatchObject({ op: SYS_ACCEPT, handle, cookie: context.cookie });
    calls.length = 0;
    return peer;
  }

  recv({ handle, cookie }: Peer, text: string, offset = 0): FakeEvent {
    const bytes = new TextEncoder().encode(text);
    const a = this.kernel.frame(offset, bytes);
    return { op: EV_RECV, handle, cookie, a, b: bytes.length };
  }
}

export function fin({ handle, cookie }: Peer): FakeEvent {
  return { op: EV_RECV, handle, cookie };
}

export function sent({ handle, cookie }: Peer, bytes: number, window = 65535): FakeEvent {
  return { op: EV_SENT, handle, cookie, a: bytes, b: window };
}

export function dead({ handle, cookie }: Peer, result: number = RC_OK, acked = 0): FakeEvent {
  return { op: EV_DEAD, handle, cookie, result, a: acked };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function readAll(context: IxevContext): string {
  const into = new Uint8Array(4096);
  const length = context.recv(into);
  return length <= 0 ? `<${length}>` : new TextDecoder().decode(into.subarray(0, length));
}

/** Numbered bytes, so that every position can be told. */
export function numbered(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) * 31 + ((from + i) >>> 8));
}
