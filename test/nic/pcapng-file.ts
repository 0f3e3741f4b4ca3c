/** Reads captures back: an independent parser of pcapng. */
import { expect } from "vitest";

export interface Block {
  readonly type: number;
  readonly body: DataView;
}

/** The blocks of a capture, each one's two lengths compared. */
export function blocks(bytes: Uint8Array): Block[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Block[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = view.getUint32(at + 4, true);
    expect(length % 4).toBe(0);
    expect(view.getUint32(at + length - 4, true)).toBe(length);
    found.push({
      type: view.getUint32(at, true),
      body: new DataView(bytes.buffer, bytes.byteOffset + at + 8, length - 12),
    });
    at += length;
  }
  return found;
}

export function optionsOf(body: DataView, at: number): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (;;) {
    const code = body.getUint16(at, true);
    const length = body.getUint16(at + 2, true);
    if (code === 0) return options;
    options.set(code, new Uint8Array(body.buffer, body.byteOffset + at + 4, length));
    at += 4 + Math.ceil(length / 4) * 4;
  }
}

export function packets(bytes: Uint8Array) {
  return blocks(bytes)
    .filter(({ type }) => type === 6)
    .map(({ body }) => {
      const kept = body.getUint32(12, true);
      const flags = optionsOf(body, 20 + Math.ceil(kept / 4) * 4).get(2)!;
      return {
        port: body.getUint32(0, true),
        time: body.getUint32(4, true) * 2 ** 32 + body.getUint32(8, true),
        length: body.getUint32(16, true),
        bytes: new Uint8Array(body.buffer, body.byteOffset + 20, kept),
        direction: flags[0] & 3,
      };
    });
}

export function sink() {
  const chunks: Uint8Array[] = [];
  return {
    write: (chunk: Uint8Array) => void chunks.push(chunk),
    get bytes() {
      return new Uint8Array(Buffer.concat(chunks));
    },
  };
}
