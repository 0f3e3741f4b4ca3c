import { describe, expect, it } from "vitest";
import { nearest } from "../../host/dataplane/nearest.ts";

const KNOWN = ["cores", "frames", "maxConnections", "ip", "ip6", "mac", "mtu"];

describe("what somebody may have meant", () => {
  it.each([
    ["core", "cores"],
    ["Cores", "cores"],
    ["maxconnection", "maxConnections"],
    ["maxConections", "maxConnections"],
    ["farmes", "frames"],
    ["mact", "mac"],
  ])("by %s is %s", (name, meant) => {
    expect(nearest(name, KNOWN)).toBe(meant);
  });

  it.each(["", "x", "address", "coreCount", "tp"])("by %j nobody can say", (name) => {
    expect(nearest(name, KNOWN)).toBeUndefined();
  });
});
