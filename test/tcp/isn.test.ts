/** Initial sequence numbers (RFC 6528). */
import { describe, expect, test } from "vitest";
import { PEER, startKernel } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

/** The kernel's initial sequence number for a connection from that port at that time. */
function isn(build: KernelBuild, secret: number, sourcePort: number, start: number): number {
  const k = startKernel(build, { secret: new Uint8Array(16).fill(secret), start });
  k.connect(PEER.ip, 80, { sourcePort });
  return k.sent()[0].tcp!.seq;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("initial sequence numbers (RFC 6528)", () => {
    test("advance by 1 every 4 µs for the same ports", () => {
      const first = isn(build, 1, 5000, 1_000_000);
      const second = isn(build, 1, 5000, 1_000_000 + 4_000);
      expect((second - first) | 0).toBe(1000);
    });

    test("differ with the ports and with the secret beyond guessing", () => {
      const numbers = [5000, 5001, 5002, 5003].map((port) => isn(build, 1, port, 1_000_000));
      numbers.push(isn(build, 2, 5000, 1_000_000));
      for (let i = 0; i < numbers.length; i++) {
        for (let j = 0; j < i; j++) {
          expect(Math.abs((numbers[i] - numbers[j]) | 0)).toBeGreaterThan(4096);
        }
      }
    });

    test("of passive opens depend on the peer's port", () => {
      const k = startKernel(build);
      const first = TcpPeer.synReceived(k);
      const second = TcpPeer.synReceived(k);
      expect(Math.abs((first.irs! - second.irs!) | 0)).toBeGreaterThan(4096);
    });
  });
});
