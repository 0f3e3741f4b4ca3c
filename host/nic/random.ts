/**
 * A small seeded generator for the links: sfc32 (Chris Doty-Humphrey's Small Fast Counter, 32-bit).
 * The same seed gives the same frames lost, on every engine.
 */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  /** @param seed any number; its integer part modulo 2^32 and, above that, its high part count. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    // sfc32's author asks for 12 rounds to mix a seed of this shape.
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 32 random bits, unsigned. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.next() / 2 ** 32;
  }

  /** Uniform integer in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** True with the given probability; draws nothing when it is 0, so unused faults cost nothing. */
  chance(probability: number): boolean {
    return probability > 0 && this.uniform() < probability;
  }
}
