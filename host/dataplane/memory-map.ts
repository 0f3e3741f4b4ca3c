/**
 * The layout of a dataplane's linear memory. The host alone decides it, from the options, and writes
 * it down in the configuration block, the core blocks and the queue blocks; the kernel allocates
 * nothing. In order of address:
 *
 *   page 0            unused, so that no valid address is near 0
 *   configuration     CONFIG_BASE
 *   core blocks       one per core, a page-sized record of cache lines with one writer each
 *   shared tables     flow groups, their hash buckets, neighbours, routes, listeners, UDP ports,
 *                     servers known for Fast Open, Toeplitz tables, mailboxes between the cores, luggage
 *                     of their applications
 *   TCBs              hot parts, then cold parts, then addresses of IPv6 peers, then what accurate ECN counts
 *   per core          timing wheel, event array, system-call array, parsed packets, user timers,
 *                     IP state, queue blocks, and for each queue pair its four rings
 *   buffer records    one per frame, then those without
 *   frames            2 KiB each: the UMEM
 *   datagrams         66 KiB each, of what comes in fragments
 *   window            the application's, a power of two aligned to its size
 *
 * A ring occupies whole 4 KiB pages, so that an AF_XDP socket's own ring can be mapped in its place:
 *
 *   +0 producer word   +64 consumer word   +128 flags word   +256 descriptors (a power of two)
 */
import {
  ADDRESS_DESC_SIZE,
  BUFFER_SIZE,
  CACHE_LINE,
  CALL_SIZE,
  CONFIG_BASE,
  CONFIG_SIZE,
  CORE_SIZE,
  FAST_OPEN_ENTRY_SIZE,
  FLOW_GROUPS,
  FRAME_SIZE,
  GROUP_SIZE,
  LISTENER_SIZE,
  LUGGAGE_SIZE,
  MAILBOX_SIZE,
  MAX_BATCH,
  MAX_QUEUES_PER_CORE,
  NEIGHBOUR_SIZE,
  NET_SIZE,
  PACKET_DESC_SIZE,
  PACKET_SIZE,
  QUEUE_SIZE,
  ROUTE_HEADER,
  ROUTE_SIZE,
  SLOT_SIZE,
  TCB_ACCECN_SIZE,
  TCB_COLD_SIZE,
  TCB_HOT_SIZE,
  TCB_REMOTE_SIZE,
  TOEPLITZ_SIZE,
  UDP_PORT_SIZE,
  USER_TIMER_SIZE,
  WASM_PAGE,
  WHEEL_SIZE,
} from "../../assembly/abi.ts";
import { OptionRangeError } from "./errors.ts";
import type { ResolvedOptions } from "./options.ts";

/** A piece of linear memory that belongs to one purpose. */
export interface Region {
  readonly name: string;
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  /** What `address` is a multiple of. */
  readonly alignment: number;
}

/** One ring: a region of whole pages, and where its words are in it. */
export interface RingMap extends Region {
  readonly producer: number;
  readonly consumer: number;
  readonly flags: number;
  readonly descriptors: number;
  /** A power of two. */
  readonly entries: number;
}

/** A queue pair. */
export interface QueueMap {
  /** Address of its block (`QUEUE_*`). */
  readonly block: number;
  readonly fill: RingMap;
  readonly rx: RingMap;
  readonly tx: RingMap;
  readonly completion: RingMap;
}

/** A core's part of a table that is dealt out: indices of [first, end). */
export interface Share {
  readonly first: number;
  readonly end: number;
}

export interface CoreMap {
  /** Address of its control block (`CORE_*`). */
  readonly block: number;
  readonly wheel: Region;
  readonly events: Region;
  readonly calls: Region;
  readonly packets: Region;
  readonly timers: Region;
  /** Addresses, routers, groups, path MTUs. */
  readonly net: Region;
  readonly queueBlocks: Region;
  readonly queues: readonly QueueMap[];
  /** Buffer records that own the frame of the same index. */
  readonly frames: Share;
  /** Buffer records without a frame. */
  readonly records: Share;
  readonly tcbs: Share;
}

export interface MemoryMap {
  readonly config: Region;
  readonly coreBlocks: Region;
  readonly groups: Region;
  readonly buckets: Region;
  /** A power of two. */
  readonly bucketsPerGroup: number;
  readonly neighbours: Region;
  readonly routes: Region;
  readonly listeners: Region;
  readonly udpPorts: Region;
  /** Servers that each core remembers for Fast Open. */
  readonly fastOpenCache: Region;
  readonly toeplitz: Region;
  /** One for each ordered pair of cores. */
  readonly mailboxes: Region;
  /** What cores have to spare. */
  readonly depots: Region;
  /** The same for applications. */
  readonly luggage: Region;
  readonly tcbHot: Region;
  readonly tcbCold: Region;
  /** Addresses of IPv6 peers, one for each TCB; undefined without IPv6. */
  readonly tcbRemotes: Region | undefined;
  /** Undefined without accurate ECN. */
  readonly tcbAccecn: Region | undefined;
  readonly cores: readonly CoreMap[];
  readonly bufferRecords: Region;
  readonly frames: Region;
  /** Datagrams put together of fragments, each core's in turn. */
  readonly slots: Region;
  readonly window: Region;
  /** All of the above and their parts, in order of address; they do not overlap. */
  readonly regions: readonly Region[];
  /** Bytes in all, and the same in Wasm pages. */
  readonly size: number;
  readonly pages: number;
}

/** Rings and frames begin on a page of the operating system. */
const PAGE = 4096;
const RING_CONSUMER_AT = 64;
const RING_FLAGS_AT = 128;
const RING_DESCRIPTORS_AT = 256;

/**
 * One page less than Wasm allows: then the end of every region, the memory's own included, is below
 * 2^32 and fits a word.
 */
const PAGES_MAX = 65535;

/**
 * Lays out the memory for these options.
 *
 * @throws {RangeError} what was asked for does not fit the 4 GiB that a linear memory may have
 */
export function layOutMemory(options: ResolvedOptions): MemoryMap {
  const { cores, maxConnections, frames, references, tables } = options;
  const cursor = new Cursor(CONFIG_BASE);

  const config = cursor.take("configuration", CONFIG_SIZE);
  const coreBlocks = cursor.take("core blocks", cores * CORE_SIZE, PAGE);
  const groups = cursor.take("flow groups", FLOW_GROUPS * GROUP_SIZE);
  const bucketsPerGroup = bucketsFor(maxConnections);
  const buckets = cursor.take("hash buckets", FLOW_GROUPS * bucketsPerGroup * 4);
  const neighbours = cursor.take("neighbours", cores * tables.neighbours * NEIGHBOUR_SIZE);
  const routes = cursor.take("routes", ROUTE_HEADER + tables.routes * ROUTE_SIZE);
  const listeners = cursor.take("listeners", cores * tables.listeners * LISTENER_SIZE);
  const udpPorts = cursor.take("UDP ports", cores * tables.udpPorts * UDP_PORT_SIZE);
  const { servers } = options.tcp.fastOpen;
  const fastOpenCache = cursor.take("known servers", cores * servers * FAST_OPEN_ENTRY_SIZE);
  const toeplitz = cursor.take("Toeplitz tables", TOEPLITZ_SIZE);
  const mailboxes = cursor.take("mailboxes", cores * cores * MAILBOX_SIZE);
  const depots = cursor.take("depots", 3 * CACHE_LINE);
  const luggage = cursor.take("luggage", cores * cores * LUGGAGE_SIZE);
  // A hot part is two whole cache lines.
  const tcbHot = cursor.take("TCBs, hot", maxConnections * TCB_HOT_SIZE, TCB_HOT_SIZE);
  const tcbCold = cursor.take("TCBs, cold", maxConnections * TCB_COLD_SIZE);
  const tcbRemotes = options.ip6
    ? cursor.take("TCBs, IPv6 peers", maxConnections * TCB_REMOTE_SIZE)
    : undefined;
  const tcbAccecn = options.tcp.ecn.startsWith("accurate")
    ? cursor.take("TCBs, accurate ECN", maxConnections * TCB_ACCECN_SIZE)
    : undefined;

  const coreMaps: CoreMap[] = [];
  for (let core = 0; core < cores; core++) {
    coreMaps.push(layOutCore(cursor, options, core, coreBlocks.address + core * CORE_SIZE));
  }

  const bufferRecords = cursor.take("buffer records", (frames + references) * BUFFER_SIZE);
  const frameRegion = cursor.take("frames", frames * FRAME_SIZE, PAGE);
  const slots = cursor.take("datagrams", cores * tables.reassembly * SLOT_SIZE);
  const { applicationWindow } = options;
  const window = cursor.take("application window", applicationWindow, applicationWindow);

  const pages = Math.ceil(cursor.end / WASM_PAGE);
  if (pages > PAGES_MAX) {
    throw new OptionRangeError(
      `ixwasm: options ask for ${pages} pages of 64 KiB; a linear memory must have at most ` +
        `${PAGES_MAX}. The largest parts: ${largest(cursor.regions)}. What sizes them is "frames", ` +
        '"applicationWindow", "maxConnections" and "cores"',
    );
  }
  return {
    config,
    coreBlocks,
    groups,
    buckets,
    bucketsPerGroup,
    neighbours,
    routes,
    listeners,
    udpPorts,
    fastOpenCache,
    toeplitz,
    mailboxes,
    depots,
    luggage,
    tcbHot,
    tcbCold,
    tcbRemotes,
    tcbAccecn,
    cores: coreMaps,
    bufferRecords,
    frames: frameRegion,
    slots,
    window,
    regions: cursor.regions,
    size: pages * WASM_PAGE,
    pages,
  };
}

/** Hands out memory from low to high addresses. */
class Cursor {
  readonly regions: Region[] = [];
  end: number;

  constructor(start: number) {
    this.end = start;
  }

  take(name: string, size: number, alignment: number = CACHE_LINE): Region {
    const address = Math.ceil(this.end / alignment) * alignment;
    const region = { name, address, size, alignment };
    this.end = address + size;
    this.regions.push(region);
    return region;
  }
}

function layOutCore(
  cursor: Cursor,
  options: ResolvedOptions,
  core: number,
  block: number,
): CoreMap {
  const { cores, queuesPerCore, ringSize, txRingSize } = options;
  const name = `core ${core}`;
  const wheel = cursor.take(`${name} wheel`, WHEEL_SIZE);
  const events = cursor.take(`${name} events`, options.events * CALL_SIZE);
  const calls = cursor.take(`${name} calls`, options.calls * CALL_SIZE);
  const packets = cursor.take(`${name} packets`, (MAX_BATCH + MAX_QUEUES_PER_CORE) * PACKET_SIZE);
  const timers = cursor.take(`${name} timers`, options.timers * USER_TIMER_SIZE);
  const net = cursor.take(`${name} IP state`, NET_SIZE);
  const queueBlocks = cursor.take(`${name} queue blocks`, queuesPerCore * QUEUE_SIZE, QUEUE_SIZE);
  const queues: QueueMap[] = [];
  for (let queue = 0; queue < queuesPerCore; queue++) {
    const label = `${name} queue ${queue}`;
    queues.push({
      block: queueBlocks.address + queue * QUEUE_SIZE,
      fill: layOutRing(cursor, `${label} fill`, ringSize, ADDRESS_DESC_SIZE),
      rx: layOutRing(cursor, `${label} rx`, ringSize, PACKET_DESC_SIZE),
      tx: layOutRing(cursor, `${label} tx`, txRingSize, PACKET_DESC_SIZE),
      completion: layOutRing(cursor, `${label} completion`, txRingSize, ADDRESS_DESC_SIZE),
    });
  }
  const frameless = share(options.references, cores, core);
  return {
    block,
    wheel,
    events,
    calls,
    packets,
    timers,
    net,
    queueBlocks,
    queues,
    frames: share(options.frames, cores, core),
    records: {
      first: options.frames + frameless.first,
      end: options.frames + frameless.end,
    },
    tcbs: share(options.maxConnections, cores, core),
  };
}

function layOutRing(
  cursor: Cursor,
  name: string,
  entries: number,
  descriptorSize: number,
): RingMap {
  const used = RING_DESCRIPTORS_AT + entries * descriptorSize;
  const region = cursor.take(name, Math.ceil(used / PAGE) * PAGE, PAGE);
  return {
    ...region,
    producer: region.address,
    consumer: region.address + RING_CONSUMER_AT,
    flags: region.address + RING_FLAGS_AT,
    descriptors: region.address + RING_DESCRIPTORS_AT,
    entries,
  };
}

/** Part `index` of `count` things dealt to `parts` as equally as can be. */
function share(count: number, parts: number, index: number): Share {
  return {
    first: Math.floor((count * index) / parts),
    end: Math.floor((count * (index + 1)) / parts),
  };
}

/** Hash buckets of a group: a power of two, at least twice its part of the connections. */
function bucketsFor(maxConnections: number): number {
  const wanted = (2 * maxConnections) / FLOW_GROUPS;
  return Math.max(16, 2 ** Math.ceil(Math.log2(wanted)));
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / (1 << 20))} MiB`;
}

/** The three largest regions, for the message of what does not fit. */
export function largest(regions: readonly Region[]): string {
  return regions
    .toSorted((a, b) => b.size - a.size)
    .slice(0, 3)
    .map((region) => `${region.name} ${mebibytes(region.size)}`)
    .join(", ");
}
