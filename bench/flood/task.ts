/** Floods in a process of their own: one in simulated time, or one in real time. */
import { serveTask } from "../lib/task.ts";
import { runFlood } from "./real.ts";
import type { RealFlood, RealOutcome } from "./real.ts";
import { simulateFlood } from "./simulate.ts";
import type { FloodOutcome, SimulatedFlood } from "./simulate.ts";

export type FloodTask =
  | { readonly kind: "simulated"; readonly options: SimulatedFlood }
  | { readonly kind: "real"; readonly options: RealFlood };

serveTask((task: FloodTask): FloodOutcome | RealOutcome => {
  return task.kind === "real" ? runFlood(task.options) : simulateFlood(task.options);
});
