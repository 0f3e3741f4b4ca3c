/** What is behind the queue pairs of a port on the calling thread. */
import type { Dataplane } from "../dataplane/dataplane.ts";
import { createBackend, type BackendOptions } from "../nic/backend.ts";
import { Port } from "../nic/port.ts";
import { MacTable } from "../nic/switch.ts";
import type { PortHandle, QueueBackend, Wire } from "../nic/types.ts";
import type { TapWire } from "./tap-wire.ts";

/** The wire of every queue: the one that all share, or each its own. */
export function wiresOf(
  wire: Wire | TapWire | readonly (Wire | TapWire)[],
  { port }: Dataplane,
): readonly (Wire | TapWire)[] {
  const { queues, name } = port;
  if (!Array.isArray(wire)) return queues.map(() => wire as Wire | TapWire);
  if (wire.length !== queues.length) {
    throw new RangeError(
      `ixwasm: "wire" must have an entry for each of ${name}'s ${queues.length} queues, ` +
        `got ${wire.length}`,
    );
  }
  return wire;
}

export async function makeBackend(
  port: PortHandle,
  queue: number,
  wire: Wire | TapWire,
  options: BackendOptions = {},
): Promise<QueueBackend> {
  if (wire.kind !== "tap") return createBackend(port, queue, wire, options);
  // Only who has a TAP needs what it needs.
  const { TapBackend } = await import("./tap-backend.ts");
  return new TapBackend(port, queue, wire, options);
}

/** Gives back all locks that a thread which is gone may have held: of its port, and where it sent. */
export function freeLocks(
  port: PortHandle,
  wires: readonly (Wire | TapWire)[],
  holder: number,
): void {
  const ports = new Set([port]);
  for (const wire of wires) {
    if (wire.kind === "link") ports.add(wire.to);
    if (wire.kind !== "switch") continue;
    for (const other of wire.ports) ports.add(other);
    new MacTable(wire.table).freeLockOf(holder);
  }
  for (const handle of ports) new Port(handle).freeLocksOf(holder);
}
