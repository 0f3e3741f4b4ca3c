/**
 * What runs on the cores at full speed, whichever thread has them: the echo server's cores, and the
 * clients' with the flooder beside it.
 */
import {
  createBackend,
  type AppFactory,
  type FrameObserver,
  type PortHandle,
  type QueueBackend,
} from "../../host/index.ts";
import { BatchCounter } from "./batches.ts";
import { Board } from "./board.ts";
import { createEcho } from "./echo-app.ts";
import { Flooded } from "./flooder.ts";
import { Load } from "./load-app.ts";
import type { Network } from "./network.ts";
import { Tally } from "./tally.ts";

/** What all threads share: plain data. */
export interface Shared {
  readonly board: SharedArrayBuffer;
  readonly tally: SharedArrayBuffer;
  readonly batches: SharedArrayBuffer;
  readonly wires: Network["wires"];
  readonly flooder: PortHandle;
  /** MAC address of the server's NIC. */
  readonly target: readonly number[];
}

export function serverApp({ board }: Shared): AppFactory {
  return ({ ix, core }) => createEcho(ix, core, { board, labour: spend });
}

export function clientApp({ board, tally }: Shared): AppFactory {
  return ({ ix }) => new Load(ix, { board, tally }).ixev;
}

/** `block` is the control block of the core that the queue belongs to. */
export function serverBackend(
  shared: Shared,
  port: PortHandle,
  queue: number,
  block: number,
  capture: FrameObserver,
): QueueBackend {
  const inner = createBackend(port, queue, shared.wires.server, { capture });
  return new BatchCounter(inner, port.memory, block, shared.batches, queue);
}

export function clientBackend(
  shared: Shared,
  port: PortHandle,
  queue: number,
  capture: FrameObserver,
): QueueBackend {
  const board = new Board(shared.board);
  const tally = new Tally(shared.tally);
  return new Flooded(createBackend(port, queue, shared.wires.client, { capture }), {
    port: shared.flooder,
    wire: shared.wires.flooder,
    target: shared.target,
    rate: () => board.get("flood"),
    seed: board.get("seed") + 1,
    onForged: () => tally.countForged(),
    observer: capture,
  });
}

/** Works for so many µs: in real time there is nothing but to spend them. */
function spend(_core: number, micros: number): void {
  if (micros <= 0) return;
  const end = performance.now() + micros / 1000;
  while (performance.now() < end);
}
