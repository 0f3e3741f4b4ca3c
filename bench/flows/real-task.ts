/** One flow in real time, in a process of its own. */
import { serveTask } from "../lib/task.ts";
import { measureReal } from "./real.ts";

serveTask(measureReal);
