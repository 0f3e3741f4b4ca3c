/**
 * A flood of SYNs: a NIC port without a dataplane, whose frames are made in place. Each is a SYN to one
 * port of the server, from an address (198.18.0.0/15, RFC 2544), a source port and a sequence number
 * of its own, with the options that Linux sends. Checksums are right, or are the NIC's to fill in.
 */
import {
  DESC_METADATA,
  FRAME_HEADROOM,
  FRAME_SIZE,
  METADATA_SIZE,
  OFFLOAD_TX_CHECKSUM,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  TX_META_CHECKSUM,
  TX_META_CSUM_OFFSET,
  TX_META_CSUM_START,
  TX_META_FLAGS,
  WASM_PAGE,
} from "../../assembly/abi.ts";
import { createBackend, createPort } from "../../host/nic/index.ts";
import type { PortHandle, QueueBackend, Wire } from "../../host/nic/index.ts";
import { Random } from "../lib/random.ts";

/** Frames made and handed to the NIC at a time, and so the entries of each ring. */
const BATCH = 64;
const RINGS = [QUEUE_FILL, QUEUE_RX, QUEUE_TX, QUEUE_COMPLETION];
const QUEUE = WASM_PAGE;
/** Words and descriptors of a ring. */
const RING_BYTES = 64 + BATCH * 16;
const FRAMES = WASM_PAGE * 2;

const IP = 14;
const TCP = IP + 20;
const IP_CHECKSUM = IP + 10;
const SOURCE = IP + 12;
const SEQUENCE = TCP + 4;
const TCP_CHECKSUM = 16;
const PROTOCOL = 6;

/** MSS 1460, SACK permitted, timestamps, a byte of padding, window scale 7. */
const OPTIONS = [2, 4, 5, 180, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7];
const LENGTH = TCP + 20 + OPTIONS.length;

/** Whom the SYNs are for. */
export interface Target {
  /** 6 bytes and 4. */
  readonly mac: readonly number[];
  readonly ip: readonly number[];
  readonly port: number;
}

export class SynSource {
  readonly handle: PortHandle;
  /** SYNs handed to the NIC so far. */
  sent = 0;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #random: Random;
  #backend: QueueBackend | undefined;

  /** @param mac of this port, which the server should take for its gateway's */
  constructor(mac: readonly number[], target: Target, seed: number) {
    const memory = new WebAssembly.Memory({ initial: 5, maximum: 5, shared: true });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.#random = new Random(seed);
    this.#layRings();
    const offloads = OFFLOAD_TX_CHECKSUM;
    this.handle = createPort({ name: "flood", memory, queues: [QUEUE], mac, offloads });
    for (let i = 0; i < BATCH; i++) this.#layFrame(frameAt(i), mac, target);
  }

  /** Plugs the port in. */
  connect(wire: Wire): void {
    this.#backend = createBackend(this.handle, 0, wire);
  }

  /** Sends so many SYNs at `now`, µs. */
  send(count: number, now: number): void {
    const words = this.#words;
    for (let left = count; left > 0; left -= BATCH) {
      const batch = Math.min(left, BATCH);
      const at = words[wordOf(QUEUE_TX, RING_PRODUCER)];
      for (let i = 0; i < batch; i++) this.#make(at + i);
      words[wordOf(QUEUE_TX, RING_PRODUCER)] = (at + batch) | 0;
      this.#backend!.pump(now);
      const completed = words[wordOf(QUEUE_COMPLETION, RING_PRODUCER)];
      words[wordOf(QUEUE_COMPLETION, RING_CONSUMER)] = completed;
      this.sent += batch;
    }
  }

  #layRings(): void {
    const words = this.#words;
    for (const [index, ring] of RINGS.entries()) {
      const base = QUEUE + 1024 + index * RING_BYTES;
      const at = (QUEUE + ring) >>> 2;
      words[at + RING_PRODUCER / 4] = base;
      words[at + RING_CONSUMER / 4] = base + 4;
      words[at + RING_DESCRIPTORS / 4] = base + 64;
      words[at + RING_MASK / 4] = BATCH - 1;
    }
  }

  #layFrame(frame: number, mac: readonly number[], target: Target): void {
    const bytes = this.#bytes;
    const ip = [0x45, 0, 0, LENGTH - IP, 0, 0, 0x40, 0, 64, 6, 0, 0, 198, 18, 0, 0, ...target.ip];
    const port = [target.port >> 8, target.port & 255];
    const offset = ((LENGTH - TCP) / 4) << 4;
    const tcp = [0, 0, ...port, 0, 0, 0, 0, 0, 0, 0, 0, offset, 2, 250, 240, 0, 0, 0, 0];
    bytes.set([...target.mac, ...mac, 8, 0, ...ip, ...tcp, ...OPTIONS], frame);
    const words = this.#words;
    const metadata = (frame - METADATA_SIZE) >>> 2;
    words[metadata + TX_META_FLAGS / 4] = TX_META_CHECKSUM;
    words[metadata + TX_META_CSUM_START / 4] =
      TCP | (TCP_CHECKSUM << ((TX_META_CSUM_OFFSET - TX_META_CSUM_START) * 8));
  }

  /** Makes the next SYN in the frame whose turn it is, and its descriptor. */
  #make(position: number): void {
    const bytes = this.#bytes;
    const place = position & (BATCH - 1);
    const frame = frameAt(place);
    const source = this.#random.below(2 ** 32);
    const sequence = this.#random.below(2 ** 32);
    bytes[frame + SOURCE + 1] = 18 | (source & 1);
    bytes[frame + SOURCE + 2] = source >>> 8;
    bytes[frame + SOURCE + 3] = source >>> 16;
    // Never port 0, which is nobody's.
    bytes[frame + TCP] = (source >>> 24) | 4;
    bytes[frame + TCP + 1] = source >>> 1;
    for (let i = 0; i < 4; i++) bytes[frame + SEQUENCE + i] = sequence >>> (i * 8);
    this.#store(frame + IP_CHECKSUM, 0);
    this.#store(frame + IP_CHECKSUM, ~this.#sum(frame + IP, frame + TCP, 0));
    // Of the TCP checksum the NIC wants the pseudo header's part.
    const pseudo = this.#sum(frame + SOURCE, frame + TCP, PROTOCOL + LENGTH - TCP);
    this.#store(frame + TCP + TCP_CHECKSUM, pseudo);
    const words = this.#words;
    const descriptor = (words[(QUEUE + QUEUE_TX + RING_DESCRIPTORS) >>> 2] >>> 2) + place * 4;
    words[descriptor] = frame;
    words[descriptor + 2] = LENGTH;
    words[descriptor + 3] = DESC_METADATA;
  }

  /** One's complement sum (RFC 1071) of bytes from an even place on, folded. */
  #sum(from: number, to: number, start: number): number {
    const bytes = this.#bytes;
    let sum = start;
    for (let at = from; at < to; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
    sum = (sum & 0xffff) + (sum >>> 16);
    return (sum & 0xffff) + (sum >>> 16);
  }

  #store(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }
}

function frameAt(index: number): number {
  return FRAMES + index * FRAME_SIZE + FRAME_HEADROOM;
}

/** Index of a word that a ring's two sides share. */
function wordOf(ring: number, word: number): number {
  const index = RINGS.indexOf(ring);
  return (QUEUE + 1024 + index * RING_BYTES + word) >>> 2;
}
