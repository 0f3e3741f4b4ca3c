/** Sending UDP datagrams: sizes, parts, memory, and every check (RFC 768). */
import { describe, expect, test } from "vitest";
import {
  CNT_UDP_OUT,
  FLAG_DONT_FRAGMENT,
  RC_AGAIN,
  RC_FAULT,
  RC_INVAL,
  RC_MSGSIZE,
  RC_NOBUFS,
  RC_UNREACHABLE,
  SYS_UDP_SEND,
  SYS_UDP_SENDV,
} from "../../assembly/abi.ts";
import { concat, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { datagram, there } from "./datagrams.ts";

describe.each(kernels)("$name kernel", (build) => {
  describe("sending", () => {
    const sizes = [0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 65, 1022, 1023, 1024, 1025, 1471, 1472];

    test.each(sizes)("%i bytes", (size) => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const [counted] = k.counts([CNT_UDP_OUT], () => {
        expect(k.udpSend(handle, pattern(size), there)).toBe(size);
      });
      expect(counted).toBe(1);
      const [packet] = k.sent();
      expect(packet.ip).toMatchObject({ source: KERNEL.ip, destination: PEER.ip, ttl: 64 });
      expect(packet.udp).toEqual({ sourcePort: 53, destinationPort: 9999, checksummed: true });
      expect(packet.payload).toEqual(pattern(size));
    });

    test("a checksum that comes out as zero is sent as all ones", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      // Every 16-bit value as payload: one of them makes the sum zero.
      let zeros = 0;
      for (let value = 0; value < 0x10000; value += 1) {
        const payload = Uint8Array.of(value >> 8, value & 0xff);
        if (value % 64 !== 0 && zeros > 0) continue;
        k.udpSend(handle, payload, there);
        const [packet] = k.sent();
        if (packet.frame[40] === 0xff && packet.frame[41] === 0xff) zeros++;
        expect(packet.udp!.checksummed).toBe(true);
      }
      expect(zeros).toBeGreaterThan(0);
    });

    test("more than the MTU takes is refused where fragments are not wanted", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const whole = { flags: FLAG_DONT_FRAGMENT };
      expect(k.udpSend(handle, pattern(1473), there, whole)).toBe(RC_MSGSIZE);
      expect(k.udpSend(handle, pattern(60_000), there, whole)).toBe(RC_MSGSIZE);
      k.nothingSent();
      const small = startKernel(build, { mtu: 576 });
      const port = small.udpBind(53).handle;
      expect(small.udpSend(port, pattern(548), there, whole)).toBe(548);
      expect(small.udpSend(port, pattern(549), there, whole)).toBe(RC_MSGSIZE);
    });

    test("more than a datagram holds is refused", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      expect(k.udpSend(handle, pattern(65_508), there)).toBe(RC_MSGSIZE);
      k.nothingSent();
    });

    test("to port 0, or to an address that nothing routes, is refused", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      expect(k.udpSend(handle, text("x"), { ip: PEER.ip, port: 0 })).toBe(RC_INVAL);
      const endpoint = k.writeEndpoint(PEER.ip, 9);
      k.bytes[endpoint] = 0x20;
      const a = k.write(text("x"));
      expect(k.call({ op: SYS_UDP_SEND, handle, a, b: 1, c: endpoint }).result).toBe(
        RC_UNREACHABLE,
      );
      k.nothingSent();
    });

    test("in parts", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const shapes = [
        [1, 1],
        [3, 0, 5],
        [511, 512],
        [1000, 472],
        [1, 1023, 1],
        [7, 1025, 333, 101],
      ];
      for (const shape of shapes) {
        let offset = 0;
        const parts = shape.map((length) => pattern(length, (offset += length) - length));
        expect(k.udpSendv(handle, parts, there)).toBe(offset);
        const [packet] = k.sent();
        expect(packet.payload).toEqual(concat(...parts));
      }
    });

    test("in 64 parts of odd lengths", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const parts = Array.from({ length: 64 }, (_, index) => pattern(1 + (index % 23), index * 31));
      const whole = concat(...parts);
      expect(k.udpSendv(handle, parts, there)).toBe(whole.length);
      expect(k.sent()[0].payload).toEqual(whole);
    });

    test("memory of a short one is free at once, of a long one after udp_sent, in order", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      k.udpSend(handle, pattern(1023), there, { cookie: 1 });
      k.poll();
      k.noEvents();
      k.nic.holdCompletions = true;
      for (let cookie = 2; cookie < 6; cookie++) {
        expect(k.udpSend(handle, pattern(1024 + cookie), there, { cookie })).toBe(1024 + cookie);
      }
      k.poll();
      k.noEvents();
      k.nic.complete(2);
      k.poll();
      expect(k.events().map(({ cookie }) => cookie)).toEqual([2, 3]);
      k.nic.holdCompletions = false;
      k.nic.complete();
      k.poll();
      expect(k.events()).toEqual([
        expect.objectContaining({ kind: "udp_sent", handle, cookie: 4, bytes: 1028 }),
        expect.objectContaining({ kind: "udp_sent", handle, cookie: 5, bytes: 1029 }),
      ]);
    });

    test("udp_sent comes for a long one that had to wait for its neighbour", () => {
      const k = startKernel(build, { neighbours: [] });
      const { handle } = k.udpBind(53);
      expect(k.udpSend(handle, pattern(1400), there, { cookie: 3 })).toBe(1400);
      k.advance(5_000_000);
      expect(k.events()).toEqual([expect.objectContaining({ kind: "udp_sent", cookie: 3 })]);
    });

    test("with a full TX ring is refused, not lost in silence", () => {
      const k = startKernel(build, { txRingSize: 64 });
      const { handle } = k.udpBind(53);
      k.nic.stalled = true;
      const results = Array.from({ length: 100 }, () => k.udpSend(handle, text("x"), there));
      const accepted = results.filter((result) => result === 1).length;
      expect(accepted).toBeGreaterThan(30);
      expect(new Set(results)).toEqual(new Set([1, RC_AGAIN]));
      k.nic.stalled = false;
      k.poll();
      expect(k.sent()).toHaveLength(accepted);
      expect(k.udpSend(handle, text("x"), there)).toBe(1);
    });

    test("without frames is refused", () => {
      const k = startKernel(build, { frames: 256, ringSize: 64, txRingSize: 1024 });
      const { handle } = k.udpBind(53);
      k.nic.holdCompletions = true;
      let result = 0;
      for (let i = 0; i < 400 && result >= 0; i++) result = k.udpSend(handle, text("x"), there);
      expect(result).toBe(RC_NOBUFS);
      k.nic.holdCompletions = false;
      k.nic.complete();
      expect(k.udpSend(handle, text("x"), there)).toBe(1);
    });
  });

  describe("addresses of sends", () => {
    test("every range that is not the application's is refused", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const endpoint = k.writeEndpoint(PEER.ip, 9);
      const good = k.write(text("good"));
      const { address, size } = k.dataplane.window;
      const end = address + size;
      const send = (a: number, b: number, c: number): number =>
        k.call({ op: SYS_UDP_SEND, handle, a: a >>> 0, b: b >>> 0, c: c >>> 0 }).result;
      const data: [number, number][] = [
        [0, 1],
        [address - 1, 1],
        [end - 1, 2],
        [end, 1],
        [k.block, 8],
        [address, 0xffff_ffff],
        [0xffff_ffff, 1],
        [end - 16, 0xffff_fff8],
      ];
      for (const [a, b] of data) expect([RC_FAULT, RC_MSGSIZE]).toContain(send(a, b, endpoint));
      const endpoints = [
        0,
        address - 20,
        address - 1,
        end - 19,
        end,
        k.block,
        0xffff_fff0,
        0xffff_ffff,
      ];
      for (const c of endpoints) expect(send(good, 4, c)).toBe(RC_FAULT);
      k.nothingSent();
      expect(send(good, 4, endpoint)).toBe(4);
    });

    test("vectors are checked as a whole", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const c = k.writeEndpoint(PEER.ip, 9);
      const { address, size } = k.dataplane.window;
      const end = address + size;
      const send = (a: number, b: number): number =>
        k.call({ op: SYS_UDP_SENDV, handle, a, b, c }).result;
      for (const [a, b] of [
        [end - 8, 2],
        [end - 4, 1],
        [0, 1],
        [0xffff_fff8, 2],
      ]) {
        expect(send(a, b)).toBe(RC_FAULT);
      }
      for (const entries of [65, 0x2000_0000, 0xffff_ffff])
        expect(send(address, entries)).toBe(RC_INVAL);
      const good = k.write(text("good"));
      expect(
        send(
          k.writeEntries([
            [good, 4],
            [end - 2, 4],
          ]),
          2,
        ),
      ).toBe(RC_FAULT);
      expect(
        send(
          k.writeEntries([
            [good, 4],
            [0, 0],
          ]),
          2,
        ),
      ).toBe(4);
      expect(
        send(k.writeEntries(Array.from({ length: 64 }, () => [address, 1024] as const)), 64),
      ).toBe(RC_MSGSIZE);
      expect(k.sent()).toHaveLength(1);
    });

    test("an endpoint that came with a datagram is good for the answer", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      k.deliver(datagram(text("question")));
      const { token } = k.event("udp_recv");
      const a = k.write(text("answer"));
      // The endpoint lies at the start of the frame, which is also the token.
      expect(k.call({ op: SYS_UDP_SEND, handle, a, b: 6, c: token }).result).toBe(6);
      const [packet] = k.sent();
      expect(packet.udp?.destinationPort).toBe(9999);
      expect(packet.payload).toEqual(text("answer"));
    });

    test("a datagram goes back straight from its frame, copied", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      k.deliver(datagram(pattern(1400)));
      const { token, address } = k.event("udp_recv");
      k.nic.holdCompletions = true;
      expect(k.call({ op: SYS_UDP_SEND, handle, a: address, b: 1400, c: token }).result).toBe(1400);
      k.udpRecvDone(handle, token);
      for (let i = 0; i < 200; i++) k.deliver(datagram(pattern(1400, 77), { destinationPort: 1 }));
      k.nic.complete();
      expect(k.sent()[0].payload).toEqual(pattern(1400));
    });
  });

  describe("copy break 0", () => {
    test("an empty datagram is a whole packet", () => {
      const k = startKernel(build, { tcp: { copyBreak: 0 } });
      const { handle } = k.udpBind(5000);
      expect(k.udpSend(handle, new Uint8Array(), { ip: "10.0.0.2", port: 9 })).toBe(0);
      k.event("udp_sent");
    });
  });
});
