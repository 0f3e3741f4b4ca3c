/**
 * The Toeplitz hash of receive-side scaling in software, for packets whose NIC handed over none and
 * for choosing the ports of connections. Microsoft's "RSS hashing functions": the input is source
 * address, destination address, source port, destination port, each in network order.
 *
 * The hash is linear over bits, so it is the XOR of one table entry per input byte. The host fills
 * the tables (CFG_TOEPLITZ) from the key: 36 of them, 256 words each, for the 36 bytes of an IPv6
 * tuple; an IPv4 tuple uses the first 12.
 */
import { CFG_TOEPLITZ } from "../abi";
import { config } from "../core/config";

let tables: u32 = 0;

export function bindToeplitz(): void {
  tables = config(CFG_TOEPLITZ);
}

/**
 * RSS hash of a TCP or UDP packet over IPv4.
 *
 * @param source, destination as they lie in memory
 * @param ports source port low half, destination port high half, each as it lies in memory
 */
export function toeplitzIpv4(source: u32, destination: u32, ports: u32): u32 {
  return (
    hashWord(tables, source) ^ hashWord(tables + 4096, destination) ^ hashWord(tables + 8192, ports)
  );
}

/** The same over IPv6; addresses are two u64 each, as they lie in memory. */
export function toeplitzIpv6(
  sourceHigh: u64,
  sourceLow: u64,
  destinationHigh: u64,
  destinationLow: u64,
  ports: u32,
): u32 {
  return (
    hashHalf(tables, sourceHigh) ^
    hashHalf(tables + 8192, sourceLow) ^
    hashHalf(tables + 16384, destinationHigh) ^
    hashHalf(tables + 24576, destinationLow) ^
    hashWord(tables + 32768, ports)
  );
}

/** Share of the destination port, as it lies in memory, in the hash of a packet over IPv4. */
export function destinationPortIpv4(port: u32): u32 {
  return hashPort(tables + 10 * 1024, port);
}

/** The same over IPv6. */
export function destinationPortIpv6(port: u32): u32 {
  return hashPort(tables + 34 * 1024, port);
}

function hashPort(from: u32, port: u32): u32 {
  return load<u32>(from + ((port & 0xff) << 2)) ^ load<u32>(from + ((port >> 6) & 0x3fc), 1024);
}

/** Share of eight input bytes. */
function hashHalf(from: u32, half: u64): u32 {
  return hashWord(from, u32(half)) ^ hashWord(from + 4096, u32(half >> 32));
}

/** Share of four input bytes, the first of which `from` is the table of. */
function hashWord(from: u32, word: u32): u32 {
  return (
    load<u32>(from + ((word & 0xff) << 2)) ^
    load<u32>(from + ((word >> 6) & 0x3fc), 1024) ^
    load<u32>(from + ((word >> 14) & 0x3fc), 2048) ^
    load<u32>(from + ((word >> 22) & 0x3fc), 3072)
  );
}
