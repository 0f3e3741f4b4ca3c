/** Accurate ECN (RFC 9768): every mark is told, whatever a peer sends; its scripts are in packetdrill/scripts/rfc9768. */
import { describe, expect, test } from "vitest";
import {
  RC_OK,
  SYS_TCP_INFO,
  TCP_ECN_ACCURATE,
  TCP_ECN_NONE,
  TCP_INFO_DELIVERED_CE,
  TCP_INFO_ECN,
  TCP_INFO_RECEIVED_CE,
  TCP_INFO_SIZE,
} from "../../assembly/abi.ts";
import { EchoClient, STAT_MESSAGES } from "../../examples/echo-client.ts";
import type { EchoClientOptions } from "../../examples/echo-client.ts";
import echoServer from "../../examples/echo-server.ts";
import { createDataplane } from "../../host/dataplane/dataplane.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { pattern } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { rawOption, unknownOption, type TcpOption } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { Random } from "../support/random.ts";

const AE = 1;
const CE = 3;
const KINDS = [172, 174];

/** Flags and the reserved bit of an ACE field. */
function ace(
  value: number,
  flags = "A",
): { flags: string; raw: { flags: string; reserved: number } } {
  const text = `${flags}${value & 2 ? "W" : ""}${value & 1 ? "E" : ""}`;
  return { flags: text, raw: { flags: text, reserved: value & 4 ? AE : 0 } };
}

function listening(build: KernelBuild, backlog?: number): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, { tcp: { ecn: "accurate" } });
  return { k, peer: TcpPeer.listening(k, { sack: true, backlog }) };
}

function ask(k: KernelHarness, handle: number): (offset: number) => number {
  const record = k.alloc(TCP_INFO_SIZE);
  expect(k.call({ op: SYS_TCP_INFO, handle, a: record }).result).toBe(RC_OK);
  const words = new Uint32Array(k.bytes.buffer, record, TCP_INFO_SIZE / 4);
  return (offset) => words[offset / 4];
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7])("a third ACK with ACE %i opens the connection", (value) => {
    const { k, peer } = listening(build);
    peer.send({ ...ace(7, "S"), options: [] });
    peer.take();
    peer.send(ace(value));
    peer.handle = k.event("knock").handle;
    k.accept(peer.handle);
    expect(ask(k, peer.handle)(TCP_INFO_ECN)).toBe(TCP_ECN_ACCURATE);
    k.send(peer.handle, pattern(100));
    // Only an unmarked SYN-ACK can have arrived unmarked; 1, 5 and 7 say nothing of it.
    expect(peer.expect({ length: 100 }).tos).toBe([1, 2, 5, 7].includes(value) ? 2 : 0);
  });

  test("options of any length, ACE fields and marks of any kind do no harm", () => {
    const { k, peer } = listening(build);
    const random = new Random(9768);
    peer.send({ ...ace(7, "S"), options: [] });
    peer.take();
    peer.send(ace(2));
    peer.handle = k.event("knock").handle;
    k.accept(peer.handle);
    let marks = 0;
    let received = 0;
    for (let i = 0; i < 2000; i++) {
      const bytes = Uint8Array.from({ length: random.below(15) }, () => random.below(256));
      const code = KINDS[random.below(2)];
      // Some say that they are longer, or shorter, than they are.
      const lying = rawOption(Uint8Array.of(code, random.below(256), ...bytes));
      const option: TcpOption = random.below(2) === 0 ? unknownOption(code, bytes) : lying;
      const tos = random.below(4);
      if (tos === CE) marks++;
      k.send(peer.handle, pattern(10));
      peer.takeAll();
      const payload = pattern(1, received++);
      peer.send({ ...ace(random.below(8)), payload, tos, options: [option] });
      k.recvDone(peer.handle, 1);
    }
    const info = ask(k, peer.handle);
    expect(info(TCP_INFO_RECEIVED_CE)).toBe(marks);
    // Never more marks than segments.
    expect(info(TCP_INFO_DELIVERED_CE)).toBeLessThanOrEqual(7 * 2000);
    k.send(peer.handle, pattern(100));
    expect(peer.take()).toBeDefined();
  });

  test("a cookie keeps what was granted, by the ACK that brings it back", () => {
    const { k, peer } = listening(build, 1);
    const first = new TcpPeer(k);
    first.send({ ...ace(7, "S"), options: [] });
    peer.send({ ...ace(7, "S"), options: [] });
    peer.expect({ flags: "SAW" });
    peer.send(ace(2));
    peer.handle = k.event("knock").handle;
    expect(ask(k, peer.handle)(TCP_INFO_ECN)).toBe(TCP_ECN_ACCURATE);
    k.accept(peer.handle);
    const plain = new TcpPeer(k);
    plain.sendSyn();
    plain.expect({ flags: "SA" });
    plain.ack();
    expect(ask(k, k.event("knock").handle)(TCP_INFO_ECN)).toBe(TCP_ECN_NONE);
  });

  test("what a link marks is what the sender hears of", () => {
    const common = { kernel: build.module, tcp: { ecn: "accurate" as const } };
    const server = createDataplane({ ...common, ip: "10.0.0.1/24" });
    const client = createDataplane({ ...common, ip: "10.0.0.2/24" });
    const link = { delay: 200, rate: 1e7, ecnThreshold: 4, queueLimit: 1000 };
    const [fromServer, fromClient] = connectPorts(server.port, client.port, link);
    const stats = new Uint32Array(new SharedArrayBuffer(64));
    const options = { server: "10.0.0.1", ports: [7], atEnd: "idle", stats: stats.buffer };
    const load = { conns: 1, size: 500_000, rounds: 4 };
    const app = new EchoClient({ ...options, ...load } as EchoClientOptions);
    const runner = new InlineRunner();
    runner.add(server, { wire: fromServer, app: echoServer, options: { ports: [7] } });
    runner.add(client, { wire: fromClient, app: () => app });
    expect(runner.run({ until: () => stats[STAT_MESSAGES] === load.rounds })).toBe(true);
    runner.run({ forMicros: 100_000 });
    // The answers come no faster than the line, and wait for nothing.
    expect(server.counters().tcpCeIn).toBeGreaterThan(100);
    for (const [from, to] of [
      [server, client],
      [client, server],
    ]) {
      const untold = to.counters().tcpCeIn - from.counters().tcpEcnMarks;
      // The last ones, of pure ACKs, may be.
      expect(untold).toBeGreaterThanOrEqual(0);
      expect(untold).toBeLessThanOrEqual(2);
    }
  });
});
