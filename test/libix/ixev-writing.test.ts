import { beforeEach, describe, expect, it } from "vitest";
import {
  RC_AGAIN,
  RC_CLOSED,
  RC_FAULT,
  RC_NOBUFS,
  RC_NOMEM,
  RC_RESET,
  RC_TIMEOUT,
  SG_MAX,
  SYS_ABORT,
  SYS_RECV_DONE,
  SYS_SEND,
  SYS_SENDV,
} from "../../assembly/abi.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { World, sent, dead, bytes, numbered } from "./ixev-world.ts";

let world: World;
beforeEach(() => {
  world = new World();
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
