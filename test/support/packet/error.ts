/** A packet that the strict parser refuses, and at which layer. */
export class MalformedPacket extends Error {
  readonly layer: string;

  constructor(layer: string, reason: string) {
    super(`${layer}: ${reason}`);
    this.name = "MalformedPacket";
    this.layer = layer;
  }
}

export function must(condition: boolean, layer: string, reason: string): asserts condition {
  if (!condition) throw new MalformedPacket(layer, reason);
}
