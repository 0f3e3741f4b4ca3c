import { describe, expect, it } from "vitest";
import { hashIpv4, hashIpv6, STANDARD_TABLES, toeplitzTables } from "../../host/nic/rss.ts";

/**
 * "Verifying the RSS hash calculation", Microsoft: destination, source, hash with and without
 * ports.
 */
const IPV4: [string, number, string, number, number, number][] = [
  ["161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178],
  ["65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea],
  ["12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a],
  ["209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f],
  ["202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2],
];
const IPV6: [string, number, string, number, number, number][] = [
  ["3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d],
  ["ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf],
  [
    "fe80::200:f8ff:fe21:67cf",
    38024,
    "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
    44251,
    0x4b61e985,
    0x02d1feef,
  ],
];

function ipv6(text: string): number[] {
  const [head, tail] = text.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const rest = tail ?? [];
  const zeros = Array.from({ length: 8 - head.length - rest.length }, () => "0");
  const groups = [...head, ...zeros, ...rest];
  return groups.flatMap((group: string) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]);
}

const input = (source: number[], destination: number[], from: number, to: number) =>
  Uint8Array.from([...source, ...destination, from >> 8, from & 255, to >> 8, to & 255]);

describe("Toeplitz hash", () => {
  it.each(IPV4)("of %s:%i from %s:%i", (to, toPort, from, fromPort, addresses, ports) => {
    const bytes = input(from.split(".").map(Number), to.split(".").map(Number), fromPort, toPort);
    expect(hashIpv4(STANDARD_TABLES, bytes, 0, 0) >>> 0).toBe(addresses);
    expect(hashIpv4(STANDARD_TABLES, bytes, 0, 8) >>> 0).toBe(ports);
  });

  it.each(IPV6)("of [%s]:%i from [%s]:%i", (to, toPort, from, fromPort, addresses, ports) => {
    const bytes = input(ipv6(from), ipv6(to), fromPort, toPort);
    expect(hashIpv6(STANDARD_TABLES, bytes, 0, 0) >>> 0).toBe(addresses);
    expect(hashIpv6(STANDARD_TABLES, bytes, 0, 32) >>> 0).toBe(ports);
  });

  it("has tables of 36 bytes by 256 values that are linear", () => {
    const tables = toeplitzTables();
    expect(tables.length).toBe(36 * 256);
    for (let position = 0; position < 36; position++) {
      expect(tables[position * 256]).toBe(0);
      expect(tables[position * 256 + 0xa5]).toBe(
        (tables[position * 256 + 0xa0] ^ tables[position * 256 + 5]) >>> 0,
      );
    }
  });

  it("refuses a key of another length", () => {
    expect(() => toeplitzTables(new Uint8Array(16))).toThrow(RangeError);
  });
});
