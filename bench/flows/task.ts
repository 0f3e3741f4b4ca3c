/** Scenarios in a process of their own, one after the other. */
import { serveTask } from "../lib/task.ts";
import { simulate } from "./simulate.ts";
import type { Outcome, Scenario } from "./simulate.ts";

serveTask((scenarios: readonly Scenario[]): Outcome[] => scenarios.map(simulate));
