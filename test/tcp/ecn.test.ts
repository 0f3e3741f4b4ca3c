/** Explicit congestion notification (RFC 3168), and DCTCP on top of it (RFC 8257). */
import { describe, expect, test } from "vitest";
import { CNT_TCP_CE_IN, CNT_TCP_ECN_REDUCTIONS, CNT_TCP_RETRANSMITS } from "../../assembly/abi.ts";
import type { TcpOptions } from "../../host/dataplane/options.ts";
import { Bulk, MSS } from "../support/bulk.ts";
import { pattern, text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const ECT = 2;
const CE = 3;

/** A peer whose SYN offered ECN, and the kernel's connection with it. */
function withEcn(build: KernelBuild, tcp: TcpOptions = {}): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, { references: 4096, applicationWindow: 4 << 20, tcp });
  const peer = TcpPeer.listening(k, { mss: MSS, windowScale: 7, window: 4 << 20 });
  peer.sendSyn("SEW");
  peer.expect({ flags: "SAE" });
  peer.ack();
  peer.handle = k.event("knock").handle;
  k.accept(peer.handle);
  return { k, peer };
}

describe.each(kernels)("$name kernel", (build) => {
  describe("is agreed on (section 6.1.1)", () => {
    test("when the SYN asks for it", () => {
      const { k, peer } = withEcn(build);
      k.send(peer.handle, text("data"));
      expect(peer.expect({ length: 4 }).tos).toBe(ECT);
    });

    test("but not when it is off", () => {
      const k = startKernel(build, { tcp: { ecn: "off" } });
      const peer = TcpPeer.listening(k);
      peer.sendSyn("SEW");
      peer.expect({ flags: "SA" });
    });

    test.each(["S", "SE", "SW"])("nor by a %s", (flags) => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k);
      peer.sendSyn(flags);
      peer.expect({ flags: "SA" });
    });

    test.each<TcpOptions>([{ ecn: "on" }, { congestionControl: "dctcp" }])(
      "when the kernel's SYN asks, with %j, and the peer says yes",
      (tcp) => {
        const k = startKernel(build, { tcp });
        const peer = new TcpPeer(k);
        peer.handle = k.connect(peer.host.ip, peer.port).handle;
        const syn = k.sent().find(({ tcp: header }) => header?.destinationPort === peer.port);
        expect(syn?.tcp?.flags).toBe("SEW");
        expect(syn?.ip?.tos).toBe(0);
      },
    );

    test.each([
      ["SAE", ECT],
      ["SA", 0],
      ["SAEW", 0],
    ])("an answer with %s makes data go out as %i", (answer, tos) => {
      const k = startKernel(build, { tcp: { ecn: "on" } });
      const peer = new TcpPeer(k);
      peer.handle = k.connect(peer.host.ip, peer.port).handle;
      const syn = k.outbox.find(({ tcp }) => tcp?.destinationPort === peer.port);
      peer.kernelPort = syn!.tcp!.sourcePort;
      peer.take();
      peer.sendSyn(answer);
      expect(peer.expect({ flags: "A" }).tos).toBe(0);
      k.send(peer.handle, text("data"));
      expect(peer.expect({ length: 4 }).tos).toBe(tos);
    });

    test("a SYN that has to be repeated asks no more", () => {
      const k = startKernel(build, { tcp: { ecn: "on" } });
      const peer = new TcpPeer(k);
      k.connect(peer.host.ip, peer.port);
      k.advance(1_500_000);
      const syns = k.sent().filter(({ tcp }) => tcp?.destinationPort === peer.port);
      expect(syns.map(({ tcp }) => tcp!.flags)).toEqual(["SEW", "S"]);
    });
  });

  describe("as receiver (section 6.1.3)", () => {
    test("a mark is echoed until the peer has reduced its window", () => {
      const { k, peer } = withEcn(build);
      const [marks] = k.counts([CNT_TCP_CE_IN], () => {
        peer.send({ payload: text("a"), tos: CE });
      });
      expect(marks).toBe(1);
      peer.expect({ flags: "AE", ack: 2 });
      peer.send({ payload: text("bc"), tos: ECT });
      k.advance(50_000);
      peer.expect({ flags: "AE", ack: 4 });
      peer.send({ payload: text("d"), flags: "AW", tos: ECT });
      k.advance(50_000);
      peer.expect({ flags: "A", ack: 5 });
    });

    test("a mark on early data is echoed too", () => {
      const { peer } = withEcn(build);
      peer.send({ seq: 10, payload: text("late"), tos: CE });
      peer.expect({ flags: "AE", ack: 1 });
    });

    test("without an agreement a mark is nothing", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ payload: text("a"), tos: CE });
      k.advance(50_000);
      peer.expect({ flags: "A" });
    });
  });

  describe("as sender (section 6.1.2)", () => {
    function fortyInFlight(tcp: TcpOptions = {}): Bulk {
      const { k, peer } = withEcn(build, tcp);
      const bulk = new Bulk(k, peer);
      for (let round = 0; round < 2; round++) {
        bulk.flight();
        bulk.ackOnce();
      }
      expect(bulk.flight()).toBe(40);
      return bulk;
    }

    test("an echo reduces the window once a flight, and the next data says so", () => {
      const bulk = fortyInFlight();
      const { k, peer, una } = bulk;
      const [reductions, retransmits] = k.counts(
        [CNT_TCP_ECN_REDUCTIONS, CNT_TCP_RETRANSMITS],
        () => {
          for (let i = 1; i < 40; i++) peer.send({ flags: "AE", ack: una + i * MSS });
        },
      );
      expect([reductions, retransmits]).toEqual([1, 0]);
      const sent = peer.takeAll();
      expect(sent.map(({ flags }) => flags.includes("W"))).toEqual(sent.map((_, i) => i === 0));
      // 0.7 of 40 in flight, of which one is not acknowledged.
      expect(sent.length).toBeGreaterThanOrEqual(26);
      expect(sent.length).toBeLessThanOrEqual(30);
    });

    test("an echo of the next flight reduces it again", () => {
      const bulk = fortyInFlight();
      const { k, peer } = bulk;
      const [reductions] = k.counts([CNT_TCP_ECN_REDUCTIONS], () => {
        for (let flight = 0; flight < 2; flight++) {
          peer.send({ flags: "AE", ack: peer.rcvNxt });
          bulk.flight();
          peer.takeAll();
        }
      });
      expect(reductions).toBe(2);
    });

    test("what is sent again carries no mark's permission (section 6.1.5)", () => {
      const bulk = fortyInFlight();
      bulk.k.advance(250_000);
      const sent = bulk.peer.takeAll();
      expect(sent.length).toBeGreaterThan(0);
      for (const segment of sent) expect(segment.tos).toBe(0);
    });

    test("bbr sends nothing as ECN-capable, and ignores echoes", () => {
      const { k, peer } = withEcn(build, { congestionControl: "bbr" });
      k.send(peer.handle, text("data"));
      expect(peer.expect({ length: 4 }).tos).toBe(0);
      const [reductions] = k.counts([CNT_TCP_ECN_REDUCTIONS], () => peer.send({ flags: "AE" }));
      expect(reductions).toBe(0);
    });
  });

  describe("DCTCP (RFC 8257)", () => {
    const DCTCP: TcpOptions = { congestionControl: "dctcp" };

    test("the echo follows the marks (section 3.2)", () => {
      const { k, peer } = withEcn(build, DCTCP);
      const echoes: string[] = [];
      let sent = 0;
      for (const tos of [ECT, CE, CE, ECT, ECT, CE]) {
        peer.send({ payload: pattern(MSS, sent), tos });
        sent += MSS;
        k.recvDone(peer.handle, MSS);
      }
      k.advance(50_000);
      for (const { flags, ack } of peer.takeAll()) echoes.push(`${(ack - 1) / MSS}${flags}`);
      // What was held back at a change goes out with the echo of before.
      expect(echoes.map((echo) => echo.replace(/A(E?)/, "$1"))).toEqual(
        expect.arrayContaining(["1", "3E", "5", "6E"]),
      );
      expect(echoes).not.toContain("2A");
      expect(echoes).not.toContain("4AE");
    });

    /** The window after flights of which the last `marked` of every ten segments were marked. */
    function windows(marked: number, flights: number): number[] {
      const { k, peer } = withEcn(build, DCTCP);
      const bulk = new Bulk(k, peer);
      const sizes: number[] = [];
      let una = 1;
      for (let flight = 0; flight < flights; flight++) {
        const size = bulk.flight();
        sizes.push(size);
        const end = peer.rcvNxt;
        for (let i = 1; una < end; i++) {
          una = Math.min(una + MSS, end);
          peer.send({ flags: i % 10 < 10 - marked ? "A" : "AE", ack: una });
          // The next flight is taken when this one is acknowledged.
        }
        bulk.lose();
      }
      return sizes;
    }

    test("few marks shrink the window less than many", () => {
      const few = Math.min(...windows(1, 60).slice(40));
      const many = Math.min(...windows(9, 60).slice(40));
      expect(few).toBeGreaterThan(many);
      expect(many).toBeGreaterThanOrEqual(2);
    });
  });
});
