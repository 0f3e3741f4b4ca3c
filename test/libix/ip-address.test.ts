import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IpAddress } from "../../host/libix/ip-address.ts";
import { NO_ADDRESSES } from "../support/addresses.ts";

describe("IP addresses", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["fe80::", "fe80::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ])("reads %s and writes %s", (text, canonical) => {
    expect(IpAddress.parse(text).toString()).toBe(canonical);
  });

  it.each(NO_ADDRESSES)('refuses "%s"', (text) => {
    expect(() => IpAddress.parse(text)).toThrow(TypeError);
  });

  it("keeps network order in memory", () => {
    const address = IpAddress.parse("10.1.2.3");
    expect(address.isIpv4).toBe(true);
    expect([...address.toBytes()]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3]);
    expect(address.w3).toBe(0x0302010a);
    expect(IpAddress.parse("2001:db8::").isIpv4).toBe(false);
  });

  it("survives bytes and text", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const address = IpAddress.fromBytes(bytes);
        expect([...address.toBytes()]).toEqual([...bytes]);
        expect(IpAddress.parse(address.toString()).equals(address)).toBe(true);
      }),
    );
  });

  it("tells addresses apart", () => {
    const address = IpAddress.parse("10.0.0.1");
    expect(address.equals(IpAddress.parse("::ffff:10.0.0.1"))).toBe(true);
    expect(address.equals(IpAddress.parse("10.0.0.2"))).toBe(false);
  });
});
