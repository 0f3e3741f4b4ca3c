/** The results that a load generator leaves in memory, as points. */
import { latencyOf } from "./histogram.ts";
import {
  RESULT_ANSWERED,
  RESULT_CELLS,
  RESULT_OFFERED,
  RESULT_SECONDS,
  RESULT_WORDS,
} from "./schedule.ts";
import type { KvPoint } from "./system.ts";

/** `loads` results of RESULT_WORDS numbers each. */
export function pointsOf(results: Float64Array, loads: number): KvPoint[] {
  return Array.from({ length: loads }, (_, load) => {
    const result = results.subarray(load * RESULT_WORDS, (load + 1) * RESULT_WORDS);
    return {
      offered: result[RESULT_OFFERED],
      achieved: result[RESULT_ANSWERED] / result[RESULT_SECONDS],
      ...latencyOf(result.subarray(RESULT_CELLS)),
    };
  });
}
