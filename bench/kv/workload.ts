/**
 * The loads of the paper's figure 5, after two of Facebook's (Atikoglu et al., "Workload analysis of a
 * large-scale key-value store", SIGMETRICS 2012), as mutilate makes them. kv-client.c does the same with the
 * same numbers.
 *
 *   USR   keys of 19 bytes, values of 2, 99.8 % GET
 *   ETC   keys of 20 to 70 bytes (generalized extreme value distribution), values of 1 to 1024 (generalized
 *         Pareto), 75 % GET
 *
 * A key is chosen uniformly; its length and that of its value follow from its number, so that each answer's
 * length is known.
 */
export type LoadName = "usr" | "etc";

export const LOADS: readonly LoadName[] = ["usr", "etc"];

/** Keys of a load. */
export const KEYS = 10_000;

/** Of 1000 requests so many are GETs. */
export const GETS: Readonly<Record<LoadName, number>> = { usr: 998, etc: 750 };

/** The key of number `index`, and how long its value is. */
export function record(load: LoadName, index: number): { key: string; length: number } {
  if (load === "usr") return { key: padded(index, 19), length: 2 };
  const keyLength = Math.round(extremeValue(uniform(index, 1), 30.7984, 8.20449, 0.078688));
  const length = Math.round(pareto(uniform(index, 2), 15, 214.476, 0.348238));
  return { key: padded(index, clamp(keyLength, 20, 70)), length: clamp(length, 1, 1024) };
}

function padded(index: number, length: number): string {
  return `k${String(index).padStart(length - 1, "0")}`;
}

/** Quantiles of the two distributions. */
function extremeValue(u: number, location: number, scale: number, shape: number): number {
  return location + (scale * ((-Math.log(u)) ** -shape - 1)) / shape;
}

function pareto(u: number, location: number, scale: number, shape: number): number {
  return location + (scale * ((1 - u) ** -shape - 1)) / shape;
}

/** A number between 0 and 1 that follows from a key's number (the finalizer of MurmurHash3). */
function uniform(index: number, purpose: number): number {
  let h = Math.imul(index * 4 + purpose, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  return ((h >>> 0) + 0.5) / 2 ** 32;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
