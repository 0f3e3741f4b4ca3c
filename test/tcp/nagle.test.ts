/** Small segments that wait: Nagle's algorithm and FLAG_MORE (RFC 9293 section 3.7.4). */
import { describe, expect, test } from "vitest";
import { FLAG_MORE, FLAG_NAGLE, SYS_SEND } from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import type { Call } from "../support/application.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;

describe.each(kernels)("$name kernel", (build) => {
  describe("Nagle's algorithm (section 3.7.4, RFC 896)", () => {
    test("is off by default: small segments go at once", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      for (let i = 0; i < 5; i++) {
        k.send(peer.handle, pattern(10, i * 10));
        peer.expect({ payload: pattern(10, i * 10) });
      }
    });

    test("holds a small segment back while something is in flight", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      peer.expect({ payload: pattern(10) });
      for (let i = 1; i < 5; i++) k.send(peer.handle, pattern(10, i * 10));
      peer.expectNothing();
      peer.ack();
      peer.expect({ seq: 11, payload: pattern(40, 10) });
      peer.expectNothing();
    });

    test("lets a full segment go", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      peer.expect({ length: 10 });
      k.send(peer.handle, pattern(1000, 10));
      peer.expectNothing();
      k.send(peer.handle, pattern(1000, 1010));
      peer.expect({ length: 1460, seq: 11 });
      peer.expectNothing();
      peer.ack();
      peer.expect({ length: 540 });
    });

    test("lets the FIN and what is before it go", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      k.send(peer.handle, pattern(10, 10));
      peer.expect({ length: 10 });
      k.shutdown(peer.handle);
      peer.expect({ flags: "FA", payload: pattern(10, 10) });
    });

    test("lets the end of a long write go behind full segments (Minshall's rule)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(2000));
      peer.expect({ length: 1460 });
      peer.expect({ length: 540 });
      k.send(peer.handle, pattern(10, 2000));
      peer.expectNothing();
      peer.send({ ack: 1461 });
      peer.expectNothing();
      peer.ack();
      peer.expect({ payload: pattern(10, 2000) });
    });

    test("works for connections opened actively", () => {
      const k = startKernel(build);
      const peer = TcpPeer.connected(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      k.send(peer.handle, pattern(10, 10));
      peer.expect({ length: 10 });
      peer.expectNothing();
    });
  });

  describe("FLAG_MORE", () => {
    test("joins small sends of one batch", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const send = (data: Uint8Array, flags: number): Call => ({
        op: SYS_SEND,
        handle: peer.handle,
        a: k.write(data),
        b: data.length,
        flags,
      });
      const results = k.batch([
        send(pattern(10), FLAG_MORE),
        send(pattern(10, 10), FLAG_MORE),
        send(pattern(10, 20), 0),
      ]);
      expect(results.map(({ result }) => result)).toEqual([10, 10, 10]);
      peer.expect({ payload: pattern(30) });
      peer.expectNothing();
    });

    test("does not hold data back for ever", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(10), { flags: FLAG_MORE });
      k.advance(SECOND);
      expect(peer.takeAll()[0].payload).toEqual(pattern(10));
    });
  });
});
