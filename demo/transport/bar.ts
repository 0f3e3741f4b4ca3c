/** Time: pause, steps, how fast it passes, and what the clock says. */
import type { PageMessage, Pace, Snapshot } from "../engine/messages.ts";
import { button, element, icon, write } from "../page/dom.ts";
import { time } from "../page/numbers.ts";
import { indexOfValue } from "../state/levers.ts";
import { FIRST_PACE, FIRST_SCENARIO } from "../state/first.ts";
import type { RunState } from "../state/run.ts";

const PACES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 200_000, 1e6];

const PAUSE = "M3 2h4v12H3zM9 2h4v12H9z";
const PLAY = "M3 1.5v13L14 8z";
const STEP = "M2 2v12l7-6zM11 2h3v12h-3z";
const CYCLE = "M8 2a6 6 0 1 1-5.6 3.8l1.9.8A4 4 0 1 0 8 4v2.5L4 3.2 8 0z";

export class Transport {
  readonly #run: RunState;
  readonly #send: (message: PageMessage) => void;
  readonly #toggle: HTMLButtonElement;
  readonly #steps: HTMLButtonElement[];
  readonly #slow: HTMLButtonElement;
  readonly #full: HTMLButtonElement;
  readonly #scale: HTMLInputElement;
  readonly #scaleText: HTMLOutputElement;
  readonly #clock: HTMLElement;
  readonly #rate: HTMLElement;
  #paused = false;
  #slowPace: number;

  constructor(holder: HTMLElement, run: RunState, send: (message: PageMessage) => void) {
    this.#run = run;
    this.#send = send;
    this.#slowPace = run.pace === "full" ? Number(FIRST_PACE) : run.pace;
    this.#toggle = button("", () => this.pause(!this.#paused), { id: "pause" });
    this.#steps = [
      this.#step("packet", "One packet", STEP),
      this.#step("iteration", "One iteration", CYCLE),
    ];
    this.#slow = button("Slow motion", () => run.setPace(this.#slowPace), { id: "slow" });
    this.#full = button("Full speed", () => this.#goFull(), { id: "full" });
    this.#scale = element("input", {
      type: "range",
      id: "pace",
      min: 0,
      max: PACES.length - 1,
      "aria-label": "Time that passes in a second of yours",
    });
    this.#scale.addEventListener("input", () => run.setPace(PACES[Number(this.#scale.value)]));
    this.#scaleText = element("output", { for: "pace" });
    this.#clock = element("span");
    this.#rate = element("small");
    holder.append(
      this.#toggle,
      ...this.#steps,
      element(
        "div",
        { class: "choices", role: "group", "aria-label": "Speed" },
        this.#slow,
        this.#full,
      ),
      element("div", { class: "time-scale" }, this.#scale, this.#scaleText),
      element("div", { class: "clock" }, this.#clock, this.#rate),
    );
    run.listen(() => this.#show());
    this.#show();
  }

  /**
   * The load that slow motion begins with is more than a few processors carry in real time, and then what
   * waits for them is all there is to see; without a load the clients ask as soon as they are answered.
   */
  #goFull(): void {
    if (this.#run.scenario.load === FIRST_SCENARIO.load) this.#run.set({ load: 0 });
    this.#run.setPace("full");
  }

  #step(by: "packet" | "iteration", text: string, path: string): HTMLButtonElement {
    const made = button("", () => this.#send({ type: "step", by }), { id: `step-${by}` });
    made.append(icon("0 0 16 16", { d: path }), element("span", {}, text));
    return made;
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.#send({ type: paused ? "pause" : "resume" });
    this.#show();
  }

  /** The engine may pause by itself, after a step. */
  take({ now, paused, totals }: Snapshot): void {
    write(this.#clock, clockText(now));
    write(this.#rate, `${totals.open} connections open`);
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#show();
  }

  #show(): void {
    const { pace } = this.#run;
    const full = pace === "full";
    if (!full) this.#slowPace = pace;
    this.#toggle.replaceChildren(
      icon("0 0 16 16", { d: this.#paused ? PLAY : PAUSE }),
      element("span", {}, this.#paused ? "Go on" : "Pause"),
    );
    for (const step of this.#steps) step.disabled = full;
    this.#slow.setAttribute("aria-pressed", String(!full));
    this.#full.setAttribute("aria-pressed", String(full));
    this.#scale.disabled = full;
    const index = indexOfValue(PACES, this.#slowPace);
    this.#scale.value = String(index);
    this.#scale.style.setProperty("--fill", `${(100 * index) / (PACES.length - 1)}%`);
    const text = paceText(pace);
    this.#scale.setAttribute("aria-valuetext", text);
    write(this.#scaleText, text);
  }
}

function paceText(pace: Pace): string {
  return pace === "full" ? "real time" : `${time(pace)} a second`;
}

/** µs as ms with the three digits after them, which is where packets move. */
function clockText(now: number): string {
  const [whole, part] = (now / 1000).toFixed(3).split(".");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}.${part} ms`;
}
