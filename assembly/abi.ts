/**
 * What the kernel, the host, the NIC and the application agree on: every offset, opcode, return code
 * and limit that two sides share. Both compilers read this file, so it holds plain constants only.
 *
 * Addresses are byte offsets into the dataplane's linear memory. Multi-byte fields are little-endian
 * u32 unless a line says otherwise. IP addresses are always 16 bytes in network order; an IPv4 address
 * is stored IPv4-mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2).
 */

/**
 * Says that a host and a kernel understand each other, and that one kernel can go on in the memory that another
 * has left (`adopt`). Raised by one with every change of a constant below, of a record of the kernel in that
 * memory, or of what a call or event means; test/structure/abi.test.ts sees the first two. The host asks
 * every module for it before it goes near a dataplane.
 */
export const ABI_VERSION: u32 = 4;

// ---------------------------------------------------------------------------------------------
// Fixed limits

/** Entries of the RSS indirection table, and so flow groups of a dataplane (82599: 128). */
export const FLOW_GROUPS: u32 = 128;
export const MAX_CORES: u32 = 64;
export const MAX_QUEUES_PER_CORE: u32 = 8;
export const MAX_CONNECTIONS: u32 = 1 << 20;
/** Upper limit of the configurable batch bound B. */
export const MAX_BATCH: u32 = 256;
export const CACHE_LINE: u32 = 64;
export const WASM_PAGE: u32 = 65536;

// ---------------------------------------------------------------------------------------------
// Configuration block, written by the host before `initialize`, read-only afterwards

/** Page 0 stays unused, so that address 0 and its neighbourhood are never valid. */
export const CONFIG_BASE: u32 = 0x10000;
export const CONFIG_SIZE: u32 = 1024;

export const CFG_ABI: u32 = 0;
export const CFG_CORES: u32 = 4;
/** At most this many packets enter protocol processing in one iteration. */
export const CFG_BATCH: u32 = 8;
/** Offloads of the NIC, `OFFLOAD_*`. */
export const CFG_OFFLOADS: u32 = 12;
/** Bytes of the linear memory; what lies at or above is no address. */
export const CFG_MEMORY_SIZE: u32 = 16;
/** Core control blocks, `CORE_SIZE` apart. */
export const CFG_CORE_BLOCKS: u32 = 20;
/** Flow-group table, `GROUP_SIZE` apart. */
export const CFG_GROUPS: u32 = 24;
/** Hash buckets: FLOW_GROUPS tables of CFG_BUCKETS_PER_GROUP words, one after another. */
export const CFG_BUCKETS: u32 = 28;
/** A power of two. */
export const CFG_BUCKETS_PER_GROUP: u32 = 32;
/** TCP control blocks: CFG_CONNECTIONS hot parts, and as many cold parts elsewhere. */
export const CFG_TCB_HOT: u32 = 36;
export const CFG_TCB_COLD: u32 = 40;
export const CFG_CONNECTIONS: u32 = 44;
/** Neighbour tables: for each core CFG_NEIGHBOURS entries of NEIGHBOUR_SIZE bytes, a power of two. */
export const CFG_NEIGHBOUR_TABLE: u32 = 48;
export const CFG_NEIGHBOURS: u32 = 52;
/**
 * Route table: ROUTE_HEADER bytes and CFG_ROUTES entries of ROUTE_SIZE bytes, changed by the `addRoute` and
 * `removeRoute` exports at any time.
 */
export const CFG_ROUTE_TABLE: u32 = 56;
export const CFG_ROUTES: u32 = 60;
/** Listeners: for each core CFG_LISTENERS entries of LISTENER_SIZE bytes. */
export const CFG_LISTENER_TABLE: u32 = 64;
export const CFG_LISTENERS: u32 = 68;
/** Bound UDP ports: for each core CFG_UDP_PORTS entries of UDP_PORT_SIZE bytes. */
export const CFG_UDP_TABLE: u32 = 72;
export const CFG_UDP_PORTS: u32 = 76;
/** Packet frames (the UMEM), FRAME_SIZE each, page-aligned. */
export const CFG_FRAMES: u32 = 80;
export const CFG_FRAME_COUNT: u32 = 84;
/**
 * Buffer records, BUFFER_SIZE each. The first CFG_FRAME_COUNT of them own the frame of the same
 * index; the rest own none and describe application memory that is referenced by a send.
 */
export const CFG_BUFFER_RECORDS: u32 = 88;
export const CFG_BUFFER_COUNT: u32 = 92;
/** The application's window: its own memory, a power of two in size, aligned to its size. */
export const CFG_WINDOW: u32 = 96;
export const CFG_WINDOW_SIZE: u32 = 100;
/** The window's beginning that is no core's share: bytes; what is there is up to the applications. */
export const CFG_SHARED_WINDOW: u32 = 248;
/** Toeplitz tables for the software hash: 36 tables of 256 words, one per input byte. */
export const CFG_TOEPLITZ: u32 = 104;
/** Bytes of IP packet that fit a frame on the wire (1500 on Ethernet). */
export const CFG_MTU: u32 = 108;
/** Initial TTL of packets sent. */
export const CFG_TTL: u32 = 112;
/** Own MAC address, 6 bytes. */
export const CFG_MAC: u32 = 116;
/** Own IP address, 16 bytes. */
export const CFG_IP: u32 = 128;
/** Prefix length of the attached network, in bits of the IPv4 or IPv6 address. */
export const CFG_PREFIX: u32 = 144;
/** Secret of RFC 6528 sequence numbers and of port selection, 16 bytes from the host. */
export const CFG_SECRET: u32 = 148;
/** TCP: bounds of the retransmission timeout and its value before the first sample, µs. */
export const CFG_RTO_MIN: u32 = 164;
export const CFG_RTO_MAX: u32 = 168;
export const CFG_RTO_INITIAL: u32 = 172;
/** Longest time an acknowledgment is held back, µs (RFC 1122 4.2.3.2: < 500 ms). */
export const CFG_DELAYED_ACK: u32 = 176;
/** Length of TIME-WAIT (2 MSL), µs. */
export const CFG_TIME_WAIT: u32 = 180;
/** How long FIN-WAIT-2 is kept after the application closed, µs. */
export const CFG_FIN_WAIT_2: u32 = 184;
/** Attempts before a SYN, and before data, is given up. */
export const CFG_SYN_RETRIES: u32 = 188;
export const CFG_DATA_RETRIES: u32 = 192;
/** Receive window at the start and the most auto-tuning may open, bytes. */
export const CFG_RECEIVE_WINDOW: u32 = 196;
export const CFG_RECEIVE_WINDOW_MAX: u32 = 200;
/** Most bytes a connection may have accepted but not acknowledged. */
export const CFG_SEND_BUFFER_MAX: u32 = 204;
/** Sends of at least this many bytes are referenced, shorter ones copied. */
export const CFG_COPY_BREAK: u32 = 208;
/** Most out-of-order segments kept per connection. */
export const CFG_REASSEMBLY_MAX: u32 = 212;
/** Segments in the initial congestion window (RFC 6928: 10). */
export const CFG_INITIAL_WINDOW: u32 = 216;
/** Ephemeral ports, inclusive bounds. */
export const CFG_EPHEMERAL_LOW: u32 = 220;
export const CFG_EPHEMERAL_HIGH: u32 = 224;
/** Frames kept back for receiving: sending fails with RC_NOBUFS below it. Per core. */
export const CFG_RECEIVE_RESERVE: u32 = 228;
/** A neighbour confirmed longer ago than this is asked again, µs. */
export const CFG_NEIGHBOUR_REFRESH: u32 = 232;
/** What TCP offers and agrees to, `TCP_OPTION_*`. */
export const CFG_TCP_OPTIONS: u32 = 236;
/** Congestion control of connections that ask for none, `CONTROL_*`. */
export const CFG_CONGESTION_CONTROL: u32 = 240;
/** Challenge ACKs that a core sends in a second, more or less (RFC 5961 section 7). */
export const CFG_CHALLENGE_ACKS: u32 = 244;
/** 1: controls that are ruled by a window spread it over the round trip. BBR always paces. */
export const CFG_PACING: u32 = 252;
/** `ECN_*` (RFC 3168). */
export const CFG_ECN: u32 = 256;
/** Segments at the start, and behind a gap, that are acknowledged without delay. */
export const CFG_QUICK_ACKS: u32 = 260;
/** Keep-alives of connections that ask for them and do not say when: s, s, probes (RFC 9293 3.8.4). */
export const CFG_KEEP_ALIVE_IDLE: u32 = 340;
export const CFG_KEEP_ALIVE_INTERVAL: u32 = 344;
export const CFG_KEEP_ALIVE_PROBES: u32 = 348;
/** 1: a SYN that finds the backlog full is answered with a cookie (RFC 4987 section 3.6). */
export const CFG_SYN_COOKIES: u32 = 352;
/** 1: smaller segments where full ones time out again and again, and probes for larger ones (RFC 4821). */
export const CFG_MTU_PROBING: u32 = 356;
/** Fast Open (RFC 7413): `FAST_OPEN_*`. */
export const CFG_FAST_OPEN: u32 = 400;
/** Keys of its cookies, 16 bytes each: the first makes them, all are taken; and how many there are. */
export const CFG_FAST_OPEN_KEYS: u32 = 404;
export const CFG_FAST_OPEN_KEY_COUNT: u32 = 436;
/** What is known of servers: for each core CFG_FAST_OPEN_ENTRIES (a power of two) of FAST_OPEN_ENTRY_SIZE. */
export const CFG_FAST_OPEN_CACHE: u32 = 440;
export const CFG_FAST_OPEN_ENTRIES: u32 = 444;
/** Accurate ECN: which options are sent (`ECN_OPTION_*`), how often a round trip at least (0: when needed alone). */
export const CFG_ECN_OPTION: u32 = 448;
export const CFG_ECN_BEACON: u32 = 452;
/** 1: what ECN cannot be trusted with is done without: SYNs that were lost, answers that make no sense. */
export const CFG_ECN_FALLBACK: u32 = 456;
/** With ECN_ACCURATE and what follows it: TCB_ACCECN_SIZE bytes for each TCB; 0 without. */
export const CFG_TCB_ACCECN: u32 = 460;
/** Repeats of a SYN that come at the same distance, before the timeout doubles. */
export const CFG_SYN_LINEAR: u32 = 464;

/** Mailboxes: for every core as the sender one of MAILBOX_SIZE bytes to each core. */
export const CFG_MAILBOXES: u32 = 264;
/** What cores have to spare: a line for frames, one for records without frames, one for TCBs. */
export const CFG_DEPOTS: u32 = 268;
/**
 * What applications pass on along with connections that move, which is theirs alone: for every core as
 * the sender, LUGGAGE_SIZE bytes to each core. Two lists: blocks on their way, and blocks to be freed.
 */
export const CFG_LUGGAGE: u32 = 320;
export const LUGGAGE_SIZE: u32 = 8;

/** connect_send may send data with its SYN; listeners may take such data. */
export const FAST_OPEN_CLIENT: u32 = 1;
export const FAST_OPEN_SERVER: u32 = 2;
/** The same without cookies: for networks whose every host is trusted (RFC 7413 section 4.2.2). */
export const FAST_OPEN_CLIENT_BARE: u32 = 4;
export const FAST_OPEN_SERVER_BARE: u32 = 8;
export const FAST_OPEN_KEY_SIZE: u32 = 16;
export const FAST_OPEN_KEYS_MAX: u32 = 2;

/** Never; for peers that ask for it; asked of every peer. BBR does not use it, DCTCP always asks. */
export const ECN_OFF: u32 = 0;
export const ECN_ACCEPT: u32 = 1;
export const ECN_ON: u32 = 2;
/** Accurate ECN (RFC 9768) for peers that ask for it; of others it is asked, or the classic one, or nothing. */
export const ECN_ACCURATE: u32 = 3;
export const ECN_ACCURATE_ASK_CLASSIC: u32 = 4;
export const ECN_ACCURATE_ACCEPT: u32 = 5;

/**
 * AccECN options: never sent, only with what the peer cannot know yet, with every segment that has room; the
 * last one even where they seem to be what ACKs are lost for.
 */
export const ECN_OPTION_OFF: u32 = 0;
export const ECN_OPTION_MINIMAL: u32 = 1;
export const ECN_OPTION_FULL: u32 = 2;
export const ECN_OPTION_PERSISTENT: u32 = 3;

/** IPv6: `IP6_*`. */
export const CFG_IP6: u32 = 512;
/** Further own addresses, IPv6: their number, and IP6_ADDRESS_SIZE bytes each. */
export const CFG_IP6_COUNT: u32 = 516;
export const CFG_IP6_ADDRESSES: u32 = 528;

/** IPv6 is spoken, with a link-local address made of the MAC. */
export const IP6_ENABLED: u32 = 1;
/** Routers are asked for and believed: default routes, prefixes, addresses (RFC 4861, RFC 4862). */
export const IP6_AUTOCONFIGURED: u32 = 2;
/** Addresses are used only when nobody on the link has them (RFC 4862 section 5.4). */
export const IP6_DETECT_DUPLICATES: u32 = 4;
/** 16 bytes of address, u32 prefix length. */
export const IP6_ADDRESS_SIZE: u32 = 24;
export const IP6_ADDRESS_PREFIX: u32 = 16;
export const IP6_ADDRESSES_MAX: u32 = 4;
/** With IPv6: TCB_REMOTE_SIZE bytes for each TCB, the address of its peer. */
export const CFG_TCB_REMOTES: u32 = 520;

/** The NIC verifies IP, TCP and UDP checksums of received packets and says so in the metadata. */
export const OFFLOAD_RX_CHECKSUM: u32 = 1;
/** The NIC fills in the TCP or UDP checksum of packets whose descriptor asks for it. */
export const OFFLOAD_TX_CHECKSUM: u32 = 2;
/** The NIC hands over the RSS hash in the metadata. */
export const OFFLOAD_RX_HASH: u32 = 4;

/** Selective acknowledgments (RFC 2018). */
export const TCP_OPTION_SACK: u32 = 1;
/** Timestamps (RFC 7323). */
export const TCP_OPTION_TIMESTAMPS: u32 = 2;

// ---------------------------------------------------------------------------------------------
// Core control block, one per core; each cache line has one writer

export const CORE_SIZE: u32 = 8192;

// Line 0 and 1: the host, before `attach`
export const CORE_ID: u32 = 0;
/** Queue pairs of this core: their number and the address of the first, QUEUE_SIZE apart. */
export const CORE_QUEUES: u32 = 4;
export const CORE_QUEUE_TABLE: u32 = 8;
export const CORE_WHEEL: u32 = 12;
/** Event array and system-call array: address and capacity in descriptors. */
export const CORE_EVENTS: u32 = 16;
export const CORE_EVENT_CAPACITY: u32 = 20;
export const CORE_SYSCALLS: u32 = 24;
export const CORE_SYSCALL_CAPACITY: u32 = 28;
/** Parsed packets of the current batch: MAX_BATCH + MAX_QUEUES_PER_CORE records of PACKET_SIZE. */
export const CORE_PACKETS: u32 = 32;
/** User timers: address and number of entries of USER_TIMER_SIZE. */
export const CORE_USER_TIMERS: u32 = 36;
export const CORE_USER_TIMER_COUNT: u32 = 40;
/** This core's share of frames, of frameless buffer records and of TCBs: index ranges [first, end). */
export const CORE_FRAME_FIRST: u32 = 44;
export const CORE_FRAME_END: u32 = 48;
export const CORE_RECORD_FIRST: u32 = 52;
export const CORE_RECORD_END: u32 = 56;
export const CORE_TCB_FIRST: u32 = 60;
export const CORE_TCB_END: u32 = 64;

/** Where this core keeps what IP needs besides the tables: NET_SIZE bytes. */
export const CORE_NET: u32 = 68;
/** Datagrams put together of fragments: address of the first slot, SLOT_SIZE apart, and their number. */
export const CORE_SLOTS: u32 = 72;
export const CORE_SLOT_COUNT: u32 = 76;

// Line 2: the application
/** Descriptors waiting in the system-call array; the kernel resets it when it has run them. */
export const CORE_SYSCALL_COUNT: u32 = 128;

// Line 3: the kernel, once per poll
/** Events of the last poll. */
export const CORE_EVENT_COUNT: u32 = 192;
/** How much the last poll did or left to be done at once: 0 means the core may idle. */
export const CORE_WORK: u32 = 196;
/** 1 when a timer is pending; then CORE_DEADLINE holds when, µs modulo 2^32. */
export const CORE_HAS_DEADLINE: u32 = 200;
export const CORE_DEADLINE: u32 = 204;
/** What the elastic thread is to do for the kernel before the next poll, `REQUEST_*`. */
export const CORE_REQUEST: u32 = 208;
/** Where this core's thread is, `PHASE_*`; what a take-over may trust follows from it. */
export const CORE_PHASE: u32 = 212;
/** Address of the TCB that is being changed; 0 between connections. */
export const CORE_IN_PROGRESS: u32 = 216;

// Line 4: the doorbell, written by whoever wakes the core
export const CORE_DOORBELL: u32 = 256;

// Line 5: the elastic thread
/** 1 while the thread sleeps, or is about to sleep, on its doorbell. */
export const CORE_PARKED: u32 = 320;
/** Whether an instance is bound to the core, `ATTACHED_*`. Written by the host. */
export const CORE_ATTACHED: u32 = 324;

export const ATTACHED_NEVER: u32 = 0;
export const ATTACHED_BOUND: u32 = 1;
/** The core was given back between two polls; another instance may adopt it. */
export const ATTACHED_LEFT: u32 = 2;

// Line 6: the control plane
/** Asks the elastic thread to leave its loop, `STOP_*`. */
export const CORE_STOP: u32 = 384;
/** 1 asks the elastic thread to look at its messages. */
export const CORE_MESSAGES: u32 = 388;

/** At once. */
export const STOP_NOW: u32 = 1;
/** When nothing it has sent is on its way any more; the core is given back. */
export const STOP_LEAVE: u32 = 2;

// Line 7: gauges, by the kernel; all read zero when nothing is in use
/** Buffer records in use outside the fill rings: frames that the app, TCP, reassembly, TX hold. */
export const GAUGE_BUFFERS: u32 = 448;
export const GAUGE_CONNECTIONS: u32 = 452;
/** Entries on the timing wheel that belong to connections and user timers. */
export const GAUGE_TIMERS: u32 = 456;
/** Frames waiting for a neighbour's address. */
export const GAUGE_NEIGHBOUR_PENDING: u32 = 460;
/** Frames that the NIC holds in this core's fill rings, or that wait in its RX rings. */
export const GAUGE_FILL: u32 = 464;
export const GAUGE_TIME_WAIT: u32 = 468;

/**
 * Multicast that this core wants from the NIC, a set of 64 bits: that of a MAC is the XOR of its last
 * three bytes, modulo 64. What comes in by a bit that groups share, the kernel drops.
 */
export const CORE_MULTICAST: u32 = 496;

// From here: counters, u64 each, by the kernel. Names for people: host/dataplane/counters.ts.
export const CORE_COUNTERS: u32 = 512;

export const CNT_RX_PACKETS: u32 = 512;
export const CNT_RX_BYTES: u32 = 520;
export const CNT_TX_PACKETS: u32 = 528;
export const CNT_TX_BYTES: u32 = 536;
export const CNT_ITERATIONS: u32 = 544;
export const CNT_SYSCALLS: u32 = 552;
export const CNT_EVENTS: u32 = 560;
/** Polls that took no packets because the event array could have overflowed. */
export const CNT_EVENT_BACKPRESSURE: u32 = 568;
/** Fill ring refills cut short because no frame was free. */
export const CNT_FILL_STARVED: u32 = 576;
/** Frames not sent because a TX ring was full; TCP sends them again. */
export const CNT_TX_RING_FULL: u32 = 584;
export const CNT_TX_NO_FRAME: u32 = 592;
/** Received descriptors whose address or length is no frame of this dataplane. */
export const CNT_DROP_DESCRIPTOR: u32 = 600;
export const CNT_DROP_ETHERNET_SHORT: u32 = 608;
export const CNT_DROP_ETHERNET_ADDRESS: u32 = 616;
export const CNT_DROP_ETHERTYPE: u32 = 624;
export const CNT_DROP_ARP_MALFORMED: u32 = 632;
export const CNT_DROP_IP_HEADER: u32 = 640;
export const CNT_DROP_IP_CHECKSUM: u32 = 648;
export const CNT_DROP_IP_TTL: u32 = 656;
export const CNT_DROP_IP_ADDRESS: u32 = 664;
export const CNT_DROP_IP_FRAGMENT: u32 = 672;
export const CNT_DROP_IP_PROTOCOL: u32 = 680;
export const CNT_DROP_ICMP_MALFORMED: u32 = 688;
export const CNT_DROP_ICMP_CHECKSUM: u32 = 696;
export const CNT_DROP_ICMP_TYPE: u32 = 704;
export const CNT_DROP_UDP_MALFORMED: u32 = 712;
export const CNT_DROP_UDP_CHECKSUM: u32 = 720;
export const CNT_DROP_UDP_NO_PORT: u32 = 728;
export const CNT_DROP_TCP_MALFORMED: u32 = 736;
export const CNT_DROP_TCP_CHECKSUM: u32 = 744;
/** Segments for no connection and no listener; answered with RST. */
export const CNT_DROP_TCP_NO_CONNECTION: u32 = 752;
export const CNT_DROP_TCP_BACKLOG: u32 = 760;
/** No control block, or no frame, for a new connection. */
export const CNT_DROP_TCP_NO_MEMORY: u32 = 768;
/** Outside the receive window (RFC 9293 3.10.7.4, first step). */
export const CNT_DROP_TCP_WINDOW: u32 = 776;
export const CNT_DROP_TCP_BAD_ACK: u32 = 784;
export const CNT_DROP_TCP_BAD_RST: u32 = 792;
export const CNT_DROP_TCP_SYN_IN_WINDOW: u32 = 800;
/** Data that was received before. */
export const CNT_DROP_TCP_DUPLICATE: u32 = 808;
export const CNT_DROP_TCP_REASSEMBLY: u32 = 816;
export const CNT_DROP_TCP_AFTER_CLOSE: u32 = 824;
export const CNT_DROP_NO_ROUTE: u32 = 832;
export const CNT_DROP_NEIGHBOUR_PENDING: u32 = 840;
export const CNT_DROP_NEIGHBOUR_FAILED: u32 = 848;
export const CNT_DROP_NEIGHBOUR_TABLE: u32 = 856;
export const CNT_ARP_IN: u32 = 864;
export const CNT_ARP_OUT: u32 = 872;
export const CNT_ICMP_IN: u32 = 880;
export const CNT_ICMP_OUT: u32 = 888;
/** ICMP errors not sent because of the rate limit (RFC 1122 3.2.2, RFC 1812 4.3.2.8). */
export const CNT_ICMP_LIMITED: u32 = 896;
export const CNT_UDP_IN: u32 = 904;
export const CNT_UDP_OUT: u32 = 912;
export const CNT_TCP_IN: u32 = 920;
export const CNT_TCP_OUT: u32 = 928;
/** Segments that took the short path for the in-order established case. */
export const CNT_TCP_FAST_PATH: u32 = 936;
export const CNT_TCP_CONNECTS: u32 = 944;
export const CNT_TCP_ACCEPTS: u32 = 952;
export const CNT_TCP_RETRANSMITS: u32 = 960;
export const CNT_TCP_TIMEOUTS: u32 = 968;
export const CNT_TCP_FAST_RETRANSMITS: u32 = 976;
export const CNT_TCP_DUPLICATE_ACKS: u32 = 984;
export const CNT_TCP_OUT_OF_ORDER: u32 = 992;
export const CNT_TCP_DELAYED_ACKS: u32 = 1000;
export const CNT_TCP_PROBES: u32 = 1008;
export const CNT_TCP_RESETS_IN: u32 = 1016;
export const CNT_TCP_RESETS_OUT: u32 = 1024;
export const CNT_TCP_CHALLENGE_ACKS: u32 = 1032;
export const CNT_TCP_DEAD_TIMEOUT: u32 = 1040;
export const CNT_TCP_TIME_WAIT_REUSED: u32 = 1048;
export const CNT_TCP_TIME_WAIT_RECYCLED: u32 = 1056;
/** System calls refused: unknown operation, stale or foreign handle, address outside, other. */
export const CNT_REFUSED_OPERATION: u32 = 1064;
export const CNT_REFUSED_HANDLE: u32 = 1072;
export const CNT_REFUSED_ADDRESS: u32 = 1080;
export const CNT_REFUSED_ARGUMENT: u32 = 1088;
/** Datagrams not delivered because the application holds its share of frames already. */
export const CNT_DROP_UDP_BACKLOG: u32 = 1096;
/** Packets of a flow group that another core owns: a NIC, or a filter, steered them wrongly. */
export const CNT_DROP_FOREIGN_GROUP: u32 = 1104;
/** Data for a connection whose application lags behind while frames are short. */
export const CNT_DROP_TCP_PRESSURE: u32 = 1112;
/** Segments older than what was received before, by their timestamps (RFC 7323 section 5). */
export const CNT_DROP_TCP_PAWS: u32 = 1120;
/** Segments without the timestamp that both sides agreed on; they are taken, as Linux and FreeBSD do. */
export const CNT_TCP_NO_TIMESTAMP: u32 = 1128;
/** Challenge ACKs not sent because of the rate limit (RFC 5961 section 7). */
export const CNT_TCP_CHALLENGES_LIMITED: u32 = 1136;
/** SACK blocks of what was never sent, or so many pieces that finding them would cost too much. */
export const CNT_TCP_SACK_IGNORED: u32 = 1144;
/** Reports of duplicates (RFC 2883), received and sent. */
export const CNT_TCP_DSACKS_IN: u32 = 1152;
export const CNT_TCP_DSACKS_OUT: u32 = 1160;
/** Tail loss probes (RFC 8985 section 7). */
export const CNT_TCP_TAIL_PROBES: u32 = 1168;
/** Retransmissions that were found lost themselves. */
export const CNT_TCP_LOST_RETRANSMITS: u32 = 1176;
/** Recoveries whose retransmissions all proved needless: the window was restored. */
export const CNT_TCP_UNDOS: u32 = 1184;
/** Timeouts that came too early, as the ACKs after them showed (RFC 5682). */
export const CNT_TCP_SPURIOUS_TIMEOUTS: u32 = 1192;
/** Peers that took back what they had selectively acknowledged (RFC 2018 section 8). */
export const CNT_TCP_RENEGES: u32 = 1200;
/** Segments with a congestion mark, and flights cut short because the peer echoed one. */
export const CNT_TCP_CE_IN: u32 = 1208;
export const CNT_TCP_ECN_REDUCTIONS: u32 = 1216;
/** Taking over cores whose thread was lost: lists cut where they were broken, connections given up. */
export const CNT_RESCUE_CUTS: u32 = 1224;
export const CNT_RESCUE_RESETS: u32 = 1232;
/** Fragments taken in, datagrams they made, and fragments sent. */
export const CNT_FRAGMENTS_IN: u32 = 1240;
export const CNT_REASSEMBLED: u32 = 1248;
export const CNT_FRAGMENTS_OUT: u32 = 1256;
/** Fragments that overlap others (RFC 5722, RFC 3128), and what follows of their datagram. */
export const CNT_DROP_FRAGMENT_OVERLAP: u32 = 1264;
/** Datagrams given up for others, and fragments that found no slot. */
export const CNT_DROP_FRAGMENT_LIMIT: u32 = 1272;
/** Datagrams of which something was still missing in the end. */
export const CNT_DROP_FRAGMENT_TIMEOUT: u32 = 1280;
/** Segments that came in fragments and fit no frame. */
export const CNT_DROP_FRAGMENT_SIZE: u32 = 1288;
/** Extension headers that make no sense, or ask to be dropped. */
export const CNT_DROP_IP_EXTENSION: u32 = 1296;
/** ICMP errors about packets that are not ours, or not in flight (RFC 5927). */
export const CNT_DROP_ICMP_QUOTE: u32 = 1304;
/** Path MTUs lowered by ICMP (RFC 1191, RFC 8201). */
export const CNT_PATH_MTU: u32 = 1312;
/** Datagrams that are not from the peer of a connected port. */
export const CNT_DROP_UDP_PEER: u32 = 1320;
/** Neighbour discovery: taken in, malformed or from beyond the link, sent. */
export const CNT_ND_IN: u32 = 1328;
export const CNT_DROP_ND_MALFORMED: u32 = 1336;
export const CNT_ND_OUT: u32 = 1344;
/** Own addresses given up because another host has them. */
export const CNT_DUPLICATE_ADDRESS: u32 = 1352;
/** IGMP and MLD: taken in, malformed, sent. */
export const CNT_GROUP_IN: u32 = 1360;
export const CNT_DROP_GROUP_MALFORMED: u32 = 1368;
export const CNT_GROUP_OUT: u32 = 1376;
/** Keep-alive probes sent. */
export const CNT_TCP_KEEP_ALIVES: u32 = 1384;
/** SYN cookies: sent because a backlog was full, connections that came of one, ACKs that carried none. */
export const CNT_TCP_COOKIES_OUT: u32 = 1392;
export const CNT_TCP_COOKIES_IN: u32 = 1400;
export const CNT_TCP_COOKIES_BAD: u32 = 1408;
/** Fast Open, as client: SYNs whose data was taken, and those whose data had to be sent again. */
export const CNT_TCP_FAST_OPENS_OUT: u32 = 1416;
export const CNT_TCP_FAST_OPENS_OUT_FAILED: u32 = 1424;
/** SYNs that went without data because those before them were lost on the way to the same server. */
export const CNT_TCP_FAST_OPEN_BLACK_HOLES: u32 = 1432;
/** As server: connections that their SYN opened, those of them by the backup key, cookies that were wrong. */
export const CNT_TCP_FAST_OPENS_IN: u32 = 1440;
export const CNT_TCP_FAST_OPENS_BACKUP_KEY: u32 = 1448;
export const CNT_TCP_FAST_OPEN_COOKIES_BAD: u32 = 1456;
/** Cookies asked for, and SYNs that had to take the ordinary way because of a listener's limit. */
export const CNT_TCP_FAST_OPEN_REQUESTS: u32 = 1464;
export const CNT_TCP_FAST_OPEN_LIMITED: u32 = 1472;
/** Connections whose full segments did not get through, and larger ones that were tried since (RFC 4821). */
export const CNT_TCP_BLACK_HOLES: u32 = 1480;
export const CNT_TCP_MTU_PROBES: u32 = 1488;
/** Segments of ours that arrived with a congestion mark, by what peers tell that speak accurate ECN. */
export const CNT_TCP_ECN_MARKS: u32 = 1496;
export const CNT_END: u32 = 1504;

// Second page. Its first line: commands, by the control plane; CORE_COMMAND is written last.
/** `COMMAND_*`; the kernel sets it back to COMMAND_NONE when it has taken the command. */
export const CORE_COMMAND: u32 = 4096;
/** Migration: the core that the groups go to, and the groups, a set of FLOW_GROUPS bits. */
export const CORE_COMMAND_TARGET: u32 = 4100;
export const CORE_COMMAND_GROUPS: u32 = 4112;

export const COMMAND_NONE: u32 = 0;
/** Hand the flow groups of the set that this core owns to the target. */
export const COMMAND_MIGRATE: u32 = 1;

// How a migration goes, by the kernel of the core that gives groups away.
/** `MIGRATION_*`. */
export const CORE_MIGRATION: u32 = 4160;
export const CORE_MIGRATION_TARGET: u32 = 4164;
/** Migrations begun and ended since the start; equal when none is under way. */
export const CORE_MIGRATIONS_BEGUN: u32 = 4168;
export const CORE_MIGRATIONS_ENDED: u32 = 4172;
/** The groups under way. */
export const CORE_MIGRATION_GROUPS: u32 = 4176;
/** Of the last migration: connections, buffered packets moved, and when it began and ended, µs. */
export const CORE_MIGRATION_CONNECTIONS: u32 = 4192;
export const CORE_MIGRATION_PACKETS: u32 = 4196;
export const CORE_MIGRATION_BEGAN: u32 = 4200;
export const CORE_MIGRATION_STEERED: u32 = 4204;
export const CORE_MIGRATION_OVER: u32 = 4208;
/** Why the last one ended: RC_OK, or RC_NOBUFS or another code with the groups left where they were. */
export const CORE_MIGRATION_RESULT: u32 = 4212;

export const MIGRATION_IDLE: u32 = 0;
/** Connections are being taken leave of; the groups' packets wait. */
export const MIGRATION_LEAVING: u32 = 1;
/** The RETA is to be rewritten (REQUEST_STEER). */
export const MIGRATION_STEERING: u32 = 2;
/** What came to the old queue before the RETA changed is taken out of it. */
export const MIGRATION_DRAINING: u32 = 3;
/** The target has been given everything and has not yet said that it owns the groups. */
export const MIGRATION_HANDED: u32 = 4;

export const REQUEST_NONE: u32 = 0;
/** Point the RETA entries of CORE_MIGRATION_GROUPS to the target's queues, then call `steered`. */
export const REQUEST_STEER: u32 = 1;

/** Values of CORE_PHASE. Outside of the kernel everything in memory is whole. */
export const PHASE_OUTSIDE: u32 = 0;
export const PHASE_KERNEL: u32 = 1;

// Metrics, by the kernel. Each is three f64, moving averages with alpha 1/2, 1/4 and 1/8, renewed
// every METRIC_PERIOD µs (IX: ixcp's metrics) while the core polls.
export const METRIC_PERIOD: u32 = 10_000;
/** How long the oldest packet of a batch had waited in its ring, µs; 0 where the NIC stamps none. */
export const METRIC_QUEUE_DELAY: u32 = 4224;
/** Packets taken per non-empty iteration. */
export const METRIC_BATCH: u32 = 4248;
/** Packets that waited when a batch was taken, the batch included. */
export const METRIC_QUEUE_SIZE: u32 = 4272;
/** Time of a busy iteration until the next one, µs. */
export const METRIC_LOOP: u32 = 4296;
/** Share of the time that was idle, 0 to 1. */
export const METRIC_IDLE: u32 = 4320;
/** When the averages were renewed last, µs, f64. */
export const METRIC_UPDATED: u32 = 4344;
/** Of the last instant polled at, u32: queuing delay (µs) and packets waiting, 0 when there were none. */
export const METRIC_DELAY_NOW: u32 = 4352;
export const METRIC_QUEUE_NOW: u32 = 4356;
/** Time of the last iteration, µs modulo 2^32: the core's sign of life. */
export const METRIC_LAST_POLL: u32 = 4360;
/** Busy and idle time since the start, µs, f64. */
export const METRIC_BUSY_TIME: u32 = 4368;
export const METRIC_IDLE_TIME: u32 = 4376;
/** What the next averages are made of: the kernel's own, up to METRIC_END. */
export const METRIC_PRIVATE: u32 = 4384;
export const METRIC_END: u32 = 4480;

/** Which cores have put something into their mailbox to this one, a bit each; by those cores. */
export const CORE_MAIL: u32 = 4544;

// Behind the counters: what this core learned of the link, for the other cores; by the kernel.
/** Notes written since the start. */
export const CORE_LEARNED_COUNT: u32 = 2048;
/** A ring of LEARNED_SLOTS notes: kind, three words, a 16-byte address. */
export const CORE_LEARNED: u32 = 2112;
export const LEARNED_SLOTS: u32 = 32;
export const LEARNED_SIZE: u32 = 32;
/** How far this core has read the notes of each core: MAX_CORES words. */
export const CORE_LEARNED_SEEN: u32 = 3200;

// ---------------------------------------------------------------------------------------------
// NIC queue pair: four single-producer single-consumer rings in the shape of AF_XDP's

/** One queue pair's description: where its rings are. Host-written words, then the kernel's own. */
export const QUEUE_SIZE: u32 = 256;

/** Per ring, RING_WORDS u32: producer word, consumer word, flags word, descriptors, entries - 1. */
export const RING_PRODUCER: u32 = 0;
export const RING_CONSUMER: u32 = 4;
export const RING_FLAGS: u32 = 8;
export const RING_DESCRIPTORS: u32 = 12;
export const RING_MASK: u32 = 16;
export const RING_SIZE: u32 = 20;

/** Frames the NIC may fill: u64 addresses. Producer: kernel. */
export const QUEUE_FILL: u32 = 0;
/** Received packets: 16-byte descriptors. Producer: NIC. */
export const QUEUE_RX: u32 = 20;
/** Packets to send: 16-byte descriptors. Producer: kernel. */
export const QUEUE_TX: u32 = 40;
/** Frames whose transmission is over: u64 addresses. Producer: NIC. */
export const QUEUE_COMPLETION: u32 = 60;
/** Address of the owning core's control block, for its doorbell. */
export const QUEUE_CORE: u32 = 80;
/** Host-written words end here; the rest of the block is the kernel's. */
export const QUEUE_PRIVATE: u32 = 128;

/** RX and TX descriptor: u64 address (always below 2^32 here), u32 length, u32 options. */
export const DESC_ADDRESS: u32 = 0;
export const DESC_LENGTH: u32 = 8;
export const DESC_OPTIONS: u32 = 12;
export const PACKET_DESC_SIZE: u32 = 16;
export const ADDRESS_DESC_SIZE: u32 = 8;
/** The packet goes on in the next descriptor (XDP_PKT_CONTD). */
export const DESC_CONTINUED: u32 = 1;
/** Metadata precedes the packet (XDP_TX_METADATA). */
export const DESC_METADATA: u32 = 2;

/** Addresses in descriptors are linear-memory addresses: the UMEM begins at address 0. */
export const FRAME_SIZE: u32 = 2048;
/**
 * Bytes between the start of a frame and the packet in it, received or sent. A NIC may begin a received
 * packet later than that, to copy it faster.
 */
export const FRAME_HEADROOM: u32 = 128;

/** Metadata lies in the METADATA_SIZE bytes before the packet. */
export const METADATA_SIZE: u32 = 16;
/** Received: u32 flags, u32 RSS hash; both seen from the packet's start. */
export const RX_META_FLAGS: u32 = 0;
export const RX_META_HASH: u32 = 4;
/** When the NIC put the packet into the ring, µs modulo 2^32; only with RX_META_HAS_TIME. */
export const RX_META_TIME: u32 = 8;
export const RX_META_HAS_HASH: u32 = 1;
export const RX_META_CHECKSUM_OK: u32 = 2;
export const RX_META_HAS_TIME: u32 = 4;
/** The packet is this host's own, to itself; a NIC never says so of what came from outside. */
export const RX_META_LOOPBACK: u32 = 32;
/** Sent, as struct xsk_tx_metadata begins: u64 flags, u16 checksum start, u16 checksum offset. */
export const TX_META_FLAGS: u32 = 0;
export const TX_META_CSUM_START: u32 = 8;
export const TX_META_CSUM_OFFSET: u32 = 10;
/** XDP_TXMD_FLAGS_CHECKSUM. The checksum field holds the pseudo header's sum, not complemented. */
export const TX_META_CHECKSUM: u32 = 2;

// ---------------------------------------------------------------------------------------------
// Sizes of kernel-private records, so that the host can lay out memory

export const TCB_HOT_SIZE: u32 = 128;
export const TCB_COLD_SIZE: u32 = 256;
export const TCB_REMOTE_SIZE: u32 = 16;
export const TCB_ACCECN_SIZE: u32 = 64;
export const BUFFER_SIZE: u32 = 32;
export const PACKET_SIZE: u32 = 64;
export const GROUP_SIZE: u32 = 64;
/** What a core tells another of a migration, in a line each way and MAILBOX_SLOTS messages of a line. */
export const MAILBOX_SLOTS: u32 = 4;
export const MAILBOX_SIZE: u32 = 384;
/** Within a flow group's record: its core, connections, and packets received since the start (u64). */
export const GROUP_OWNER: u32 = 0;
export const GROUP_CONNECTIONS: u32 = 4;
export const GROUP_PACKETS: u32 = 8;
/** The core that processes the group's packets: its owner, but for the time of a migration. */
export const GROUP_PROCESSOR: u32 = 16;
export const NEIGHBOUR_SIZE: u32 = 64;
export const NET_SIZE: u32 = 8192;
/** A datagram of 64 KiB, its headers, and what is known of its fragments. */
export const SLOT_SIZE: u32 = 67584;
export const ROUTE_SIZE: u32 = 64;
/** What precedes the routes: a line, and a word for each of MAX_CORES. */
export const ROUTE_HEADER: u32 = 320;
export const LISTENER_SIZE: u32 = 128;
export const FAST_OPEN_ENTRY_SIZE: u32 = 64;
export const UDP_PORT_SIZE: u32 = 64;
export const USER_TIMER_SIZE: u32 = 32;
/** 3 wheels of 256 slots, a doubly linked list head each, and the wheel's own state. */
export const WHEEL_SIZE: u32 = 8192;
export const TOEPLITZ_SIZE: u32 = 36 * 1024;

// ---------------------------------------------------------------------------------------------
// System-call and event descriptors: 32 bytes, one shape both ways

export const CALL_SIZE: u32 = 32;
/** u16 operation in the low half, u16 flags in the high half. */
export const CALL_OP: u32 = 0;
export const CALL_HANDLE: u32 = 4;
export const CALL_COOKIE: u32 = 8;
/** System call: i32 result, written over the request. */
export const CALL_RESULT: u32 = 12;
export const CALL_A: u32 = 16;
export const CALL_B: u32 = 20;
export const CALL_C: u32 = 24;
export const CALL_D: u32 = 28;

/** What tcp_info writes, words: times in µs, windows and amounts in bytes (RFC 4898's names in brackets). */
export const TCP_INFO_STATE: u32 = 0;
/** Smoothed round-trip time and its variation (RFC 6298), the least one; 0: not measured yet. */
export const TCP_INFO_SRTT: u32 = 4;
export const TCP_INFO_RTTVAR: u32 = 8;
export const TCP_INFO_MIN_RTT: u32 = 12;
/** The retransmission timeout without back-off, and how often it was doubled. */
export const TCP_INFO_RTO: u32 = 16;
export const TCP_INFO_BACKOFF: u32 = 20;
export const TCP_INFO_MSS: u32 = 24;
/** Congestion window [CurCwnd] and slow start threshold [CurSsthresh], 0x7fffffff or more: none yet. */
export const TCP_INFO_CWND: u32 = 28;
export const TCP_INFO_SSTHRESH: u32 = 32;
/** Sent and not acknowledged [PipeSize]. */
export const TCP_INFO_IN_FLIGHT: u32 = 36;
/** The window that the peer allows, and the receive window as auto-tuning has it. */
export const TCP_INFO_SEND_WINDOW: u32 = 40;
export const TCP_INFO_RECEIVE_WINDOW: u32 = 44;
/** Segments that were sent again so far [SegsRetrans]. */
export const TCP_INFO_RETRANSMITS: u32 = 48;
/** `TCP_RECOVERY_*`. */
export const TCP_INFO_RECOVERY: u32 = 52;
/** How marks are fed back, `TCP_ECN_*`. All that follows is 0 but with TCP_ECN_ACCURATE. */
export const TCP_INFO_ECN: u32 = 56;
/** Segments that came here with CE, and those of ours that arrived so, as the peer counts them. */
export const TCP_INFO_RECEIVED_CE: u32 = 60;
export const TCP_INFO_DELIVERED_CE: u32 = 64;
/** Payload bytes that came here with ECT(1), ECT(0) and CE, and those of ours that arrived so. */
export const TCP_INFO_RECEIVED_E1_BYTES: u32 = 68;
export const TCP_INFO_RECEIVED_E0_BYTES: u32 = 72;
export const TCP_INFO_RECEIVED_CE_BYTES: u32 = 76;
export const TCP_INFO_DELIVERED_E1_BYTES: u32 = 80;
export const TCP_INFO_DELIVERED_E0_BYTES: u32 = 84;
export const TCP_INFO_DELIVERED_CE_BYTES: u32 = 88;
/** What on the path breaks it, `ACCECN_FAIL_*`, and what was seen of the peer's options, `ACCECN_OPTION_*`. */
export const TCP_INFO_ACCECN_FAIL: u32 = 92;
export const TCP_INFO_ACCECN_OPTION: u32 = 96;
export const TCP_INFO_SIZE: u32 = 128;

// TCP_INFO_ECN: not at all, by RFC 3168, by RFC 9768.
export const TCP_ECN_NONE: u32 = 0;
export const TCP_ECN_CLASSIC: u32 = 1;
export const TCP_ECN_ACCURATE: u32 = 2;

// TCP_INFO_ACCECN_FAIL, a set: the ACE field, and the option, are lost or changed on the way there, or here.
export const ACCECN_FAIL_ACE_SEND: u32 = 1;
export const ACCECN_FAIL_ACE_RECEIVE: u32 = 2;
export const ACCECN_FAIL_OPTION_SEND: u32 = 4;
export const ACCECN_FAIL_OPTION_RECEIVE: u32 = 8;

// TCP_INFO_ACCECN_OPTION: none came; only empty ones; with counters; what came was zeroed, or came too late.
export const ACCECN_OPTION_UNSEEN: u32 = 0;
export const ACCECN_OPTION_EMPTY: u32 = 1;
export const ACCECN_OPTION_COUNTERS: u32 = 2;
export const ACCECN_OPTION_FAILED: u32 = 3;

// TCP_INFO_STATE: the state of RFC 9293 section 3.3.2; 512 when the connection is over, but for data that the
// application has yet to give back. One that Fast Open has opened counts as SYN-RECEIVED until its handshake is over.
export const TCP_STATE_SYN_SENT: u32 = 1;
export const TCP_STATE_SYN_RECEIVED: u32 = 2;
export const TCP_STATE_ESTABLISHED: u32 = 4;
export const TCP_STATE_FIN_WAIT_1: u32 = 8;
export const TCP_STATE_FIN_WAIT_2: u32 = 16;
export const TCP_STATE_CLOSING: u32 = 32;
export const TCP_STATE_TIME_WAIT: u32 = 64;
export const TCP_STATE_CLOSE_WAIT: u32 = 128;
export const TCP_STATE_LAST_ACK: u32 = 256;

// TCP_INFO_RECOVERY: nothing is missing; some has arrived beyond a gap; recovery from losses, or a timeout.
export const TCP_RECOVERY_NONE: u32 = 0;
export const TCP_RECOVERY_DISORDER: u32 = 1;
export const TCP_RECOVERY_FAST: u32 = 2;
export const TCP_RECOVERY_TIMEOUT: u32 = 3;

/**
 * Batched system calls. `result` receives RC_OK, a count of bytes, or a negative RC_* code.
 *
 * | operation     | handle          | cookie | a         | b         | c        | d      | result |
 * |---------------|-----------------|--------|-----------|-----------|----------|--------|--------|
 * | connect       | ports, see note | own    | a..d: destination address (16 bytes)        || code; handle := connection |
 * | accept        | connection      | own    |           |           |          |        | code   |
 * | reject        | connection      |        |           |           |          |        | code   |
 * | send          | connection      | passed | address   | length    |          |        | bytes accepted |
 * | sendv         | connection      | passed | SG array  | entries   |          |        | bytes accepted |
 * | recv_done     | connection      | passed | bytes     |           |          |        | code   |
 * | shutdown      | connection      | passed |           |           |          |        | code   |
 * | close         | connection      | passed |           |           |          |        | code   |
 * | abort         | connection      | passed |           |           |          |        | code   |
 * | udp_send      | UDP port        | passed | address   | length    | endpoint |        | bytes  |
 * | udp_sendv     | UDP port        | passed | SG array  | entries   | endpoint |        | bytes  |
 * | udp_recv_done | UDP port        | passed | `d` of the event |    |          |        | code   |
 * | connect_send  | source port     | own    | address   | length    | endpoint |        | bytes accepted; handle := connection |
 * | listen        | -               | own    | port      | backlog   | fast open |       | code; handle := listener |
 * | unlisten      | listener        | passed |           |           |          |        | code   |
 * | udp_bind      | -               | own    | port (0: any) |       |          |        | code; handle := UDP port, a := port |
 * | udp_unbind    | UDP port        | passed |           |           |          |        | code   |
 * | udp_connect   | UDP port        | passed |           |           | endpoint, or 0 | | code   |
 * | udp_join      | UDP port        | passed | a..d: address of the group (16 bytes)       || code   |
 * | udp_leave     | UDP port        | passed | the same                                    || code   |
 * | timer_set     | -               | own    | delay, µs |           |          |        | code; handle := timer |
 * | timer_cancel  | timer           | passed |           |           |          |        | code   |
 * | tag           | connection      | passed | tag       |           |          |        | code   |
 * | tcp_info      | connection      | passed | address of TCP_INFO_SIZE bytes | | |     | code; the record is written |
 * | option        | connection, or listener | passed | `OPTION_*` | value | more | more   | code   |
 *
 * Ports of connect: destination | source << 16, source 0 lets the kernel choose.
 * connect_send (RFC 7413) is a connect whose SYN takes data along, as much as fits and as the server's cookie
 * allows: the result says how much, 0 when there is no cookie yet and the SYN asks for one. What was not
 * accepted is to be sent after `connected`. What was, is the kernel's to send again, and the server may see
 * it twice when the network duplicates the SYN: only for requests that may be repeated.
 * "fast open" of listen: most connections that are open by their SYN alone, whose handshake is not over; 0:
 * none. Such a connection knocks on its SYN, and may be sent to as soon as it is accepted. A listener with
 * FLAG_DEFER opens none so: Fast Open is off there, whatever is said here.
 * "own" cookies come back in every event of the object made; "passed" ones are left as they are.
 * "endpoint" is the address of an ENDPOINT_SIZE record in the application's window, or the one that
 * came with a `udp_recv`.
 *
 * A connected UDP port receives from its peer alone and hears of ICMP errors by `udp_error`; endpoint 0
 * ends that. Groups are left with the port.
 *
 * Life of a connection handle: it is born by `connect` (result) or `knock`, and ends with exactly one
 * of: `connected` with an outcome other than RC_OK, `dead`, or the result of `abort` or `reject`.
 * A connection that knocked on its SYN (FLAG_DEFER) is accepted into the handshake: `connected` tells
 * when that is over, `dead` when it failed. `close` before `connected` ends in `dead` alone.
 * Memory that its sends referenced is the application's again with that; segments of it that still lie
 * in the TX ring go out as the memory then is, so after `abort` it is better left alone for a poll.
 * A connection whose flow group moves to another core ends here with `left`, which comes once for every
 * handle the application knows: memory that its sends referenced is free again, calls on it fail with
 * RC_MOVED, no other event comes of it here. On the new core `arrived` announces it as `knock` does, under
 * the same handle: accept (with a cookie of that core's own) or reject it. After accept, all received
 * data that was not given back is announced again, and the FIN if it has come; `sent` there counts only
 * what was sent there. A connection whose handshake was not over (ARRIVED_CONNECTING) is told of that by
 * `connected`, after accept. One that the application had closed ends for it with `left` and does the rest
 * alone. `tag` stores a number that travels along.
 * After `close` the handle takes no more calls but `abort`; received data not yet announced is
 * discarded; `sent` goes on, and `dead` comes when all data and the FIN are acknowledged.
 */
export const SYS_NOP: u32 = 0;
export const SYS_CONNECT: u32 = 1;
export const SYS_ACCEPT: u32 = 2;
export const SYS_REJECT: u32 = 3;
export const SYS_SEND: u32 = 4;
export const SYS_SENDV: u32 = 5;
export const SYS_RECV_DONE: u32 = 6;
export const SYS_SHUTDOWN: u32 = 7;
export const SYS_CLOSE: u32 = 8;
export const SYS_ABORT: u32 = 9;
export const SYS_UDP_SEND: u32 = 10;
export const SYS_UDP_SENDV: u32 = 11;
export const SYS_UDP_RECV_DONE: u32 = 12;
export const SYS_LISTEN: u32 = 13;
export const SYS_UNLISTEN: u32 = 14;
export const SYS_UDP_BIND: u32 = 15;
export const SYS_UDP_UNBIND: u32 = 16;
export const SYS_TIMER_SET: u32 = 17;
export const SYS_TIMER_CANCEL: u32 = 18;
export const SYS_TAG: u32 = 19;
export const SYS_UDP_CONNECT: u32 = 20;
export const SYS_UDP_JOIN: u32 = 21;
export const SYS_UDP_LEAVE: u32 = 22;
export const SYS_OPTION: u32 = 23;
export const SYS_CONNECT_SEND: u32 = 24;
export const SYS_TCP_INFO: u32 = 25;
export const SYS_END: u32 = 26;

/** 1: as FLAG_NAGLE and FLAG_QUIET; 0: not. What was held back goes out, by OPTION_CORK too. */
export const OPTION_NAGLE: u32 = 1;
export const OPTION_QUIET: u32 = 2;
/**
 * b: 1 for keep-alive probes, 0 for none. c: how long nothing is heard before the first, s. d: between
 * them, s, and in the high half how many go unanswered before the connection is reset. 0 leaves each of
 * these to the configuration. RC_AGAIN in the handshake.
 */
export const OPTION_KEEP_ALIVE: u32 = 3;
/**
 * The user timeout, s: how long data may go unacknowledged before the connection ends with RC_TIMEOUT
 * (RFC 9293 section 3.9.1, RFC 5482); it is looked at when a retransmission is due. 0: CFG_DATA_RETRIES
 * decides. RC_AGAIN in the handshake.
 */
export const OPTION_USER_TIMEOUT: u32 = 4;
/** CONTROL_*. RC_AGAIN while anything is in flight. */
export const OPTION_CONGESTION_CONTROL: u32 = 5;
/** Of a listener. b: as the "fast open" of listen. */
export const OPTION_FAST_OPEN: u32 = 6;
/**
 * Of a listener: the keys of its cookies instead of the configured ones. b: where they lie, c: their number,
 * to FAST_OPEN_KEYS_MAX; 0: the configured ones again.
 */
export const OPTION_FAST_OPEN_KEYS: u32 = 7;
/**
 * 1: a partial segment at the end of the queue waits for what makes it full, with nothing in flight for a
 * retransmission timeout at most; 0: what was held back goes out.
 */
export const OPTION_CORK: u32 = 8;
export const KEEP_ALIVE_IDLE_MAX: u32 = 65535;
export const KEEP_ALIVE_INTERVAL_MAX: u32 = 255;
export const KEEP_ALIVE_PROBES_MAX: u32 = 127;
export const USER_TIMEOUT_MAX: u32 = 65535;

/** Flag of connect and accept: small segments wait for outstanding ones (RFC 896). */
export const FLAG_NAGLE: u32 = 1;
/**
 * Flag of connect and accept: `sent` is reported only when it says something new to do: referenced
 * memory became free, or a send that was cut short may go on.
 */
export const FLAG_QUIET: u32 = 2;
/** Flag of listen: knock on the SYN, answer it only after accept; reject then refuses with RST. */
export const FLAG_DEFER: u32 = 4;
/**
 * Flag of send and sendv: more data follows soon. A partial segment waits for a send without the flag, for
 * an ACK, or with nothing in flight for a retransmission timeout; its end does not ask for PSH.
 */
export const FLAG_MORE: u32 = 8;
/** Flag of send and sendv: a record ends here, whose last segment has PSH and takes no later data. */
export const FLAG_RECORD_END: u32 = 32;
/** Flag of udp_send and udp_sendv: RC_MSGSIZE rather than fragments. */
export const FLAG_DONT_FRAGMENT: u32 = 16;

/**
 * Congestion controls. Flags of connect, accept and listen (for the connections that it brings forth)
 * name one in the bits CONTROL_MASK above CONTROL_SHIFT; 0 leaves the choice to the configuration, or to
 * what `listen` said. What is none of them is refused with RC_INVAL.
 */
export const CONTROL_SHIFT: u32 = 4;
export const CONTROL_MASK: u32 = 7;
/** RFC 5681 and RFC 6582. */
export const CONTROL_NEWRENO: u32 = 1;
/** RFC 9438, with HyStart++ (RFC 9406). */
export const CONTROL_CUBIC: u32 = 2;
/** RFC 8257; asks for ECN by itself. */
export const CONTROL_DCTCP: u32 = 3;
/** BBR version 1 (draft-cardwell-iccrg-bbr-congestion-control-00): loss alone does not slow it down. */
export const CONTROL_BBR: u32 = 4;
export const CONTROL_END: u32 = 5;

/**
 * Event conditions.
 *
 * | event     | handle     | cookie | result  | a            | b            | c        | d |
 * |-----------|------------|--------|---------|--------------|--------------|----------|---|
 * | knock     | connection | listener's | ports | a..d: remote address                 ||||
 * | connected | connection | own    | outcome | local port   |              |          |   |
 * | recv      | connection | own    |         | address      | length       |          |   |
 * | sent      | connection | own    |         | bytes acked  | window       |          |   |
 * | dead      | connection | own    | reason  | bytes acked since the last `sent` ||      |   |
 * | udp_recv  | UDP port   | own    |         | address      | length       | endpoint | token for udp_recv_done |
 * | udp_sent  | UDP port   | call's |         | bytes        |              |          |   |
 * | udp_error | UDP port   | own    | reason  | path MTU     |              |          |   |
 * | timer     | timer      | own    |         |              |              |          |   |
 * | left      | connection | own    |         | target core  |              |          |   |
 * | arrived   | connection | own, of the other core | ports | tag | endpoint of the peer | source core | `ARRIVED_*` |
 *
 * Ports of knock and arrived: remote | local << 16. The endpoint of arrived is to be read before the next
 * poll. A recv of length 0 is the peer's FIN: the stream ended.
 * Window of sent: bytes that a send would accept now. Reason of dead: RC_OK after an orderly end on
 * both sides, else why. udp_sent comes only for sends whose memory was referenced (length >= copy
 * break), in the order of the calls, even after udp_unbind; the memory of others is free when the call
 * has run. Reason of udp_error: RC_REFUSED, RC_UNREACHABLE, or RC_MSGSIZE with the path MTU.
 */
export const EV_KNOCK: u32 = 1;
export const EV_CONNECTED: u32 = 2;
export const EV_RECV: u32 = 3;
export const EV_SENT: u32 = 4;
export const EV_DEAD: u32 = 5;
export const EV_UDP_RECV: u32 = 6;
export const EV_UDP_SENT: u32 = 7;
export const EV_TIMER: u32 = 8;
export const EV_LEFT: u32 = 9;
export const EV_ARRIVED: u32 = 10;
export const EV_UDP_ERROR: u32 = 11;

/** The core that the connection was on is gone, and with it what its application knew of it. */
export const ARRIVED_RESCUED: u32 = 1;
/** The handshake is not over. */
export const ARRIVED_CONNECTING: u32 = 2;

/** Scatter-gather entry: u32 address, u32 length. */
export const SG_SIZE: u32 = 8;
export const SG_MAX: u32 = 64;

/** Endpoint record: 16 bytes of address, u16 port (host order), u16 zero. */
export const ENDPOINT_SIZE: u32 = 20;
export const ENDPOINT_PORT: u32 = 16;

// Return codes, outcomes and reasons
export const RC_OK: i32 = 0;
/** No control block, listener, timer or other entry is free. */
export const RC_NOMEM: i32 = -1;
/** No frame is free; `sent` says when to try again. */
export const RC_NOBUFS: i32 = -2;
export const RC_INVAL: i32 = -3;
export const RC_AGAIN: i32 = -4;
/** An address range is not the application's. */
export const RC_FAULT: i32 = -5;
export const RC_NOSYS: i32 = -6;
export const RC_NOTSUP: i32 = -7;
/** The handle is stale, foreign, or of another kind. */
export const RC_BADH: i32 = -8;
/** The connection's state does not allow the call any more. */
export const RC_CLOSED: i32 = -9;
export const RC_REFUSED: i32 = -10;
export const RC_TIMEOUT: i32 = -11;
export const RC_UNREACHABLE: i32 = -12;
export const RC_RESET: i32 = -13;
/** Port or address taken. */
export const RC_INUSE: i32 = -14;
/** Datagram larger than the path takes. */
export const RC_MSGSIZE: i32 = -15;
/** The connection belongs to another core now, or is on its way there. */
export const RC_MOVED: i32 = -16;

/** Handles are never 0; the low HANDLE_INDEX_BITS are an index below the size of the kind's table. */
export const HANDLE_INDEX_BITS: u32 = 20;
export const HANDLE_INDEX_MASK: u32 = 0xfffff;
