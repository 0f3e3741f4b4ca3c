/** Timers of the application on the wheel. */
import { describe, expect, test } from "vitest";
import {
  RC_BADH,
  RC_INVAL,
  RC_NOMEM,
  RC_OK,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
} from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;

describe.each(kernels)("$name kernel", (build) => {
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
