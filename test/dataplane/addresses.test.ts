import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addressWords,
  formatIp,
  formatMac,
  inNetwork,
  isBroadcastAddress,
  isIpv4,
  isMulticast,
  isNetworkAddress,
  mappedPrefix,
  parseCidr,
  parseIp,
  parseMac,
} from "../../host/dataplane/addresses.ts";
import { NO_ADDRESSES } from "../support/addresses.ts";

const anyAddress = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ipv4 = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((bytes) => bytes.join("."));

describe("IP addresses", () => {
  it("are IPv4-mapped bytes (RFC 4291 section 2.5.5.2)", () => {
    const bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
    expect(Array.from(parseIp("10.0.0.1")!)).toEqual(bytes);
    expect(Array.from(parseIp("::ffff:10.0.0.1")!)).toEqual(bytes);
    expect(addressWords(parseIp("10.0.0.1")!)).toEqual([0, 0, 0xffff0000, 0x0100000a]);
  });

  it("survive text and back", () => {
    fc.assert(
      fc.property(anyAddress, (bytes) => {
        expect(parseIp(formatIp(bytes))).toEqual(bytes);
      }),
    );
    fc.assert(fc.property(ipv4, (text) => formatIp(parseIp(text)!) === text));
  });

  it.each([
    // RFC 5952 section 4.
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::A", "2001:db8::a"],
    ["::", "::"],
    ["1::", "1::"],
  ])("%s is written %s", (text, canonical) => {
    expect(formatIp(parseIp(text)!)).toBe(canonical);
  });

  it.each(NO_ADDRESSES)("%j is none", (text) => expect(parseIp(text)).toBeUndefined());
});

describe("networks", () => {
  const network = (text: string) => parseCidr(text)!;

  it("contain what agrees with them in every bit of the prefix", () => {
    const prefixed = fc.tuple(ipv4, ipv4, fc.nat(32));
    const word = (text: string) =>
      text.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
    fc.assert(
      fc.property(prefixed, ([a, b, prefix]) => {
        const size = 2 ** (32 - prefix);
        const expected = Math.floor(word(a) / size) === Math.floor(word(b) / size);
        expect(inNetwork(parseIp(a)!, network(`${b}/${prefix}`))).toBe(expected);
      }),
    );
  });

  it("are of one family", () => {
    expect(inNetwork(parseIp("10.0.0.1")!, network("::/0"))).toBe(false);
    expect(inNetwork(parseIp("fe80::1")!, network("fe80::/10"))).toBe(true);
    expect(mappedPrefix(network("10.0.0.0/8"))).toBe(104);
    expect(mappedPrefix(network("fe80::/10"))).toBe(10);
    expect(isIpv4(parseIp("::1")!)).toBe(false);
  });

  it("have edges", () => {
    expect(isNetworkAddress(network("10.1.0.0/16"))).toBe(true);
    expect(isNetworkAddress(network("10.1.128.0/17"))).toBe(true);
    expect(isNetworkAddress(network("10.1.128.0/16"))).toBe(false);
    expect(isBroadcastAddress(network("10.1.255.255/16"))).toBe(true);
    expect(isBroadcastAddress(network("10.1.127.255/17"))).toBe(true);
    expect(isBroadcastAddress(network("10.1.127.255/16"))).toBe(false);
    expect(isMulticast(parseIp("239.1.2.3")!)).toBe(true);
    expect(isMulticast(parseIp("ff02::1")!)).toBe(true);
    expect(isMulticast(parseIp("10.0.0.1")!)).toBe(false);
  });

  it.each(["10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/08", "::/129", "/8"])(
    "%j is none",
    (text) => expect(parseCidr(text)).toBeUndefined(),
  );
});

describe("MAC addresses", () => {
  it("survive text and back", () => {
    const bytes = fc.uint8Array({ minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(bytes, (mac) => {
        expect(parseMac(formatMac(mac))).toEqual(mac);
      }),
    );
    expect(formatMac(parseMac("02-00-0A-00-00-FE")!)).toBe("02:00:0a:00:00:fe");
  });

  it.each(["", "02:00:00:00:00", "02:00:00:00:00:0", "02:00:00:00:00:00:00", "02:00-00:00:00:00"])(
    "%j is none",
    (text) => expect(parseMac(text)).toBeUndefined(),
  );
});
