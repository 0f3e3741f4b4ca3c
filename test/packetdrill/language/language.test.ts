/** What the parser makes of a script's text. */
import { describe, expect, test } from "vitest";
import { SyntaxFault, Unsupported } from "./errors.ts";
import { tokenize } from "./lexer.ts";
import { parseScript } from "./parser.ts";
import { FLAG, type CallSpec, type OptionSpec, type PacketSpec, type TcpSpec } from "./script.ts";

function texts(source: string, definitions?: ReadonlyMap<string, string>): string[] {
  return tokenize(source, definitions)
    .slice(0, -1)
    .map(({ kind, text }) => `${kind} ${text}`);
}

function packet(text: string): PacketSpec {
  const { action } = parseScript("test", `0 ${text}`).events[0];
  if (action.kind !== "packet") throw new Error("no packet");
  return action.packet;
}

function tcp(text: string): TcpSpec {
  const { body } = packet(text);
  if (body.kind !== "tcp") throw new Error("not TCP");
  return body;
}

function call(text: string): CallSpec {
  const { action } = parseScript("test", text).events[0];
  if (action.kind !== "call") throw new Error("no call");
  return action.call;
}

describe("tokens", () => {
  test("the longest match wins", () => {
    expect(texts("+.1 100ms 0x1f -1 1:1001(1000)")).toEqual([
      "symbol +",
      "float .1",
      "word 100ms",
      "hex 0x1f",
      "integer -1",
      "integer 1",
      "symbol :",
      "integer 1001",
      "symbol (",
      "integer 1000",
      "symbol )",
    ]);
  });

  test("a range of times is no decimal number", () => {
    expect(texts("0...0.200")).toEqual(["integer 0", "ellipsis ...", "float 0.200"]);
  });

  test("addresses, strings, commands and code are one token each", () => {
    expect(texts('192.0.2.1 2001:db8::1 "a b" `ls\n-l` %{ x }%')).toEqual([
      "ipv4 192.0.2.1",
      "ipv6 2001:db8::1",
      "string a b",
      "shell ls\n-l",
      "code  x ",
    ]);
  });

  test("comments are nothing, and lines are counted through them", () => {
    const tokens = tokenize("// one\n/* two\n three */ four");
    expect(tokens[0]).toMatchObject({ text: "four", line: 3 });
  });

  test("a defined word is what it is defined as", () => {
    const definitions = new Map([
      ["N", "12"],
      ["S", '"text"'],
      ["C", "`true`"],
      ["W", "other"],
    ]);
    expect(texts("N S C W X", definitions)).toEqual([
      "integer 12",
      "string text",
      "shell true",
      "word other",
      "word X",
    ]);
  });

  test("branches that are not defined are blank, and keep their lines", () => {
    const source = "#ifdef A\na\n#else\nb\n#endif\nc";
    expect(texts(source)).toEqual(["word b", "word c"]);
    expect(texts(source, new Map([["A", "1"]]))).toEqual(["word a", "word c"]);
    expect(tokenize(source).at(-2)?.line).toBe(6);
    expect(() => tokenize("#ifdef A\n")).toThrow(SyntaxFault);
    expect(() => tokenize("#endif\n")).toThrow(SyntaxFault);
  });
});

describe("packets", () => {
  test("flags are letters, a dot, a digit for the ACE field, or none", () => {
    expect(tcp("> S. 0:0(0) ack 1").flags).toBe(FLAG.SYN | FLAG.ACK);
    expect(tcp("> FPUEWA. 0:0(0) ack 1").flags).toBe(511 - FLAG.SYN - FLAG.RST);
    expect(tcp("> P.5 0:0(0) ack 1").flags).toBe(FLAG.PSH | FLAG.ACK | FLAG.AE | FLAG.ECE);
    expect(tcp("> F5. 0:0(0) ack 1").flags).toBe(FLAG.FIN | FLAG.ACK | FLAG.AE | FLAG.ECE);
    expect(tcp("> .2 0:0(0) ack 1").flags).toBe(tcp("> W. 0:0(0) ack 1").flags);
    expect(tcp("> - 0:0(0)").flags).toBe(0);
    expect(() => tcp("> X 0:0(0)")).toThrow(SyntaxFault);
  });

  test("a range must have its length", () => {
    expect(tcp("> . 1:1001(1000) ack 1")).toMatchObject({ seq: 1, length: 1000 });
    expect(() => tcp("> . 1:1001(999) ack 1")).toThrow(SyntaxFault);
  });

  test("nplab's absolute and free numbers", () => {
    expect(tcp("> R. 5:5(0)! ack 1!")).toMatchObject({ seqAbsolute: true, ackAbsolute: true });
    expect(tcp("> S. ...(0) ack 1")).toMatchObject({ seqAny: true, length: 0 });
  });

  test("an inbound packet needs a window, and its options", () => {
    expect(() => tcp("< . 1:1(0) ack 1")).toThrow(SyntaxFault);
    expect(() => tcp("< . 1:1(0) ack 1 win 1 <...>")).toThrow(SyntaxFault);
  });

  test("options", () => {
    const { options } = tcp(
      "> . 1:1(0) ack 1 <mss 1460,sackOK,TS val 1 ecr 2,nop,eol,wscale 7,sack 1:2 3:4,FO 0a0b>",
    );
    expect(options).toEqual([
      { kind: "mss", value: 1460 },
      { kind: "sackOK" },
      { kind: "timestamps", value: 1, valueAny: false, echo: 2, echoAbsolute: false },
      { kind: "nop" },
      { kind: "eol" },
      { kind: "wscale", value: 7 },
      {
        kind: "sack",
        blocks: [
          [1, 2],
          [3, 4],
        ],
      },
      { kind: "bytes", code: 34, data: Uint8Array.of(10, 11) },
    ]);
    expect(tcp("> . 1:1(0) ack 1 <...>").options).toBe("any");
    expect(tcp("> . 1:1(0) ack 1").options).toEqual([]);
  });

  test("accurate ECN counters in either order", () => {
    const [first] = tcp("> . 1:1(0) ack 1 <ECN e1b 1 ceb 2 e0b 3>").options as readonly unknown[];
    expect(first).toEqual({
      kind: "bytes",
      code: 174,
      data: Uint8Array.of(0, 0, 1, 0, 0, 2, 0, 0, 3),
    });
  });

  test("of these counters the last may be left out, and none is in another place", () => {
    const data = (text: string): unknown => {
      const [option] = tcp(`> . 1:1(0) ack 1 <${text}>`).options as readonly OptionSpec[];
      return option;
    };
    const bytes = Uint8Array.of(0x12, 0x34, 0x56, 0, 1, 0);
    expect(data("ECN e0b 0x123456 ceb 256")).toEqual({ kind: "bytes", code: 172, data: bytes });
    expect(data("ECN e1b 7")).toEqual({ kind: "bytes", code: 174, data: Uint8Array.of(0, 0, 7) });
    for (const wrong of ["ECN", "ECN ceb 1", "ECN e0b 1 e1b 1", "ECN e1b 16777216"]) {
      expect(() => data(wrong), wrong).toThrow(SyntaxFault);
    }
  });

  test("fields of the IP header", () => {
    expect(packet("> (ect0) . 1:1(0) ack 1").ip).toEqual({ ecn: 2 });
    expect(packet("< [ce] . 1:1(0) ack 1 win 1").ip).toEqual({ ecn: 3 });
    expect(packet("> (tos 0x20, ttl 64) . 1:1(0) ack 1").ip).toEqual({ tos: 32, ttl: 64 });
    expect(packet("> (class 0x20,hlim 4) . 1:1(0) ack 1").ip).toEqual({ tos: 32, ttl: 4 });
    expect(packet("> (flowlabel 0x5) . 1:1(0) ack 1").ip).toEqual({ flowLabel: 5 });
  });

  test("UDP and ICMP, the quote in either place", () => {
    expect(packet("> udp 1 > 2 (100)")).toMatchObject({
      ports: [1, 2],
      body: { kind: "udp", length: 100 },
    });
    const icmp = {
      kind: "icmp",
      type: "unreachable",
      code: "frag_needed",
      mtu: 1200,
      id: undefined,
      quote: { kind: "tcp", seq: 1, length: 1000 },
    };
    expect(packet("< icmp unreachable frag_needed mtu 1200 [1:1001(1000)]").body).toEqual(icmp);
    expect(packet("< [1:1001(1000)] icmp unreachable frag_needed mtu 1200").body).toEqual(icmp);
    expect(packet("> icmp echo_reply id 7").body).toMatchObject({ type: "echo_reply", id: 7 });
  });

  test("what no stack of ours can be asked for is named", () => {
    expect(() => packet("< gre: . 1:1(0) ack 1 win 1")).toThrow(Unsupported);
    expect(() => packet("< . 1:1(0) ack 1 win 1/udp(1 > 2)")).toThrow("TCP over UDP");
    expect(() => packet("> . 1:1(0) ack 1 <nop,nop,md5 valid>")).toThrow("MD5");
  });
});

describe("events", () => {
  test("times", () => {
    const script = parseScript("test", "0 a() = 0 +.5 b() = 0 1~2 > . 1:1(0) * > . 1:1(0)");
    expect(script.events.map(({ time }) => time)).toEqual([
      { kind: "absolute", from: 0, to: 0 },
      { kind: "relative", from: 500_000, to: 500_000 },
      { kind: "absolute", from: 1_000_000, to: 2_000_000 },
      { kind: "any" },
    ]);
    expect(parseScript("test", "+.2~+.25 > . 1:1(0)").events[0].time).toEqual({
      kind: "relative",
      from: 200_000,
      to: 250_000,
    });
  });

  test("options and commands around them", () => {
    const script = parseScript(
      "test",
      "--mtu=1400\n--define=A=1\n--strict_segments\n`first`\n0 a() = 0\n+1 `between`\n`last`",
    );
    expect(script.options.map(({ name, value }) => [name, value])).toEqual([
      ["mtu", "1400"],
      ["define", "A=1"],
      ["strict_segments", undefined],
    ]);
    expect(script.init).toBe("first");
    expect(script.events[1].action).toEqual({ kind: "shell", command: "between" });
    expect(script.cleanup).toBe("last");
  });

  test("a script defines words for itself", () => {
    const { events } = parseScript("test", "--define=N=1460\n0 > S 0:0(0) <mss N>");
    expect(events[0].action).toMatchObject({
      packet: { body: { options: [{ kind: "mss", value: 1460 }] } },
    });
  });

  test("calls: blocking, with results, errors and notes", () => {
    expect(call("0...0.1 read(4, ..., 10) = -1 EAGAIN (Try again)")).toEqual({
      name: "read",
      args: [{ kind: "integer", value: 4 }, { kind: "ellipsis" }, { kind: "integer", value: 10 }],
      returns: { kind: "absolute", from: 100_000, to: 100_000 },
      result: { kind: "integer", value: -1 },
      errno: "EAGAIN",
    });
  });

  test("structures, lists and alternatives as arguments", () => {
    const { args } = call(
      "0 f(A|B, [1], {fd=4, events=POLLIN}, {msg_iov(1)=[{..., 5}]}, {htons(80)}) = 0",
    );
    expect(args[0]).toMatchObject({ kind: "or", operands: [{ name: "A" }, { name: "B" }] });
    expect(args[1]).toMatchObject({ kind: "list", items: [{ value: 1 }] });
    expect(args[2]).toMatchObject({ fields: [{ name: "fd" }, { name: "events" }] });
    expect(args[3]).toMatchObject({ fields: [{ name: "msg_iov", value: { kind: "list" } }] });
    expect(args[4]).toMatchObject({ fields: [{ value: { kind: "call", name: "htons" } }] });
  });

  test("faults tell their line", () => {
    expect(() => parseScript("test", "0 a() = 0\n0 b( = 0")).toThrow(/line 2/);
    expect(() => parseScript("test", "// nothing\n")).toThrow(SyntaxFault);
  });
});
