import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import {
  QUEUE_COMPLETION,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_PRODUCER,
} from "../../assembly/abi.ts";
import { Capture, connectPorts, createBackend, Port } from "../../host/nic/index.ts";
import { lock, LOCK_HOLDER, unlock } from "../../host/nic/ring-lock.ts";
import { hashIpv4, STANDARD_TABLES } from "../../host/nic/rss.ts";
import { ipFrame } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";

const QUEUES = 4;
/** Where the payload begins in a frame of `ipFrame`, and words of it that lie aligned. */
const PAYLOAD = 54;
const NUMBER = 56;

/** Frames for b from consecutive source ports, with the group of each. */
function flows(count: number, first = 1000) {
  return Array.from({ length: count }, (_, i) => {
    const frame = ipFrame({ sourcePort: first + i, payload: [i, 0, 0, 0, 0, 0, 0, 0] });
    return { frame, group: hashIpv4(STANDARD_TABLES, frame, 26, 34) & 127 };
  });
}

/** Sees every frame that is delivered, while the sender holds the queue's lock. */
class Spy extends Capture {
  readonly #see: () => void;

  constructor(port: FakeKernel, see: () => void) {
    super([port.handle], () => {});
    this.#see = see;
  }

  override delivered(): void {
    this.#see();
  }
}

/** One batch of frames to every queue of b; `change` happens when the first of them is delivered. */
function changeInMidBatch(change: (control: Port, first: number) => void) {
  const a = new FakeKernel("a");
  const b = new FakeKernel("b", { queueCount: QUEUES });
  const [fromA] = connectPorts(a.handle, b.handle);
  const control = new Port(b.handle);
  const sent = flows(24);
  const first = sent[0].group % QUEUES;
  let seen = false;
  const capture = new Spy(b, () => {
    if (!seen) change(control, first);
    seen = true;
  });
  const backend = createBackend(a.handle, 0, fromA, { capture });
  for (const { frame } of sent) a.send(frame);
  expect(backend.pump(7)).toBe(24);
  const received = Array.from({ length: QUEUES }, (_, queue) =>
    b.receive(queue).map(({ bytes }) => bytes[PAYLOAD]),
  );
  return { sent, received, first };
}

describe("a change of the RETA while a batch is under way", () => {
  it("holds for every frame of the batch that is not delivered yet, in their order", () => {
    // All groups but those of the queue that is being delivered to go to its neighbour.
    const { received, sent, first } = changeInMidBatch((control, busy) => {
      const groups = Array.from({ length: 128 }, (_, group) => group);
      const others = groups.filter((group) => group % QUEUES !== busy);
      control.updateReta(others.map((group) => [group, (busy + 1) % QUEUES] as const));
    });
    const target = (first + 1) % QUEUES;
    const indices = sent.map((_, i) => i);
    const stays = indices.filter((i) => sent[i].group % QUEUES === first);
    expect(received[first]).toEqual(stays);
    expect(received[target].toSorted((a, b) => a - b)).toEqual(
      indices.filter((i) => !stays.includes(i)),
    );
    // Frames of one flow came from one list; so do those of one old queue, in their order.
    for (let old = 0; old < QUEUES; old++) {
      const moved = received[target].filter((i) => sent[i].group % QUEUES === old);
      expect(moved).toEqual(moved.toSorted((a, b) => a - b));
    }
    for (let queue = 0; queue < QUEUES; queue++) {
      if (queue !== first && queue !== target) expect(received[queue]).toEqual([]);
    }
  });

  it("is made by a filter too", () => {
    const tuple = (port: number) => ({
      protocol: 6,
      source: [10, 0, 0, 1],
      sourcePort: port,
      destination: [10, 0, 0, 2],
      destinationPort: 2000,
    });
    const last = flows(24).findLastIndex(({ group }, _, all) => {
      return group % QUEUES !== all[0].group % QUEUES;
    });
    const old = flows(24)[last].group % QUEUES;
    const { received } = changeInMidBatch((control, first) => {
      const target = [0, 1, 2, 3].find((queue) => queue !== old && queue !== first)!;
      expect(control.addFilter(tuple(1000 + last), target)).toBe(true);
    });
    expect(received[old]).not.toContain(last);
    expect(received.flat().toSorted((a, b) => a - b)).toEqual(flows(24).map((_, i) => i));
  });

  it("waits for who delivers to an old queue, and for nobody else", () => {
    const b = new FakeKernel("b", { queueCount: QUEUES });
    const control = new Port(b.handle);
    lock(control.state, control.lockOf(2));
    // Queue 2 is not concerned.
    expect(control.updateReta([[0, 1]])).toBe(true);
    // Here it is, and its sender does not end soon.
    expect(control.updateReta([[2, 1]])).toBe(false);
    expect(control.retaEntries()[2]).toBe(1);
    expect(control.settle()).toBe(false);
    unlock(control.state, control.lockOf(2));
    expect(control.settle()).toBe(true);
  });
});

describe("locks of a thread that is gone", () => {
  it("are given back, and only those", () => {
    const b = new FakeKernel("b", { queueCount: QUEUES });
    const port = new Port(b.handle);
    lock(port.state, port.lockOf(1));
    lock(port.state, port.lockOf(3));
    const gone = LOCK_HOLDER === 5 ? 6 : 5;
    port.state[port.lockOf(0)] = gone << 1;
    expect(port.freeLocksOf(gone)).toBe(1);
    expect(lock(port.state, port.lockOf(0))).toBe(true);
    expect(port.freeLocksOf(LOCK_HOLDER)).toBe(3);
    expect(port.freeLocksOf(LOCK_HOLDER)).toBe(0);
  });
});

describe("a frame's metadata", () => {
  it("says when it arrived, modulo 2^32, wherever in memory it begins", () => {
    const a = new FakeKernel("a");
    const b = new FakeKernel("b");
    const backend = createBackend(a.handle, 0, connectPorts(a.handle, b.handle)[0]);
    const frame = ipFrame({ payload: Array.from({ length: 400 }, () => 1) });
    for (const now of [0, 5, 2 ** 31 + 1, 2 ** 32 + 9.5]) {
      a.send(frame);
      const head = a.place(frame.subarray(0, 60));
      const rest = a.place(frame.subarray(60), 1);
      a.descriptor(0, head, 60, 1);
      a.descriptor(0, rest, frame.length - 60);
      backend.pump(now);
      const times = b.receive().map(({ time }) => time);
      expect(times).toEqual([Math.floor(now) % 2 ** 32, Math.floor(now) % 2 ** 32]);
      a.completions();
    }
  });
});

/** Starts a thread that sends the flows of `a`; resolves to how many frames of each it has sent. */
function startSender(
  a: FakeKernel,
  wire: unknown,
  frames: readonly Uint8Array[],
  counts: SharedArrayBuffer,
  own: number,
): Promise<number[]> {
  const block = a.handle.queues[0];
  const word = (ring: number, offset: number) => a.words[(block + ring + offset) >>> 2] >>> 2;
  const worker = new Worker(new URL("./fixtures/sender.js", import.meta.url), {
    workerData: {
      backend: new URL("../../dist/host/nic/index.js", import.meta.url).href,
      handle: a.handle,
      wire,
      frames: frames.map((frame) => a.place(frame)),
      length: frames[0].length,
      ringSize: 256,
      rings: {
        producer: word(QUEUE_TX, RING_PRODUCER),
        descriptors: word(QUEUE_TX, RING_DESCRIPTORS),
        completed: word(QUEUE_COMPLETION, RING_CONSUMER),
        completions: word(QUEUE_COMPLETION, RING_PRODUCER),
      },
      counts,
      own,
      ahead: 200,
      number: NUMBER,
    },
  });
  return new Promise((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
  });
}

/** Takes what came to the queues of b and holds it against who owns the group, and its order. */
class Receiver {
  readonly b = new FakeKernel("b", { queueCount: QUEUES, ringSize: 512, pages: 128 });
  readonly counts = new SharedArrayBuffer(64);
  readonly owner = Array.from({ length: 128 }, (_, group) => group % QUEUES);
  readonly wrongQueue: number[] = [];
  readonly outOfOrder: string[] = [];
  readonly #next = new Map<number, number>();
  readonly #shared = new Int32Array(this.counts);

  drain(queue: number, moving = -1): void {
    for (const { bytes, hash } of this.b.receive(queue)) {
      const group = hash & 127;
      if (queue !== this.owner[group] && group !== moving) this.wrongQueue.push(group);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const port = view.getUint16(34);
      const number = view.getUint32(NUMBER, true);
      if (number !== (this.#next.get(port) ?? 0)) this.outOfOrder.push(`${port}: ${number}`);
      this.#next.set(port, number + 1);
      Atomics.add(this.#shared, port < 2000 ? 1 : 3, 1);
    }
  }

  /** Moves a group as a migration does: steer, take the old queue empty, then go on at the new one. */
  move(control: Port, group: number, queue: number): void {
    const old = this.owner[group];
    let steered = control.updateReta([[group, queue]]);
    // A sender that is kept from its processor with the queue in its hand.
    while (!steered) steered = control.settle();
    this.drain(old);
    this.owner[group] = queue;
    this.drain(queue);
  }

  received(port: number): number {
    return this.#next.get(port) ?? 0;
  }

  stop(): void {
    Atomics.store(this.#shared, 8, 1);
  }
}

describe("two sending threads while the RETA changes", () => {
  it("lose nothing, keep each flow's order and never reach an old queue", async () => {
    const receiver = new Receiver();
    const { b, counts } = receiver;
    const senders = [1000, 2000].map((first, own) => {
      const a = new FakeKernel(own === 0 ? "a" : "c");
      const [wire] = connectPorts(a.handle, b.handle);
      const frames = flows(20, first).map(({ frame }) => frame);
      return startSender(a, wire, frames, counts, own);
    });
    const control = new Port(b.handle);
    const groups = [1000, 2000].flatMap((first) => flows(20, first).map(({ group }) => group));
    let moves = 0;
    const end = performance.now() + 40_000;
    while ((moves < 2000 || receiver.received(2000) < 500) && performance.now() < end) {
      const group = groups[moves % groups.length];
      receiver.move(control, group, (receiver.owner[group] + 1 + (moves % 3)) % QUEUES);
      moves++;
      for (let queue = 0; queue < QUEUES; queue++) receiver.drain(queue);
    }
    receiver.stop();
    const sent = await Promise.all(senders);
    for (let queue = 0; queue < QUEUES; queue++) receiver.drain(queue);
    expect(receiver.wrongQueue).toEqual([]);
    expect(receiver.outOfOrder).toEqual([]);
    sent.forEach((numbers, own) =>
      numbers.forEach((count, flow) =>
        expect(receiver.received((own + 1) * 1000 + flow)).toBe(count),
      ),
    );
    expect(moves).toBeGreaterThanOrEqual(2000);
    expect(b.counters).toMatchObject({ senderStuck: 0 });
  }, 60_000);
});
