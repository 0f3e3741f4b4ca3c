/**
 * Names for the counters and gauges in a core's control block, and reading them. Counters only grow
 * and are never reset; gauges are what is in use now and read zero when nothing is. What each one
 * counts is said beside its offset in `assembly/abi.ts`.
 */
import {
  CNT_ARP_IN,
  CNT_ARP_OUT,
  CNT_DROP_ARP_MALFORMED,
  CNT_DROP_DESCRIPTOR,
  CNT_DROP_ETHERNET_ADDRESS,
  CNT_DROP_ETHERNET_SHORT,
  CNT_DROP_ETHERTYPE,
  CNT_DROP_FOREIGN_GROUP,
  CNT_DROP_ICMP_CHECKSUM,
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_TYPE,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_IP_CHECKSUM,
  CNT_DROP_IP_FRAGMENT,
  CNT_DROP_IP_HEADER,
  CNT_DROP_IP_PROTOCOL,
  CNT_DROP_IP_TTL,
  CNT_DROP_NEIGHBOUR_FAILED,
  CNT_DROP_NEIGHBOUR_PENDING,
  CNT_DROP_NEIGHBOUR_TABLE,
  CNT_DROP_NO_ROUTE,
  CNT_DROP_TCP_AFTER_CLOSE,
  CNT_DROP_TCP_BACKLOG,
  CNT_DROP_TCP_BAD_ACK,
  CNT_DROP_TCP_BAD_RST,
  CNT_DROP_TCP_CHECKSUM,
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_TCP_MALFORMED,
  CNT_DROP_TCP_NO_CONNECTION,
  CNT_DROP_TCP_NO_MEMORY,
  CNT_DROP_TCP_PAWS,
  CNT_DROP_TCP_PRESSURE,
  CNT_DROP_TCP_REASSEMBLY,
  CNT_DROP_TCP_SYN_IN_WINDOW,
  CNT_DROP_TCP_WINDOW,
  CNT_FRAGMENTS_IN,
  CNT_REASSEMBLED,
  CNT_FRAGMENTS_OUT,
  CNT_DROP_FRAGMENT_OVERLAP,
  CNT_DROP_FRAGMENT_LIMIT,
  CNT_DROP_FRAGMENT_TIMEOUT,
  CNT_DROP_FRAGMENT_SIZE,
  CNT_DROP_IP_EXTENSION,
  CNT_DROP_ICMP_QUOTE,
  CNT_PATH_MTU,
  CNT_DROP_UDP_PEER,
  CNT_ND_IN,
  CNT_DROP_ND_MALFORMED,
  CNT_ND_OUT,
  CNT_DUPLICATE_ADDRESS,
  CNT_GROUP_IN,
  CNT_DROP_GROUP_MALFORMED,
  CNT_GROUP_OUT,
  CNT_DROP_UDP_BACKLOG,
  CNT_DROP_UDP_CHECKSUM,
  CNT_DROP_UDP_MALFORMED,
  CNT_DROP_UDP_NO_PORT,
  CNT_EVENTS,
  CNT_EVENT_BACKPRESSURE,
  CNT_FILL_STARVED,
  CNT_ICMP_IN,
  CNT_ICMP_LIMITED,
  CNT_ICMP_OUT,
  CNT_ITERATIONS,
  CNT_REFUSED_ADDRESS,
  CNT_REFUSED_ARGUMENT,
  CNT_REFUSED_HANDLE,
  CNT_REFUSED_OPERATION,
  CNT_RESCUE_CUTS,
  CNT_RESCUE_RESETS,
  CNT_RX_BYTES,
  CNT_RX_PACKETS,
  CNT_SYSCALLS,
  CNT_TCP_ACCEPTS,
  CNT_TCP_CHALLENGES_LIMITED,
  CNT_TCP_CHALLENGE_ACKS,
  CNT_TCP_CONNECTS,
  CNT_TCP_COOKIES_BAD,
  CNT_TCP_COOKIES_IN,
  CNT_TCP_COOKIES_OUT,
  CNT_TCP_DEAD_TIMEOUT,
  CNT_TCP_DELAYED_ACKS,
  CNT_TCP_DSACKS_IN,
  CNT_TCP_DSACKS_OUT,
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_FAST_PATH,
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_IN,
  CNT_TCP_KEEP_ALIVES,
  CNT_TCP_LOST_RETRANSMITS,
  CNT_TCP_NO_TIMESTAMP,
  CNT_TCP_OUT,
  CNT_TCP_OUT_OF_ORDER,
  CNT_TCP_PROBES,
  CNT_TCP_RENEGES,
  CNT_TCP_CE_IN,
  CNT_TCP_ECN_REDUCTIONS,
  CNT_TCP_RESETS_IN,
  CNT_TCP_RESETS_OUT,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_SACK_IGNORED,
  CNT_TCP_SPURIOUS_TIMEOUTS,
  CNT_TCP_TAIL_PROBES,
  CNT_TCP_TIMEOUTS,
  CNT_TCP_TIME_WAIT_RECYCLED,
  CNT_TCP_TIME_WAIT_REUSED,
  CNT_TCP_UNDOS,
  CNT_TX_BYTES,
  CNT_TX_NO_FRAME,
  CNT_TX_PACKETS,
  CNT_TX_RING_FULL,
  CNT_UDP_IN,
  CNT_UDP_OUT,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_FILL,
  GAUGE_NEIGHBOUR_PENDING,
  GAUGE_TIMERS,
  GAUGE_TIME_WAIT,
} from "../../assembly/abi.ts";

/** Offset in the core block of every counter, a u64 each. */
export const COUNTER_OFFSETS = {
  rxPackets: CNT_RX_PACKETS,
  rxBytes: CNT_RX_BYTES,
  txPackets: CNT_TX_PACKETS,
  txBytes: CNT_TX_BYTES,
  iterations: CNT_ITERATIONS,
  syscalls: CNT_SYSCALLS,
  events: CNT_EVENTS,
  eventBackpressure: CNT_EVENT_BACKPRESSURE,
  fillStarved: CNT_FILL_STARVED,
  txRingFull: CNT_TX_RING_FULL,
  txNoFrame: CNT_TX_NO_FRAME,
  dropDescriptor: CNT_DROP_DESCRIPTOR,
  dropEthernetShort: CNT_DROP_ETHERNET_SHORT,
  dropEthernetAddress: CNT_DROP_ETHERNET_ADDRESS,
  dropEthertype: CNT_DROP_ETHERTYPE,
  dropArpMalformed: CNT_DROP_ARP_MALFORMED,
  dropIpHeader: CNT_DROP_IP_HEADER,
  dropIpChecksum: CNT_DROP_IP_CHECKSUM,
  dropIpTtl: CNT_DROP_IP_TTL,
  dropIpAddress: CNT_DROP_IP_ADDRESS,
  dropIpFragment: CNT_DROP_IP_FRAGMENT,
  dropIpProtocol: CNT_DROP_IP_PROTOCOL,
  dropIcmpMalformed: CNT_DROP_ICMP_MALFORMED,
  dropIcmpChecksum: CNT_DROP_ICMP_CHECKSUM,
  dropIcmpType: CNT_DROP_ICMP_TYPE,
  dropUdpMalformed: CNT_DROP_UDP_MALFORMED,
  dropUdpChecksum: CNT_DROP_UDP_CHECKSUM,
  dropUdpNoPort: CNT_DROP_UDP_NO_PORT,
  dropUdpBacklog: CNT_DROP_UDP_BACKLOG,
  dropForeignGroup: CNT_DROP_FOREIGN_GROUP,
  dropTcpPressure: CNT_DROP_TCP_PRESSURE,
  dropTcpPaws: CNT_DROP_TCP_PAWS,
  tcpNoTimestamp: CNT_TCP_NO_TIMESTAMP,
  dropTcpMalformed: CNT_DROP_TCP_MALFORMED,
  dropTcpChecksum: CNT_DROP_TCP_CHECKSUM,
  dropTcpNoConnection: CNT_DROP_TCP_NO_CONNECTION,
  dropTcpBacklog: CNT_DROP_TCP_BACKLOG,
  dropTcpNoMemory: CNT_DROP_TCP_NO_MEMORY,
  dropTcpWindow: CNT_DROP_TCP_WINDOW,
  dropTcpBadAck: CNT_DROP_TCP_BAD_ACK,
  dropTcpBadRst: CNT_DROP_TCP_BAD_RST,
  dropTcpSynInWindow: CNT_DROP_TCP_SYN_IN_WINDOW,
  dropTcpDuplicate: CNT_DROP_TCP_DUPLICATE,
  dropTcpReassembly: CNT_DROP_TCP_REASSEMBLY,
  dropTcpAfterClose: CNT_DROP_TCP_AFTER_CLOSE,
  dropNoRoute: CNT_DROP_NO_ROUTE,
  dropNeighbourPending: CNT_DROP_NEIGHBOUR_PENDING,
  dropNeighbourFailed: CNT_DROP_NEIGHBOUR_FAILED,
  dropNeighbourTable: CNT_DROP_NEIGHBOUR_TABLE,
  arpIn: CNT_ARP_IN,
  arpOut: CNT_ARP_OUT,
  icmpIn: CNT_ICMP_IN,
  icmpOut: CNT_ICMP_OUT,
  icmpLimited: CNT_ICMP_LIMITED,
  udpIn: CNT_UDP_IN,
  udpOut: CNT_UDP_OUT,
  tcpIn: CNT_TCP_IN,
  tcpOut: CNT_TCP_OUT,
  tcpFastPath: CNT_TCP_FAST_PATH,
  tcpConnects: CNT_TCP_CONNECTS,
  tcpAccepts: CNT_TCP_ACCEPTS,
  tcpRetransmits: CNT_TCP_RETRANSMITS,
  tcpTimeouts: CNT_TCP_TIMEOUTS,
  tcpFastRetransmits: CNT_TCP_FAST_RETRANSMITS,
  tcpDuplicateAcks: CNT_TCP_DUPLICATE_ACKS,
  tcpOutOfOrder: CNT_TCP_OUT_OF_ORDER,
  tcpDelayedAcks: CNT_TCP_DELAYED_ACKS,
  tcpProbes: CNT_TCP_PROBES,
  tcpResetsIn: CNT_TCP_RESETS_IN,
  tcpResetsOut: CNT_TCP_RESETS_OUT,
  tcpChallengeAcks: CNT_TCP_CHALLENGE_ACKS,
  tcpDeadTimeout: CNT_TCP_DEAD_TIMEOUT,
  tcpTimeWaitReused: CNT_TCP_TIME_WAIT_REUSED,
  tcpTimeWaitRecycled: CNT_TCP_TIME_WAIT_RECYCLED,
  tcpChallengesLimited: CNT_TCP_CHALLENGES_LIMITED,
  tcpSackIgnored: CNT_TCP_SACK_IGNORED,
  tcpDsacksIn: CNT_TCP_DSACKS_IN,
  tcpDsacksOut: CNT_TCP_DSACKS_OUT,
  tcpCookiesOut: CNT_TCP_COOKIES_OUT,
  tcpCookiesIn: CNT_TCP_COOKIES_IN,
  tcpCookiesBad: CNT_TCP_COOKIES_BAD,
  tcpKeepAlives: CNT_TCP_KEEP_ALIVES,
  tcpTailProbes: CNT_TCP_TAIL_PROBES,
  tcpLostRetransmits: CNT_TCP_LOST_RETRANSMITS,
  tcpUndos: CNT_TCP_UNDOS,
  tcpSpuriousTimeouts: CNT_TCP_SPURIOUS_TIMEOUTS,
  tcpReneges: CNT_TCP_RENEGES,
  tcpCeIn: CNT_TCP_CE_IN,
  tcpEcnReductions: CNT_TCP_ECN_REDUCTIONS,
  rescueCuts: CNT_RESCUE_CUTS,
  rescueResets: CNT_RESCUE_RESETS,
  refusedOperation: CNT_REFUSED_OPERATION,
  refusedHandle: CNT_REFUSED_HANDLE,
  refusedAddress: CNT_REFUSED_ADDRESS,
  refusedArgument: CNT_REFUSED_ARGUMENT,
  fragmentsIn: CNT_FRAGMENTS_IN,
  reassembled: CNT_REASSEMBLED,
  fragmentsOut: CNT_FRAGMENTS_OUT,
  dropFragmentOverlap: CNT_DROP_FRAGMENT_OVERLAP,
  dropFragmentLimit: CNT_DROP_FRAGMENT_LIMIT,
  dropFragmentTimeout: CNT_DROP_FRAGMENT_TIMEOUT,
  dropFragmentSize: CNT_DROP_FRAGMENT_SIZE,
  dropIpExtension: CNT_DROP_IP_EXTENSION,
  dropIcmpQuote: CNT_DROP_ICMP_QUOTE,
  pathMtu: CNT_PATH_MTU,
  dropUdpPeer: CNT_DROP_UDP_PEER,
  ndIn: CNT_ND_IN,
  dropNdMalformed: CNT_DROP_ND_MALFORMED,
  ndOut: CNT_ND_OUT,
  duplicateAddress: CNT_DUPLICATE_ADDRESS,
  groupIn: CNT_GROUP_IN,
  dropGroupMalformed: CNT_DROP_GROUP_MALFORMED,
  groupOut: CNT_GROUP_OUT,
} as const;

/** Offset in the core block of every gauge, a u32 each. */
export const GAUGE_OFFSETS = {
  buffers: GAUGE_BUFFERS,
  connections: GAUGE_CONNECTIONS,
  timers: GAUGE_TIMERS,
  neighbourPending: GAUGE_NEIGHBOUR_PENDING,
  fill: GAUGE_FILL,
  timeWait: GAUGE_TIME_WAIT,
} as const;

export type CounterName = keyof typeof COUNTER_OFFSETS;
export type GaugeName = keyof typeof GAUGE_OFFSETS;
export type Counters = Record<CounterName, number>;
export type Gauges = Record<GaugeName, number>;

const COUNTER_NAMES = Object.keys(COUNTER_OFFSETS) as CounterName[];
const GAUGE_NAMES = Object.keys(GAUGE_OFFSETS) as GaugeName[];

/** The counters of the core whose control block is at `coreBlock`; exact below 2^53. */
export function readCounters(memory: WebAssembly.Memory, coreBlock: number): Counters {
  const words = new Uint32Array(memory.buffer);
  const counters = {} as Counters;
  for (const name of COUNTER_NAMES) {
    counters[name] = readCounter(words, (coreBlock + COUNTER_OFFSETS[name]) >>> 2);
  }
  return counters;
}

/** The gauges of the core whose control block is at `coreBlock`. */
export function readGauges(memory: WebAssembly.Memory, coreBlock: number): Gauges {
  const words = new Int32Array(memory.buffer);
  const gauges = {} as Gauges;
  for (const name of GAUGE_NAMES) gauges[name] = words[(coreBlock + GAUGE_OFFSETS[name]) >>> 2];
  return gauges;
}

/** Adds up records of numbers with the same keys, such as the counters of all cores. */
export function sum<Name extends string>(
  records: readonly Record<Name, number>[],
): Record<Name, number> {
  const total = { ...records[0] };
  for (const record of records.slice(1)) {
    for (const name of Object.keys(total) as Name[]) total[name] += record[name];
  }
  return total;
}

/** A u64 that its core may be adding to: read again while a carry changes the upper half. */
function readCounter(words: Uint32Array, index: number): number {
  for (;;) {
    const high = Atomics.load(words, index + 1);
    const low = Atomics.load(words, index);
    if (Atomics.load(words, index + 1) === high) return high * 2 ** 32 + low;
  }
}
