/** Which queues of a dataplane's port are whose: port queue `i` belongs to core `i % cores`. */
import type { PortHandle } from "../nic/types.ts";

/** Numbers of the port queues that belong to a core. */
export function queuesOf(port: PortHandle, cores: number, core: number): number[] {
  return port.queues.map((_, queue) => queue).filter((queue) => queue % cores === core);
}

/** The port queue, of `queues`, of a core that a flow group goes to: groups are dealt to queues. */
export function queueFor(group: number, core: number, cores: number, queues: number): number {
  return core + cores * (Math.floor(group / cores) % (queues / cores));
}
