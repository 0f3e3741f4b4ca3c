/** What the check of captures finds: nothing in a right conversation, and each fault by its name. */
import { describe, expect, it } from "vitest";
import { PcapngWriter } from "../../host/nic/index.ts";
import { concat, hex, text } from "./bytes.ts";
import * as captured from "./captures.ts";
import { expectSound, hasTshark, opinionOf, withoutTshark } from "./expert.ts";
import {
  ICMPV6_ECHO_REQUEST,
  icmpFrame,
  icmpv6Frame,
  ipBytes,
  macBytes,
  mss,
  NEIGHBOUR_SOLICITATION,
  rawOption,
  sack,
  sackOk,
  tcpFrame,
  type TcpFields,
  udpFrame,
  type Path,
} from "./packet.ts";

const CLIENT = { mac: "02:00:00:00:0a:01", ip: "192.0.2.1" };
const SERVER = { mac: "02:00:00:00:0b:02", ip: "192.0.2.2" };
const PATH: Path = { from: CLIENT, to: SERVER };
const BACK: Path = { from: SERVER, to: CLIENT };
const PATH6: Path = {
  from: { ...CLIENT, ip: "2001:db8::1" },
  to: { ...SERVER, ip: "2001:db8::2" },
};

/** A segment of the client's, its numbers after its SYN's 1000 and the server's 5000. */
const sent = (fields: Partial<TcpFields>, payload = "", path = PATH): Uint8Array =>
  tcpFrame(
    path,
    { sourcePort: 40_000, destinationPort: 7, seq: 1001, ack: 5001, ...fields },
    text(payload),
  );
const answered = (fields: Partial<TcpFields>, payload = ""): Uint8Array =>
  tcpFrame(
    BACK,
    { sourcePort: 7, destinationPort: 40_000, seq: 5001, ack: 1001, ...fields },
    text(payload),
  );

const OPENING = [
  sent({ flags: "S", seq: 1000, ack: 0, options: [mss(1460), sackOk] }),
  answered({ flags: "SA", seq: 5000, options: [mss(1460), sackOk] }),
  sent({}),
];
const SOUND = [
  captured.arpRequest,
  captured.arpReply,
  captured.udpDatagram,
  captured.portUnreachable,
  captured.echoRequest,
  captured.echoReply,
  ...OPENING,
  sent({ flags: "PA" }, "hello"),
  answered({ flags: "PA", ack: 1006 }, "hello"),
  sent({ flags: "FA", seq: 1006, ack: 5006 }),
  answered({ flags: "FA", seq: 5006, ack: 1007 }),
  sent({ seq: 1007, ack: 5007 }),
  icmpv6Frame(PATH6, { type: ICMPV6_ECHO_REQUEST, data: text("ping") }),
];

/** A solicitation for the other's address, with these bytes as its options. */
const solicitation = (...options: readonly number[]): Uint8Array =>
  icmpv6Frame(
    { ...PATH6, ip6: { hopLimit: 255 } },
    {
      type: NEIGHBOUR_SOLICITATION,
      data: concat(ipBytes(PATH6.to.ip), Uint8Array.from(options)),
    },
  );

/** Each is one thing wrong, what comes before it, and what is said of it. */
const FAULTS: readonly (readonly [string, readonly Uint8Array[], RegExp])[] = [
  [
    "an IPv4 checksum",
    [sent({}, "x", { ...PATH, ip: { checksum: 0x1234 } })],
    /^IPv4: Bad checksum/,
  ],
  ["a TCP checksum", [...OPENING, sent({ checksum: 0x1234 }, "x")], /^TCP: Bad checksum/],
  [
    "a UDP checksum",
    [udpFrame(PATH, { sourcePort: 9000, destinationPort: 9001, checksum: 0x1234 }, text("x"))],
    /^UDP: Bad checksum/,
  ],
  [
    "no UDP checksum on IPv6",
    [udpFrame(PATH6, { sourcePort: 9000, destinationPort: 9001, checksum: "none" }, text("x"))],
    /^UDP: Illegal checksum/,
  ],
  ["an ICMP checksum", [icmpFrame(PATH, { type: 8, checksum: 0x1234 })], /^ICMP: Bad checksum/],
  [
    "an ICMPv6 checksum",
    [icmpv6Frame(PATH6, { type: ICMPV6_ECHO_REQUEST, checksum: 0x1234 })],
    /^ICMPv6: Bad checksum/,
  ],
  [
    "a TCP option that is too short",
    [...OPENING, sent({ options: [rawOption(hex("0201 0101"))] })],
    /^TCP: Maximum segment size \(with too-short option length/,
  ],
  [
    "a TCP option that is longer than the header",
    [...OPENING, sent({ options: [rawOption(hex("0101 080a"))] })],
    /^TCP: Timestamps \(option length = 10 bytes says option goes past end/,
  ],
  [
    "a TCP header that is longer than the segment",
    [...OPENING, sent({ dataOffset: 15 })],
    /^TCP: (Short segment|Malformed Packet)/,
  ],
  [
    "a neighbour discovery option of no length",
    [solicitation(1, 0, ...macBytes(CLIENT.mac))],
    /^ICMPv6: /,
  ],
  [
    "a neighbour discovery option that is cut off",
    [solicitation(1, 2, ...macBytes(CLIENT.mac))],
    /Malformed Packet/,
  ],
  [
    "data beyond the window",
    [...OPENING.slice(0, 2), sent({ window: 10 }), answered({}, "0123456789")],
    /^TCP: TCP window specified by the receiver is now completely full/,
  ],
  ["a closed window", [...OPENING, answered({ window: 0 })], /^TCP: TCP Zero Window segment/],
  [
    "an acknowledgment of what was not sent",
    [...OPENING, answered({ ack: 1500 })],
    /^TCP: ACKed segment that wasn't captured/,
  ],
  [
    "a segment that is left out",
    [...OPENING, sent({ seq: 1101 }, "x")],
    /^TCP: Previous segment\(s\) not captured/,
  ],
  [
    "a D-SACK",
    [
      ...OPENING,
      sent({ flags: "PA" }, "x"),
      answered({ ack: 1002, options: [sack([1001, 1002])] }),
    ],
    /^TCP: D-SACK/,
  ],
  ["a reset", [...OPENING, answered({ flags: "RA" })], /^TCP: Connection reset/],
  [
    "an IPv6 header that promises more than there is",
    [tcpFrame({ ...PATH6, ip6: { payloadLength: 500 } }, { sourcePort: 1, destinationPort: 2 })],
    /^IPv6: IPv6 payload length exceeds framing length/,
  ],
  ["an ARP packet that is cut off", [captured.arpReply.slice(0, 30)], /Malformed Packet/],
];

function capture(frames: readonly Uint8Array[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new PcapngWriter((chunk) => chunks.push(chunk.slice()));
  writer.addInterface("eth0");
  frames.forEach((frame, i) => writer.packet(0, i * 1000, frame, 0, frame.length, 1));
  writer.flush();
  return concat(...chunks);
}

describe.skipIf(!hasTshark)(`the check of captures${withoutTshark}`, () => {
  it("finds nothing wrong with what is right", () => {
    expect(opinionOf(capture(SOUND))).toEqual({ packets: SOUND.length, complaints: [] });
    expectSound(capture(SOUND));
  });

  it.each(FAULTS)("finds %s", (_, frames, complaint) => {
    const { packets, complaints } = opinionOf(capture(frames));
    expect(packets).toBe(frames.length);
    expect(complaints.filter((found) => !complaint.test(found))).toEqual([]);
    expect(complaints).not.toEqual([]);
    expect(() => expectSound(capture(frames))).toThrow();
    expectSound(capture(frames), { provoked: [complaint] });
    expectSound(capture(frames), { possible: [complaint] });
  });

  it("finds one fault among what is allowed", () => {
    const frames = [...OPENING, sent({ checksum: 0x1234 }, "x"), answered({ flags: "RA" })];
    expect(() => expectSound(capture(frames), { provoked: [/^TCP: Connection reset/] })).toThrow(
      /Bad checksum/,
    );
  });

  it("demands that what was to be provoked is there, and packets at all", () => {
    const reset = /^TCP: Connection reset/;
    expect(() => expectSound(capture(SOUND), { provoked: [reset] })).toThrow(/not provoked/);
    expectSound(capture(SOUND), { possible: [reset] });
    expect(() => expectSound(capture([]))).toThrow(/looked at/);
    expect(() => expectSound(capture(SOUND), { filter: "ip.src == 192.0.2.9" })).toThrow(
      /looked at/,
    );
  });

  it("looks at those packets alone that pass a filter", () => {
    const frames = [...OPENING, sent({ checksum: 0x1234 }, "x"), answered({})];
    expectSound(capture(frames), { filter: `eth.src == ${SERVER.mac}` });
    expect(() => expectSound(capture(frames), { filter: `eth.src == ${CLIENT.mac}` })).toThrow(
      /Bad checksum/,
    );
  });

  it("does not take a file for sound that it cannot read", () => {
    expect(() => opinionOf(text("no capture at all"))).toThrow(/cannot read/);
    expect(() => opinionOf(capture(SOUND).slice(0, -10))).toThrow(/cannot read/);
    expect(() => opinionOf("/nowhere/capture.pcapng")).toThrow(/cannot read/);
  });
});
