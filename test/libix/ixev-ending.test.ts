import { beforeEach, describe, expect, it } from "vitest";
import {
  RC_BADH,
  RC_CLOSED,
  RC_OK,
  RC_RESET,
  SYS_ABORT,
  SYS_CLOSE,
  SYS_RECV_DONE,
  SYS_SEND,
  SYS_SHUTDOWN,
} from "../../assembly/abi.ts";
import { IXEVHUP, IXEVIN } from "../../host/libix/ixev-conditions.ts";
import { operations } from "./fake-kernel.ts";
import { ALL, World, fin, sent, dead, bytes, readAll } from "./ixev-world.ts";

let world: World;
beforeEach(() => {
  world = new World();
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
