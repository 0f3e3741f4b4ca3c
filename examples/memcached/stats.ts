/** What `stats` tells, in groups named as memcached names them. */
import { classSize, CLASSES } from "./arena.ts";
import { VERSION } from "./options.ts";
import type { Server } from "./server.ts";

export type Statistics = readonly (readonly [name: string, value: string | number])[];

/** The statistics of a group, "" for the general ones; null when there is no such group. */
export function statistics(server: Server, group: string): Statistics | null {
  switch (group) {
    case "":
      return general(server);
    case "settings":
      return settings(server);
    case "items":
      return items(server);
    case "slabs":
      return slabs(server);
    case "sizes":
      return [["sizes_status", "disabled"]];
    default:
      return null;
  }
}

function general({ store, startedAt }: Server): Statistics {
  return [
    ["pid", PID],
    ["uptime", store.now - startedAt],
    ["time", store.now],
    ["version", VERSION],
    ["pointer_size", 32],
    ...store.counters(),
    ["limit_maxbytes", capacity(store.partitions)],
    ["accepting_conns", 1],
    ["threads", store.allCoreCounters.length],
    ["hash_bytes", store.partitions.reduce((sum, { buckets }) => sum + buckets * 4, 0)],
  ];
}

/** There is no process to name: 1, as in a container. */
const PID = 1;

function settings({ store, options }: Server): Statistics {
  return [
    ["maxbytes", capacity(store.partitions)],
    ["maxconns", options.connections * store.allCoreCounters.length],
    ["tcpport", options.port],
    ["udpport", 0],
    ["evictions", "on"],
    ["num_threads", store.allCoreCounters.length],
    ["cas_enabled", "yes"],
    ["tcp_backlog", options.backlog],
    ["binding_protocol", "auto-negotiate"],
    ["auth_enabled_sasl", "no"],
    ["item_size_max", options.itemMax],
    ["flush_enabled", "yes"],
    ["num_partitions", store.partitions.length],
  ];
}

/** Items in each class of blocks, numbered from 1. */
function classes({ store }: Server): [index: number, size: number, items: number][] {
  const found: [number, number, number][] = [];
  for (let index = 0; index < CLASSES; index++) {
    const count = store.partitions.reduce((sum, p) => sum + p.itemsOfClass(index), 0);
    if (count > 0) found.push([index - FIRST_CLASS + 1, classSize(index), count]);
  }
  return found;
}

/** The class of the smallest blocks. */
const FIRST_CLASS = 6 << 3;

function items(server: Server): Statistics {
  return classes(server).map(([index, , count]) => [`items:${index}:number`, count] as const);
}

function slabs(server: Server): Statistics {
  const found = classes(server);
  return [
    ...found.flatMap(([index, size, count]) => [
      [`${index}:chunk_size`, size] as const,
      [`${index}:used_chunks`, count] as const,
    ]),
    ["active_slabs", found.length],
    ["total_malloced", capacity(server.store.partitions)],
  ];
}

function capacity(partitions: readonly { readonly capacity: number }[]): number {
  return partitions.reduce((sum, partition) => sum + partition.capacity, 0);
}
