/**
 * All state of a core lies in memory: another instance of the kernel goes on where one has stopped, in
 * the middle of whatever its connections, timers and datagrams are about.
 */
import { expect, test, describe } from "vitest";
import {
  ABI_VERSION,
  CFG_ABI,
  CNT_TCP_RETRANSMITS,
  CONFIG_BASE,
  RC_INVAL,
  RC_NOTSUP,
  RC_OK,
} from "../../assembly/abi.ts";
import { instantiateKernel } from "../../host/dataplane/kernel.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { debugKernel, kernels, releaseKernel } from "../support/kernels.ts";
import { udpFrame } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

describe.each(kernels)("$name kernel", (build) => {
  test("goes on with connections, unacknowledged data, early segments and held datagrams", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.send(peer.handle, pattern(5000));
    peer.send({ seq: 4, payload: text("def") });
    const port = k.udpBind(53).handle;
    const path = { from: PEER, to: KERNEL };
    k.deliver(udpFrame(path, { sourcePort: 9, destinationPort: 53 }, text("held")));
    const { token } = k.event("udp_recv");
    const timer = k.timerSet(1000);

    k.replaceKernel();
    peer.send({ seq: 1, payload: text("abc") });
    expect([k.event("recv").data, k.event("recv").data]).toEqual([text("abc"), text("def")]);
    for (let i = 0; i < 3; i++) {
      peer.takeAll();
      peer.ack();
    }
    assertSameBytes(peer.stream(), pattern(5000));
    k.advance(2000);
    expect(k.events().filter(({ kind }) => kind === "timer")).toMatchObject([
      { handle: timer.handle },
    ]);
    expect(k.udpRecvDone(port, token)).toBe(RC_OK);
    expect(k.recvDone(peer.handle, 6)).toBe(RC_OK);
  });

  test("a retransmission timer fires on time in an instance that did not set it", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    k.send(peer.handle, text("lost"));
    peer.take();
    k.replaceKernel();
    const [again] = k.counts([CNT_TCP_RETRANSMITS], () => {
      // The wheel may have been set for an earlier deadline that has moved since.
      for (let i = 0; i < 3 && k.outbox.length === 0; i++) k.advanceToDeadline();
    });
    expect(again).toBe(1);
    peer.expect({ flags: "PA", seq: 1, length: 4 });
    peer.ack();
  });

  test("does not hand out what an earlier instance handed out", () => {
    const k = startKernel(build);
    const peers = Array.from({ length: 3 }, () => TcpPeer.established(k));
    k.replaceKernel();
    peers.push(...Array.from({ length: 3 }, () => TcpPeer.established(k)));
    expect(new Set(peers.map(({ handle }) => handle)).size).toBe(6);
    peers.forEach((peer, index) => {
      expect(k.send(peer.handle, pattern(100, index))).toBe(100);
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(100, index));
      peer.ack();
    });
  });

  test("refuses a core that there is not, and memory of another ABI", () => {
    const k = startKernel(build);
    const kernel = instantiateKernel(build.module, k.dataplane.memory);
    expect(kernel.abiVersion()).toBe(ABI_VERSION);
    expect(kernel.adopt(1, k.now)).toBe(RC_INVAL);
    k.view.setUint32(CONFIG_BASE + CFG_ABI, ABI_VERSION + 1, true);
    expect(kernel.adopt(0, k.now)).toBe(RC_NOTSUP);
    k.view.setUint32(CONFIG_BASE + CFG_ABI, ABI_VERSION, true);
  });
});

test("one build goes on where the other stopped, again and again", () => {
  const k = startKernel(debugKernel);
  const peer = TcpPeer.established(k);
  for (let i = 0; i < 10; i++) {
    k.replaceKernel((i % 2 === 0 ? releaseKernel : debugKernel).module);
    expect(k.send(peer.handle, pattern(1000, i * 1000))).toBe(1000);
    peer.takeAll();
    peer.send({ payload: text("ping") });
    expect(k.events().filter(({ kind }) => kind === "recv")).toHaveLength(1);
    expect(k.recvDone(peer.handle, 4)).toBe(RC_OK);
  }
  assertSameBytes(peer.stream(), pattern(10_000));
});
