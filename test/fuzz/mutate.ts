/** Mutations of frames that know where the fields are, and repair of checksums afterwards. */
import { concat, readU16, u16 } from "../support/bytes.ts";
import { checksum, pseudoHeader } from "../support/packet.ts";
import type { Random } from "../support/random.ts";

/** Offsets of fields that decide something: Ethernet, IPv4, TCP, UDP, ICMP, ARP. */
const FIELDS = [
  0, 5, 6, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 26, 30, 33, 34, 35, 36, 37, 38, 41, 42, 45, 46,
  47, 48, 49, 50, 52, 54, 55, 56, 57, 58, 60, 62, 66, 70, 73,
] as const;
const INTERESTING = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 0x40, 0x45, 0x4f, 0x7f, 0x80, 0xf0, 0xfe, 0xff,
];

/** A frame with a few things wrong; checksums are made right again more often than not. */
export function mutate(random: Random, frame: Uint8Array): Uint8Array {
  let mutant = new Uint8Array(frame);
  for (let count = random.below(4); count > 0; count--) mutant = mutateOnce(random, mutant);
  if (random.chance(0.8)) repair(mutant);
  return mutant;
}

function mutateOnce(random: Random, frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (frame.length === 0) return frame;
  const at = place(random, frame.length);
  switch (random.below(9)) {
    case 0:
      frame[at] ^= 1 << random.below(8);
      return frame;
    case 1:
      frame[at] = random.pick(INTERESTING);
      return frame;
    case 2:
      frame[at] = random.below(256);
      return frame;
    case 3: {
      // A 32-bit number a little, or a lot, off: sequence numbers, addresses.
      if (at + 4 > frame.length) return frame;
      const view = new DataView(frame.buffer, frame.byteOffset);
      const off = random.pick([1, -1, 1460, -1460, 65_535, -65_535, 0x7fff_ffff, 0x8000_0000]);
      view.setUint32(at, view.getUint32(at) + off);
      return frame;
    }
    case 4:
      return frame.slice(0, random.below(frame.length + 1));
    case 5:
      return concat(frame, randomBytes(random, random.below(64)));
    case 6: {
      // A piece of it again.
      const from = random.below(frame.length);
      const piece = frame.slice(from, from + random.below(40));
      return concat(frame.slice(0, at), piece, frame.slice(at)).slice(0, 1514);
    }
    case 7:
      return concat(frame.slice(0, at), frame.slice(at + random.below(8)));
    default: {
      const end = Math.min(frame.length, at + random.below(20));
      frame.set(randomBytes(random, end - at), at);
      return frame;
    }
  }
}

/** Where to mutate: mostly behind the IP header, where the gate does not stop it at once. */
function place(random: Random, length: number): number {
  const fields = random.chance(0.75) ? FIELDS.filter((at) => at >= 34) : FIELDS;
  return random.chance(0.8) ? random.pick(fields) % length : random.below(length);
}

export function randomBytes(random: Random, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** Makes the IPv4 and transport checksums right, as far as the lengths in the frame make sense. */
function repair(frame: Uint8Array): void {
  if (frame.length < 34 || readU16(frame, 12) !== 0x0800) return;
  const headerEnd = 14 + (frame[14] & 15) * 4;
  if (headerEnd < 34 || headerEnd > frame.length) return;
  frame.set(u16(0), 24);
  frame.set(u16(checksum(frame.subarray(14, headerEnd))), 24);
  const end = Math.min(14 + readU16(frame, 16), frame.length);
  const field = { 1: 2, 6: 16, 17: 6 }[frame[23]];
  if (field === undefined || headerEnd + field + 2 > end) return;
  const segment = frame.subarray(headerEnd, end);
  const [source, destination] = [26, 30].map((at) => frame.subarray(at, at + 4).join("."));
  const pseudo =
    frame[23] === 1
      ? new Uint8Array()
      : pseudoHeader(source, destination, frame[23], segment.length);
  segment.set(u16(0), field);
  segment.set(u16(checksum(concat(pseudo, segment))), field);
}
