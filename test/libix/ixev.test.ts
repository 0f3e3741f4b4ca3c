import { beforeEach, describe, expect, it } from "vitest";
import {
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  EV_TIMER,
  EV_UDP_RECV,
  OPTION_KEEP_ALIVE,
  OPTION_NAGLE,
  OPTION_USER_TIMEOUT,
  RC_AGAIN,
  RC_BADH,
  RC_CLOSED,
  RC_FAULT,
  RC_INUSE,
  RC_MOVED,
  RC_NOBUFS,
  RC_NOMEM,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  RC_TIMEOUT,
  SG_MAX,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_LISTEN,
  SYS_OPTION,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
  SYS_UDP_RECV_DONE,
  SYS_UNLISTEN,
} from "../../assembly/abi.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import {
  IXEVHUP,
  IXEVIN,
  IXEVLEVEL,
  IXEVONESHOT,
  IXEVOUT,
  IxevContext,
} from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import type { IxevOperations, IxevOptions } from "../../host/libix/ixev.ts";
import { essential, FakeKernel, FRAMES, operations } from "./fake-kernel.ts";
import type { Call, FakeEvent, FakeOptions } from "./fake-kernel.ts";

const ALL = IXEVHUP | IXEVIN | IXEVOUT;
/** Cookie of the layer's own timer. */
const TIMER = 0xffffffff;

/** A connection's life as its application sees it. */
interface Peer {
  readonly context: IxevContext;
  readonly handle: number;
  readonly cookie: number;
  /** Conditions of each call of the handler. */
  readonly calls: number[];
}

class World {
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

function fin({ handle, cookie }: Peer): FakeEvent {
  return { op: EV_RECV, handle, cookie };
}

function sent({ handle, cookie }: Peer, bytes: number, window = 65535): FakeEvent {
  return { op: EV_SENT, handle, cookie, a: bytes, b: window };
}

function dead({ handle, cookie }: Peer, result: number = RC_OK, acked = 0): FakeEvent {
  return { op: EV_DEAD, handle, cookie, result, a: acked };
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function readAll(context: IxevContext): string {
  const into = new Uint8Array(4096);
  const length = context.recv(into);
  return length <= 0 ? `<${length}>` : new TextDecoder().decode(into.subarray(0, length));
}

/** Numbered bytes, so that every position can be told. */
function numbered(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) * 31 + ((from + i) >>> 8));
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe("listening", () => {
  it("asks who knocks and accepts", () => {
    const context = new IxevContext();
    const knocks: string[] = [];
    world = new World({
      accept({ address, port, localPort }) {
        knocks.push(`${address}:${port} ${localPort}`);
        return context;
      },
    });
    const { w0, w1, w2, w3 } = IpAddress.parse("10.0.0.9");
    const where = { a: w0, b: w1, c: w2, d: w3 };
    world.round({ op: EV_KNOCK, handle: 5, result: 40_000 | (7 << 16), ...where });
    expect(knocks).toEqual(["10.0.0.9:40000 7"]);
    expect(context.isOpen).toBe(true);
    expect(context.handle).toBe(5);
    expect(operations(world.round())).toEqual([SYS_ACCEPT]);
    expect(world.ixev.connections).toBe(1);
  });

  it("rejects whom nobody wants", () => {
    world.round({ op: EV_KNOCK, handle: 5 });
    expect(world.round()).toMatchObject([{ op: SYS_REJECT, handle: 5 }]);
    expect(world.ixev.connections).toBe(0);
  });

  it("tells what came of listen, and ends it", () => {
    world.kernel.respond = ({ op, a }) => (op === SYS_LISTEN && a === 8 ? RC_INUSE : undefined);
    const listener = world.ixev.listen(9);
    const taken = world.ixev.listen(8);
    world.round();
    world.round();
    expect([listener.outcome, taken.outcome]).toEqual([RC_OK, RC_INUSE]);
    world.ixev.unlisten(listener);
    world.ixev.unlisten(listener);
    world.round();
    expect(world.round()).toMatchObject([{ op: SYS_UNLISTEN, handle: listener.handle }]);
    world.next = new IxevContext();
    world.round({ op: EV_KNOCK, handle: 6, cookie: 1 });
    expect(operations(world.round())).toEqual([SYS_REJECT]);
  });

  it("ends a listener that was given up before the kernel knew of it", () => {
    const listener = world.ixev.listen(9);
    world.ixev.unlisten(listener);
    world.round();
    world.round();
    expect(world.round()).toMatchObject([{ op: SYS_UNLISTEN }]);
  });

  it("hears of a peer that is gone before it is accepted", () => {
    world.kernel.respond = ({ op }) => (op === SYS_ACCEPT ? RC_BADH : undefined);
    const context = new IxevContext();
    const conditions: number[] = [];
    context.setHandler(IXEVHUP, (_, mask) => void conditions.push(mask));
    world.next = context;
    world.round({ op: EV_KNOCK, handle: 5 }, { op: EV_DEAD, handle: 5, cookie: 0 });
    world.round();
    expect(conditions).toEqual([IXEVHUP]);
    expect(context.reason).toBe(RC_RESET);
    expect(world.released).toEqual([context]);
  });
});

describe("conditions", () => {
  it("are reported once when they begin", () => {
    const peer = world.accept();
    world.round(world.recv(peer, "a"), world.recv(peer, "b", 100));
    expect(peer.calls).toEqual([IXEVIN]);
    world.round();
    expect(peer.calls).toEqual([IXEVIN]);
    world.round(world.recv(peer, "c", 200));
    expect(peer.calls).toEqual([IXEVIN, IXEVIN]);
    expect(readAll(peer.context)).toBe("abc");
  });

  it("are reported in every round while they hold, at level", () => {
    const peer = world.accept(IXEVIN | IXEVLEVEL, ({ context }) => {
      context.consume(1);
    });
    world.round(world.recv(peer, "abc"));
    expect(peer.calls).toHaveLength(1);
    // The loop must come back without any event.
    expect(world.kernel.ix.pendingCalls).toBeGreaterThan(0);
    world.round();
    world.round();
    expect(peer.calls).toHaveLength(3);
    world.round();
    world.round();
    expect(peer.calls).toHaveLength(3);
    expect(world.kernel.ix.pendingCalls).toBe(0);
  });

  it("are reported once and no more, in one-shot mode, until asked for", () => {
    const peer = world.accept(IXEVIN | IXEVONESHOT);
    world.round(world.recv(peer, "a"));
    world.round(world.recv(peer, "b", 100));
    expect(peer.calls).toEqual([IXEVIN]);
    peer.context.enable(IXEVIN);
    world.round();
    expect(peer.calls).toEqual([IXEVIN, IXEVIN]);
  });

  it("that hold already are reported when they are asked for", () => {
    const peer = world.accept(0);
    world.round(world.recv(peer, "a"));
    expect(peer.calls).toEqual([]);
    const seen: number[] = [];
    peer.context.setHandler(IXEVIN | IXEVOUT, (_, mask) => void seen.push(mask));
    world.round();
    expect(seen).toEqual([IXEVIN | IXEVOUT]);
  });

  it("that nobody waits for any more are not reported", () => {
    const peer = world.accept();
    peer.context.disable(IXEVIN);
    world.round(world.recv(peer, "a"));
    expect(peer.calls).toEqual([]);
  });

  it("of others are reported even if a handler throws", () => {
    const bad = world.accept(IXEVIN, () => {
      throw new Error("bad handler");
    });
    const good = world.accept(IXEVIN, ({ context }) => void context.recv(new Uint8Array(9)));
    const events = [world.recv(bad, "a"), world.recv(good, "b", 100)];
    expect(() => world.round(...events)).toThrow("bad handler");
    world.round();
    expect(good.calls).toEqual([IXEVIN]);
    expect(world.round()).toMatchObject([{ op: SYS_RECV_DONE, handle: good.handle, a: 1 }]);
  });
});

describe("reading", () => {
  it("copies out across segments", () => {
    const peer = world.accept();
    world.round(world.recv(peer, "hello "), world.recv(peer, "world", 2048));
    expect(peer.context.available).toBe(11);
    const small = new Uint8Array(4);
    expect(peer.context.recv(small)).toBe(4);
    expect(new TextDecoder().decode(small)).toBe("hell");
    expect(readAll(peer.context)).toBe("o world");
    expect(peer.context.recv(small)).toBe(RC_AGAIN);
    expect(peer.context.recv(new Uint8Array(0))).toBe(0);
  });

  it("gives everything consumed in a round back by one call", () => {
    const peer = world.accept(IXEVIN, ({ context }) => {
      context.recv(new Uint8Array(2));
      context.recv(new Uint8Array(3));
      context.consume(100);
    });
    world.round(world.recv(peer, "hello "), world.recv(peer, "world", 2048));
    expect(world.round()).toMatchObject([{ op: SYS_RECV_DONE, handle: peer.handle, a: 11 }]);
    expect(world.round()).toEqual([]);
  });

  it("hands out contiguous bytes in place", () => {
    const peer = world.accept();
    world.round(world.recv(peer, "abcdef", 10), world.recv(peer, "gh", 2048));
    const { context } = peer;
    expect(context.recvZeroCopy(0)).toBe(0);
    expect(context.recvZeroCopy(4)).toBe(FRAMES + 10);
    expect(context.recvZeroCopy(3)).toBe(0);
    expect([context.frontAddress, context.frontLength]).toEqual([FRAMES + 14, 2]);
    expect(context.recvZeroCopy(2)).toBe(FRAMES + 14);
    expect(context.frontAddress).toBe(FRAMES + 2048);
    expect(context.available).toBe(2);
  });

  it("ends with 0 when the peer has sent its FIN", () => {
    const peer = world.accept();
    world.round(world.recv(peer, "last"), fin(peer));
    expect(peer.calls).toEqual([IXEVIN]);
    expect(peer.context.ended).toBe(false);
    expect(readAll(peer.context)).toBe("last");
    expect(peer.context.ended).toBe(true);
    expect(peer.context.recv(new Uint8Array(1))).toBe(0);
    // The other direction goes on.
    expect(peer.context.send(bytes("x"))).toBe(1);
    world.round();
    expect(operations(world.round())).toContain(SYS_SEND);
  });
});

describe("writing", () => {
  it("makes one send of a round's writes, before what is given back", () => {
    const peer = world.accept(IXEVIN, ({ context }) => {
      context.send(bytes("one "));
      context.send(bytes("two "));
      context.recv(new Uint8Array(10));
      context.send(bytes("three"));
    });
    world.round(world.recv(peer, "x"));
    const calls = world.round();
    expect(calls.map(({ op }) => op)).toEqual([SYS_SEND, SYS_RECV_DONE]);
    expect(world.kernel.payload(calls[0])).toEqual([...bytes("one two three")]);
  });

  it("makes one sendv of copies and references in their order", () => {
    const { ix } = world.kernel;
    const own = ix.window.allocate(100);
    ix.write(own, numbered(100));
    const peer = world.accept(IXEVIN, ({ context }) => {
      context.send(bytes("head"));
      context.sendZeroCopy(own, 100);
      context.send(bytes("tail"));
    });
    world.round(world.recv(peer, "x"));
    const [call] = world.round();
    expect(call).toMatchObject({ op: SYS_SENDV, handle: peer.handle, b: 3 });
    expect(world.kernel.vector(call)[1]).toEqual({ address: own, length: 100 });
    const expected = [...bytes("head"), ...numbered(100), ...bytes("tail")];
    expect(world.kernel.payload(call)).toEqual(expected);
  });

  it("spreads more ranges than a call takes over rounds", () => {
    const peer = world.accept();
    const own = world.kernel.ix.window.allocate(64);
    for (let i = 0; i < SG_MAX + 10; i++) peer.context.sendZeroCopy(own, 1);
    world.round();
    expect(world.round()).toMatchObject([{ op: SYS_SENDV, b: SG_MAX }]);
    expect(world.round()).toMatchObject([{ op: SYS_SENDV, b: 10 }]);
    expect(world.round()).toEqual([]);
  });

  it("keeps what a send leaves over, and goes on after sent", () => {
    const peer = world.accept();
    const { kernel } = world;
    kernel.respond = ({ op }) => (op === SYS_SEND ? 6 : undefined);
    peer.context.send(numbered(10));
    world.round();
    world.round();
    expect(peer.context.unsent).toBe(4);
    peer.context.send(numbered(5, 10));
    expect(world.round()).toEqual([]);
    expect(world.round(sent(peer, 0, 0))).toEqual([]);
    expect(world.round()).toEqual([]);
    kernel.respond = () => undefined;
    world.round(sent(peer, 6, 1000));
    const [call] = world.round();
    expect(kernel.payload(call)).toEqual([...numbered(9, 6)]);
  });

  it.each([RC_NOBUFS, RC_AGAIN, RC_NOMEM, 0])("waits when a send results in %i", (result) => {
    const peer = world.accept();
    world.kernel.respond = ({ op }) => (op === SYS_SEND ? result : undefined);
    peer.context.send(bytes("abc"));
    world.round();
    world.round();
    expect(world.round()).toEqual([]);
    world.kernel.respond = () => undefined;
    world.round(sent(peer, 0, 100));
    const [call] = world.round();
    expect(world.kernel.payload(call)).toEqual([...bytes("abc")]);
    expect(peer.context.isOpen).toBe(true);
  });

  it("gives copy buffers back when the kernel has copied, or else when acknowledged", () => {
    const { window } = world.kernel.ix;
    const peer = world.accept();
    const spare = (): number => world.ixev.buffers.take();
    // Buffers are kept at hand, so what is in use shows by which one comes next.
    const first = spare();
    world.ixev.buffers.give(first);
    peer.context.send(numbered(100));
    world.round();
    world.round();
    expect(spare()).toBe(first);
    world.ixev.buffers.give(first);
    peer.context.send(numbered(1024));
    world.round();
    world.round();
    const other = spare();
    expect(other).not.toBe(first);
    world.ixev.buffers.give(other);
    const used = window.used;
    world.round(sent(peer, 1124));
    expect(spare()).toBe(first);
    expect(window.used).toBe(used);
    expect(peer.context.unacknowledged).toBe(0);
  });

  it("calls completions when their bytes are acknowledged, in order", () => {
    const peer = world.accept();
    const own = world.kernel.ix.window.allocate(4096);
    const done: string[] = [];
    peer.context.sendZeroCopy(own, 1000, (ok) => void done.push(`a ${ok}`));
    peer.context.send(numbered(10));
    peer.context.sendZeroCopy(own, 2000, (ok) => void done.push(`b ${ok}`));
    world.round();
    world.round(sent(peer, 999));
    expect(done).toEqual([]);
    world.round(sent(peer, 1));
    expect(done).toEqual(["a true"]);
    world.round(sent(peer, 2009));
    expect(done).toEqual(["a true"]);
    world.round(sent(peer, 1));
    expect(done).toEqual(["a true", "b true"]);
  });

  it("calls completions with false when the connection ends first", () => {
    const peer = world.accept();
    const own = world.kernel.ix.window.allocate(4096);
    const done: string[] = [];
    for (const name of ["a", "b", "c"]) {
      peer.context.sendZeroCopy(own, 1000, (ok) => void done.push(`${name} ${ok}`));
    }
    world.round();
    world.round(sent(peer, 500), dead(peer, RC_RESET, 700));
    expect(done).toEqual(["a true", "b false", "c false"]);
    expect(world.released).toEqual([peer.context]);
    expect(peer.context.sendZeroCopy(own, 1)).toBe(RC_CLOSED);
  });

  it("ends the connection when memory is no memory of its own", () => {
    const peer = world.accept();
    world.kernel.respond = ({ op }) => (op === SYS_SEND ? RC_FAULT : undefined);
    peer.context.sendZeroCopy(16, 2000);
    world.round();
    world.round();
    expect(world.round()).toMatchObject([{ op: SYS_ABORT, handle: peer.handle }]);
    expect(peer.calls).toEqual([IXEVHUP]);
    expect(peer.context.reason).toBe(RC_FAULT);
    expect(world.released).toEqual([peer.context]);
  });

  it("waits for dead when the kernel says that the connection is over", () => {
    const peer = world.accept();
    world.kernel.respond = ({ op }) => (op === SYS_SEND ? RC_CLOSED : undefined);
    peer.context.send(bytes("abc"));
    world.round();
    world.round(dead(peer, RC_TIMEOUT));
    expect(peer.calls).toEqual([IXEVHUP]);
    expect(peer.context.reason).toBe(RC_TIMEOUT);
    expect(world.round()).toEqual([]);
  });
});

describe("behaviour", () => {
  it("asked for before the connection is open is told when it is", () => {
    const world = new World();
    const context = new IxevContext();
    context.setNoDelay(false);
    context.setKeepAlive(true, 60, 5, 3);
    world.next = context;
    world.round({ op: EV_KNOCK, handle: 0x99 });
    const options = world.round().filter(({ op }) => op === SYS_OPTION);
    expect(options).toMatchObject([
      { handle: 0x99, a: OPTION_NAGLE, b: 1 },
      { handle: 0x99, a: OPTION_KEEP_ALIVE, b: 1, c: 60, d: 5 | (3 << 16) },
    ]);
  });

  it("is told once, and again when the connection was on the move", () => {
    const world = new World();
    const peer = world.accept();
    peer.context.setUserTimeout(30);
    const told = { op: SYS_OPTION, handle: peer.handle, a: OPTION_USER_TIMEOUT, b: 30 };
    world.kernel.respond = ({ op }) => (op === SYS_OPTION ? RC_MOVED : undefined);
    world.round();
    expect(world.round()).toMatchObject([told]);
    world.kernel.respond = () => undefined;
    expect(world.round()).toMatchObject([told]);
    expect(world.round()).toEqual([]);
  });
});

describe("back-pressure", () => {
  it("takes no more than a connection may hold, and calls when half of it is free", () => {
    world = new World({}, { copyBuffer: 1024, sendLimit: 4096 });
    const peer = world.accept();
    expect(peer.context.send(numbered(10_000))).toBe(4096);
    expect(peer.context.send(numbered(1))).toBe(0);
    world.round();
    world.round();
    world.round(sent(peer, 1024));
    expect(peer.calls).toEqual([]);
    world.round(sent(peer, 1024));
    expect(peer.calls).toEqual([IXEVOUT]);
    expect(peer.context.send(numbered(10_000))).toBe(2048);
  });

  it("lets who found no buffer wait for others to give theirs back", () => {
    world = new World({}, { sendLimit: 1 << 30 });
    const { window } = world.kernel.ix;
    const rich = world.accept();
    const poor = world.accept();
    const room = Math.floor((window.size - window.used) / 4096) * 4096;
    expect(rich.context.send(new Uint8Array(room + 5000))).toBe(room);
    expect(poor.context.send(bytes("abc"))).toBe(0);
    world.round();
    world.round();
    world.round();
    expect(poor.calls).toEqual([]);
    world.round(sent(rich, room));
    expect(poor.calls).toEqual([IXEVOUT]);
    expect(rich.calls).toEqual([IXEVOUT]);
    expect(poor.context.send(bytes("abc"))).toBe(3);
  });

  it("survives a call array that is much too small", () => {
    world = new World({}, {}, { calls: 3 });
    const own = world.kernel.ix.window.allocate(64);
    const peers = Array.from({ length: 20 }, () =>
      world.accept(IXEVIN, ({ context }) => {
        context.recv(new Uint8Array(10));
        context.send(bytes("re"));
        context.sendZeroCopy(own, 1);
        context.send(bytes("ply"));
      }),
    );
    const before = world.kernel.log.length;
    world.round(...peers.map((peer, index) => world.recv(peer, "hello", index * 64)));
    world.round();
    const calls = world.kernel.log.slice(before);
    for (const { handle } of peers) {
      const own = calls.filter((call) => call.handle === handle);
      expect(own.map(({ op }) => op)).toEqual([SYS_SENDV, SYS_RECV_DONE]);
    }
  });
});

describe("ending", () => {
  it("shuts down when everything is out, and reads on", () => {
    const peer = world.accept();
    const { kernel } = world;
    kernel.respond = ({ op }) => (op === SYS_SEND ? 1 : undefined);
    peer.context.send(bytes("ab"));
    peer.context.shutdown();
    peer.context.shutdown();
    expect(peer.context.send(bytes("c"))).toBe(RC_CLOSED);
    world.round();
    world.round(sent(peer, 1));
    expect(operations(world.round())).toEqual([SYS_SEND]);
    expect(operations(world.round())).toEqual([SYS_SHUTDOWN]);
    world.round(world.recv(peer, "more"), fin(peer));
    expect(readAll(peer.context)).toBe("more");
    world.round(dead(peer));
    expect(peer.calls).toEqual([IXEVIN, IXEVHUP]);
    expect(peer.context.reason).toBe(RC_OK);
    expect(peer.context.recv(new Uint8Array(1))).toBe(0);
  });

  it("closes when everything is out, throws away what arrives, and reports no more", () => {
    const peer = world.accept(IXEVIN | IXEVHUP, ({ context }) => {
      context.send(bytes("bye"));
      context.close();
    });
    world.round(world.recv(peer, "x"));
    expect(peer.calls).toEqual([IXEVIN]);
    const calls = world.round(world.recv(peer, "late", 100));
    expect(calls.map(({ op }) => op)).toEqual([SYS_SEND, SYS_RECV_DONE]);
    expect(world.round()).toMatchObject([{ op: SYS_RECV_DONE, a: 4 }, { op: SYS_CLOSE }]);
    expect(peer.context.recv(new Uint8Array(1))).toBe(RC_CLOSED);
    world.round(sent(peer, 3));
    world.round(dead(peer));
    expect(peer.calls).toEqual([IXEVIN]);
    expect(world.released).toEqual([peer.context]);
    expect(peer.context.isDead).toBe(true);
    expect(world.ixev.connections).toBe(0);
  });

  it("aborts at once, whatever is unsent", () => {
    const peer = world.accept();
    const done: boolean[] = [];
    peer.context.sendZeroCopy(world.kernel.ix.window.allocate(64), 64, (ok) => void done.push(ok));
    peer.context.abort();
    peer.context.abort();
    world.round();
    expect(operations(world.round())).toEqual([SYS_ABORT]);
    expect(done).toEqual([false]);
    expect(world.released).toEqual([peer.context]);
    expect(peer.context.reason).toBe(RC_CLOSED);
    expect(peer.calls).toEqual([]);
  });

  it("aborts what is being closed", () => {
    const peer = world.accept();
    peer.context.close();
    world.round();
    expect(operations(world.round())).toEqual([SYS_CLOSE]);
    peer.context.abort();
    world.round();
    expect(operations(world.round())).toEqual([SYS_ABORT]);
    expect(world.released).toEqual([peer.context]);
  });

  it("sees a connection die that it has just aborted", () => {
    const peer = world.accept();
    world.kernel.respond = ({ op }) => (op === SYS_ABORT ? RC_BADH : undefined);
    world.round(world.recv(peer, "x"));
    peer.context.abort();
    world.round(dead(peer, RC_RESET));
    world.round();
    world.round();
    expect(world.released).toEqual([peer.context]);
  });

  it("lets the last data be read when the connection dies", () => {
    let last = "";
    const peer = world.accept(ALL, ({ context }) => {
      last = readAll(context);
    });
    world.round(world.recv(peer, "last words"), dead(peer, RC_RESET));
    expect(peer.calls).toEqual([IXEVIN | IXEVHUP]);
    expect(last).toBe("last words");
    expect(peer.context.recv(new Uint8Array(1))).toBe(RC_RESET);
    expect(peer.context.send(bytes("x"))).toBe(RC_CLOSED);
    expect(world.round()).toEqual([]);
    expect(world.ixev.segments.inUse).toBe(0);
  });

  it("ignores events of connections that are gone", () => {
    const peer = world.accept();
    world.round(dead(peer));
    const heir = world.accept();
    expect(heir.cookie & 0xfffff).toBe(peer.cookie & 0xfffff);
    expect(heir.cookie).not.toBe(peer.cookie);
    world.round(world.recv(peer, "x"), sent(peer, 1), dead(peer));
    expect(heir.calls).toEqual([]);
    expect(heir.context.isOpen).toBe(true);
  });

  it("does not take a context twice", () => {
    const peer = world.accept();
    expect(() => world.ixev.dial(peer.context, "10.0.0.1", 80)).toThrow(TypeError);
  });
});

describe("dialing", () => {
  function dial(mask = ALL): Peer {
    const context = new IxevContext("data");
    const calls: number[] = [];
    context.setHandler(mask, (_, conditions) => void calls.push(conditions));
    world.ixev.dial(context, "10.0.0.1", 80);
    world.round();
    return { context, calls, handle: 0, cookie: context.cookie };
  }

  /** Runs the connect; returns the peer with its handle. */
  function started(peer: Peer): Peer {
    const [connect] = world.round();
    expect(connect).toMatchObject({ op: SYS_CONNECT, handle: 80, cookie: peer.cookie });
    return { ...peer, handle: peer.context.handle };
  }

  function connected({ handle, cookie }: Peer, result: number = RC_OK): FakeEvent {
    return { op: EV_CONNECTED, handle, cookie, result, a: 40_000 };
  }

  it("reports success and sends what was written before", () => {
    let peer = dial();
    expect(peer.context.data).toBe("data");
    expect(peer.context.send(bytes("early"))).toBe(5);
    peer = started(peer);
    expect(peer.context.isOpen).toBe(false);
    expect(world.round()).toEqual([]);
    world.round(connected(peer));
    expect(peer.context.isOpen).toBe(true);
    expect(world.dialed).toEqual([[peer.context, RC_OK]]);
    expect(peer.calls).toEqual([IXEVOUT]);
    expect(world.round()).toMatchObject([{ op: SYS_SEND, handle: peer.handle, b: 5 }]);
  });

  it("reports failure", () => {
    const peer = started(dial());
    world.round(connected(peer, RC_REFUSED));
    expect(world.dialed).toEqual([[peer.context, RC_REFUSED]]);
    expect(world.released).toEqual([peer.context]);
    expect(peer.context.reason).toBe(RC_REFUSED);
    expect(peer.calls).toEqual([]);
  });

  it("reports that there is no room", () => {
    world.kernel.respond = ({ op }) => (op === SYS_CONNECT ? RC_NOMEM : undefined);
    const peer = dial();
    world.round();
    expect(world.dialed).toEqual([[peer.context, RC_NOMEM]]);
    expect(world.released).toEqual([peer.context]);
    expect(world.ixev.connections).toBe(0);
  });

  it("can be given up before it is known", () => {
    const peer = dial();
    peer.context.abort();
    world.round();
    expect(operations(world.round())).toEqual([SYS_ABORT]);
    expect(world.dialed).toEqual([[peer.context, RC_CLOSED]]);
    expect(world.released).toEqual([peer.context]);
  });

  it("is aborted by close when nothing was written, and finished first otherwise", () => {
    const busy = started(dial());
    const idle = started(dial());
    busy.context.send(bytes("abc"));
    busy.context.close();
    idle.context.close();
    world.round();
    expect(operations(world.round())).toEqual([SYS_ABORT]);
    world.round(connected(busy));
    expect(operations(world.round())).toEqual([SYS_SEND]);
    expect(operations(world.round())).toEqual([SYS_CLOSE]);
  });
});

describe("timers", () => {
  it("fire in order, once", () => {
    const fired: string[] = [];
    world.ixev.setTimer(300, () => void fired.push("c"));
    world.ixev.setTimer(100, () => void fired.push("a"));
    const cancelled = world.ixev.setTimer(150, () => void fired.push("never"));
    world.ixev.setTimer(200, () => void fired.push("b"));
    world.now = 5000;
    world.round();
    cancelled.cancel();
    expect(world.round()).toMatchObject([{ op: SYS_TIMER_SET, a: 100 }]);
    world.now = 5201;
    world.round({ op: EV_TIMER, cookie: TIMER });
    expect(fired).toEqual(["a", "b"]);
    expect(world.round()).toMatchObject([{ op: SYS_TIMER_SET, a: 99 }]);
    world.now = 5300;
    world.round({ op: EV_TIMER, cookie: TIMER });
    expect(fired).toEqual(["a", "b", "c"]);
    world.round();
    expect(world.kernel.ix.pendingCalls).toBe(0);
  });

  it("that come earlier replace the kernel's timer", () => {
    world.ixev.setTimer(100_000, () => {});
    world.round();
    world.round();
    world.round();
    const timer = world.ixev.setTimer(10, () => {});
    expect(timer.pending).toBe(true);
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_CANCEL, SYS_TIMER_SET]);
  });

  it("that are all cancelled give the kernel's timer back", () => {
    const timers = [50, 100].map((delay) => world.ixev.setTimer(delay, () => {}));
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_SET]);
    timers[0].cancel();
    world.round();
    expect(operations(world.round())).toEqual([]);
    timers[1].cancel();
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_CANCEL]);
    world.ixev.setTimer(10, () => {});
    world.round();
    expect(operations(world.round())).toEqual([SYS_TIMER_SET]);
  });

  it("are tried again when the kernel has none free", () => {
    let refusals = 3;
    world.kernel.respond = ({ op }) =>
      op === SYS_TIMER_SET && refusals-- > 0 ? RC_NOMEM : undefined;
    world.ixev.setTimer(10, () => {});
    world.round();
    for (let i = 0; i < 4; i++) expect(operations(world.round())).toEqual([SYS_TIMER_SET]);
    expect(world.round()).toEqual([]);
  });

  it("set by a timer wait for their time", () => {
    let fired = 0;
    const again = (): void => {
      fired++;
      world.ixev.setTimer(0, again);
    };
    world.ixev.setTimer(0, again);
    world.round();
    expect(fired).toBe(1);
    world.round();
    expect(fired).toBe(2);
  });
});

describe("between rounds", () => {
  it("asks for a round, or makes the calls at once", () => {
    const peer = world.accept();
    expect(world.kernel.ix.pendingCalls).toBe(0);
    peer.context.send(bytes("abc"));
    expect(world.kernel.ix.pendingCalls).toBe(1);
    world.ixev.commit();
    expect(operations(world.round())).toEqual([SYS_SEND]);
  });

  it("needs room in the window for itself", () => {
    expect(() => new Ixev(new FakeKernel({ windowSize: 4096 }).ix)).toThrow(/applicationWindow/);
  });
});

describe("raw calls beside the layer", () => {
  it("have their events and results passed on", () => {
    const events: number[] = [];
    const results: number[] = [];
    world = new World({
      event: (ix, index) => void events.push(ix.eventOp(index), ix.eventCookie(index)),
      result: (ix, index) => void results.push(ix.resultOperation(index), ix.resultCookie(index)),
    });
    const { ix } = world.kernel;
    ix.udpBind(5, 53);
    ix.timerSet(6, 100);
    ix.timerCancel(7);
    world.round({ op: EV_UDP_RECV, cookie: 8 }, { op: EV_TIMER, cookie: 9 });
    expect(results).toEqual([SYS_UDP_BIND, 5, SYS_TIMER_SET, 6, SYS_TIMER_CANCEL, 0]);
    expect(events).toEqual([EV_UDP_RECV, 8, EV_TIMER, 9]);
    expect(world.round()).toEqual([]);
  });

  it("have their datagrams given back when nobody wants them", () => {
    world.round({ op: EV_UDP_RECV, handle: 3, d: 99 });
    expect(world.round()).toMatchObject([{ op: SYS_UDP_RECV_DONE, handle: 3, a: 99 }]);
  });
});
