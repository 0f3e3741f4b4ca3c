/** Leads through a tour: shows its steps, sets their levers, points at the picture; can be left any time. */
import type { Levers, Pace, Scenario } from "../engine/messages.ts";
import { button, element } from "../page/dom.ts";
import type { RegionName } from "../picture/regions.ts";
import { FIRST_SCENARIO } from "../state/first.ts";
import { TOURS, type Tour, type TourAction, type TourStep } from "./tours.ts";

export interface GuideActions {
  start(scenario: Scenario, pace: Pace): void;
  set(changes: Partial<Levers>): void;
  setPace(pace: Pace): void;
  point(region: RegionName | undefined): void;
  act(action: TourAction): void;
  /** Time passes from now on, if it was stopped. */
  resume(): void;
}

export class Guide {
  readonly #holder: HTMLElement;
  readonly #actions: GuideActions;
  #tour: Tour | undefined;
  #step = 0;

  constructor(holder: HTMLElement, actions: GuideActions) {
    this.#holder = holder;
    this.#actions = actions;
    this.#holder.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#tour !== undefined) this.leave();
    });
  }

  /** Shows which tours there are. */
  open(): void {
    this.#showContents();
  }

  begin(tour: Tour): void {
    this.#tour = tour;
    this.#go(0);
    const { levers, pace } = tour;
    this.#actions.start({ ...FIRST_SCENARIO, ...levers, ...tour.steps[0].levers }, pace);
  }

  leave(): void {
    const left = this.#tour;
    this.#tour = undefined;
    this.#actions.point(undefined);
    this.#showContents();
    this.#holder.querySelector<HTMLElement>(`[data-tour="${left?.id}"]`)?.focus();
  }

  #go(step: number): void {
    const tour = this.#tour!;
    const back = step < this.#step;
    this.#step = step;
    const { levers, pace, point } = tour.steps[step];
    this.#actions.point(point);
    this.#actions.resume();
    if (step > 0 || back) {
      // What an earlier step or the reader has set is as it was, so that the step shows what it says.
      const { seed: _, ...base } = FIRST_SCENARIO;
      this.#actions.set({ ...base, ...tour.levers, ...levers });
      this.#actions.setPace(pace ?? tour.pace);
    }
    this.#showStep(tour, tour.steps[step]);
  }

  #showContents(): void {
    const list = element("ol", { class: "tours" });
    for (const tour of TOURS) {
      const open = button("", () => this.begin(tour), { "data-tour": tour.id });
      const steps = element("small", {}, `${tour.steps.length} steps`);
      open.append(element("span", {}, tour.name), steps);
      list.append(element("li", {}, open));
    }
    this.#holder.replaceChildren(
      element("h2", {}, "Every mark is a packet"),
      element(
        "p",
        {},
        "Clients ask, a server echoes. Its kernel, its network card and TCP are the real ones, and run in this page. Play with the levers, or be shown around:",
      ),
      list,
    );
  }

  #showStep(tour: Tour, step: TourStep): void {
    const { steps } = tour;
    const last = this.#step === steps.length - 1;
    const title = element("h2", { tabindex: -1 }, step.title);
    const actions = element("div", { class: "actions" });
    if (this.#step > 0) actions.append(button("Back", () => this.#go(this.#step - 1)));
    if (step.act !== undefined) {
      const { text, does } = step.act;
      actions.append(button(text, () => this.#actions.act(does), { class: "act" }));
    }
    actions.append(
      button(last ? "Done" : "Next", () => (last ? this.leave() : this.#go(this.#step + 1)), {
        class: "primary next",
      }),
    );
    this.#holder.replaceChildren(
      element(
        "p",
        { class: "where" },
        element("span", {}, tour.name),
        element("span", {}, `${this.#step + 1} of ${steps.length}`),
        button("Leave the tour", () => this.leave(), { class: "quiet leave" }),
      ),
      title,
      ...step.text.map((text) => element("p", {}, text)),
      element("p", { class: "watch" }, step.watch),
      actions,
    );
    title.focus({ preventScroll: true });
  }
}
