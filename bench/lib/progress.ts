/**
 * How far a run is: a bar where somebody is watching, and elsewhere a line to stderr now and then. What
 * is printed meanwhile goes through here, so that it does not land in the middle of the bar.
 */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";

/** Lines to a file or a pipe come this far apart at least, ms. */
const QUIET = 10_000;
const FORMAT = "{label} {bar} {value}/{total} · {eta_formatted} left · {what}";

export class Progress {
  readonly #label: string;
  #bar: SingleBar | undefined;
  #total = 0;
  #done = 0;
  #what = "";
  #saidAt = performance.now();

  constructor(label: string) {
    this.#label = label;
  }

  /** There will be so many steps more. */
  expect(steps: number): void {
    this.#total += steps;
    this.#bar?.setTotal(this.#total);
  }

  /** A step begins: what is done now. */
  step(what: string): void {
    if (this.#what !== "") this.#done++;
    this.#what = what;
    if (process.stderr.isTTY) this.#draw();
    else this.#say();
  }

  /** Prints a line of the results. */
  print(text: string): void {
    this.clear();
    console.log(text);
  }

  /** Takes the bar away; the next step brings it back. */
  readonly clear = (): void => {
    this.#bar?.stop();
    this.#bar = undefined;
    process.removeListener("exit", this.clear);
  };

  #draw(): void {
    const payload = { label: this.#label, what: this.#what };
    if (this.#bar === undefined) {
      const options = { format: FORMAT, clearOnComplete: true, hideCursor: true, barsize: 24 };
      this.#bar = new SingleBar(options, Presets.shades_classic);
      this.#bar.start(this.#total, this.#done, payload);
      // Whoever is interrupted gets the cursor back.
      process.once("exit", this.clear);
    } else {
      this.#bar.update(this.#done, payload);
    }
  }

  #say(): void {
    const now = performance.now();
    if (now - this.#saidAt < QUIET) return;
    this.#saidAt = now;
    console.error(`${this.#label}: ${this.#done} of ${this.#total}, ${this.#what}`);
  }
}
