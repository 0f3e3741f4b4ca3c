/** Lines of results for tests. */
import { figure, type Params, type ResultLine } from "../../bench/lib/results.ts";

const RUN = {
  date: "2026-01-01T00:00:00.000Z",
  machine: "a machine",
  versions: { ixwasm: "0.0.0" },
  commit: null,
  seed: null,
};

/** A line with these values of its metrics. */
export function lineOf(
  metrics: Readonly<Record<string, readonly number[]>>,
  params: Params = {},
  more: Partial<ResultLine> = {},
): ResultLine {
  const figures = Object.entries(metrics).map(([name, values]) => [name, figure(values)]);
  return {
    experiment: "test",
    system: "ixwasm inline",
    params,
    metrics: Object.fromEntries(figures),
    simulated: false,
    run: RUN,
    ...more,
  };
}
