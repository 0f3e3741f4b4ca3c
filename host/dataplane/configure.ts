/**
 * Writes what the host decided into the linear memory, before the kernel sees it: the configuration
 * block, each core's control block, each queue pair's block, and the Toeplitz tables. All other
 * memory is zero and the kernel's.
 */
import {
  ABI_VERSION,
  CFG_ABI,
  CFG_BATCH,
  CFG_BUCKETS,
  CFG_BUCKETS_PER_GROUP,
  CFG_BUFFER_COUNT,
  CFG_BUFFER_RECORDS,
  CFG_CHALLENGE_ACKS,
  CFG_CONGESTION_CONTROL,
  CFG_CONNECTIONS,
  CFG_COPY_BREAK,
  CFG_CORES,
  CFG_CORE_BLOCKS,
  CFG_DATA_RETRIES,
  CFG_DELAYED_ACK,
  CFG_DEPOTS,
  CFG_ECN,
  CFG_ECN_BEACON,
  CFG_ECN_FALLBACK,
  CFG_ECN_OPTION,
  CFG_EPHEMERAL_HIGH,
  CFG_EPHEMERAL_LOW,
  CFG_FAST_OPEN,
  CFG_FAST_OPEN_CACHE,
  CFG_FAST_OPEN_ENTRIES,
  CFG_FAST_OPEN_KEYS,
  CFG_FAST_OPEN_KEY_COUNT,
  CFG_FIN_WAIT_2,
  CFG_FRAMES,
  CFG_FRAME_COUNT,
  CFG_GROUPS,
  CFG_INITIAL_WINDOW,
  CFG_IP,
  CFG_IP6,
  CFG_IP6_ADDRESSES,
  CFG_IP6_COUNT,
  CFG_KEEP_ALIVE_IDLE,
  CFG_KEEP_ALIVE_INTERVAL,
  CFG_KEEP_ALIVE_PROBES,
  CFG_LISTENERS,
  CFG_LISTENER_TABLE,
  CFG_MAC,
  CFG_LUGGAGE,
  CFG_MAILBOXES,
  CFG_MEMORY_SIZE,
  CFG_MTU,
  CFG_NEIGHBOURS,
  CFG_NEIGHBOUR_REFRESH,
  CFG_NEIGHBOUR_TABLE,
  CFG_OFFLOADS,
  CFG_PACING,
  CFG_PREFIX,
  CFG_QUICK_ACKS,
  CFG_REASSEMBLY_MAX,
  CFG_RECEIVE_RESERVE,
  CFG_RECEIVE_WINDOW,
  CFG_RECEIVE_WINDOW_MAX,
  CFG_ROUTES,
  CFG_ROUTE_TABLE,
  CFG_RTO_INITIAL,
  CFG_RTO_MAX,
  CFG_RTO_MIN,
  CFG_SECRET,
  CFG_SEND_BUFFER_MAX,
  CFG_MTU_PROBING,
  CFG_SYN_COOKIES,
  CFG_SYN_LINEAR,
  CFG_SYN_RETRIES,
  CFG_TCB_ACCECN,
  CFG_TCB_COLD,
  CFG_TCB_HOT,
  CFG_TCB_REMOTES,
  CFG_TCP_OPTIONS,
  CFG_TIME_WAIT,
  CFG_TOEPLITZ,
  CFG_TTL,
  CFG_UDP_PORTS,
  CFG_UDP_TABLE,
  CFG_WINDOW,
  CFG_SHARED_WINDOW,
  CFG_WINDOW_SIZE,
  CONFIG_BASE,
  CORE_EVENTS,
  CORE_EVENT_CAPACITY,
  CORE_FRAME_END,
  CORE_FRAME_FIRST,
  CORE_ID,
  CORE_NET,
  CORE_PACKETS,
  CORE_QUEUES,
  CORE_QUEUE_TABLE,
  CORE_RECORD_END,
  CORE_RECORD_FIRST,
  CORE_SLOTS,
  CORE_SLOT_COUNT,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_TCB_END,
  CORE_TCB_FIRST,
  CORE_USER_TIMERS,
  CORE_USER_TIMER_COUNT,
  CORE_WHEEL,
  FAST_OPEN_CLIENT,
  FAST_OPEN_CLIENT_BARE,
  FAST_OPEN_KEY_SIZE,
  FAST_OPEN_SERVER,
  FAST_OPEN_SERVER_BARE,
  IP6_ADDRESS_PREFIX,
  IP6_ADDRESS_SIZE,
  IP6_AUTOCONFIGURED,
  IP6_DETECT_DUPLICATES,
  IP6_ENABLED,
  OFFLOAD_RX_CHECKSUM,
  OFFLOAD_RX_HASH,
  OFFLOAD_TX_CHECKSUM,
  QUEUE_COMPLETION,
  QUEUE_CORE,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_FLAGS,
  RING_MASK,
  RING_PRODUCER,
  SLOT_SIZE,
  TCP_OPTION_SACK,
  TCP_OPTION_TIMESTAMPS,
} from "../../assembly/abi.ts";
import { toeplitzTables } from "../nic/rss.ts";
import type { CoreMap, MemoryMap, QueueMap, RingMap } from "./memory-map.ts";
import { CONGESTION_CONTROLS, ECN_MODES, ECN_OPTIONS } from "./options.ts";
import type { ResolvedOptions } from "./options.ts";

/** The `OFFLOAD_*` bits of the options. */
export function offloadBits(options: ResolvedOptions): number {
  const { rxChecksum, txChecksum, rxHash } = options.offloads;
  return (
    (rxChecksum ? OFFLOAD_RX_CHECKSUM : 0) |
    (txChecksum ? OFFLOAD_TX_CHECKSUM : 0) |
    (rxHash ? OFFLOAD_RX_HASH : 0)
  );
}

/** The `IP6_*` bits of the options. */
function ip6Bits({ ip6 }: ResolvedOptions): number {
  if (!ip6) return 0;
  return (
    IP6_ENABLED |
    (ip6.autoconfigured ? IP6_AUTOCONFIGURED : 0) |
    (ip6.detectDuplicates ? IP6_DETECT_DUPLICATES : 0)
  );
}

/** Writes everything that the kernel reads of the host's decisions. */
export function configureMemory(
  memory: WebAssembly.Memory,
  map: MemoryMap,
  options: ResolvedOptions,
): void {
  const words = new Uint32Array(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  writeConfig(words, map, options);
  bytes.set(options.mac, CONFIG_BASE + CFG_MAC);
  bytes.set(options.ip.address, CONFIG_BASE + CFG_IP);
  bytes.set(options.secret, CONFIG_BASE + CFG_SECRET);
  for (const [index, key] of options.tcp.fastOpen.keys.entries()) {
    bytes.set(key, CONFIG_BASE + CFG_FAST_OPEN_KEYS + index * FAST_OPEN_KEY_SIZE);
  }
  for (const [index, { address, prefix }] of (options.ip6?.addresses ?? []).entries()) {
    const at = CONFIG_BASE + CFG_IP6_ADDRESSES + index * IP6_ADDRESS_SIZE;
    bytes.set(address, at);
    words[(at + IP6_ADDRESS_PREFIX) >>> 2] = prefix;
  }
  words.set(toeplitzTables(), map.toeplitz.address >>> 2);
  for (const [id, core] of map.cores.entries()) {
    writeCore(words, id, core, map, options);
    for (const queue of core.queues) writeQueue(words, queue, core.block);
  }
}

function writeConfig(words: Uint32Array, map: MemoryMap, options: ResolvedOptions): void {
  const set = (offset: number, value: number): void => {
    words[(CONFIG_BASE + offset) >>> 2] = value;
  };
  set(CFG_ABI, ABI_VERSION);
  set(CFG_CORES, options.cores);
  set(CFG_BATCH, options.batch);
  set(CFG_OFFLOADS, offloadBits(options));
  set(CFG_MEMORY_SIZE, map.size);
  set(CFG_CORE_BLOCKS, map.coreBlocks.address);
  set(CFG_GROUPS, map.groups.address);
  set(CFG_BUCKETS, map.buckets.address);
  set(CFG_BUCKETS_PER_GROUP, map.bucketsPerGroup);
  set(CFG_TCB_HOT, map.tcbHot.address);
  set(CFG_TCB_COLD, map.tcbCold.address);
  set(CFG_TCB_REMOTES, map.tcbRemotes?.address ?? 0);
  set(CFG_TCB_ACCECN, map.tcbAccecn?.address ?? 0);
  set(CFG_CONNECTIONS, options.maxConnections);
  set(CFG_NEIGHBOUR_TABLE, map.neighbours.address);
  set(CFG_NEIGHBOURS, options.tables.neighbours);
  set(CFG_ROUTE_TABLE, map.routes.address);
  set(CFG_ROUTES, options.tables.routes);
  set(CFG_LISTENER_TABLE, map.listeners.address);
  set(CFG_LISTENERS, options.tables.listeners);
  set(CFG_UDP_TABLE, map.udpPorts.address);
  set(CFG_UDP_PORTS, options.tables.udpPorts);
  set(CFG_FRAMES, map.frames.address);
  set(CFG_FRAME_COUNT, options.frames);
  set(CFG_BUFFER_RECORDS, map.bufferRecords.address);
  set(CFG_BUFFER_COUNT, options.frames + options.references);
  set(CFG_RECEIVE_RESERVE, options.receiveReserve);
  set(CFG_WINDOW, map.window.address);
  set(CFG_WINDOW_SIZE, map.window.size);
  set(CFG_SHARED_WINDOW, options.sharedWindow);
  set(CFG_TOEPLITZ, map.toeplitz.address);
  set(CFG_MAILBOXES, map.mailboxes.address);
  set(CFG_DEPOTS, map.depots.address);
  set(CFG_LUGGAGE, map.luggage.address);
  set(CFG_MTU, options.mtu);
  set(CFG_TTL, options.ttl);
  set(CFG_PREFIX, options.ip.prefix);
  set(CFG_IP6, ip6Bits(options));
  set(CFG_IP6_COUNT, options.ip6?.addresses.length ?? 0);
  set(CFG_NEIGHBOUR_REFRESH, options.neighbourRefresh);

  const { tcp } = options;
  set(CFG_RTO_MIN, tcp.minRto);
  set(CFG_RTO_MAX, tcp.maxRto);
  set(CFG_RTO_INITIAL, tcp.initialRto);
  set(CFG_DELAYED_ACK, tcp.delayedAck);
  set(CFG_TIME_WAIT, tcp.timeWait);
  set(CFG_FIN_WAIT_2, tcp.finWait2);
  set(CFG_SYN_RETRIES, tcp.synRetries);
  set(CFG_SYN_LINEAR, tcp.synLinearRetries);
  set(CFG_DATA_RETRIES, tcp.dataRetries);
  set(CFG_RECEIVE_WINDOW, tcp.receiveWindow);
  set(CFG_RECEIVE_WINDOW_MAX, tcp.receiveWindowMax);
  set(CFG_SEND_BUFFER_MAX, tcp.sendBufferMax);
  set(CFG_COPY_BREAK, tcp.copyBreak);
  set(CFG_REASSEMBLY_MAX, tcp.reassemblyMax);
  set(CFG_INITIAL_WINDOW, tcp.initialWindow);
  set(CFG_CONGESTION_CONTROL, CONGESTION_CONTROLS.indexOf(tcp.congestionControl) + 1);
  set(CFG_TCP_OPTIONS, tcpOptionBits(options));
  set(CFG_CHALLENGE_ACKS, tcp.challengeAcks);
  set(CFG_ECN, ECN_MODES.indexOf(tcp.ecn));
  set(CFG_ECN_OPTION, ECN_OPTIONS.indexOf(tcp.ecnOption));
  set(CFG_ECN_BEACON, tcp.ecnBeacon);
  set(CFG_ECN_FALLBACK, tcp.ecnFallback ? 1 : 0);
  set(CFG_PACING, tcp.pacing ? 1 : 0);
  set(CFG_QUICK_ACKS, tcp.quickAcks);
  set(CFG_SYN_COOKIES, tcp.synCookies ? 1 : 0);
  set(CFG_MTU_PROBING, tcp.mtuProbing ? 1 : 0);
  set(CFG_FAST_OPEN, fastOpenBits(options));
  set(CFG_FAST_OPEN_KEY_COUNT, tcp.fastOpen.keys.length);
  set(CFG_FAST_OPEN_CACHE, map.fastOpenCache.address);
  set(CFG_FAST_OPEN_ENTRIES, tcp.fastOpen.servers);
  set(CFG_KEEP_ALIVE_IDLE, tcp.keepAliveIdle);
  set(CFG_KEEP_ALIVE_INTERVAL, tcp.keepAliveInterval);
  set(CFG_KEEP_ALIVE_PROBES, tcp.keepAliveProbes);
  set(CFG_EPHEMERAL_LOW, tcp.ephemeral[0]);
  set(CFG_EPHEMERAL_HIGH, tcp.ephemeral[1]);
}

function fastOpenBits({ tcp }: ResolvedOptions): number {
  const { client, server, clientWithoutCookie, serverWithoutCookie } = tcp.fastOpen;
  return (
    (client ? FAST_OPEN_CLIENT : 0) |
    (server ? FAST_OPEN_SERVER : 0) |
    (clientWithoutCookie ? FAST_OPEN_CLIENT_BARE : 0) |
    (serverWithoutCookie ? FAST_OPEN_SERVER_BARE : 0)
  );
}

function tcpOptionBits({ tcp }: ResolvedOptions): number {
  return (tcp.sack ? TCP_OPTION_SACK : 0) | (tcp.timestamps ? TCP_OPTION_TIMESTAMPS : 0);
}

function writeCore(
  words: Uint32Array,
  id: number,
  core: CoreMap,
  map: MemoryMap,
  options: ResolvedOptions,
): void {
  const set = (offset: number, value: number): void => {
    words[(core.block + offset) >>> 2] = value;
  };
  set(CORE_ID, id);
  set(CORE_QUEUES, core.queues.length);
  set(CORE_QUEUE_TABLE, core.queueBlocks.address);
  set(CORE_WHEEL, core.wheel.address);
  set(CORE_EVENTS, core.events.address);
  set(CORE_EVENT_CAPACITY, options.events);
  set(CORE_SYSCALLS, core.calls.address);
  set(CORE_SYSCALL_CAPACITY, options.calls);
  set(CORE_PACKETS, core.packets.address);
  set(CORE_NET, core.net.address);
  const { reassembly } = options.tables;
  set(CORE_SLOTS, map.slots.address + id * reassembly * SLOT_SIZE);
  set(CORE_SLOT_COUNT, reassembly);
  set(CORE_USER_TIMERS, core.timers.address);
  set(CORE_USER_TIMER_COUNT, options.timers);
  set(CORE_FRAME_FIRST, core.frames.first);
  set(CORE_FRAME_END, core.frames.end);
  set(CORE_RECORD_FIRST, core.records.first);
  set(CORE_RECORD_END, core.records.end);
  set(CORE_TCB_FIRST, core.tcbs.first);
  set(CORE_TCB_END, core.tcbs.end);
}

function writeQueue(words: Uint32Array, queue: QueueMap, coreBlock: number): void {
  const writeRing = (offset: number, ring: RingMap): void => {
    const at = (queue.block + offset) >>> 2;
    words[at + (RING_PRODUCER >>> 2)] = ring.producer;
    words[at + (RING_CONSUMER >>> 2)] = ring.consumer;
    words[at + (RING_FLAGS >>> 2)] = ring.flags;
    words[at + (RING_DESCRIPTORS >>> 2)] = ring.descriptors;
    words[at + (RING_MASK >>> 2)] = ring.entries - 1;
  };
  writeRing(QUEUE_FILL, queue.fill);
  writeRing(QUEUE_RX, queue.rx);
  writeRing(QUEUE_TX, queue.tx);
  writeRing(QUEUE_COMPLETION, queue.completion);
  words[(queue.block + QUEUE_CORE) >>> 2] = coreBlock;
}
