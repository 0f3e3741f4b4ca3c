/** Datagrams in pieces: cutting them for the kernel, and putting together what it sends. */
import { concat } from "./bytes.ts";
import {
  buildUdp,
  fragmentExtension,
  ip6Frame,
  ipFrame,
  isIpv6Text,
  type Packet,
  type Path,
} from "./packet.ts";

export interface Piece {
  readonly offset: number;
  readonly data: Uint8Array;
  readonly more: boolean;
}

/** Cuts layer 4 into pieces of `size` bytes, the last one shorter. */
export function cut(l4: Uint8Array, size: number): Piece[] {
  const pieces: Piece[] = [];
  for (let offset = 0; offset < l4.length; offset += size) {
    const data = l4.subarray(offset, offset + size);
    pieces.push({ offset, data, more: offset + data.length < l4.length });
  }
  return pieces;
}

/** The frame of a piece, over the IP version of the path. */
export function pieceFrame(path: Path, protocol: number, id: number, piece: Piece): Uint8Array {
  const { offset, data, more } = piece;
  if (isIpv6Text(path.from.ip)) {
    const extensions = [fragmentExtension({ offset, more, id })];
    return ip6Frame(path, { protocol, extensions }, data);
  }
  const fields = { protocol, id, fragmentOffset: offset, moreFragments: more, dontFragment: false };
  return ipFrame(path, fields, data);
}

/** The frames of a UDP datagram in pieces. */
export function udpPieces(
  path: Path,
  ports: { from: number; to: number },
  payload: Uint8Array,
  { size = 1480, id = 77 } = {},
): Uint8Array[] {
  const datagram = buildUdp({ sourcePort: ports.from, destinationPort: ports.to }, payload, {
    source: path.from.ip,
    destination: path.to.ip,
  });
  return cut(datagram, size).map((piece) => pieceFrame(path, 17, id, piece));
}

/** Layer 4 of the packets of one datagram; throws when they are not all of it, once. */
export function join(packets: readonly Packet[]): Uint8Array {
  const ids = new Set<number>();
  const pieces = packets.map(({ ip, ip6, payload }) => {
    ids.add(ip ? ip.id : ip6!.fragment!.id);
    return {
      offset: ip ? ip.fragmentOffset : ip6!.fragment!.offset,
      more: ip ? ip.moreFragments : ip6!.fragment!.more,
      data: payload,
    };
  });
  if (ids.size !== 1) throw new Error(`${ids.size} identifications`);
  pieces.sort((a, b) => a.offset - b.offset);
  let end = 0;
  for (const [index, { offset, more, data }] of pieces.entries()) {
    if (offset !== end) throw new Error(`gap or overlap at ${end}`);
    if (more !== index < pieces.length - 1) throw new Error(`wrong end at ${offset}`);
    end = offset + data.length;
  }
  return concat(...pieces.map(({ data }) => data));
}
