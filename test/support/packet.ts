/**
 * The independent witness: a packet builder and a strict parser in plain TypeScript. It shares no code
 * with the kernel or the host, so that both can be wrong only in the same way by chance.
 *
 * Builders fill in every length and checksum, and let a test force any of them; `parseFrame` refuses
 * whatever a well-behaved host would not send.
 */
export * from "./packet/addresses.ts";
export * from "./packet/arp.ts";
export * from "./packet/checksum.ts";
export * from "./packet/error.ts";
export * from "./packet/ethernet.ts";
export * from "./packet/format.ts";
export * from "./packet/frames.ts";
export * from "./packet/icmp.ts";
export * from "./packet/icmpv6.ts";
export * from "./packet/ipv4.ts";
export * from "./packet/ipv6.ts";
export * from "./packet/parse.ts";
export * from "./packet/tcp-options.ts";
export * from "./packet/tcp.ts";
export * from "./packet/udp.ts";
