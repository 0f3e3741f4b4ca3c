/** Addresses in system calls: nothing but the application's own memory is read. */
import { describe, expect, test } from "vitest";
import {
  CFG_FRAMES,
  CNT_REFUSED_ADDRESS,
  CNT_REFUSED_ARGUMENT,
  CONFIG_BASE,
  RC_FAULT,
  RC_INVAL,
  RC_OK,
  SYS_SEND,
  SYS_SENDV,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

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

describe.each(kernels)("$name kernel", (build) => {
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
});
