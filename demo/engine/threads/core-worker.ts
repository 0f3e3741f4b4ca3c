/**
 * A worker of the page that runs one core: the counterpart of host/node/worker.ts. A thread that polls does
 * not turn its event loop, so what it is to do meanwhile stands on the board, and a word in the core's
 * control block says that something new stands there.
 */
import { Core, ElasticThread, Parking, realClock, runElasticLoop } from "../../../host/index.ts";
import { Board } from "../board.ts";
import { clientApp, clientBackend, serverApp, serverBackend } from "../machines.ts";
import { applyLink } from "../network.ts";
import { SampleWriter } from "../sample-writer.ts";
import type { CoreTask, WorkerMessage } from "./core-task.ts";

/** The part of a worker's global scope that is used. */
interface Scope {
  postMessage(message: WorkerMessage): void;
  onmessage: ((event: MessageEvent<CoreTask>) => void) | null;
}

const scope = self as unknown as Scope;

function runCore(task: CoreTask): void {
  const { dataplane, core: id, role, shared, capture, spinIterations } = task;
  const { memory, port, kernel, announce } = dataplane;
  const board = new Board(shared.board);
  const core = new Core(kernel, memory, id);
  const observer = new SampleWriter(capture);
  applyLink(shared, board);
  // A queue a core.
  const backend =
    role === "server"
      ? serverBackend(shared, port, id, core.block, observer)
      : clientBackend(shared, port, id, observer);
  const clock = realClock();
  const thread = new ElasticThread(core, clock(), {
    port,
    backends: [backend],
    app: role === "server" ? serverApp(shared) : clientApp(shared),
    announce: announce && id === 0,
  });
  scope.postMessage({ kind: "ready" });
  let batch = board.get("batch");
  const parking = new Parking(memory, core.block, [port.queues[id]]);
  const policy = { idle: "park", spinIterations } as const;
  try {
    runElasticLoop(thread, [backend], parking, clock, policy, () => {
      if (role === "server" && board.takeDoom(id)) throw new Mishap(id);
      applyLink(shared, board);
      if (board.get("batch") === batch) return;
      batch = board.get("batch");
      // A new instance of the kernel reads its configuration anew.
      thread.upgrade(kernel, clock());
    });
  } finally {
    thread.close();
  }
}

/** What a core's thread throws when it is told to. */
class Mishap extends Error {
  constructor(core: number) {
    super(`the thread of core ${core} has failed, as it was told to`);
    this.name = "Mishap";
  }
}

scope.onmessage = ({ data }) => {
  try {
    runCore(data);
    scope.postMessage({ kind: "ended" });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    scope.postMessage({ kind: "died", message });
  }
};
