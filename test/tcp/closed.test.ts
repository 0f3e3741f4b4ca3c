/** Segments for no connection (RFC 9293 sections 3.10.7.1 and 3.10.7.2). */
import { describe, expect, test } from "vitest";
import { CNT_DROP_TCP_NO_CONNECTION, GAUGE_CONNECTIONS } from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

describe.each(kernels)("$name kernel", (build) => {
  describe("segments for no connection (section 3.10.7.1)", () => {
    test.each([
      ["SYN", { flags: "S", seq: 100 }, { flags: "RA", seq: 0, ack: 101 }],
      ["ACK", { flags: "A", seq: 100, ack: 500 }, { flags: "R", seq: 500 }],
      ["SYN-ACK", { flags: "SA", seq: 100, ack: 500 }, { flags: "R", seq: 500 }],
      ["FIN PSH URG", { flags: "FPU", seq: 100 }, { flags: "RA", seq: 0, ack: 101 }],
      [
        "data without ACK",
        { flags: "", seq: 100, payload: text("abc") },
        { flags: "RA", ack: 103 },
      ],
      [
        "data with FIN",
        { flags: "FA", seq: 1, ack: 9, payload: text("abc") },
        { flags: "R", seq: 9 },
      ],
    ])("%s to a closed port is answered with RST", (_what, segment, expected) => {
      const k = startKernel(build);
      const peer = new TcpPeer(k);
      const [drops] = k.counts([CNT_DROP_TCP_NO_CONNECTION], () => peer.send(segment));
      expect(drops).toBe(1);
      const { header } = peer.expect({ ...expected, length: 0 });
      expect(header.window).toBe(0);
      peer.expectNothing();
    });

    test.each(["R", "RA"])("%s is not answered", (flags) => {
      const k = startKernel(build);
      const peer = new TcpPeer(k);
      peer.send({ flags });
      peer.expectNothing();
    });

    test("an ACK for a listening port is answered with RST (section 3.10.7.2)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.send({ flags: "A", seq: 1, ack: 500 });
      peer.expect({ flags: "R", seq: 500 });
    });

    test.each(["", "F", "FPU", "SF"])("flags '%s' to a listening port: silence", (flags) => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.send({ flags });
      peer.expectNothing();
      k.noEvents();
      expect(k.gauge(GAUGE_CONNECTIONS)).toBe(0);
    });

    test("RST for a listening port is ignored", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.send({ flags: "R" });
      peer.expectNothing();
    });
  });
});
