/** Peers that speak accurate ECN (RFC 9768): the ACE fields they send, and what the kernel says of it. */
import { expect } from "vitest";
import { RC_OK, SYS_TCP_INFO, TCP_INFO_SIZE } from "../../assembly/abi.ts";
import type { KernelHarness } from "./kernel.ts";
import { mss } from "./packet.ts";
import { TcpPeer, type PeerOptions, type Segment } from "./peer.ts";

const AE = 1;

/** IP-ECN codepoints. */
export const ECT0 = 2;
export const CE = 3;

/** Flags and the reserved bit of an ACE field. */
export function ace(value: number, flags = "A"): Pick<Segment, "flags" | "raw"> {
  const text = `${flags}${value & 2 ? "W" : ""}${value & 1 ? "E" : ""}`;
  return { flags: text, raw: { flags: text, reserved: value & 4 ? AE : 0 } };
}

/** ESTABLISHED by a SYN that asked for accurate ECN, without options but the MSS, and was granted it. */
export function establishedAccurate(k: KernelHarness, options: PeerOptions = {}): TcpPeer {
  const peer = TcpPeer.listening(k, options);
  peer.send({ ...ace(7, "S"), options: [mss(1400)] });
  peer.expect({ flags: "SAW", ack: 1 });
  peer.send(ace(2));
  peer.handle = k.event("knock").handle;
  expect(k.accept(peer.handle)).toBe(RC_OK);
  return peer;
}

/** What the kernel tells of a connection: asks for a word of its record by TCP_INFO_*. */
export function tcpInfo(k: KernelHarness, handle: number): (offset: number) => number {
  const record = k.alloc(TCP_INFO_SIZE);
  expect(k.call({ op: SYS_TCP_INFO, handle, a: record }).result).toBe(RC_OK);
  const words = new Uint32Array(k.bytes.buffer.slice(record, record + TCP_INFO_SIZE));
  return (offset) => words[offset / 4];
}
