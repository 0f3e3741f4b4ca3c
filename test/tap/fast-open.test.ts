/** Linux's Fast Open (RFC 7413) against the dataplane through a TAP device; Wireshark sees what went with the SYN. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ixwasm-"));
    responder = await startResponder6({ run: "threaded" });
    const allow = "echo 3 > /proc/sys/net/ipv4/tcp_fastopen";
    expect((await responder.namespace.run("sh", ["-c", allow])).code).toBe(0);
  }, 60_000);

  afterAll(async () => {
    await responder.stop();
    rmSync(directory, { recursive: true });
  });

  it("gets a cookie, and then sends its request with the SYN", async () => {
    const { namespace, dataplane } = responder;
    const file = join(directory, "capture.pcapng");
    const capture = namespace.start("dumpcap", "-i", "tap0", "-w", file, "-q");
    await new Promise((resolve) => capture.stderr!.once("data", resolve));
    const { code, stdout, stderr } = await namespace.run("python3", ["-c", CLIENT, DATAPLANE]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(ANSWERS);
    await responder.settle();
    const ended = new Promise((resolve) => capture.once("exit", resolve));
    capture.kill("SIGINT");
    await ended;
    const fields = [
      "-e",
      "tcp.flags.str",
      "-e",
      "tcp.len",
      "-e",
      "tcp.ack",
      "-e",
      "tcp.options.tfo.cookie",
    ];
    const filter = "tcp.flags.syn == 1";
    const syns = await namespace.run("tshark", [
      "-r",
      file,
      "-Y",
      filter,
      "-T",
      "fields",
      ...fields,
    ]);
    const lengths = syns.stdout
      .trim()
      .split("\n")
      .map((line) => line.split("\t")[1]);
    // SYN, SYN-ACK; SYN with the request of 18 bytes, SYN-ACK.
    expect(lengths).toEqual(["0", "0", "18", "0"]);
    const [, , , answer] = syns.stdout.trim().split("\n");
    expect(answer.split("\t")[2]).toBe("19");
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
});
