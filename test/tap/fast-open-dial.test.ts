/** The dataplane's Fast Open (RFC 7413) as client, against a server of Linux's, which says what came with the SYN. */
import { createInterface } from "node:readline";
import { crc32 } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { RC_OK } from "../../assembly/abi.ts";
import { IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import type { KernelBuild } from "../../host/node/index.ts";
import { BUSY } from "../support/expert.ts";
import type { TapCapture } from "./capture.ts";
import { Dialer, until, WITHOUT_LATE_RESETS } from "./dialer.ts";
import { tapUnavailable } from "./namespace.ts";
import { DATAPLANE6, enableIpv6, LINUX, LINUX6 } from "./responder.ts";

const unavailable = tapUnavailable("python3", "ping");
const reason = unavailable ? ` (skipped: ${unavailable})` : "";

const PORT = 80;

/** Takes connections one after the other; of each says whether data came with its SYN, and what all came to. */
const SERVER = `
import socket, sys, zlib
TCP_FASTOPEN = 23
address, limit = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.create_server((address, ${PORT}), family=family)
server.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, limit)
print("listening", flush=True)
while True:
    peer, _ = server.accept()
    data = b""
    while part := peer.recv(65536):
        data += part
    # TCP_INFO's tcpi_options has bit 5 when the data of the SYN was taken.
    went = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] >> 5 & 1
    peer.sendall(data[:10])
    peer.close()
    print(went, len(data), zlib.crc32(data), flush=True)
`;

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at * 7 + 1);
const SIZES = [700, 700, 100_000, 1];
const line = (went: number, size: number): string => `${went} ${size} ${crc32(bytesOf(size))}`;

/** Dials with `size` bytes for the SYN and what comes after it; returns the answer. */
async function exchange(dialer: Dialer, to: string, size: number): Promise<Uint8Array> {
  const context = new IxevContext();
  let rest = bytesOf(size);
  let answer: Uint8Array | undefined;
  const write = (): void => {
    if (rest.length > 0) rest = rest.subarray(Math.max(0, context.send(rest)));
    if (rest.length === 0) context.shutdown();
  };
  context.setHandler(IXEVIN | IXEVOUT, () => {
    write();
    if (!context.ended && context.available < 10 && context.available < size) return;
    answer ??= new Uint8Array(context.available);
    context.recv(answer);
    context.close();
  });
  dialer.ixev.dial(context, to, PORT, 0, true);
  write();
  await until(() => answer !== undefined);
  return answer!;
}

describe.skipIf(unavailable).each<[KernelBuild, string, string]>([
  ["debug", "IPv4", LINUX],
  ["release", "IPv4", LINUX],
  ["release", "IPv6", LINUX6],
])(`dialing Linux with Fast Open, %s kernel, %s${reason}`, (build, _, address) => {
  let dialer: Dialer;
  let capture: TapCapture;

  afterEach(() => dialer.stop());

  /** Linux listens, opening up to `limit` connections by their SYN; the lines that it prints. */
  async function listen(limit: number): Promise<string[]> {
    const ip6 = { addresses: [`${DATAPLANE6}/64`], autoconfigured: false };
    dialer = new Dialer(build, { ip6 });
    capture = await dialer.capture();
    const { namespace } = dialer;
    const allow = "echo 3 > /proc/sys/net/ipv4/tcp_fastopen";
    expect((await namespace.run("sh", ["-c", allow])).code).toBe(0);
    await enableIpv6(namespace);
    const server = namespace.start("python3", "-c", SERVER, address, `${limit}`);
    const lines: string[] = [];
    createInterface(server.stdout!).on("line", (text) => void lines.push(text));
    await until(() => lines.length > 0);
    return lines;
  }

  async function exchangeAll(lines: string[]): Promise<void> {
    for (const [i, size] of SIZES.entries()) {
      const answer = await exchange(dialer, address, size);
      expect(answer).toEqual(bytesOf(Math.min(size, 10)));
      await until(() => lines.length === i + 2);
    }
    expect(dialer.outcomes).toEqual(SIZES.map(() => RC_OK));
    await dialer.settle();
  }

  it("gets a cookie first, and from then on sends with the SYN", async () => {
    const lines = await listen(16);
    await exchangeAll(lines);
    const [first, ...others] = SIZES;
    expect(lines).toEqual(["listening", line(0, first), ...others.map((size) => line(1, size))]);
    expect(dialer.dataplane.counters().tcpFastOpensOut).toBe(others.length);
    const provoked = [/^TCP: TCP SYN with TFO Cookie/, /^TCP: TCP SYN-ACK accepting TFO data/];
    await capture.expectSound({ filter: WITHOUT_LATE_RESETS, provoked, possible: BUSY });
  }, 30_000);

  it("sends everything after the handshake where the server has no Fast Open", async () => {
    const lines = await listen(0);
    await exchangeAll(lines);
    expect(lines).toEqual(["listening", ...SIZES.map((size) => line(0, size))]);
    expect(dialer.dataplane.counters().tcpFastOpensOut).toBe(0);
    await capture.expectSound({ filter: WITHOUT_LATE_RESETS, possible: BUSY });
  }, 30_000);
});
