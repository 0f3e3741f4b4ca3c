/**
 * Measurements run in processes of their own: each starts from the same state, and none is disturbed
 * by what the one before has left behind. A task goes to the child as a message and its result comes
 * back as one. A child ends with its parent, and in any case when its time is over.
 */
import { fork } from "node:child_process";
import process from "node:process";

type Answer = { readonly result: unknown } | { readonly error: string };

/** Most that starting a process, warming up and cleaning up may take, s. */
const OVERHEAD = 30;

/**
 * Has the module at `script` serve a task that takes about `seconds`; when its process has ended, the
 * next can begin. Rejects with what it threw, or when it ended without an answer or took too long.
 */
export function runTask<Result>(
  script: URL,
  task: unknown,
  seconds: number,
  nodeOptions: readonly string[] = [],
): Promise<Result> {
  const child = fork(script, [], { execArgv: [...process.execArgv, ...nodeOptions] });
  const limit = (seconds + OVERHEAD) * 1000;
  // One that is busy does not hear that its parent is gone.
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  return new Promise<Result>((resolve, reject) => {
    const timer = setTimeout(() => {
      end();
      reject(new Error(`no answer within ${limit / 1000} s`));
    }, limit);
    const settle = (): void => {
      clearTimeout(timer);
      process.removeListener("exit", end);
    };
    let answer: Answer = { error: "" };
    child.once("message", (message: Answer) => (answer = message));
    child.once("error", (error) => {
      settle();
      reject(error);
    });
    child.once("exit", (code, signal) => {
      settle();
      if ("result" in answer) resolve(answer.result as Result);
      else
        reject(
          new Error(answer.error || `ended without an answer: ${signal ?? `exit code ${code}`}`),
        );
    });
    child.send({ task });
  });
}

/** Serves the one task of this process, and ends it. */
export function serveTask<Task, Result>(run: (task: Task) => Result | Promise<Result>): void {
  process.once("disconnect", () => process.exit(1));
  process.once("message", async (message: { task: Task }) => {
    let answer: Answer;
    try {
      answer = { result: await run(message.task) };
    } catch (error) {
      answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send!(answer, () => process.exit(0));
  });
}
