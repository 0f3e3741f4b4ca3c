import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import {
  cidr,
  decimal,
  flowGroups,
  hostPort,
  integer,
  json,
  someOf,
} from "../../host/node/cli/arguments.ts";

describe("a value that is given", () => {
  it.each([
    ["0", [0]],
    ["127", [127]],
    ["0-3", [0, 1, 2, 3]],
    ["5,1-2, 5", [1, 2, 5]],
    ["7-7", [7]],
  ])("as flow groups %j", (text, groups) => {
    expect(flowGroups(text)).toEqual(groups);
  });

  it.each([
    ["9464", { host: "127.0.0.1", port: 9464 }],
    ["0.0.0.0:80", { host: "0.0.0.0", port: 80 }],
    ["localhost:0", { host: "localhost", port: 0 }],
    ["[::1]:65535", { host: "::1", port: 65535 }],
  ])("as an address to listen on %j", (text, address) => {
    expect(hostPort(text)).toEqual(address);
  });

  it("as numbers, names, networks and JSON", () => {
    expect(integer(1, 5)("5")).toBe(5);
    expect(integer(0, 1e6)("10_000")).toBe(10_000);
    expect(decimal(0.5, 2)("0.75")).toBe(0.75);
    expect(someOf(["a", "b"])("b, a")).toEqual(["b", "a"]);
    expect(cidr("10.0.0.1/24")).toBe("10.0.0.1/24");
    expect(json('{"a":[1]}')).toEqual({ a: [1] });
  });
});

describe("a value that is refused", () => {
  it.each(["", "128", "3-1", "0-128", "a", "-1", "1-", "1,,2", "0x1", "1-2-3", "1e2"])(
    "as flow groups: %j",
    (text) => {
      expect(() => flowGroups(text)).toThrow(InvalidArgumentError);
    },
  );

  it.each(["", "host", "65536", "host:", ":80", "::1:80", "a:b:80", "1.2.3.4:-1"])(
    "as an address: %j",
    (text) => {
      expect(() => hostPort(text)).toThrow(/HOST:PORT/);
    },
  );

  it.each(["", " ", "1.5", "-1", "6", "1e1", "0x1", "NaN", "Infinity", "_1"])(
    "as a whole number: %j",
    (text) => {
      expect(() => integer(1, 5)(text)).toThrow("Give a whole number from 1 to 5.");
    },
  );

  it.each(["", " ", "NaN", "3", "0.4", "1,5"])("as a number: %j", (text) => {
    expect(() => decimal(0.5, 2)(text)).toThrow("Give a number from 0.5 to 2.");
  });

  it("as a name, a network or JSON", () => {
    expect(() => someOf(["a", "b"])("a,c")).toThrow('"c" is none of a, b.');
    expect(() => cidr("10.0.0.1")).toThrow("such as 10.0.0.1/24");
    expect(() => json("{")).toThrow("Give JSON");
  });
});
