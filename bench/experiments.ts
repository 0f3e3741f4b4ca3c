/** The experiments, in the order of the paper's figures and then of what the paper does not have. */
import { bulk } from "./bulk/experiment.ts";
import { connections } from "./connections/experiment.ts";
import { cores } from "./cores/experiment.ts";
import { echo } from "./echo/experiment.ts";
import { elastic } from "./elastic/experiment.ts";
import { flood } from "./flood/experiment.ts";
import { fairness } from "./flows/fairness.ts";
import { grid } from "./flows/grid.ts";
import { kv } from "./kv/experiment.ts";
import { latency } from "./latency/experiment.ts";
import type { Experiment } from "./lib/experiment.ts";
import { migration } from "./migration/experiment.ts";
import { netBulk } from "./node/bulk.ts";
import { http } from "./node/http.ts";
import { netSockets } from "./node/sockets.ts";
import { netpipe } from "./netpipe/experiment.ts";
import { batch } from "./sweeps/batch.ts";
import { rounds } from "./sweeps/rounds.ts";
import { sizes } from "./sweeps/sizes.ts";
import { soak } from "./soak/experiment.ts";

export const EXPERIMENTS: readonly Experiment[] = [
  echo,
  netpipe,
  cores,
  rounds,
  sizes,
  connections,
  latency,
  kv,
  batch,
  elastic,
  migration,
  bulk,
  grid,
  fairness,
  flood,
  http,
  netBulk,
  netSockets,
  soak,
];
