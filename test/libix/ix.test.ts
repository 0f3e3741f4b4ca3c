import { describe, expect, it } from "vitest";
import {
  ENDPOINT_SIZE,
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  EV_TIMER,
  EV_UDP_RECV,
  FLAG_DEFER,
  FLAG_MORE,
  FLAG_NAGLE,
  FLAG_QUIET,
  RC_AGAIN,
  RC_REFUSED,
  RC_RESET,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_LISTEN,
  SYS_NOP,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
  SYS_UDP_CONNECT,
  SYS_UDP_JOIN,
  SYS_UDP_LEAVE,
  SYS_UDP_RECV_DONE,
  SYS_UDP_SEND,
  SYS_UDP_SENDV,
  SYS_UDP_UNBIND,
  SYS_UNLISTEN,
} from "../../assembly/abi.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { FakeKernel, WINDOW, WINDOW_SIZE } from "./fake-kernel.ts";

const HANDLE = 0xabc00001;
const COOKIE = 0xfffffffe;

describe("calls", () => {
  const address = IpAddress.parse("10.1.2.3");
  const mapped = { a: 0, b: 0, c: 0xffff0000, d: 0x0302010a };
  const cases: [string, (ix: Ix) => number, object][] = [
    ["nop", (ix) => ix.nop(), { op: SYS_NOP }],
    [
      "connect",
      (ix) => ix.connect(COOKIE, address, 80),
      { op: SYS_CONNECT, handle: 80, cookie: COOKIE, ...mapped },
    ],
    [
      "connect from a port, with a flag",
      (ix) => ix.connect(COOKIE, address, 80, 65535, FLAG_NAGLE),
      { op: SYS_CONNECT, flags: FLAG_NAGLE, handle: 0xffff0050, cookie: COOKIE, ...mapped },
    ],
    [
      "accept",
      (ix) => ix.accept(HANDLE, COOKIE, FLAG_QUIET),
      { op: SYS_ACCEPT, flags: FLAG_QUIET, handle: HANDLE, cookie: COOKIE },
    ],
    ["reject", (ix) => ix.reject(HANDLE), { op: SYS_REJECT, handle: HANDLE }],
    [
      "send",
      (ix) => ix.send(HANDLE, 0xfffff000, 64, COOKIE, FLAG_MORE),
      { op: SYS_SEND, flags: FLAG_MORE, handle: HANDLE, cookie: COOKIE, a: 0xfffff000, b: 64 },
    ],
    [
      "sendv",
      (ix) => ix.sendv(HANDLE, WINDOW, 3, COOKIE),
      { op: SYS_SENDV, handle: HANDLE, cookie: COOKIE, a: WINDOW, b: 3 },
    ],
    [
      "recv_done",
      (ix) => ix.recvDone(HANDLE, 1460, COOKIE),
      { op: SYS_RECV_DONE, handle: HANDLE, cookie: COOKIE, a: 1460 },
    ],
    ["shutdown", (ix) => ix.shutdown(HANDLE), { op: SYS_SHUTDOWN, handle: HANDLE }],
    ["close", (ix) => ix.close(HANDLE), { op: SYS_CLOSE, handle: HANDLE }],
    ["abort", (ix) => ix.abort(HANDLE), { op: SYS_ABORT, handle: HANDLE }],
    [
      "listen",
      (ix) => ix.listen(COOKIE, 8080, 128, FLAG_DEFER),
      { op: SYS_LISTEN, flags: FLAG_DEFER, cookie: COOKIE, a: 8080, b: 128 },
    ],
    ["unlisten", (ix) => ix.unlisten(HANDLE), { op: SYS_UNLISTEN, handle: HANDLE }],
    ["udp_bind", (ix) => ix.udpBind(COOKIE, 53), { op: SYS_UDP_BIND, cookie: COOKIE, a: 53 }],
    [
      "udp_connect",
      (ix) => ix.udpConnect(HANDLE, 3000),
      { op: SYS_UDP_CONNECT, handle: HANDLE, c: 3000 },
    ],
    [
      "udp_join",
      (ix) => ix.udpJoin(HANDLE, new IpAddress(1, 2, 3, 4), COOKIE),
      { op: SYS_UDP_JOIN, handle: HANDLE, cookie: COOKIE, a: 1, b: 2, c: 3, d: 4 },
    ],
    [
      "udp_leave",
      (ix) => ix.udpLeave(HANDLE, new IpAddress(1, 2, 3, 4)),
      { op: SYS_UDP_LEAVE, handle: HANDLE, a: 1, b: 2, c: 3, d: 4 },
    ],
    ["udp_unbind", (ix) => ix.udpUnbind(HANDLE), { op: SYS_UDP_UNBIND, handle: HANDLE }],
    [
      "udp_send",
      (ix) => ix.udpSend(HANDLE, 1000, 20, 3000, COOKIE),
      { op: SYS_UDP_SEND, handle: HANDLE, cookie: COOKIE, a: 1000, b: 20, c: 3000 },
    ],
    [
      "udp_sendv",
      (ix) => ix.udpSendv(HANDLE, 1000, 2, 3000, COOKIE),
      { op: SYS_UDP_SENDV, handle: HANDLE, cookie: COOKIE, a: 1000, b: 2, c: 3000 },
    ],
    [
      "udp_recv_done",
      (ix) => ix.udpRecvDone(HANDLE, 77),
      { op: SYS_UDP_RECV_DONE, handle: HANDLE, a: 77 },
    ],
    [
      "timer_set",
      (ix) => ix.timerSet(COOKIE, 0xffffffff),
      { op: SYS_TIMER_SET, cookie: COOKIE, a: 0xffffffff },
    ],
    ["timer_cancel", (ix) => ix.timerCancel(HANDLE), { op: SYS_TIMER_CANCEL, handle: HANDLE }],
  ];

  it.each(cases)("%s fills its descriptor", (_, make, expected) => {
    const kernel = new FakeKernel();
    expect(make(kernel.ix)).toBe(0);
    expect(kernel.pending).toHaveLength(1);
    expect(kernel.pending[0]).toMatchObject({ flags: 0, ...expected });
  });

  it("returns the index of each call", () => {
    const { ix } = new FakeKernel();
    expect([ix.nop(), ix.nop(), ix.nop()]).toEqual([0, 1, 2]);
    expect(ix.pendingCalls).toBe(3);
  });
});

describe("results", () => {
  it("are signed, and handed out once", () => {
    const kernel = new FakeKernel();
    const { ix } = kernel;
    kernel.respond = ({ op }) => (op === SYS_SEND ? RC_AGAIN : undefined);
    ix.send(HANDLE, WINDOW, 100, COOKIE);
    const listening = ix.listen(5, 80, 1);
    expect(ix.takeResults()).toBe(0);
    kernel.poll();
    expect(ix.takeResults()).toBe(2);
    expect(ix.takeResults()).toBe(0);
    expect(ix.result(0)).toBe(RC_AGAIN);
    expect(ix.resultOperation(0)).toBe(SYS_SEND);
    expect(ix.resultHandle(0)).toBe(HANDLE);
    expect(ix.resultCookie(0)).toBe(COOKIE);
    expect(ix.callA(0)).toBe(WINDOW);
    expect(ix.callB(0)).toBe(100);
    expect(ix.resultHandle(listening)).toBe(0x100001);
    expect(ix.resultCookie(listening)).toBe(5);
  });

  it("are not counted again by a poll without calls", () => {
    const kernel = new FakeKernel();
    kernel.ix.nop();
    kernel.poll();
    kernel.ix.takeResults();
    kernel.poll();
    expect(kernel.ix.takeResults()).toBe(0);
  });

  it("go to onFlush when the array is full", () => {
    const kernel = new FakeKernel({ calls: 4 });
    const { ix } = kernel;
    const flushed: number[][] = [];
    ix.onFlush = (results) => {
      flushed.push(Array.from({ length: results }, (_, index) => ix.result(index)));
    };
    for (let i = 1; i <= 10; i++) expect(ix.send(HANDLE, WINDOW, i)).toBe((i - 1) % 4);
    expect(flushed).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    expect(ix.pendingCalls).toBe(2);
    kernel.poll();
    expect(ix.takeResults()).toBe(2);
    expect([ix.result(0), ix.result(1)]).toEqual([9, 10]);
    expect(kernel.log.map(({ b }) => b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("are lost by a flush that nobody listens to, the calls are not", () => {
    const kernel = new FakeKernel({ calls: 1 });
    kernel.ix.nop();
    kernel.ix.nop();
    kernel.ix.flush();
    kernel.ix.flush();
    expect(kernel.log).toHaveLength(2);
    expect(kernel.ix.takeResults()).toBe(0);
  });
});

describe("events", () => {
  it("are read by index", () => {
    const kernel = new FakeKernel();
    const { ix } = kernel;
    const { w0, w1, w2, w3 } = IpAddress.parse("2001:db8::7");
    kernel.poll([
      { op: EV_RECV, handle: HANDLE, cookie: COOKIE, a: 0xfffff080, b: 1460 },
      { op: EV_SENT, a: 3000, b: 65535 },
      { op: EV_DEAD, result: RC_RESET, a: 12 },
      { op: EV_CONNECTED, result: RC_REFUSED, a: 40000 },
      { op: EV_KNOCK, result: 0xd4310050 | 0, a: w0, b: w1, c: w2, d: w3 },
      { op: EV_UDP_RECV, a: 1, b: 2, c: 3, d: 4 },
      { op: EV_TIMER, cookie: 9 },
    ]);
    expect(ix.eventCount).toBe(7);
    const ops = Array.from({ length: 7 }, (_, index) => ix.eventOp(index));
    expect(ops).toEqual([3, 4, 5, 2, 1, 6, 8]);
    expect(ix.eventHandle(0)).toBe(HANDLE);
    expect(ix.eventCookie(0)).toBe(COOKIE);
    expect([ix.eventA(0), ix.eventB(0)]).toEqual([0xfffff080, 1460]);
    expect(ix.eventResult(2)).toBe(RC_RESET);
    expect(ix.eventResult(3)).toBe(RC_REFUSED);
    expect(ix.knockLocalPort(4)).toBe(0xd431);
    expect(ix.knockRemotePort(4)).toBe(80);
    expect(ix.knockAddress(4).toString()).toBe("2001:db8::7");
    const reused = new IpAddress();
    expect(ix.knockAddress(4, reused)).toBe(reused);
    expect([ix.eventC(5), ix.eventD(5)]).toEqual([3, 4]);
  });
});

describe("memory", () => {
  it("reads and writes what descriptors point to", () => {
    const { ix } = new FakeKernel();
    const vector = ix.window.allocate(16);
    ix.writeVector(vector, 1, 0xfffff000, 77);
    expect([...ix.words.slice((vector >>> 2) + 2, (vector >>> 2) + 4)]).toEqual([0xfffff000, 77]);
    const endpoint = ix.window.allocate(ENDPOINT_SIZE);
    ix.writeEndpoint(endpoint, IpAddress.parse("192.168.0.1"), 53);
    expect(ix.endpointPort(endpoint)).toBe(53);
    expect(ix.readAddress(endpoint).toString()).toBe("192.168.0.1");
    ix.write(vector, new Uint8Array([1, 2, 3]));
    expect([...ix.view(vector, 3)]).toEqual([1, 2, 3]);
  });

  it("shares the window between the cores", () => {
    const windows = [0, 1, 2].map((core) => new FakeKernel({ cores: 3, core }).ix.window);
    expect(windows[0].address).toBe(WINDOW);
    for (const [core, window] of windows.entries()) {
      const end = windows[core + 1]?.address ?? WINDOW + WINDOW_SIZE;
      expect(window.address + window.size).toBe(end);
      expect(window.size).toBeGreaterThanOrEqual(WINDOW_SIZE / 3 - 64);
    }
  });
});
