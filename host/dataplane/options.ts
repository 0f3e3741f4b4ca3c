/**
 * What a dataplane can be asked for, and what is known of it once `resolveOptions` has checked it.
 * Every time is in microseconds, every size in bytes unless it says otherwise.
 */
import type { Cidr } from "./addresses.ts";

/** What `createDataplane` takes. Only `ip` (and outside Node `kernel`) must be given. */
export interface DataplaneOptions {
  /** Shown in messages, captures and counters. Default: the address. At most 64 characters. */
  name?: string;
  /** The compiled kernel, from `loadKernel`. On Node it is found without. */
  kernel?: WebAssembly.Module;
  /** Own IPv4 address and prefix length: "10.0.0.1/24". */
  ip: string;
  /**
   * IPv6: "2001:db8::1/64", a list of such addresses, or "auto" for what routers on the link announce
   * (SLAAC). A link-local address made of the MAC comes with each. Default: no IPv6.
   */
  ip6?: string | readonly string[] | Ip6Options;
  /** Own MAC address. Default: 02:00 and the four bytes of the address. */
  mac?: string;
  /** Where packets go that no route knows: an address of the attached network. */
  gateway?: string;
  /** The same for IPv6: an address of an attached network, or a link-local one. */
  gateway6?: string;
  /** Further routes, each through a gateway on the attached network. */
  routes?: readonly RouteOptions[];
  /** Neighbours that need no ARP and never expire. */
  neighbours?: readonly NeighbourOptions[];
  /** Largest IP packet on the wire. Default 1500, from 576 to 1906 (what a frame holds). */
  mtu?: number;
  /** Initial time to live of packets sent. Default 64. */
  ttl?: number;
  /** Cores, each an instance of the kernel with its own queues and connections. Default 1, to 64. */
  cores?: number;
  /** How many of them run from the start: the first ones. The others can be added. Default all. */
  activeCores?: number;
  /** NIC queue pairs of each core. Default 1, to 8. */
  queuesPerCore?: number;
  /** Entries of each fill and rx ring, a power of two. Default 1024. */
  ringSize?: number;
  /**
   * Entries of each tx and completion ring, a power of two. Default twice `ringSize`, since a segment
   * of referenced data takes two: its headers and its payload.
   */
  txRingSize?: number;
  /** The bound B: packets that enter protocol processing in one iteration. Default 64, to 256. */
  batch?: number;
  /** TCP connections of the whole dataplane, each core having an equal share. Default 1024. */
  maxConnections?: number;
  /**
   * Packet frames of the whole dataplane, 2 KiB each, shared out to the cores equally. Default: for
   * each core two fill rings' worth, 4096, and one for every 32 of its connections.
   */
  frames?: number;
  /**
   * Records that describe application memory referenced by sends, one a segment. Default: for each
   * core 4096 and one for each of its connections.
   */
  references?: number;
  /** Frames of each core that only receiving may use. Default: half a fill ring's worth. */
  receiveReserve?: number;
  /** Size of the application's window, a power of two from 64 KiB to 1 GiB. Default 4 MiB. */
  applicationWindow?: number;
  /**
   * Bytes at the window's beginning that the applications of all cores share, at most three quarters of
   * it; the cores divide the rest. What is there stays when cores come and go. Default 0.
   */
  sharedWindow?: number;
  /** Capacity of a core's event array, in descriptors. Default 4096, at least 8 for each of `batch`. */
  events?: number;
  /** Capacity of a core's system-call array, in descriptors. Default 4096. */
  calls?: number;
  /** User timers of a core that can be pending at once. Default 1024. */
  timers?: number;
  /** Sizes of the tables. */
  tables?: TableOptions;
  /** What the NIC does for the kernel; all true by default. */
  offloads?: OffloadOptions;
  /** 16 secret bytes behind sequence numbers and ports (RFC 6528). Random by default. */
  secret?: Uint8Array;
  /** How long a neighbour's address is believed. Default 60 s. */
  neighbourRefresh?: number;
  /** Tell the network of the own address (gratuitous ARP) when core 0 starts. Default true. */
  announce?: boolean;
  tcp?: TcpOptions;
}

export interface Ip6Options {
  /** Own addresses with their prefix lengths, at most 4. */
  addresses?: readonly string[];
  /** Ask for routers and believe them: default routes, prefixes, addresses. Default true. */
  autoconfigured?: boolean;
  /** Use an address only when nobody on the link has it, after a second or two. Default true. */
  detectDuplicates?: boolean;
}

export interface RouteOptions {
  /** Destination network: "10.2.0.0/16". */
  to: string;
  /** Gateway, an address of the attached network. */
  via: string;
}

export interface NeighbourOptions {
  ip: string;
  mac: string;
}

export interface TableOptions {
  /** Neighbours that each core may know, a power of two. Default 256. */
  neighbours?: number;
  /** Entries of the route table. Default 64. */
  routes?: number;
  /** TCP ports that each core can listen on. Default 64. */
  listeners?: number;
  /** UDP ports that each core can bind. Default 256. */
  udpPorts?: number;
  /** Datagrams in fragments that each core can put together or hold at once, 66 KiB each. Default 8. */
  reassembly?: number;
}

export interface OffloadOptions {
  /** The NIC verifies the checksums of received packets. */
  rxChecksum?: boolean;
  /** The NIC fills in the TCP and UDP checksums of packets sent. */
  txChecksum?: boolean;
  /** The NIC hands over the RSS hash it computed. */
  rxHash?: boolean;
}

/** How a connection shares the network with others, by name, in the order of `CONTROL_*` from 1. */
export const CONGESTION_CONTROLS = ["newreno", "cubic", "dctcp", "bbr"] as const;
export type CongestionControl = (typeof CONGESTION_CONTROLS)[number];

/** Fast Open (RFC 7413). Connections and listeners use it only when they say so. */
export interface FastOpenOptions {
  /** Data may go with a SYN. Default true. */
  client?: boolean;
  /** Listeners may take such data. Default true. */
  server?: boolean;
  /**
   * One or two secret keys of 16 bytes: cookies are made with the first, those of the second are taken too.
   * Hosts behind one address must share them. Default: a random one.
   */
  keys?: readonly Uint8Array[];
  /** Servers that each core remembers, a power of two. Default 64. */
  servers?: number;
  /**
   * Send data to servers without their cookie, and take it from clients without one. Only where every host
   * that can send is trusted: with forged senders data is processed, and answered, for hosts that never
   * asked. Default false.
   */
  clientWithoutCookie?: boolean;
  serverWithoutCookie?: boolean;
}

/** In the order of `ECN_*`. */
export const ECN_MODES = [
  "off",
  "accept",
  "on",
  "accurate",
  "accurate-ask-classic",
  "accurate-accept",
] as const;
export type Ecn = (typeof ECN_MODES)[number];

/** In the order of `ECN_OPTION_*`. */
export const ECN_OPTIONS = ["off", "minimal", "full", "persistent"] as const;
export type EcnOption = (typeof ECN_OPTIONS)[number];

/** All times in microseconds, but for those of keep-alives. */
export interface TcpOptions {
  /** "lan" shortens minRto, initialRto, delayedAck and timeWait to what a data centre needs. */
  profile?: "default" | "lan";
  /**
   * What the retransmission timeout allows beyond the round trip at least, and all of it at most. Default
   * 200 000 (lan 1000) and 60 000 000.
   */
  minRto?: number;
  maxRto?: number;
  /** The timeout before there is a sample. Default 1 000 000 (lan 200 000). */
  initialRto?: number;
  /** Longest time an acknowledgment waits for company. Default 40 000 (lan 500); 0: never. */
  delayedAck?: number;
  /**
   * ACKs that do not wait, at the start of a connection until its application answers, and behind a gap.
   * Default 16.
   */
  quickAcks?: number;
  /** Length of TIME-WAIT. Default 60 000 000 (lan 1 000 000). */
  timeWait?: number;
  /** How long FIN-WAIT-2 lasts after the application closed. Default 60 000 000. */
  finWait2?: number;
  /** Retransmissions before a SYN, or data, is given up. Default 6 and 15. */
  synRetries?: number;
  dataRetries?: number;
  /**
   * Repeats of a SYN that come `initialRto` apart before the timeout doubles each time. Default 0: all double
   * (RFC 6298). (Linux: net.ipv4.tcp_syn_linear_timeouts, 4.)
   */
  synLinearRetries?: number;
  /**
   * Keep-alives of connections that ask for them: seconds of silence before the first probe, seconds
   * between probes, and how many go unanswered before the connection is given up. Default 7200, 75, 9.
   */
  keepAliveIdle?: number;
  keepAliveInterval?: number;
  keepAliveProbes?: number;
  /** Receive window in the beginning. Default 256 KiB. */
  receiveWindow?: number;
  /** What auto-tuning may open it to. Default 4 MiB, or `receiveWindow` if that is more. */
  receiveWindowMax?: number;
  /** Bytes of a connection that are accepted and not acknowledged, at most. Default 4 MiB. */
  sendBufferMax?: number;
  /** Sends of at least this many bytes are referenced instead of copied. Default 1024. */
  copyBreak?: number;
  /** Out-of-order segments kept for a connection. Default: what fills `receiveWindowMax`. */
  reassemblyMax?: number;
  /** Offer and accept selective acknowledgments (RFC 2018). Default true. */
  sack?: boolean;
  /** Offer and accept timestamps (RFC 7323). Default true. */
  timestamps?: boolean;
  /**
   * Answer SYNs that find the backlog full of half-open connections with cookies (RFC 4987). Default true.
   */
  synCookies?: boolean;
  /**
   * Look for a smaller segment size where full segments time out again and again and no ICMP says why, and
   * probe for a larger one later (RFC 4821). Default true.
   */
  mtuProbing?: boolean;
  /** Data in SYNs (RFC 7413), for connections and listeners that ask for it. */
  fastOpen?: FastOpenOptions;
  /** Challenge ACKs of a core per second, on average (RFC 5961 section 7). Default 1000. */
  challengeAcks?: number;
  /** Initial congestion window, in segments. Default 10 (RFC 6928). */
  initialWindow?: number;
  /** Congestion control of connections that ask for none by a flag. Default "cubic" (RFC 9438). */
  congestionControl?: CongestionControl;
  /** Spread what a window allows over the round trip. Default false; "bbr" always does. */
  pacing?: boolean;
  /**
   * Explicit congestion notification (RFC 3168): never, for peers that ask for it, or asked of every
   * peer. Default "accept"; "dctcp" always asks, "bbr" never. Accurate ECN (RFC 9768) tells how many marks
   * there were, not only that there were some: "accurate" asks for it and accepts it,
   * "accurate-ask-classic" accepts it and asks for the classic one, "accurate-accept" only accepts it; all
   * three accept the classic one too. (Linux: net.ipv4.tcp_ecn is 0 for "off", 2 for "accept", 1 for "on",
   * and 3, 4, 5 for the accurate ones.)
   */
  ecn?: Ecn;
  /**
   * Accurate ECN's option, which counts bytes: never sent, where a counter has changed, with every segment
   * that has room for it, or with those even where ACKs seem to be lost because of it. Default "full".
   * (Linux: net.ipv4.tcp_ecn_option is 0, 1, 2, 3.)
   */
  ecnOption?: EcnOption;
  /** How often in a round trip that option is sent at least; 0: only when needed. Default 3. (tcp_ecn_option_beacon.) */
  ecnBeacon?: number;
  /**
   * Do without ECN what seems to be lost or changed because of it: SYNs that have to be repeated, and marks
   * of which accurate feedback makes no sense. Default true. (Linux: net.ipv4.tcp_ecn_fallback.)
   */
  ecnFallback?: boolean;
  /** First and last port that `connect` may choose. Default [32768, 60999]. */
  ephemeral?: readonly [number, number];
}

/** A route ready for the kernel: the destination network and the gateway's 16 bytes. */
export interface Route {
  readonly to: Cidr;
  readonly via: Uint8Array;
}

export interface Neighbour {
  readonly ip: Uint8Array;
  readonly mac: Uint8Array;
}

export interface ResolvedIp6 {
  readonly addresses: readonly Cidr[];
  readonly autoconfigured: boolean;
  readonly detectDuplicates: boolean;
}

export interface ResolvedTcp extends Readonly<Required<TcpOptions>> {
  readonly fastOpen: Readonly<Required<FastOpenOptions>>;
}

/** Every option with its value; numbers are within their ranges and fit each other. */
export interface ResolvedOptions {
  readonly name: string;
  readonly ip: Cidr;
  /** Undefined without IPv6. */
  readonly ip6: ResolvedIp6 | undefined;
  readonly mac: Uint8Array;
  /** The gateways' routes to 0.0.0.0/0 and ::/0, if any, and then the others. */
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly mtu: number;
  readonly ttl: number;
  readonly cores: number;
  readonly activeCores: number;
  readonly queuesPerCore: number;
  readonly ringSize: number;
  readonly txRingSize: number;
  readonly batch: number;
  readonly maxConnections: number;
  readonly frames: number;
  readonly references: number;
  readonly receiveReserve: number;
  readonly applicationWindow: number;
  readonly sharedWindow: number;
  readonly events: number;
  readonly calls: number;
  readonly timers: number;
  readonly tables: Readonly<Required<TableOptions>>;
  readonly offloads: Readonly<Required<OffloadOptions>>;
  readonly secret: Uint8Array;
  readonly neighbourRefresh: number;
  readonly announce: boolean;
  readonly tcp: ResolvedTcp;
}
