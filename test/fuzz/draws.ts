/** TCP options as an attacker draws them: Fast Open's cookies and SACK's blocks, nearly right and quite wrong. */
import { fastOpen, fastOpenTrial, nop, type TcpOption } from "../support/packet.ts";
import type { TcpPeer } from "../support/peer.ts";
import type { Random } from "../support/random.ts";

const MSS = 1460;
const HALF = 0x8000_0000;

/** A SYN's wish for a cookie, one that was given before, or one of any length, mostly whole words of options. */
export function drawFastOpen(random: Random, given: readonly Uint8Array[]): TcpOption[] {
  const make = random.chance(0.8) ? fastOpen : fastOpenTrial;
  const length = random.pick([0, 0, 1, 2, 3, 4, 5, 7, 8, 8, 9, 15, 16, 17, 18]);
  const cookie =
    given.length > 0 && random.chance(0.6)
      ? random.pick(given)
      : Uint8Array.from({ length }, () => random.below(256));
  return random.chance(0.8) ? [make(cookie), nop, nop] : [make(cookie)];
}

/** The cookies in a segment of the kernel's. */
export function cookiesIn(options: readonly TcpOption[]): Uint8Array[] {
  return options.flatMap((option) => {
    if (option.kind !== "unknown" || option.data.length < 4) return [];
    if (option.code === 34) return [option.data];
    return option.code === 254 ? [option.data.subarray(2)] : [];
  });
}

/**
 * An acknowledgment below what has arrived, and up to three blocks around it: beyond a gap, below it (D-SACK),
 * inside one another, empty, the wrong way round, outside the window, or half the sequence space away.
 */
export function drawSack(
  random: Random,
  peer: TcpPeer,
): { ack: number; sack: (readonly [number, number])[] } {
  const ack = Math.max(1, peer.rcvNxt - random.below(8) * random.pick([1, 100, MSS]));
  const sack = Array.from({ length: random.between(1, 3) }, () => {
    const near = ack + random.between(-4, 8) * random.pick([1, 100, MSS, MSS]);
    const left = random.chance(0.9) ? near : near + random.pick([65_536, -65_536, HALF, HALF - 1]);
    const length = random.pick([1, 100, MSS, MSS, 2 * MSS, 5 * MSS, 0, -1, -MSS, 1 << 20, HALF]);
    return [left, left + length] as const;
  });
  if (random.chance(0.3)) sack.push(sack[0]);
  return { ack, sack: sack.slice(0, 3) };
}
