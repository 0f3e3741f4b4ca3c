/** What Linux counts as tcpi_delivered: segments of a flow that the peer has acknowledged, its SYN among them. */
export class Delivered {
  count = 0;
  /** Of them those that were acknowledged with an echo of congestion (RFC 3168). */
  echoed = 0;
  /** Ends of segments sent and not acknowledged, by where they begin; absolute numbers. */
  readonly #sent = new Map<number, number>();

  /** A segment of the stack's that takes sequence numbers. */
  sent(seq: number, length: number, isSyn: boolean): void {
    if (isSyn) this.#sent.set(seq, (seq + 1) >>> 0);
    const first = (seq + (isSyn ? 1 : 0)) >>> 0;
    if (length > 0) this.#sent.set(first, (first + length) >>> 0);
  }

  /** An ACK, or the edges of a block of SACK. What a SYN-ACK covers counts as one. */
  acknowledged(left: number | undefined, right: number, isSyn: boolean, echo: boolean): void {
    let segments = 0;
    for (const [seq, end] of this.#sent) {
      if (((right - end) | 0) < 0 || (left !== undefined && ((seq - left) | 0) < 0)) continue;
      this.#sent.delete(seq);
      segments++;
    }
    const counted = isSyn ? Math.min(segments, 1) : segments;
    this.count += counted;
    if (echo) this.echoed += counted;
  }
}
