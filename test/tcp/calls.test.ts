/** Every check on system calls: a hostile descriptor gets an error code and harms nothing. */
import { describe, expect, test } from "vitest";
import {
  CALL_SIZE,
  CFG_FRAMES,
  CNT_REFUSED_ADDRESS,
  CNT_REFUSED_ARGUMENT,
  CNT_REFUSED_HANDLE,
  CNT_REFUSED_OPERATION,
  CONFIG_BASE,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  FLOW_GROUPS,
  RC_AGAIN,
  RC_BADH,
  RC_FAULT,
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
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
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

/** [address, length] pairs that are not the application's to read. */
function foreignRanges(k: KernelHarness): [string, number, number][] {
  const { address, size } = k.dataplane.window;
  const end = address + size;
  return [
    ["address 0", 0, 1],
    ["a control block", k.block, 4],
    ["the configuration", CONFIG_BASE, 4],
    ["the byte before the window", address - 1, 1],
    ["across the window's start", address - 4, 8],
    ["across the window's end", end - 4, 8],
    ["the byte behind the window", end, 1],
    ["more than the window", address, size + 1],
    ["the whole address space", address, 0xffff_ffff],
    ["a length that wraps around to the start", address, 0 - address],
    ["a length that wraps around into the window", end - 16, 0xffff_fff8],
    ["the last address", 0xffff_ffff, 1],
    ["the last address and a length that wraps", 0xffff_ffff, 0xffff_ffff],
    ["the sign bit", 0x8000_0000, 16],
  ].map(([what, a, b]) => [what as string, (a as number) >>> 0, (b as number) >>> 0]);
}

const SECOND = 1_000_000;

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
        expect(callOn(second, op, peer.handle)).toBe(RC_BADH);
        expect(callOn(first, op, other.handle)).toBe(RC_BADH);
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

  describe("addresses", () => {
    test("send refuses every range that is not the application's", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      for (const [what, a, b] of foreignRanges(k)) {
        const [refused] = k.counts([CNT_REFUSED_ADDRESS], () => {
          expect(k.call({ op: SYS_SEND, handle: peer.handle, a, b }).result, what).toBe(RC_FAULT);
        });
        expect(refused).toBe(1);
      }
      peer.expectNothing();
      k.noEvents();
    });

    test("send takes the window's first and last bytes, and an empty range at its end", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const { address, size } = k.dataplane.window;
      const send = (a: number, b: number): number =>
        k.call({ op: SYS_SEND, handle: peer.handle, a, b }).result;
      expect(send(address, 8)).toBe(8);
      expect(send(address + size - 8, 8)).toBe(8);
      expect(send(address + size, 0)).toBe(0);
      expect(peer.takeAll()).toHaveLength(2);
    });

    test("sendv refuses a vector that is not in the window", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const { address, size } = k.dataplane.window;
      const frames = k.view.getUint32(CONFIG_BASE + CFG_FRAMES, true);
      const vectors: [number, number][] = [
        [0, 1],
        [address - 8, 1],
        [address - 4, 1],
        [address + size - 4, 1],
        [address + size - 8, 2],
        [address + size - 63 * 8, 64],
        [address + size, 1],
        [k.block, 1],
        [frames, 1],
        [0xffff_fff8, 1],
        [0xffff_fffc, 64],
      ];
      for (const [a, b] of vectors) {
        expect(k.call({ op: SYS_SENDV, handle: peer.handle, a, b }).result).toBe(RC_FAULT);
      }
      peer.expectNothing();
    });

    test("sendv takes nothing when one of its parts is wrong", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const good = k.write(pattern(100));
      for (const [what, address, length] of foreignRanges(k)) {
        for (const place of [0, 1, 2]) {
          const parts: [number, number][] = [
            [good, 100],
            [good, 100],
          ];
          const vector = k.writeEntries(parts.toSpliced(place, 0, [address, length]));
          const { result } = k.call({ op: SYS_SENDV, handle: peer.handle, a: vector, b: 3 });
          expect(result, what).toBe(RC_FAULT);
        }
      }
      peer.expectNothing();
    });

    test.each([65, 66, 0x1000_0000, 0x2000_0001, 0xffff_ffff])("sendv of %i parts", (entries) => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const vector = k.writeEntries([[k.alloc(8), 8]]);
      const [refused] = k.counts([CNT_REFUSED_ARGUMENT], () => {
        const { result } = k.call({ op: SYS_SENDV, handle: peer.handle, a: vector, b: entries });
        expect(result).toBe(RC_INVAL);
      });
      expect(refused).toBe(1);
    });

    test("a vector at any alignment", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const at = k.alloc(64);
      const data = k.write(text("unaligned"));
      for (let shift = 1; shift < 8; shift++) {
        k.view.setUint32(at + shift, data, true);
        k.view.setUint32(at + shift + 4, 9, true);
        const { result } = k.call({ op: SYS_SENDV, handle: peer.handle, a: at + shift, b: 1 });
        expect(result).toBe(9);
        peer.expect({ payload: text("unaligned") });
      }
    });

    test("parts that add up to more than 4 GiB", () => {
      const k = startKernel(build, { applicationWindow: 1 << 27 });
      const peer = TcpPeer.established(k);
      const { address, size } = k.dataplane.window;
      const vector = k.writeEntries(Array.from({ length: 64 }, () => [address, size] as const));
      const { result } = k.call({ op: SYS_SENDV, handle: peer.handle, a: vector, b: 64 });
      expect(result).toBe(RC_INVAL);
      peer.expectNothing();
    });

    test("a send of received data straight from its frame is copied", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 0 });
      peer.send({ payload: pattern(1400) });
      const { address } = k.event("recv");
      const sent = k.call({ op: SYS_SEND, handle: peer.handle, a: address, b: 1400 }).result;
      expect(sent).toBe(1400);
      expect(k.recvDone(peer.handle, 1400)).toBe(RC_OK);
      // Other packets use the frame again before the window opens.
      for (let i = 0; i < 300; i++) peer.send({ seq: 1, payload: pattern(1400, 9999) });
      peer.send({ window: 65_535 });
      k.advance(1_000_000);
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(1400));
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
      ["its own address", KERNEL.ip, 80],
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

  describe("timers", () => {
    test("fire once, not early, within two ticks, with their cookie", () => {
      const k = startKernel(build);
      const delays = [
        0, 1, 15, 16, 17, 1000, 4095, 4096, 65_535, 1_048_576, 5_000_000, 200_000_000,
      ];
      const due = new Map<number, number>();
      for (const delay of delays) {
        const { result, handle } = k.timerSet(delay, { cookie: delay });
        expect(result).toBe(RC_OK);
        due.set(handle, k.now + delay);
      }
      k.advance(201_000_000);
      const events = k.events();
      expect(events.map(({ cookie }) => cookie)).toEqual(delays);
      for (const { handle, at } of events) {
        expect(at).toBeGreaterThanOrEqual(due.get(handle)!);
        expect(at).toBeLessThanOrEqual(due.get(handle)! + 32);
      }
    });

    test("can be cancelled once, and not after they fired", () => {
      const k = startKernel(build);
      const { handle } = k.timerSet(1000);
      expect(k.timerCancel(handle)).toBe(RC_OK);
      expect(k.timerCancel(handle)).toBe(RC_BADH);
      const fired = k.timerSet(1000).handle;
      k.advance(2000);
      expect(k.event("timer").handle).toBe(fired);
      expect(k.timerCancel(fired)).toBe(RC_BADH);
      k.noEvents();
    });

    test.each([0, 63, 64, 0xfffff, 0x100000, 0xffff_ffff])("cancel refuses handle %i", (handle) => {
      const k = startKernel(build);
      expect(k.call({ op: SYS_TIMER_CANCEL, handle }).result).toBe(RC_BADH);
    });

    test("run out without harm", () => {
      const k = startKernel(build, { timers: 8 });
      const handles = Array.from({ length: 8 }, () => k.timerSet(1_000_000).handle);
      expect(new Set(handles).size).toBe(8);
      expect(k.timerSet(1).result).toBe(RC_NOMEM);
      expect(k.timerCancel(handles[3])).toBe(RC_OK);
      expect(k.timerSet(1).result).toBe(RC_OK);
    });

    test("refuse delays they cannot keep", () => {
      const k = startKernel(build);
      expect(k.call({ op: SYS_TIMER_SET, a: 0xffff_ffff }).result).toBe(RC_INVAL);
      expect(k.call({ op: SYS_TIMER_SET, a: 0x8000_0000 }).result).toBe(RC_INVAL);
    });

    test("a thousand in random order fire in order", () => {
      const k = startKernel(build, { timers: 1000, events: 2048 });
      const due: number[] = [];
      for (let i = 0; i < 1000; i++) {
        const delay = (Math.imul(i + 1, 2654435761) >>> 0) % 10_000_000;
        expect(k.timerSet(delay).result).toBe(RC_OK);
        due.push(k.now + delay);
      }
      k.advance(11_000_000);
      const times = k.events().map(({ at }) => at);
      expect(times).toHaveLength(1000);
      due.sort((a, b) => a - b);
      times.forEach((at, index) => {
        expect(at - due[index]).toBeGreaterThanOrEqual(0);
        expect(at - due[index]).toBeLessThanOrEqual(32);
      });
    });
  });

  describe("timers after a long silence", () => {
    test("one set then does not fire early", () => {
      const k = startKernel(build);
      k.now += 600 * SECOND;
      k.timerSet(SECOND);
      k.noEvents();
      k.advance(SECOND - 100);
      k.noEvents();
      k.advance(200);
      k.event("timer");
    });

    test("nor does one set while another was pending", () => {
      const k = startKernel(build);
      k.timerSet(200 * SECOND);
      k.now += 150 * SECOND;
      k.timerSet(250 * SECOND);
      k.advance(60 * SECOND);
      k.event("timer");
      k.advance(180 * SECOND);
      k.noEvents();
      k.advance(11 * SECOND);
      k.event("timer");
    });

    test("a retransmission is timed 40 minutes later", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.advance(200 * SECOND);
      k.now += 2400 * SECOND;
      k.send(peer.handle, text("x"));
      peer.takeAll();
      k.advance(5 * SECOND);
      expect(peer.takeAll().length).toBeGreaterThan(0);
      peer.ack();
    });
  });
});
