/**
 * Long operations as coroutines: generators that yield where they wait. Whoever owns them advances all
 * of them now and then, so that in virtual time, and while a run blocks the thread, they go on as they
 * do beside real threads; a promise alone would wait for the thread's event loop.
 */

/** An operation: each `yield` waits for the next `advance`. */
export type Steps<T> = Generator<void, T, void>;

interface Task {
  readonly steps: Steps<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

export class Tasks {
  readonly #tasks: Task[] = [];

  /** Operations that are under way. */
  get pending(): number {
    return this.#tasks.length;
  }

  /** Begins an operation at the next `advance`; the promise is fulfilled with what it returns. */
  start<T>(steps: Steps<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => this.#tasks.push({ steps, resolve, reject }));
  }

  /** Begins an operation that others wait for, by its `done`. */
  spawn<T>(steps: Steps<T>): Spawned<T> {
    const spawned = new Spawned<T>();
    void this.start(spawned.run(steps));
    return spawned;
  }

  /** Takes every operation to where it waits next. Returns how many have ended. */
  advance(): number {
    let ended = 0;
    // Those that are begun meanwhile have their turn as well.
    for (let i = 0; i < this.#tasks.length;) {
      if (this.#step(this.#tasks[i])) {
        this.#tasks.splice(i, 1);
        ended++;
      } else {
        i++;
      }
    }
    return ended;
  }

  #step({ steps, resolve, reject }: Task): boolean {
    try {
      const { done, value } = steps.next();
      if (done) resolve(value as never);
      return done === true;
    } catch (error) {
      reject(error);
      return true;
    }
  }
}

/** An operation that another one waits for. */
export class Spawned<T> {
  #value: T | undefined;
  #error: unknown;
  #state: "running" | "returned" | "thrown" = "running";

  *run(steps: Steps<T>): Steps<void> {
    try {
      this.#value = yield* steps;
      this.#state = "returned";
    } catch (error) {
      this.#error = error;
      this.#state = "thrown";
    }
  }

  /** Waits for its end; returns what it returned or throws what it threw. */
  *done(): Steps<T> {
    while (this.#state === "running") yield;
    if (this.#state === "thrown") throw this.#error;
    return this.#value as T;
  }
}

/** Waits for all of them, and only then throws what the first of them threw. */
export function* all<T>(spawned: readonly Spawned<T>[]): Steps<T[]> {
  const values: T[] = [];
  const errors: unknown[] = [];
  for (const one of spawned) {
    try {
      values.push(yield* one.done());
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return values;
}
