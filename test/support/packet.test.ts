import { describe, expect, test } from "vitest";
import { concat, hex, text, u16 } from "./bytes.ts";
import * as captured from "./captures.ts";
import {
  ARP_REPLY,
  ARP_REQUEST,
  arpReplyFrame,
  arpRequestFrame,
  buildEthernet,
  buildIpv4,
  buildTcp,
  checksum,
  ETHERTYPE_IPV4,
  findOption,
  flagBits,
  formatPacket,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_UNREACHABLE,
  icmpFrame,
  MalformedPacket,
  mss,
  nop,
  onesSum,
  padded,
  parseFrame,
  parseQuote,
  rawOption,
  sack,
  sackOk,
  tcpFrame,
  ts,
  udpFrame,
  unknownOption,
  UNREACHABLE_PORT,
  ws,
  type IcmpMessage,
  type Path,
  type TcpFields,
} from "./packet.ts";

const { client, server } = captured;
const there: Path = { from: client, to: server };
const back: Path = { from: server, to: client };
const ports = { sourcePort: 38346, destinationPort: 8080 };

function refusal(frame: Uint8Array): string {
  try {
    parseFrame(frame);
  } catch (error) {
    if (error instanceof MalformedPacket) return error.message;
    throw error;
  }
  return "nothing";
}

function flipped(frame: Uint8Array, at: number, mask = 1): Uint8Array {
  const copy = frame.slice();
  copy[at] ^= mask;
  return copy;
}

describe("the builder makes the bytes that Linux sent", () => {
  test("ARP request and reply", () => {
    expect(arpRequestFrame(client, server.ip)).toEqual(captured.arpRequest);
    expect(arpReplyFrame(server, client)).toEqual(captured.arpReply);
  });

  test("SYN with all its options", () => {
    const frame = tcpFrame(
      { ...there, ip: { id: 0x8d60 } },
      {
        ...ports,
        seq: 0x35cd5b9a,
        flags: "S",
        window: 64240,
        options: [mss(1460), sackOk, ts(2091462714), nop, ws(10)],
      },
    );
    expect(frame).toEqual(captured.syn);
  });

  test("data of an odd length", () => {
    const frame = tcpFrame(
      { ...there, ip: { id: 0x8d62 } },
      {
        ...ports,
        seq: 0x35cd5b9b,
        ack: 0x17c56e9a,
        flags: "PA",
        window: 63,
        options: [nop, nop, ts(2091462714, 3495294343)],
      },
      text("hello, ix"),
    );
    expect(frame).toEqual(captured.data);
  });

  test("RST", () => {
    const frame = tcpFrame(back, {
      sourcePort: 81,
      destinationPort: 58108,
      ack: 498849496,
      flags: "RA",
      window: 0,
    });
    expect(frame).toEqual(captured.reset);
  });

  test("UDP", () => {
    const frame = udpFrame(
      { ...there, ip: { id: 0x41fb } },
      { sourcePort: 46154, destinationPort: 9999 },
      text("odd"),
    );
    expect(frame).toEqual(captured.udpDatagram);
  });

  test("ICMP echo and port unreachable", () => {
    const echo = { id: 0x18f9, sequence: 1, data: hex("000102030405060708090a") };
    expect(
      icmpFrame({ ...there, ip: { id: 0x35aa } }, { type: ICMP_ECHO_REQUEST, ...echo }),
    ).toEqual(captured.echoRequest);
    expect(
      icmpFrame(
        { ...back, ip: { id: 0x102b, dontFragment: false } },
        { type: ICMP_ECHO_REPLY, ...echo },
      ),
    ).toEqual(captured.echoReply);
    expect(
      icmpFrame(
        { ...back, ip: { id: 0x1029, dontFragment: false, tos: 0xc0 } },
        {
          type: ICMP_UNREACHABLE,
          code: UNREACHABLE_PORT,
          data: captured.udpDatagram.subarray(14),
        },
      ),
    ).toEqual(captured.portUnreachable);
  });
});

describe("the parser reads what Linux sent", () => {
  test("ARP", () => {
    expect(parseFrame(captured.arpRequest).arp).toEqual({
      operation: ARP_REQUEST,
      senderMac: client.mac,
      senderIp: client.ip,
      targetMac: "00:00:00:00:00:00",
      targetIp: server.ip,
    });
    expect(parseFrame(captured.arpReply).arp).toMatchObject({
      operation: ARP_REPLY,
      senderMac: server.mac,
    });
  });

  test("TCP with options", () => {
    const packet = parseFrame(captured.synAck);
    expect(packet.ip).toMatchObject({ source: server.ip, ttl: 64, dontFragment: true });
    expect(packet.tcp).toEqual({
      sourcePort: 8080,
      destinationPort: 38346,
      seq: 398814873,
      ack: 902650779,
      flags: "SA",
      window: 65160,
      urgent: 0,
      options: [mss(1460), sackOk, ts(3495294343, 2091462714), nop, ws(10)],
    });
    expect(findOption(packet.tcp!, "ws")?.shift).toBe(10);
    expect(parseFrame(captured.data).payload).toEqual(text("hello, ix"));
    expect(parseFrame(captured.finAck).tcp?.flags).toBe("FA");
  });

  test("an ICMP error and its quotation", () => {
    const { icmp } = parseFrame(captured.portUnreachable);
    expect(icmp).toMatchObject({ type: ICMP_UNREACHABLE, code: UNREACHABLE_PORT });
    const quote = parseQuote(icmp as IcmpMessage);
    expect(quote.header.source).toBe(client.ip);
    expect(quote.payload).toEqual(captured.udpDatagram.slice(34));
  });

  test("a frame padded to Ethernet's minimum", () => {
    expect(parseFrame(padded(captured.reset)).tcp?.flags).toBe("RA");
  });

  test("one line per packet", () => {
    expect(formatPacket(parseFrame(captured.synAck))).toBe(
      "IP 192.0.2.2.8080 > 192.0.2.1.38346: [S.] seq 398814873 ack 902650779 win 65160 " +
        "<mss 1460,sackOK,TS val 3495294343 ecr 2091462714,nop,wscale 10> length 0",
    );
    expect(formatPacket(parseFrame(captured.data))).toContain("[P.] seq 902650779:902650788 ack");
    expect(formatPacket(parseFrame(captured.arpRequest))).toBe(
      "ARP who-has 192.0.2.2 tell 192.0.2.1",
    );
    expect(formatPacket(parseFrame(captured.udpDatagram))).toContain("UDP, length 3");
    expect(formatPacket(parseFrame(captured.echoReply))).toContain("ICMP echo reply");
  });
});

describe("the parser refuses", () => {
  const fields: TcpFields = { ...ports, seq: 1, ack: 1, flags: "A" };

  test.each([
    ["ethernet: frame of 13 bytes", captured.syn.subarray(0, 13)],
    ["arp: 27 bytes", captured.arpReply.subarray(0, 41)],
    ["arp: operation 3", flipped(captured.arpReply, 21)],
    ["ipv4: packet of 19 bytes", captured.syn.subarray(0, 33)],
    ["ipv4: version 6", flipped(captured.syn, 14, 0x20)],
    ["ipv4: header checksum", flipped(captured.syn, 22)],
    ["ipv4: total length 60 of 59", captured.syn.subarray(0, 73)],
    ["ipv4: padding behind the packet is not zero", concat(captured.reset, hex("0001"))],
    ["tcp: checksum", flipped(captured.data, 74)],
    ["udp: checksum", flipped(captured.udpDatagram, 44)],
    ["icmp: checksum", flipped(captured.echoReply, 50)],
    ["tcp: header of 16 bytes", tcpFrame(there, { ...fields, dataOffset: 4 })],
    ["tcp: header of 24 in 20 bytes", tcpFrame(there, { ...fields, dataOffset: 6 })],
    ["tcp: reserved bits are set", tcpFrame(there, { ...fields, reserved: 4 })],
    ["tcp: no flag is set", tcpFrame(there, { ...fields, ack: 0, flags: "" })],
    ["tcp: flags SR contradict", tcpFrame(there, { ...fields, ack: 0, flags: "SR" })],
    ["tcp: acknowledgment number without ACK", tcpFrame(there, { ...fields, flags: "R" })],
    ["tcp: urgent pointer without URG", tcpFrame(there, { ...fields, urgent: 1 })],
    [
      "tcp: option 2 ends behind the header",
      tcpFrame(there, { ...fields, options: [rawOption(hex("02060000"))] }),
    ],
    [
      "tcp: option 2 of length 1",
      tcpFrame(there, { ...fields, options: [rawOption(hex("02010000"))] }),
    ],
    [
      "tcp: MSS option with 1 bytes",
      tcpFrame(there, { ...fields, options: [rawOption(hex("02030000"))] }),
    ],
    [
      "tcp: window scale of 15 (RFC 7323 section 2.3: at most 14)",
      tcpFrame(there, { ...fields, options: [ws(15)] }),
    ],
    [
      "tcp: padding of options not zero",
      tcpFrame(there, { ...fields, options: [rawOption(hex("00000001"))] }),
    ],
  ])("%s", (reason, frame) => {
    expect(refusal(frame)).toBe(reason);
  });

  test("a UDP length that is not the datagram's", () => {
    const datagram = udpFrame(there, { sourcePort: 1, destinationPort: 2, length: 9 }, text("odd"));
    expect(refusal(datagram)).toBe("udp: length 9 of 11 bytes");
  });

  test("a quotation of fewer than 8 bytes", () => {
    const { icmp } = parseFrame(captured.portUnreachable);
    const cut = { ...(icmp as IcmpMessage), data: icmp!.data.subarray(0, 27) };
    expect(() => parseQuote(cut)).toThrow("quotes 7 bytes");
  });
});

describe("parts", () => {
  test("checksum: the example of RFC 1071 section 3", () => {
    const words = hex("0001 f203 f4f5 f6f7");
    expect(onesSum(words)).toBe(0xddf2);
    expect(checksum(words)).toBe(0x220d);
    expect(onesSum(concat(words, u16(0x220d)))).toBe(0xffff);
  });

  test("flags are letters in header order", () => {
    expect(flagBits("SA")).toBe(0x12);
    expect(flagBits("FSRPAUEW")).toBe(0xff);
    expect(() => flagBits("X")).toThrow(RangeError);
  });

  test("options survive a round trip", () => {
    const options = [
      sack([1, 2], [4000000000, 4294967295]),
      ts(1, 4294967295),
      unknownOption(253, hex("0102030405")),
    ];
    const segment = tcpFrame(there, { ...ports, options });
    expect(parseFrame(segment).tcp?.options).toEqual(options);
  });

  test("IPv4 options and fragments", () => {
    const options = hex("9404000001");
    const packet = buildIpv4(
      {
        source: client.ip,
        destination: server.ip,
        options,
        moreFragments: true,
        dontFragment: false,
        fragmentOffset: 1480,
        id: 7,
      },
      text("12345678"),
    );
    const frame = buildEthernet(
      { source: client.mac, destination: server.mac, type: ETHERTYPE_IPV4 },
      packet,
    );
    const parsed = parseFrame(frame);
    expect(parsed.ip).toMatchObject({ fragmentOffset: 1480, moreFragments: true, id: 7 });
    expect(parsed.ip?.options).toEqual(concat(options, new Uint8Array(3)));
    expect(parsed.tcp).toBeUndefined();
    expect(formatPacket(parsed)).toContain("frag 7@1480+");
  });

  test("a wrong checksum can be forced", () => {
    const segment = buildTcp({ ...ports, checksum: 0xbeef }, new Uint8Array(), {
      source: client.ip,
      destination: server.ip,
    });
    expect(segment.subarray(16, 18)).toEqual(hex("beef"));
  });
});
