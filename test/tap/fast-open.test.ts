/** Linux's Fast Open (RFC 7413) against the dataplane through a TAP device; Wireshark sees what went with the SYN. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUSY } from "../support/expert.ts";
import { tapUnavailable } from "./namespace.ts";
import { DATAPLANE, DATAPLANE6, type Responder, startResponder6 } from "./responder.ts";

const unavailable = tapUnavailable("python3", "dumpcap", "tshark");
const reason = unavailable ? ` (skipped: ${unavailable})` : "";

/** Asks for a page twice: the first SYN brings the cookie home, the second takes the request along. */
const CLIENT = `
import socket, sys
MSG_FASTOPEN = 0x20000000
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for i in range(2):
    s = socket.socket(family)
    s.sendto(b"GET / HTTP/1.0\\r\\n\\r\\n", MSG_FASTOPEN, (sys.argv[1], 80))
    answer = b""
    while part := s.recv(65536):
        answer += part
    # TCP_INFO's tcpi_options has bit 5 when the data of the SYN was acknowledged.
    went = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] >> 5 & 1
    print(went, answer.split(b"\\r\\n")[0].decode())
    s.close()
`;

/** The first request went after the handshake, the second with its SYN. */
const ANSWERS = /^0 HTTP\/1\.[01] 200 OK\n1 HTTP\/1\.[01] 200 OK\n$/;

describe.skipIf(unavailable)(`Linux's Fast Open${reason}`, () => {
  let responder: Responder;

  beforeAll(async () => {
    responder = await startResponder6({ run: "threaded" });
    const allow = "echo 3 > /proc/sys/net/ipv4/tcp_fastopen";
    expect((await responder.namespace.run("sh", ["-c", allow])).code).toBe(0);
  }, 60_000);

  afterAll(() => responder.stop());

  /** Fields of the SYNs and SYN-ACKs in a capture, a list for each. */
  function synsOf(file: string, ...fields: string[]): string[][] {
    const wanted = fields.flatMap((field) => ["-e", field]);
    const args = ["-r", file, "-Y", "tcp.flags.syn == 1", "-T", "fields", ...wanted];
    const { status, stdout } = spawnSync("tshark", args, { encoding: "utf8" });
    expect(status).toBe(0);
    const lines = stdout.trim().split("\n");
    return lines.map((line) => line.split("\t"));
  }

  it("gets a cookie, and then sends its request with the SYN", async () => {
    const { namespace, dataplane } = responder;
    const { code, stdout, stderr } = await namespace.run("python3", ["-c", CLIENT, DATAPLANE]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(ANSWERS);
    await responder.settle();
    expect(dataplane.counters().tcpFastOpensIn).toBe(1);
    expect(dataplane.counters().tcpFastOpenRequests).toBe(1);
  }, 60_000);

  it("does so over IPv6, with a cookie of its own", async () => {
    const { namespace, dataplane } = responder;
    const before = dataplane.counters();
    const { code, stdout, stderr } = await namespace.run("python3", ["-c", CLIENT, DATAPLANE6]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(ANSWERS);
    await responder.settle();
    const { tcpFastOpensIn, tcpFastOpenRequests } = dataplane.counters();
    expect(tcpFastOpensIn - before.tcpFastOpensIn).toBe(1);
    expect(tcpFastOpenRequests - before.tcpFastOpenRequests).toBe(1);
  }, 60_000);

  it("shows Wireshark the requests in the SYNs, and nothing wrong", async () => {
    const { capture } = responder;
    const provoked = [/^TCP: TCP SYN with TFO Cookie/, /^TCP: TCP SYN-ACK accepting TFO data/];
    await capture.expectSound({ provoked, possible: BUSY });
    const syns = synsOf((await capture.end())!, "tcp.len", "tcp.ack");
    // Of IPv4 and then of IPv6: SYN, SYN-ACK; SYN with the request of 18 bytes, SYN-ACK that acknowledges it.
    const pairs = ["0", "0", "18", "0"];
    expect(syns.map(([length]) => length)).toEqual([...pairs, ...pairs]);
    expect([syns[3][1], syns[7][1]]).toEqual(["19", "19"]);
  }, 60_000);
});
