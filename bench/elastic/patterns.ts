/** Loads over time, as shares of what all cores can carry. The patterns are TOCS 2016's. */

/** The share, 0 to 1, at a point of the run, 0 to 1. */
export type Pattern = (progress: number) => number;

/** What is never gone below, and the most: all cores busy to a part that leaves queues short. */
const LEAST = 0.1;
const MOST = 1;

export const PATTERNS: Readonly<Record<string, Pattern>> = {
  /** Up evenly, and down again. */
  slope: (progress) => LEAST + (MOST - LEAST) * (1 - Math.abs(2 * progress - 1)),
  /** Little, much, little. */
  step: (progress) => (progress >= 1 / 3 && progress < 2 / 3 ? MOST : LEAST),
  /** Two periods of a sine. */
  sine: (progress) => LEAST + ((MOST - LEAST) * (1 - Math.cos(4 * Math.PI * progress))) / 2,
};
