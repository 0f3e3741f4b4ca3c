/** Small segments that wait, and records that end: Nagle's algorithm (RFC 9293 section 3.7.4), flags of send, corks. */
import { describe, expect, test } from "vitest";
import {
  FLAG_MORE,
  FLAG_NAGLE,
  FLAG_RECORD_END,
  OPTION_CORK,
  OPTION_NAGLE,
  RC_INVAL,
  RC_OK,
  SYS_SEND,
} from "../../assembly/abi.ts";
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
      k.advance(100_000);
      peer.expectNothing();
      k.advance(SECOND);
      expect(peer.takeAll()[0].payload).toEqual(pattern(10));
    });

    test("holds data back until an ACK, whose end then is not pushed", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(1470), { flags: FLAG_MORE });
      peer.expect({ length: 1460 });
      peer.expectNothing();
      peer.ack();
      peer.expect({ flags: "A", psh: false, payload: pattern(10, 1460) });
    });

    test("is not forgotten by a send with it of which nothing is taken", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(10), { flags: FLAG_MORE });
      expect(k.send(peer.handle, pattern(0), { flags: FLAG_MORE })).toBe(0);
      peer.expectNothing();
    });

    test("is forgotten by a send without it, even one of nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(10), { flags: FLAG_MORE });
      k.send(peer.handle, pattern(0));
      peer.expect({ payload: pattern(10) });
    });
  });

  describe("FLAG_RECORD_END", () => {
    test("keeps later data out of a record's last segment, which is pushed", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.send(peer.handle, pattern(10));
      peer.expect({ length: 10 });
      k.send(peer.handle, pattern(20, 10), { flags: FLAG_RECORD_END });
      k.send(peer.handle, pattern(30, 30));
      peer.ack();
      peer.expect({ flags: "A", psh: true, payload: pattern(20, 10) });
      peer.ack();
      peer.expect({ payload: pattern(30, 30) });
    });
  });

  describe("OPTION_CORK", () => {
    test("sends full segments only until it is taken off", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.option(peer.handle, OPTION_CORK, 1)).toBe(RC_OK);
      k.send(peer.handle, pattern(1500));
      peer.expect({ length: 1460 });
      peer.ack();
      peer.expectNothing();
      expect(k.option(peer.handle, OPTION_CORK, 0)).toBe(RC_OK);
      peer.expect({ flags: "A", psh: true, payload: pattern(40, 1460) });
    });

    test("does not hold data back for ever, nor the FIN", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.option(peer.handle, OPTION_CORK, 1);
      k.send(peer.handle, pattern(10));
      peer.expectNothing();
      k.advance(SECOND);
      expect(peer.takeAll()[0].payload).toEqual(pattern(10));
      peer.ack();
      k.send(peer.handle, pattern(10, 10));
      peer.expectNothing();
      k.shutdown(peer.handle);
      peer.expect({ flags: "FA", payload: pattern(10, 10) });
    });

    test("leaves all the room there is while nothing is in flight", () => {
      const k = startKernel(build, { tcp: { sendBufferMax: 2048 } });
      const peer = TcpPeer.established(k);
      k.option(peer.handle, OPTION_CORK, 1);
      expect(k.send(peer.handle, pattern(700))).toBe(700);
      expect(k.send(peer.handle, pattern(1348, 700))).toBe(1348);
      peer.expect({ payload: pattern(1460) });
    });

    test("has its time from when the window has opened", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.option(peer.handle, OPTION_CORK, 1);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(10));
      for (let probes = 0; probes < 8; probes++) {
        while (!k.outbox.length) k.advanceToDeadline();
        peer.takeAll();
        peer.send({ window: 0 });
      }
      peer.send({ window: 10_000 });
      peer.expectNothing();
      k.advance(SECOND);
      expect(peer.takeAll()[0].payload).toEqual(pattern(10));
    });

    test("is overridden by an end of Nagle's algorithm, and stays", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { flags: FLAG_NAGLE });
      k.option(peer.handle, OPTION_CORK, 1);
      k.send(peer.handle, pattern(10));
      peer.expectNothing();
      k.option(peer.handle, OPTION_NAGLE, 0);
      peer.expect({ payload: pattern(10) });
      k.send(peer.handle, pattern(10, 10));
      peer.expectNothing();
    });

    test("takes no other value than 0 and 1", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      expect(k.option(peer.handle, OPTION_CORK, 2)).toBe(RC_INVAL);
    });
  });
});
