/** UDP (RFC 768, RFC 1122 section 4.1): ports, datagrams both ways, memory, and every check. */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_UDP_CHECKSUM,
  CNT_DROP_UDP_MALFORMED,
  CNT_DROP_UDP_NO_PORT,
  CNT_UDP_IN,
  CONFIG_BASE,
  GAUGE_BUFFERS,
  RC_BADH,
  RC_INUSE,
  RC_INVAL,
  RC_NOMEM,
  RC_OK,
  SYS_UDP_BIND,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
import { PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { datagram, there } from "./datagrams.ts";

describe.each(kernels)("$name kernel", (build) => {
  describe("receiving", () => {
    const sizes = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 512, 1023, 1024, 1471, 1472];

    test.each(sizes)("%i bytes", (size) => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53, { cookie: 5 });
      const [counted] = k.counts([CNT_UDP_IN], () => k.deliver(datagram(pattern(size))));
      expect(counted).toBe(1);
      expect(k.event("udp_recv")).toMatchObject({
        handle,
        cookie: 5,
        data: pattern(size),
        remoteIp: PEER.ip,
        remotePort: 9999,
      });
      k.nothingSent();
    });

    test("a datagram without a checksum is fine (RFC 768)", () => {
      const k = startKernel(build);
      k.udpBind(53);
      k.deliver(datagram(text("unchecked"), { checksum: "none" }));
      expect(k.event("udp_recv").data).toEqual(text("unchecked"));
    });

    test("a wrong checksum is counted and dropped", () => {
      const k = startKernel(build);
      k.udpBind(53);
      const frame = datagram(text("corrupt"));
      frame[frame.length - 3] ^= 1;
      const [wrong] = k.counts([CNT_DROP_UDP_CHECKSUM], () => k.deliver(frame));
      expect(wrong).toBe(1);
      k.noEvents();
      k.nothingSent();
    });

    test.each([
      ["a length below the header", { length: 7 }],
      ["a length of zero", { length: 0 }],
      ["a length beyond the packet", { length: 100 }],
      ["a length of 65535", { length: 65_535 }],
      ["destination port 0", { destinationPort: 0 }],
    ])("%s is counted and dropped", (_what, fields) => {
      const k = startKernel(build);
      k.udpBind(53);
      const [malformed] = k.counts([CNT_DROP_UDP_MALFORMED], () =>
        k.deliver(datagram(text("data"), { checksum: "none", ...fields })),
      );
      expect(malformed).toBe(1);
      k.noEvents();
      k.nothingSent();
    });

    test("bytes behind the UDP length are not part of the datagram", () => {
      const k = startKernel(build);
      k.udpBind(53);
      k.deliver(datagram(text("hello, world"), { length: 13, checksum: "none" }));
      expect(k.event("udp_recv").data).toEqual(text("hello"));
    });

    test("broadcasts arrive too", () => {
      const k = startKernel(build);
      k.udpBind(53);
      for (const destination of ["255.255.255.255", "10.0.0.255"]) {
        k.deliver(datagram(text("all"), {}, { destination }));
        expect(k.event("udp_recv").data).toEqual(text("all"));
      }
    });

    test("each port gets its own", () => {
      const k = startKernel(build);
      const ports = [1, 53, 80, 65_535].map((port) => [port, k.udpBind(port).handle]);
      for (const [port, handle] of ports) {
        k.deliver(datagram(text(`${port}`), { destinationPort: port }));
        expect(k.event("udp_recv")).toMatchObject({ handle, data: text(`${port}`) });
      }
      const [none] = k.counts([CNT_DROP_UDP_NO_PORT], () =>
        k.deliver(datagram(text("x"), { destinationPort: 54 })),
      );
      expect(none).toBe(1);
    });

    test("datagrams stay untouched until they are given back, in any order", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      for (let i = 0; i < 60; i++) k.deliver(datagram(pattern(900, i * 900)));
      const events = k.events().filter((event) => event.kind === "udp_recv");
      expect(events).toHaveLength(60);
      k.contract.checkHeld();
      const order = events.toSorted((a, b) => (a.token % 7) - (b.token % 7));
      for (const { token } of order) expect(k.udpRecvDone(handle, token)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("an application that gives nothing back does not starve the rest", () => {
      const k = startKernel(build, { frames: 256, ringSize: 64 });
      const { handle } = k.udpBind(53);
      k.udpBind(54);
      for (let i = 0; i < 500; i++) k.deliver(datagram(text("hoard")));
      const held = k.events().length;
      expect(held).toBeGreaterThan(10);
      expect(held).toBeLessThan(250);
      k.deliver(datagram(text("other"), { destinationPort: 54 }));
      expect(k.event("udp_recv").data).toEqual(text("other"));
      k.udpUnbind(handle);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(1);
    });
  });

  describe("udp_recv_done", () => {
    test("takes each token once", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      k.deliver(datagram(text("x")));
      const { token } = k.event("udp_recv");
      expect(k.udpRecvDone(handle, token)).toBe(RC_OK);
      expect(k.udpRecvDone(handle, token)).toBe(RC_INVAL);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
    });

    test("refuses forged tokens", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const other = k.udpBind(54).handle;
      k.deliver(datagram(text("x")));
      const { token, address } = k.event("udp_recv");
      const { window } = k.dataplane;
      const forged = [
        0,
        1,
        token + 1,
        token - 1,
        token + 2048,
        token - 2048,
        token + 0x8000_0000,
        address,
        window.address,
        CONFIG_BASE,
        k.block,
        0xffff_ffff,
        0xffff_f800,
      ];
      for (const wrong of forged) expect(k.udpRecvDone(handle, wrong >>> 0)).toBe(RC_INVAL);
      expect(k.udpRecvDone(other, token)).toBe(RC_INVAL);
      expect(k.udpRecvDone(handle + (1 << 20), token)).toBe(RC_BADH);
      k.contract.checkHeld();
      expect(k.udpRecvDone(handle, token)).toBe(RC_OK);
    });

    test("refuses the token of a frame that TCP or the NIC holds", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      const first = k.dataplane.map.frames.address;
      const counts = k.dataplane.map.frames.size / 2048;
      for (let index = 0; index < counts; index += 7) {
        expect(k.udpRecvDone(handle, first + index * 2048)).toBe(RC_INVAL);
      }
    });
  });

  describe("ports", () => {
    test("can be bound once", () => {
      const k = startKernel(build);
      const { result, handle, a } = k.udpBind(53, { cookie: 9 });
      expect([result, a]).toEqual([RC_OK, 53]);
      expect(k.udpBind(53).result).toBe(RC_INUSE);
      expect(k.udpUnbind(handle)).toBe(RC_OK);
      expect(k.udpUnbind(handle)).toBe(RC_BADH);
      const again = k.udpBind(53);
      expect(again.result).toBe(RC_OK);
      expect(again.handle).not.toBe(handle);
    });

    test("port 0 asks for any of the ephemeral ones", () => {
      const k = startKernel(build, { tcp: { ephemeral: [40_000, 40_009] } });
      const ports = Array.from({ length: 10 }, () => k.udpBind(0).a);
      expect(ports.toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => 40_000 + i));
      expect(k.udpBind(0).result).toBe(RC_INUSE);
    });

    test.each([65_536, 0x8000_0000, 0xffff_ffff])("port %i is refused", (port) => {
      const k = startKernel(build);
      expect(k.call({ op: SYS_UDP_BIND, a: port }).result).toBe(RC_INVAL);
    });

    test("run out without harm", () => {
      const k = startKernel(build, { tables: { udpPorts: 4 } });
      const handles = [1, 2, 3, 4].map((port) => k.udpBind(port).handle);
      expect(k.udpBind(5).result).toBe(RC_NOMEM);
      k.udpUnbind(handles[1]);
      expect(k.udpBind(5).result).toBe(RC_OK);
      for (const port of [1, 3, 4, 5]) {
        k.deliver(datagram(text("x"), { destinationPort: port }));
        k.event("udp_recv");
      }
    });

    test("unbind takes back what the application held, and stale handles are refused", () => {
      const k = startKernel(build);
      const { handle } = k.udpBind(53);
      for (let i = 0; i < 10; i++) k.deliver(datagram(pattern(100)));
      const events = k.events();
      expect(k.udpUnbind(handle)).toBe(RC_OK);
      expect(k.gauge(GAUGE_BUFFERS)).toBe(0);
      const [first] = events;
      if (first.kind === "udp_recv") expect(k.udpRecvDone(handle, first.token)).toBe(RC_BADH);
      expect(k.udpSend(handle, text("x"), there)).toBe(RC_BADH);
    });

    test("are bound and unbound many times in any order", () => {
      const k = startKernel(build, { tables: { udpPorts: 32 } });
      const bound = new Map<number, number>();
      let seed = 7;
      for (let i = 0; i < 2000; i++) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        const port = 1 + ((seed >>> 8) % 64);
        const handle = bound.get(port);
        if (handle !== undefined) {
          expect(k.udpUnbind(handle)).toBe(RC_OK);
          bound.delete(port);
        } else {
          const { result, handle: fresh } = k.udpBind(port);
          expect(result).toBe(bound.size < 32 ? RC_OK : RC_NOMEM);
          if (result === RC_OK) bound.set(port, fresh);
        }
      }
      for (const [port, handle] of bound) {
        k.deliver(datagram(text("x"), { destinationPort: port }));
        expect(k.event("udp_recv").handle).toBe(handle);
      }
    });
  });
});
