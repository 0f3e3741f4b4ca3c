/**
 * Whatever a kernel accepts of each send, and whenever it acknowledges it, the stream is the one that
 * was written, completions come in order and exactly once, and in the end no memory is in use.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  RC_NOBUFS,
  RC_OK,
  SYS_CLOSE,
  SYS_RECV_DONE,
  SYS_SEND,
  SYS_SENDV,
} from "../../assembly/abi.ts";
import { IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { FakeKernel } from "./fake-kernel.ts";
import type { Call, FakeEvent } from "./fake-kernel.ts";

const HANDLE = 0x12300001;
/** What the model calls a full window. */
const BUFFER = 20_000;

/** What the application does in a round. */
const action = fc.oneof(
  fc.record({ kind: fc.constant("copy" as const), length: fc.integer({ min: 1, max: 9000 }) }),
  fc.record({ kind: fc.constant("memory" as const), length: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({ kind: fc.constant("refer" as const), length: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({ kind: fc.constant("read" as const), length: fc.integer({ min: 1, max: 3000 }) }),
);

/** What happens in a round: the application's actions, then the kernel's whim. */
const round = fc.record({
  actions: fc.array(action, { maxLength: 4 }),
  /** Part of a send that is accepted; below 0 it fails for want of frames. */
  accepted: fc.double({ min: -0.2, max: 1.5, noNaN: true }),
  /** Part of what is unacknowledged that is acknowledged. */
  acknowledged: fc.double({ min: -0.5, max: 1, noNaN: true }),
  received: fc.integer({ min: -500, max: 1500 }),
});

/** The model: accepts, copies or refers to, and acknowledges a byte stream. */
class Connection {
  readonly wire: number[] = [];
  acknowledged = 0;
  blocked = false;
  announced = 0;
  givenBack = 0;
  share = 1;
  /** Referenced ranges: nobody may have changed them when they are acknowledged. */
  readonly references: { address: number; from: number; length: number }[] = [];
  readonly #kernel: FakeKernel;

  constructor(kernel: FakeKernel) {
    this.#kernel = kernel;
    kernel.respond = (call) => this.#run(call);
  }

  #run(call: Call): number | undefined {
    if (call.op === SYS_RECV_DONE) this.givenBack += call.a;
    if (call.op !== SYS_SEND && call.op !== SYS_SENDV) return undefined;
    expect(this.blocked).toBe(false);
    const bytes = this.#kernel.payload(call);
    const room = BUFFER - (this.wire.length - this.acknowledged);
    const taken = Math.min(Math.floor(bytes.length * Math.min(this.share, 1)), room);
    this.blocked = taken < bytes.length;
    if (this.share < 0) return RC_NOBUFS;
    const ranges =
      call.op === SYS_SEND ? [{ address: call.a, length: call.b }] : this.#kernel.vector(call);
    let left = taken;
    for (const { address, length } of ranges) {
      const part = Math.min(length, left);
      if (length >= 1024 && part > 0) {
        this.references.push({ address, from: this.wire.length + taken - left, length: part });
      }
      left -= part;
    }
    this.wire.push(...bytes.slice(0, taken));
    return taken;
  }

  /** Acknowledges a part; the event, if there is one. */
  acknowledge(part: number): FakeEvent[] {
    const bytes = Math.max(0, Math.floor((this.wire.length - this.acknowledged) * part));
    if (bytes === 0 && !this.blocked) return [];
    // References that end here must still hold what was sent.
    this.acknowledged += bytes;
    while (this.references.length > 0) {
      const { address, from, length } = this.references[0];
      if (from + length > this.acknowledged) break;
      const now = this.#kernel.ix.bytes.slice(address, address + length);
      expect([...now]).toEqual(this.wire.slice(from, from + length));
      this.references.shift();
    }
    const window = Math.max(0, BUFFER - (this.wire.length - this.acknowledged));
    if (window > 0) this.blocked = false;
    return [{ op: EV_SENT, a: bytes, b: window }];
  }
}

function streamByte(position: number): number {
  return (position * 167 + (position >>> 8) * 13) & 0xff;
}

it("delivers the stream that was written", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(
      fc.array(round, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(4, 1024),
      (rounds, calls) => {
        const kernel = new FakeKernel({ calls });
        const model = new Connection(kernel);
        const context = new IxevContext();
        const ixev = new Ixev(
          kernel.ix,
          { accept: () => context },
          { copyBuffer: 2048, sendLimit: 16_384 },
        );
        const { window } = kernel.ix;
        const idle = window.used;
        context.setHandler(IXEVIN | IXEVOUT, () => {});
        ixev.listen(7);
        kernel.round(ixev, [{ op: EV_KNOCK, handle: HANDLE }]);
        kernel.round(ixev);
        const own = (event: FakeEvent): FakeEvent => ({
          ...event,
          handle: HANDLE,
          cookie: context.cookie,
        });

        let written = 0;
        let completed = 0;
        let read = 0;
        const fill = (address: number, length: number): void => {
          for (let i = 0; i < length; i++) kernel.ix.bytes[address + i] = streamByte(written + i);
        };
        for (const { actions, accepted, acknowledged, received } of rounds) {
          for (const { kind, length } of actions) {
            if (kind === "copy") {
              const bytes = Uint8Array.from({ length }, (_, i) => streamByte(written + i));
              written += context.send(bytes);
              bytes.fill(0xbb);
            } else if (kind === "read") {
              read += Math.max(0, context.recv(new Uint8Array(length)));
            } else {
              const block = window.allocate(length + 3);
              if (block === 0) continue;
              // Any alignment will do.
              const start = block + (written & 3);
              fill(start, length);
              const end = written + length;
              if (kind === "memory") {
                written += context.sendMemory(start, length);
                kernel.ix.bytes.fill(0xcc, start, start + length);
                window.free(block);
              } else {
                expect(
                  context.sendZeroCopy(start, length, (ok) => {
                    expect(ok).toBe(true);
                    expect(model.acknowledged).toBeGreaterThanOrEqual(end);
                    expect(end).toBeGreaterThan(completed);
                    completed = end;
                    kernel.ix.bytes.fill(0xdd, start, start + length);
                    window.free(block);
                  }),
                ).toBe(length);
                written = end;
              }
            }
          }
          model.share = accepted;
          const events = model.acknowledge(acknowledged);
          if (received > 0) {
            events.push({ op: EV_RECV, a: kernel.frame(0, new Uint8Array(received)), b: received });
            model.announced += received;
          }
          kernel.round(ixev, events.map(own));
        }
        // From here on everything is taken: all that was written goes out, then the connection ends.
        context.close();
        model.share = 1;
        for (let i = 0; i < 200 && !kernel.log.some(({ op }) => op === SYS_CLOSE); i++) {
          kernel.round(ixev, model.acknowledge(1).map(own));
        }
        expect(model.wire.length).toBe(written);
        expect(model.wire.every((byte, position) => byte === streamByte(position))).toBe(true);
        expect(model.givenBack).toBe(model.announced);
        expect(read).toBeLessThanOrEqual(model.announced);
        const rest = model.wire.length - model.acknowledged;
        model.acknowledge(1);
        kernel.round(ixev, [own({ op: EV_DEAD, result: RC_OK, a: rest })]);
        expect(ixev.connections).toBe(0);
        expect(ixev.segments.inUse).toBe(0);
        // All that is left are copy buffers kept at hand.
        expect((window.used - idle) % 2048).toBe(0);
        expect(window.used - idle).toBeLessThanOrEqual(16_384 + 2048);
      },
    ),
    { numRuns: 150 },
  );
});
