/** The way to move flow groups and to end cores without a pointer: two lists and three buttons. */
import { FLOW_GROUPS, MAX_CORES, type Snapshot } from "../engine/messages.ts";
import { button, element } from "../page/dom.ts";

export interface CoreActions {
  migrate(groups: number[], to: number): void;
  kill(core: number): void;
}

export class CoreControls {
  /** Rows for the panel of levers. */
  readonly move: HTMLElement;
  readonly kill: HTMLElement;
  readonly #actions: CoreActions;
  #snapshot: Snapshot | undefined;

  constructor(actions: CoreActions) {
    this.#actions = actions;
    const from = coreList("move-from");
    const to = coreList("move-to");
    to.value = "1";
    const half = button("Move", () => this.moveHalf(Number(from.value), Number(to.value)));
    this.move = element(
      "div",
      {
        class: "row",
        title: "Half of a core’s flow groups go to another core, as when you drag them",
      },
      element("label", { for: "move-from" }, "Half the groups of"),
      from,
      element("label", { for: "move-to", class: "tight" }, "to"),
      to,
      half,
    );
    const victim = coreList("kill-core");
    this.kill = element(
      "div",
      { class: "row", title: "Ends its thread in the middle of its work" },
      element("label", { for: "kill-core" }, "End a core’s thread"),
      victim,
      button("Kill", () => actions.kill(Number(victim.value))),
    );
  }

  take(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
  }

  /** Every second flow group of a core goes to another. */
  moveHalf(from: number, to: number): void {
    const moved = this.#groupsOf(from).filter((_, index) => index % 2 === 0);
    if (from !== to && moved.length > 0) this.#actions.migrate(moved, to);
  }

  #groupsOf(core: number): number[] {
    const reta = this.#snapshot?.groups.reta;
    if (reta === undefined) return [];
    return Array.from({ length: FLOW_GROUPS }, (_, group) => group).filter(
      (group) => reta[group] === core,
    );
  }
}

function coreList(id: string): HTMLSelectElement {
  const list = element("select", { id });
  for (let core = 0; core < MAX_CORES; core++) {
    list.append(element("option", { value: core }, `core ${core}`));
  }
  return list;
}
