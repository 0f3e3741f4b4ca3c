/** Counters that no other suite looks at: each moves by exactly what happened. */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_NEIGHBOUR_TABLE,
  CNT_DROP_TCP_AFTER_CLOSE,
  CNT_DROP_UDP_BACKLOG,
  CNT_EVENTS,
  CNT_SYSCALLS,
  CNT_TCP_ACCEPTS,
  CNT_TCP_CONNECTS,
  CNT_TCP_DEAD_TIMEOUT,
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_IN,
  CNT_TCP_OUT,
  CNT_TX_NO_FRAME,
  RC_NOBUFS,
  RC_NOMEM,
  RC_OK,
  SYS_NOP,
} from "../../assembly/abi.ts";
import type { Call } from "../support/application.ts";
import { pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { udpFrame } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

/** Calls that do nothing. */
function nothing(count: number): Call[] {
  return Array.from({ length: count }, () => ({ op: SYS_NOP }));
}

describe.each(kernels)("$name kernel", (build) => {
  test("segments in and out, connects and accepts", () => {
    const k = startKernel(build);
    const offsets = [CNT_TCP_IN, CNT_TCP_OUT, CNT_TCP_CONNECTS, CNT_TCP_ACCEPTS];
    // SYN in, SYN-ACK out, ACK in; SYN out, SYN-ACK in, ACK out.
    expect(k.counts(offsets, () => TcpPeer.established(k))).toEqual([2, 1, 0, 1]);
    expect(k.counts(offsets, () => TcpPeer.connected(k))).toEqual([1, 2, 1, 0]);
    // A RST to nobody, out of a closed port.
    expect(k.counts(offsets, () => new TcpPeer(k, { kernelPort: 9 }).sendSyn())).toEqual([
      1, 1, 0, 0,
    ]);
  });

  test("calls and events", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    expect(k.counts([CNT_SYSCALLS], () => k.batch(nothing(7)))).toEqual([7]);
    expect(k.counts([CNT_SYSCALLS], () => k.dispatch(nothing(3)))).toEqual([3]);
    const events = k.counts([CNT_EVENTS], () => {
      peer.sendAll([{ payload: text("a") }, { payload: text("b") }, { flags: "FA" }]);
    });
    expect(events).toEqual([3]);
    expect(k.events()).toHaveLength(3);
  });

  test("duplicate ACKs", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.send(peer.handle, pattern(5000));
    peer.takeAll();
    const counts = k.counts([CNT_TCP_DUPLICATE_ACKS], () => {
      peer.send({ ack: 1 });
      peer.send({ ack: 1 });
      peer.send({ ack: 1461 });
    });
    expect(counts).toEqual([2]);
  });

  test("data after the end of the stream", () => {
    const k = startKernel(build);
    const peer = TcpPeer.closeWait(k);
    const counts = k.counts([CNT_DROP_TCP_AFTER_CLOSE], () => {
      peer.send({ seq: 2, payload: text("zombie") });
    });
    expect(counts).toEqual([1]);
  });

  test("connections that died of silence", () => {
    const k = startKernel(build, { tcp: { dataRetries: 2 } });
    const peers = [TcpPeer.established(k), TcpPeer.established(k)];
    for (const { handle } of peers) k.send(handle, text("anybody?"));
    expect(k.counts([CNT_TCP_DEAD_TIMEOUT], () => k.advance(60_000_000))).toEqual([2]);
  });

  test("frames that were not there", () => {
    const k = startKernel(build, { frames: 256, ringSize: 64, txRingSize: 1024 });
    const { handle } = k.udpBind(53);
    k.nic.holdCompletions = true;
    let refused = 0;
    const counts = k.counts([CNT_TX_NO_FRAME], () => {
      for (let i = 0; i < 300; i++) {
        const result = k.udpSend(handle, text("x"), { ip: PEER.ip, port: 9 });
        if (result === RC_NOBUFS) refused++;
      }
    });
    expect(refused).toBeGreaterThan(0);
    expect(counts).toEqual([refused]);
  });

  test("datagrams that the application does not take back", () => {
    const k = startKernel(build, { frames: 256, ringSize: 64 });
    k.udpBind(53);
    const path = { from: PEER, to: KERNEL };
    const counts = k.counts([CNT_DROP_UDP_BACKLOG], () => {
      for (let i = 0; i < 300; i++) {
        k.deliver(udpFrame(path, { sourcePort: 9, destinationPort: 53 }, text("x")));
      }
    });
    expect(counts).toEqual([300 - k.events().length]);
    expect(counts[0]).toBeGreaterThan(0);
  });

  test("neighbours beyond the table", () => {
    const k = startKernel(build, { neighbours: [], tables: { neighbours: 16 } });
    let refused = 0;
    const counts = k.counts([CNT_DROP_NEIGHBOUR_TABLE], () => {
      for (let host = 2; host < 32; host++) {
        const { result } = k.connect(`10.0.0.${host}`, 80);
        expect([RC_OK, RC_NOMEM]).toContain(result);
        if (result === RC_NOMEM) refused++;
      }
    });
    expect(refused).toBeGreaterThanOrEqual(30 - 16);
    expect(counts).toEqual([refused]);
  });
});
