/** Every check on system calls: a hostile descriptor gets an error code and harms nothing. */
import { describe, expect, test } from "vitest";
import {
  CALL_SIZE,
  CNT_REFUSED_HANDLE,
  CNT_REFUSED_OPERATION,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  FLOW_GROUPS,
  RC_AGAIN,
  RC_BADH,
  RC_MOVED,
  RC_INVAL,
  RC_NOMEM,
  RC_NOSYS,
  RC_OK,
  RC_UNREACHABLE,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_END,
  SYS_LISTEN,
  SYS_NOP,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_UNLISTEN,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";

const CONNECTION_CALLS = {
  accept: SYS_ACCEPT,
  reject: SYS_REJECT,
  send: SYS_SEND,
  sendv: SYS_SENDV,
  recv_done: SYS_RECV_DONE,
  shutdown: SYS_SHUTDOWN,
  close: SYS_CLOSE,
  abort: SYS_ABORT,
} as const;

/** Arguments that are right, so that only the handle can be wrong. */
function callOn(k: KernelHarness, op: number, handle: number): number {
  const vector = op === SYS_SENDV ? k.writeEntries([[k.alloc(8), 8]]) : k.alloc(8);
  const b = op === SYS_SENDV ? 1 : 8;
  const a = op === SYS_RECV_DONE ? 0 : vector;
  return k.call({ op, handle, a, b }).result;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("operations", () => {
    test.each([SYS_END, SYS_END + 1, 0x7fff, 0x8000, 0xffff])("%i is unknown", (op) => {
      const k = startKernel(build);
      const [refused] = k.counts([CNT_REFUSED_OPERATION], () => {
        expect(k.call({ op, handle: 1, a: 2, b: 3 }).result).toBe(RC_NOSYS);
      });
      expect(refused).toBe(1);
    });

    test("nop does nothing, and tells it", () => {
      const k = startKernel(build);
      expect(k.call({ op: SYS_NOP, cookie: 77 })).toMatchObject({ result: RC_OK, cookie: 77 });
    });

    test("a batch runs in order, and one refusal does not stop it", () => {
      const k = startKernel(build);
      const results = k.batch([
        { op: SYS_LISTEN, cookie: 1, a: 80, b: 1 },
        { op: SYS_LISTEN, cookie: 2, a: 80, b: 1 },
        { op: SYS_END },
        { op: SYS_LISTEN, cookie: 3, a: 81, b: 1 },
      ]);
      expect(results.map(({ result }) => Math.sign(result))).toEqual([0, -1, -1, 0]);
      expect(results.map(({ cookie }) => cookie)).toEqual([1, 2, 0, 3]);
    });

    test("a count beyond the array's capacity is not believed", () => {
      const k = startKernel(build);
      const words = new Uint32Array(k.dataplane.memory.buffer);
      const capacity = words[(k.block + CORE_SYSCALL_CAPACITY) >>> 2];
      const base = words[(k.block + CORE_SYSCALLS) >>> 2];
      const behind = words.slice((base + capacity * CALL_SIZE) >>> 2).subarray(0, 64);
      for (const count of [capacity + 1, 0x8000_0000, 0xffff_ffff]) {
        words[(k.block + CORE_SYSCALL_COUNT) >>> 2] = count;
        k.pollOnce();
        expect(words[(k.block + CORE_SYSCALL_COUNT) >>> 2]).toBe(0);
      }
      const after = words.slice((base + capacity * CALL_SIZE) >>> 2).subarray(0, 64);
      expect(after).toEqual(behind);
    });

    test("dispatch runs the calls in mid-round and loses nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const data = pattern(100);
      const results = k.dispatch([
        { op: SYS_SEND, handle: peer.handle, a: k.write(data), b: 100 },
        { op: SYS_SHUTDOWN, handle: peer.handle },
        { op: SYS_ABORT, handle: 12345 },
      ]);
      expect(results.map(({ result }) => result)).toEqual([100, RC_OK, RC_BADH]);
      k.poll();
      peer.takeAll();
      assertSameBytes(peer.stream(), data);
      expect(peer.rcvNxt).toBe(102);
    });

    test("an end that dispatch brought about is told by the next poll", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      expect(k.dispatch([{ op: SYS_CLOSE, handle: peer.handle }])[0].result).toBe(RC_OK);
      k.poll();
      expect(k.events()).toHaveLength(1);
    });
  });

  describe("handles", () => {
    const entries = Object.entries(CONNECTION_CALLS);

    test.each(entries)("%s refuses handles that never were", (_name, op) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const next = peer.handle + (1 << 20);
      const wrong = [0, 1, 0xfffff, 0x100000 | 63, 0x100000 | 64, 0xffff_ffff, 0x8000_0000, next];
      const [refused] = k.counts([CNT_REFUSED_HANDLE], () => {
        for (const handle of wrong) expect(callOn(k, op, handle)).toBe(RC_BADH);
      });
      expect(refused).toBe(wrong.length);
      peer.expectNothing();
    });

    test.each(entries)("%s refuses a stale handle, and its successor is unharmed", (_name, op) => {
      const k = startKernel(build, { maxConnections: 1 });
      const old = TcpPeer.established(k);
      expect(k.abort(old.handle)).toBe(RC_OK);
      const next = TcpPeer.established(k);
      expect(next.handle).not.toBe(old.handle);
      expect(callOn(k, op, old.handle)).toBe(RC_BADH);
      next.expectNothing();
      next.send({ payload: text("alive") });
      expect(k.event("recv").data).toEqual(text("alive"));
    });

    test.each(entries)(
      "%s refuses the handle of a connection that was never announced",
      (_name, op) => {
        const k = startKernel(build);
        const peer = TcpPeer.synReceived(k);
        // The first control block, in its first life.
        expect(callOn(k, op, 0x100000)).toBe(RC_BADH);
        peer.ack();
        k.event("knock");
      },
    );

    test.each(["send", "sendv", "recv_done", "shutdown", "close"] as const)(
      "%s refuses a connection that was not accepted",
      (name) => {
        const k = startKernel(build);
        const peer = TcpPeer.synReceived(k);
        peer.ack();
        const { handle } = k.event("knock");
        expect(callOn(k, CONNECTION_CALLS[name], handle)).toBe(RC_BADH);
        expect(k.accept(handle)).toBe(RC_OK);
      },
    );

    test("accept and reject refuse a connection that is accepted, or was opened actively", () => {
      const k = startKernel(build);
      for (const peer of [TcpPeer.established(k), TcpPeer.connected(k)]) {
        expect(k.accept(peer.handle)).toBe(RC_BADH);
        expect(k.reject(peer.handle)).toBe(RC_BADH);
        peer.expectNothing();
      }
    });

    test("send before the connection is established: again, later", () => {
      const k = startKernel(build);
      const peer = TcpPeer.synSent(k);
      expect(k.send(peer.handle, text("x"))).toBe(RC_AGAIN);
      expect(k.shutdown(peer.handle)).toBe(RC_AGAIN);
    });

    test("of another kind are refused", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const timer = k.timerSet(1_000_000).handle;
      const udp = k.udpBind(53).handle;
      for (const handle of [peer.listener, timer, udp]) {
        for (const op of Object.values(CONNECTION_CALLS))
          expect(callOn(k, op, handle)).toBe(RC_BADH);
      }
      for (const handle of [peer.handle, timer, udp]) expect(k.unlisten(handle)).toBe(RC_BADH);
      for (const handle of [peer.handle, peer.listener, timer]) {
        expect(k.udpUnbind(handle)).toBe(RC_BADH);
      }
      for (const handle of [peer.handle, peer.listener, udp]) {
        expect(k.timerCancel(handle)).toBe(RC_BADH);
      }
    });

    test("another core's connection is none of this core's business", () => {
      const first = startKernel(build, { cores: 2, gateway: PEER.ip });
      const second = startKernel(build, { sibling: { of: first, core: 1 } });
      const peer = TcpPeer.connected(first);
      const other = TcpPeer.connected(second);
      for (const op of Object.values(CONNECTION_CALLS)) {
        expect(callOn(second, op, peer.handle)).toBe(RC_MOVED);
        expect(callOn(first, op, other.handle)).toBe(RC_MOVED);
      }
      peer.send({ payload: text("alive") });
      expect(first.event("recv").data).toEqual(text("alive"));
      other.send({ payload: text("alive, too") });
      expect(second.event("recv").data).toEqual(text("alive, too"));
    });

    test("connect chooses ports whose replies come to the calling core", () => {
      const first = startKernel(build, { cores: 2 });
      const second = startKernel(build, { sibling: { of: first, core: 1 } });
      for (const [core, k] of [first, second].entries()) {
        for (let i = 0; i < 20; i++) {
          expect(k.connect(PEER.ip, 9000 + i).result).toBe(RC_OK);
          const { tcp } = k.sent()[0];
          const hash = hashTuple(PEER.ip, KERNEL.ip, 9000 + i, tcp!.sourcePort);
          expect((hash % FLOW_GROUPS) % 2).toBe(core);
        }
      }
    });
  });

  describe("arguments", () => {
    test.each([
      ["port 0", 0, 1],
      ["port 65536", 65_536, 1],
      ["port 2^32 - 1", 0xffff_ffff, 1],
      ["backlog 0", 80, 0],
    ])("listen refuses %s", (_what, a, b) => {
      const k = startKernel(build);
      expect(k.call({ op: SYS_LISTEN, a, b }).result).toBe(RC_INVAL);
    });

    test("listeners run out without harm", () => {
      const k = startKernel(build, { tables: { listeners: 4 } });
      const handles = [1, 2, 3, 4].map((port) => k.listen(port).handle);
      expect(new Set(handles).size).toBe(4);
      expect(k.listen(5).result).toBe(RC_NOMEM);
      expect(k.unlisten(handles[2])).toBe(RC_OK);
      const again = k.listen(5);
      expect(again.result).toBe(RC_OK);
      expect(k.unlisten(handles[2])).toBe(RC_BADH);
      for (const port of [1, 2, 4, 5]) {
        const peer = new TcpPeer(k, { kernelPort: port });
        peer.sendSyn();
        peer.expect({ flags: "SA" });
      }
    });

    test.each([0, 1, 0xfffff, 0xffff_ffff, 0x200000])("unlisten refuses handle %i", (handle) => {
      const k = startKernel(build);
      k.listen(80);
      expect(k.call({ op: SYS_UNLISTEN, handle }).result).toBe(RC_BADH);
    });

    test.each([
      ["port 0", PEER.ip, 0],
      ["this host", "0.0.0.0", 80],
      ["loopback", "127.0.0.1", 80],
      ["multicast", "224.0.0.1", 80],
      ["reserved", "240.0.0.1", 80],
      ["the limited broadcast address", "255.255.255.255", 80],
      ["the network's broadcast address", "10.0.0.255", 80],
    ])("connect refuses %s", (_what, ip, port) => {
      const k = startKernel(build);
      expect([RC_INVAL, RC_UNREACHABLE]).toContain(k.connect(ip, port).result);
      k.nothingSent();
      k.noEvents();
    });

    test("connect refuses an address that is not IPv4-mapped", () => {
      const k = startKernel(build);
      const call = { op: SYS_CONNECT, handle: 80, a: 0x80fe, b: 0, c: 0, d: 0x0100_0000 };
      expect(k.call(call).result).toBeLessThan(0);
      k.nothingSent();
    });

    test("control blocks run out without harm", () => {
      const k = startKernel(build, { maxConnections: 3 });
      const peers = [0, 1, 2].map(() => TcpPeer.established(k));
      expect(k.connect(PEER.ip, 9000).result).toBe(RC_NOMEM);
      const refused = new TcpPeer(k);
      refused.sendSyn();
      refused.expectNothing();
      expect(k.abort(peers[1].handle)).toBe(RC_OK);
      refused.send({ flags: "S", seq: 0 });
      refused.expect({ flags: "SA" });
      peers[2].send({ payload: text("alive") });
      expect(k.event("recv").data).toEqual(text("alive"));
    });
  });
});
