/** The panel of levers: a slider for each amount, a list for each choice, and what happens to cores. */
import type { Levers, Scenario } from "../engine/messages.ts";
import { button, element, write } from "../page/dom.ts";
import { indexOfValue, LEVER_GROUPS, type ChoiceLever, type RangeLever } from "../state/levers.ts";
import type { RunState } from "../state/run.ts";

type Show = (scenario: Scenario) => void;

export class LeverPanel {
  readonly #run: RunState;
  readonly #shows: Show[] = [];

  /** @param extras what stands at the end of the groups named, such as the buttons for cores */
  constructor(holder: HTMLElement, run: RunState, extras: Readonly<Record<string, HTMLElement[]>>) {
    this.#run = run;
    holder.append(element("h2", { class: "unseen" }, "Levers"));
    for (const { title, levers } of LEVER_GROUPS) {
      const group = element("fieldset", {}, element("legend", {}, title));
      const body = element("div");
      for (const lever of levers) {
        body.append("values" in lever ? this.#range(lever) : this.#choice(lever));
      }
      body.append(...(extras[title] ?? []));
      group.append(body);
      holder.append(group);
    }
    holder.append(this.#seed());
  }

  /** Shows what is set by now. */
  show(): void {
    for (const show of this.#shows) show(this.#run.scenario);
  }

  #range({ key, label, values, format, help }: RangeLever): HTMLElement {
    const id = `lever-${key}`;
    const input = element("input", { type: "range", id, min: 0, max: values.length - 1, step: 1 });
    const output = element("output", { for: id });
    input.addEventListener("input", () => {
      this.#run.set({ [key]: values[Number(input.value)] } as Partial<Levers>);
    });
    this.#shows.push((scenario) => {
      const index = indexOfValue(values, scenario[key]);
      const text = format(scenario[key]);
      input.value = String(index);
      input.style.setProperty("--fill", `${(100 * index) / (values.length - 1)}%`);
      input.setAttribute("aria-valuetext", text);
      if (key === "inFlight") input.disabled = scenario.load > 0;
      write(output, text);
    });
    return element(
      "div",
      { class: "lever", title: help },
      element("label", { for: id }, label),
      output,
      input,
    );
  }

  #choice({ key, label, options, help }: ChoiceLever): HTMLElement {
    const id = `lever-${key}`;
    const select = element("select", { id });
    for (const [value, text] of options) select.append(element("option", { value }, text));
    select.addEventListener("change", () => {
      this.#run.set({ [key]: select.value } as Partial<Levers>);
    });
    this.#shows.push((scenario) => {
      select.value = scenario[key];
    });
    return element(
      "div",
      { class: "row", title: help },
      element("label", { for: id }, label),
      select,
    );
  }

  #seed(): HTMLElement {
    const value = element("output");
    this.#shows.push(({ seed }) => write(value, String(seed)));
    const restart = (seed: number): void => {
      this.#run.start({ ...this.#run.scenario, seed }, this.#run.pace);
    };
    return element(
      "fieldset",
      {},
      element("legend", {}, "This run"),
      element(
        "div",
        { class: "row" },
        element("span", { class: "label" }, "Seed ", value),
        button("Again", () => restart(this.#run.scenario.seed), {
          title: "The same run from its beginning",
        }),
        button("Another", () => restart((this.#run.scenario.seed * 48_271 + 11) % 99_991), {
          title: "The same levers, other chances",
        }),
      ),
    );
  }
}
