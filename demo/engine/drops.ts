/** Where packets were dropped and why, in words for people. */
import type { CounterName, Counters, Port } from "../../host/index.ts";

const KERNEL: Partial<Record<CounterName, string>> = {
  dropTcpBacklog: "the backlog was full",
  dropTcpNoConnection: "no such connection",
  dropTcpNoMemory: "no memory for a connection",
  dropTcpWindow: "outside of the window",
  dropTcpBadAck: "acknowledges what was never sent",
  dropTcpDuplicate: "had come before",
  dropTcpReassembly: "no room behind a gap",
  dropTcpPressure: "buffers were short",
  dropForeignGroup: "of another core's flow group",
  dropTcpAfterClose: "after the end",
  dropNeighbourPending: "waited too long for an address",
};

/** Reasons with their counts, since the start; those without any are left out. */
export function dropsOf(
  server: Port,
  client: Port,
  counters: Counters,
  shed: number,
): Record<string, number> {
  const drops: Record<string, number> = {};
  const add = (reason: string, count: number): void => {
    if (count > 0) drops[reason] = (drops[reason] ?? 0) + count;
  };
  for (const port of [server, client]) {
    for (const queue of port.counters().queues) {
      add("lost on the link", queue.linkLost);
      add("queue before the link full", queue.linkQueueDropped);
    }
  }
  for (const queue of server.counters().queues) {
    add("RX ring full", queue.rxRingFull);
    add("no buffer in the fill ring", queue.noFillDescriptor);
  }
  for (const [name, reason] of Object.entries(KERNEL)) add(reason, counters[name as CounterName]);
  add("request not sent: too many waited", shed);
  return drops;
}
