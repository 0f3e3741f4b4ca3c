/**
 * Writes packet captures in the pcapng format (draft-ietf-opsawg-pcapng): one section, an interface
 * description per port, an enhanced packet block per frame, statistics in the end. Little-endian, timestamps in µs.
 *
 *   block   type 4 · total length 4 · body, padded to 4 · total length 4
 *   option  code 2 · length 2 · value, padded to 4
 */
const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

const OPTION_END = 0;
const SECTION_APPLICATION = 4;
const INTERFACE_NAME = 2;
const INTERFACE_MAC = 6;
const INTERFACE_RESOLUTION = 9;
const PACKET_FLAGS = 2;
const STATISTICS_RECEIVED = 4;
const STATISTICS_DROPPED = 5;

/** The two low bits of epb_flags. */
export const INBOUND = 1;
export const OUTBOUND = 2;

export interface PcapngOptions {
  /** Added to every timestamp, µs: where the clock's zero lies in Unix time. Default 0. */
  readonly epoch?: number;
  /** Bytes kept of a frame. Default all. */
  readonly snapLength?: number;
  /** Bytes gathered before the sink is called. Default 65536. */
  readonly bufferSize?: number;
}

export class PcapngWriter {
  readonly #sink: (bytes: Uint8Array) => void;
  readonly #epoch: number;
  readonly #snapLength: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #length = 0;
  #interfaces = 0;

  /** @param sink is given a fresh copy each time, which it may keep */
  constructor(sink: (bytes: Uint8Array) => void, options: PcapngOptions = {}) {
    this.#sink = sink;
    this.#epoch = options.epoch ?? 0;
    this.#snapLength = options.snapLength ?? 0x40000;
    this.#bytes = new Uint8Array(Math.max(options.bufferSize ?? 65536, 1024));
    this.#view = new DataView(this.#bytes.buffer);
    this.#writeSectionHeader();
  }

  /** Describes an interface and returns its number. */
  addInterface(name: string, mac?: ArrayLike<number>): number {
    const label = new TextEncoder().encode(name.slice(0, 128));
    const start = this.#begin(INTERFACE_DESCRIPTION, 256 + label.length);
    this.#u16(LINKTYPE_ETHERNET);
    this.#u16(0);
    this.#u32(this.#snapLength);
    this.#option(INTERFACE_NAME, label);
    if (mac !== undefined) this.#option(INTERFACE_MAC, mac);
    this.#option(INTERFACE_RESOLUTION, [6]);
    this.#option(OPTION_END, []);
    this.#end(start);
    return this.#interfaces++;
  }

  /**
   * Writes one frame, seen at `now` µs on an interface.
   *
   * @param direction INBOUND or OUTBOUND, as the interface's owner sees it
   */
  packet(
    interfaceId: number,
    now: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    direction: number,
  ): void {
    const kept = Math.min(length, this.#snapLength, this.#bytes.length - 64);
    const start = this.#begin(ENHANCED_PACKET, 64 + kept);
    this.#u32(interfaceId);
    this.#time(now);
    this.#u32(kept);
    this.#u32(length);
    for (let i = 0; i < kept; i++) this.#bytes[this.#length++] = bytes[at + i];
    this.#pad();
    this.#u16(PACKET_FLAGS);
    this.#u16(4);
    this.#u32(direction);
    this.#option(OPTION_END, []);
    this.#end(start);
  }

  /** Says how many frames the interface has shown until `now` µs, and how many of them are missing. */
  statistics(interfaceId: number, now: number, received: number, dropped: number): void {
    const start = this.#begin(INTERFACE_STATISTICS, 64);
    this.#u32(interfaceId);
    this.#time(now);
    this.#option64(STATISTICS_RECEIVED, received);
    this.#option64(STATISTICS_DROPPED, dropped);
    this.#option(OPTION_END, []);
    this.#end(start);
  }

  /** Hands what has been gathered to the sink. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    this.#sink(bytes);
  }

  #writeSectionHeader(): void {
    const start = this.#begin(SECTION_HEADER, 64);
    this.#u32(BYTE_ORDER_MAGIC);
    this.#u16(1);
    this.#u16(0);
    // Section length: not known while it is written.
    this.#u32(0xffffffff);
    this.#u32(0xffffffff);
    this.#option(SECTION_APPLICATION, new TextEncoder().encode("ixwasm"));
    this.#option(OPTION_END, []);
    this.#end(start);
  }

  /** Begins a block of at most `most` bytes; returns where. */
  #begin(type: number, most: number): number {
    if (this.#length + most > this.#bytes.length) this.flush();
    const start = this.#length;
    this.#u32(type);
    this.#u32(0);
    return start;
  }

  #end(start: number): void {
    const total = this.#length - start + 4;
    this.#u32(total);
    this.#view.setUint32(start + 4, total, true);
  }

  #option(code: number, value: ArrayLike<number>): void {
    this.#u16(code);
    this.#u16(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    this.#pad();
  }

  #option64(code: number, value: number): void {
    this.#u16(code);
    this.#u16(8);
    this.#u32(value % 2 ** 32);
    this.#u32(Math.floor(value / 2 ** 32));
  }

  /** A timestamp: µs of Unix time, high word first. */
  #time(now: number): void {
    const time = Math.max(0, Math.floor(now + this.#epoch));
    this.#u32(Math.floor(time / 2 ** 32));
    this.#u32(time % 2 ** 32);
  }

  #pad(): void {
    while (this.#length % 4 !== 0) this.#bytes[this.#length++] = 0;
  }

  #u16(value: number): void {
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  #u32(value: number): void {
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }
}
