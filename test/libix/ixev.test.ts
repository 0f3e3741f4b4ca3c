import { beforeEach, describe, expect, it } from "vitest";
import {
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_TIMER,
  EV_UDP_RECV,
  OPTION_KEEP_ALIVE,
  OPTION_NAGLE,
  OPTION_USER_TIMEOUT,
  RC_AGAIN,
  RC_BADH,
  RC_CLOSED,
  RC_INUSE,
  RC_MOVED,
  RC_NOMEM,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_LISTEN,
  SYS_OPTION,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
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
} from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { FakeKernel, FRAMES, operations } from "./fake-kernel.ts";
import type { FakeEvent } from "./fake-kernel.ts";
import { ALL, World, fin, bytes, readAll } from "./ixev-world.ts";
import type { Peer } from "./ixev-world.ts";

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

  it("takes a context for one connection only", () => {
    const { context } = dial();
    const again = () => world.ixev.dial(context, "10.0.0.1", 80);
    expect(again).toThrow("a connection needs a fresh IxevContext of its own");
    expect(world.ixev.connections).toBe(1);
  });

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
