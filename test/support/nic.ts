/**
 * The NIC's side of one queue pair, played by a test: frames go in through the fill and rx rings, and
 * come out of the tx ring. It trusts nothing: every descriptor the kernel writes is checked for what
 * AF_XDP would demand of it.
 */
import {
  CFG_FRAMES,
  CFG_FRAME_COUNT,
  CFG_MTU,
  CFG_WINDOW,
  CFG_WINDOW_SIZE,
  CONFIG_BASE,
  DESC_CONTINUED,
  DESC_METADATA,
  FRAME_HEADROOM,
  FRAME_SIZE,
  METADATA_SIZE,
  OFFLOAD_RX_CHECKSUM,
  OFFLOAD_RX_HASH,
  PACKET_DESC_SIZE,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  RX_META_CHECKSUM_OK,
  RX_META_FLAGS,
  RX_META_HASH,
  RX_META_HAS_HASH,
  RX_META_HAS_TIME,
  RX_META_TIME,
  TX_META_CHECKSUM,
  TX_META_CSUM_OFFSET,
  TX_META_CSUM_START,
} from "../../assembly/abi.ts";
import { concat, u16 } from "./bytes.ts";
import { checksum } from "./packet/checksum.ts";
import { ETHERNET_HEADER } from "./packet/ethernet.ts";

/** One ring as both sides see it: free-running positions, power-of-two descriptors. */
class Ring {
  readonly #words: Uint32Array;
  readonly #producer: number;
  readonly #consumer: number;
  readonly descriptors: number;
  readonly mask: number;

  constructor(words: Uint32Array, description: number) {
    this.#words = words;
    this.#producer = words[(description + RING_PRODUCER) >>> 2] >>> 2;
    this.#consumer = words[(description + RING_CONSUMER) >>> 2] >>> 2;
    this.descriptors = words[(description + RING_DESCRIPTORS) >>> 2];
    this.mask = words[(description + RING_MASK) >>> 2];
  }

  get entries(): number {
    return this.mask + 1;
  }

  get producer(): number {
    return Atomics.load(this.#words, this.#producer);
  }

  get consumer(): number {
    return Atomics.load(this.#words, this.#consumer);
  }

  get used(): number {
    return (this.producer - this.consumer) >>> 0;
  }

  get free(): number {
    return this.entries - this.used;
  }

  produce(): void {
    Atomics.add(this.#words, this.#producer, 1);
  }

  consume(count = 1): void {
    Atomics.add(this.#words, this.#consumer, count);
  }
}

interface TxDescriptor {
  readonly address: number;
  readonly length: number;
  readonly options: number;
}

/** A packet taken from the tx ring whose completion has not been posted. */
interface InFlight {
  readonly parts: readonly TxDescriptor[];
  /** What the memory held when the packet was sent: it must stay so until completion. */
  readonly snapshot: readonly Uint8Array[];
}

/** How one frame is handed over, where it differs from the usual. */
export interface ReceiveOptions {
  /** What the NIC says about checksums; by default it verified them if that offload is on. */
  readonly checksumOk?: boolean;
  /** RSS hash, given only if that offload is on. */
  readonly hash?: number | undefined;
  /** When the NIC says that the frame arrived, µs; by default it does not say. */
  readonly time?: number;
  /** Forces the metadata's flags, whatever the offloads. */
  readonly metadataFlags?: number;
  /** Forces the descriptor: a NIC that writes nonsense. */
  readonly address?: number;
  readonly length?: number;
  readonly descriptorOptions?: number;
}

export class TestNic {
  /** While true, sent packets stay in the NIC: their completions are posted by `complete`. */
  holdCompletions = false;
  /** While true, nothing is taken from the tx ring at all. */
  stalled = false;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #offloads: number;
  readonly fill: Ring;
  readonly rx: Ring;
  readonly tx: Ring;
  readonly completion: Ring;
  readonly #inFlight: InFlight[] = [];

  constructor(memory: WebAssembly.Memory, queue: number, offloads: number) {
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#offloads = offloads;
    this.fill = new Ring(this.#words, queue + QUEUE_FILL);
    this.rx = new Ring(this.#words, queue + QUEUE_RX);
    this.tx = new Ring(this.#words, queue + QUEUE_TX);
    this.completion = new Ring(this.#words, queue + QUEUE_COMPLETION);
  }

  /** Frames that wait to be filled or to be read: what GAUGE_FILL counts. */
  get held(): number {
    return this.fill.used + this.rx.used;
  }

  /** Packets taken from the tx ring and not completed. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** Puts a frame into the rx ring; false when no empty frame or no place was there. */
  receive(frame: Uint8Array, options: ReceiveOptions = {}): boolean {
    if (this.rx.free === 0) return false;
    const start = this.#takeEmptyFrame();
    if (start === undefined) return false;
    const packet = start + FRAME_HEADROOM;
    // What an earlier packet left in the frame must not matter.
    this.#bytes.fill(0xa5, start, start + FRAME_SIZE);
    this.#bytes.set(frame.subarray(0, FRAME_SIZE - FRAME_HEADROOM), packet);
    this.#writeMetadata(packet - METADATA_SIZE, options);
    const slot = this.rx.descriptors + (this.rx.producer & this.rx.mask) * PACKET_DESC_SIZE;
    this.#view.setBigUint64(slot, BigInt(options.address ?? packet), true);
    this.#view.setUint32(slot + 8, options.length ?? frame.length, true);
    this.#view.setUint32(slot + 12, options.descriptorOptions ?? 0, true);
    this.rx.produce();
    return true;
  }

  /** Takes every packet waiting in the tx ring, gathered from its descriptors. */
  transmit(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    while (!this.stalled && this.tx.used > 0) frames.push(this.#transmitOne());
    if (!this.holdCompletions) this.complete();
    return frames;
  }

  /** Posts the completions of the oldest `packets` packets. */
  complete(packets = this.#inFlight.length): void {
    for (const { parts, snapshot } of this.#inFlight.splice(0, packets)) {
      parts.forEach((part, index) => {
        const now = this.#bytes.subarray(part.address, part.address + part.length);
        if (now.some((byte, at) => byte !== snapshot[index][at])) {
          throw new Error(`memory at ${part.address} changed while the NIC was sending it`);
        }
        if (this.completion.free === 0) throw new Error("completion ring overflows");
        const ring = this.completion;
        const slot = ring.descriptors + (ring.producer & ring.mask) * 8;
        this.#view.setBigUint64(slot, BigInt(part.address), true);
        ring.produce();
      });
    }
  }

  #config(offset: number): number {
    return this.#words[(CONFIG_BASE + offset) >>> 2];
  }

  /** Takes the next frame from the fill ring; it goes straight back by the rx ring. */
  #takeEmptyFrame(): number | undefined {
    if (this.fill.used === 0) return undefined;
    const slot = this.fill.descriptors + (this.fill.consumer & this.fill.mask) * 8;
    const address = Number(this.#view.getBigUint64(slot, true));
    const first = this.#config(CFG_FRAMES);
    const end = first + this.#config(CFG_FRAME_COUNT) * FRAME_SIZE;
    if (address % FRAME_SIZE !== 0 || address < first || address >= end) {
      throw new Error(`fill ring: ${address} is no frame`);
    }
    if (this.#isPosted(address)) throw new Error(`fill ring: ${address} is waiting in rx`);
    if (this.#isSending(address)) throw new Error(`fill ring: ${address} is still being sent`);
    this.fill.consume();
    return address;
  }

  /** True when the frame lies in the rx ring, not yet read by the kernel. */
  #isPosted(frame: number): boolean {
    for (let at = this.rx.consumer; at !== this.rx.producer; at = (at + 1) >>> 0) {
      const slot = this.rx.descriptors + (at & this.rx.mask) * PACKET_DESC_SIZE;
      const address = this.#view.getUint32(slot, true);
      if (address >= frame && address < frame + FRAME_SIZE) return true;
    }
    return false;
  }

  #isSending(frame: number): boolean {
    return this.#inFlight.some(({ parts }) =>
      parts.some(({ address }) => address >= frame && address < frame + FRAME_SIZE),
    );
  }

  #writeMetadata(at: number, options: ReceiveOptions): void {
    let flags = 0;
    if (this.#offloads & OFFLOAD_RX_CHECKSUM && (options.checksumOk ?? true)) {
      flags |= RX_META_CHECKSUM_OK;
    }
    if (this.#offloads & OFFLOAD_RX_HASH && options.hash !== undefined) flags |= RX_META_HAS_HASH;
    if (options.time !== undefined) {
      flags |= RX_META_HAS_TIME;
      this.#view.setUint32(at + RX_META_TIME, options.time, true);
    }
    this.#view.setUint32(at + RX_META_FLAGS, options.metadataFlags ?? flags, true);
    this.#view.setUint32(at + RX_META_HASH, options.hash ?? 0, true);
  }

  #transmitOne(): Uint8Array {
    const parts: TxDescriptor[] = [];
    do {
      if (this.tx.used === 0) throw new Error("tx ring: a packet was published without its end");
      parts.push(this.#takeDescriptor());
    } while (parts.at(-1)!.options & DESC_CONTINUED);
    const snapshot = parts.map(({ address, length }) =>
      this.#bytes.slice(address, address + length),
    );
    this.#inFlight.push({ parts, snapshot });
    const frame = concat(...snapshot);
    if (frame.length > ETHERNET_HEADER + this.#config(CFG_MTU)) {
      throw new Error(`tx ring: packet of ${frame.length} bytes exceeds the MTU`);
    }
    if (parts[0].options & DESC_METADATA) this.#offloadChecksum(frame, parts[0].address);
    return frame;
  }

  #takeDescriptor(): TxDescriptor {
    const slot = this.tx.descriptors + (this.tx.consumer & this.tx.mask) * PACKET_DESC_SIZE;
    const descriptor = {
      address: Number(this.#view.getBigUint64(slot, true)),
      length: this.#view.getUint32(slot + 8, true),
      options: this.#view.getUint32(slot + 12, true),
    };
    const { address, length, options } = descriptor;
    if (length === 0) throw new Error("tx ring: empty descriptor");
    if (options & ~(DESC_CONTINUED | DESC_METADATA)) throw new Error(`tx ring: options ${options}`);
    const frames = this.#config(CFG_FRAMES);
    const framesEnd = frames + this.#config(CFG_FRAME_COUNT) * FRAME_SIZE;
    const inFrame =
      address >= frames &&
      address + length <= framesEnd &&
      Math.floor(address / FRAME_SIZE) === Math.floor((address + length - 1) / FRAME_SIZE);
    const window = this.#config(CFG_WINDOW);
    const inWindow =
      address >= window && address + length <= window + this.#config(CFG_WINDOW_SIZE);
    if (!inFrame && !inWindow) throw new Error(`tx ring: ${address}+${length} is not to be sent`);
    this.tx.consume();
    return descriptor;
  }

  /** The field holds the pseudo header's sum; the sum over the rest is added and complemented. */
  #offloadChecksum(frame: Uint8Array, address: number): void {
    const metadata = address - METADATA_SIZE;
    if (!(this.#view.getUint32(metadata, true) & TX_META_CHECKSUM)) return;
    const start = this.#view.getUint16(metadata + TX_META_CSUM_START, true);
    const offset = this.#view.getUint16(metadata + TX_META_CSUM_OFFSET, true);
    if (start + offset + 2 > frame.length) throw new Error("tx metadata: checksum outside packet");
    const sum = checksum(frame.subarray(start));
    // UDP, whose field is the seventh byte on, sends a computed zero as all ones.
    frame.set(u16(sum === 0 && offset === 6 ? 0xffff : sum), start + offset);
  }
}
