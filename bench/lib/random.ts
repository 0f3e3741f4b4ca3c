/** Random numbers that are the same for the same seed (xorshift32; Marsaglia 2003). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 1;
  }

  /** From 0, inclusive, to 1, exclusive. */
  uniform(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** How many of many rare things happen when `mean` are expected: Knuth's method, in pieces. */
  poisson(mean: number): number {
    let count = 0;
    for (let left = mean; left > 0; left -= PIECE) count += this.#poisson(Math.min(left, PIECE));
    return count;
  }

  #poisson(mean: number): number {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.uniform(); product > limit; product *= this.uniform()) count++;
    return count;
  }
}

/** Means whose exponential is far from underflow. */
const PIECE = 16;
