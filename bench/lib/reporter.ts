/** What an experiment says while it runs: progress, tables, and a line of results for each finding. */
import { describeMachine, sourceCommit, versions } from "./machine.ts";
import { Progress } from "./progress.ts";
import { writeResults } from "./results.ts";
import type { ResultLine, RunInfo } from "./results.ts";
import { tableText } from "./text.ts";

/** A line of results without what all lines of a run have in common. */
export type Finding = Omit<ResultLine, "experiment" | "figure" | "simulated" | "run"> & {
  /** Default false. */
  readonly simulated?: boolean;
};

export interface ReporterOptions {
  readonly experiment: string;
  readonly figure?: string;
  /** Where the lines go. */
  readonly results: string;
  readonly seed?: number;
  /** Before the progress; default the experiment's name. */
  readonly label?: string;
  /** Also measure where the time goes, by stage. */
  readonly profile?: boolean;
}

export class Reporter {
  readonly lines: ResultLine[] = [];
  /** What went wrong; what is merely absent did not. */
  readonly failures: string[] = [];
  readonly profile: boolean;
  /** Where the lines go, and whatever else an experiment keeps. */
  readonly directory: string;
  readonly #progress: Progress;
  readonly #options: ReporterOptions;
  readonly #run: RunInfo;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.profile = options.profile ?? false;
    this.directory = options.results;
    this.#progress = new Progress(options.label ?? options.experiment);
    this.#run = {
      date: new Date().toISOString(),
      machine: describeMachine(),
      versions: versions(),
      commit: sourceCommit(),
      seed: options.seed ?? null,
    };
  }

  /** There will be so many steps more. */
  expect(steps: number): void {
    this.#progress.expect(steps);
  }

  /** A step begins; `what` says what is done now. */
  step(what: string): void {
    this.#progress.step(what);
  }

  /** A line for who reads along: what is measured, what the columns mean. */
  note(text: string): void {
    this.#progress.print(text);
  }

  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    if (rows.length > 0) this.#progress.print(tableText(head, rows));
  }

  record(finding: Finding): void {
    const { experiment, figure } = this.#options;
    this.lines.push({
      experiment,
      ...(figure !== undefined && { figure }),
      simulated: false,
      ...finding,
      run: this.#run,
    });
  }

  /** A system that is not measured because something is not installed here. */
  absent(system: string, reason: string): void {
    this.note(`${system}: absent, ${reason}`);
  }

  /** A system or a step that should have worked: the run goes on, and ends with exit code 1. */
  failed(what: string, reason: string): void {
    this.failures.push(`${what}: ${reason}`);
    this.note(`${what}: failed, ${reason}`);
  }

  /** Writes the lines, if there are any; without, those of an earlier run stay. */
  finish(): void {
    this.#progress.clear();
    if (this.lines.length === 0) return;
    writeResults(this.directory, this.#options.experiment, this.lines);
  }
}
