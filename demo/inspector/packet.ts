/** One packet, opened: its life, what the NIC made of it, its headers, its bytes. */
import type { Layer, PacketLife, RssLife } from "../engine/messages.ts";
import { button, element } from "../page/dom.ts";
import { grouped, time } from "../page/numbers.ts";

/** Bytes of a line of the dump. */
const DUMP_LINE = 16;

export class Inspector {
  readonly #holder: HTMLElement;
  readonly #onClose: () => void;
  /** Where the focus was before. */
  #before: Element | null = null;

  constructor(holder: HTMLElement, onClose: () => void) {
    this.#holder = holder;
    this.#onClose = onClose;
    holder.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  get open(): boolean {
    return !this.#holder.hidden;
  }

  show(life: PacketLife): void {
    if (this.#holder.hidden) this.#before = document.activeElement;
    this.#holder.hidden = false;
    const close = button("Close", () => this.close());
    const title = element("h2", { tabindex: -1 }, titleOf(life));
    this.#holder.replaceChildren(element("header", {}, title, close), ...contents(life));
  }

  close(): void {
    if (this.#holder.hidden) return;
    this.#holder.hidden = true;
    this.#holder.replaceChildren();
    this.#onClose();
    if (this.#before instanceof HTMLElement) this.#before.focus({ preventScroll: true });
  }
}

function titleOf({ id, packet }: PacketLife): string {
  if (packet === undefined) return `Packet ${id}`;
  const name = packet.kind === "flood" ? "forged SYN" : packet.kind;
  return `Packet ${id}: ${name}, ${packet.way === "in" ? "to" : "from"} the server`;
}

function contents(life: PacketLife): Node[] {
  if (life.packet === undefined) {
    return [
      element("p", {}, "It was too long ago: only the latest packets are kept. Press another one."),
    ];
  }
  const parts: Node[] = [element("h3", {}, "Its life"), lifeList(life)];
  if (life.rss !== undefined)
    parts.push(element("h3", {}, "What the NIC made of it"), steering(life.rss));
  for (const layer of life.layers) parts.push(element("h3", {}, layer.name), fieldList(layer));
  if (life.bytes.length > 0) parts.push(element("h3", {}, "Bytes"), dump(life.bytes));
  return parts;
}

/** Each moment with the time since the one before. */
function lifeList({ life }: PacketLife): HTMLElement {
  const list = element("ol", { class: "life" });
  life.forEach(({ at, text }, index) => {
    const since = index === 0 ? "" : `+${time(at - life[index - 1].at)}`;
    list.append(
      element(
        "li",
        {},
        element(
          "span",
          { class: "at" },
          `${grouped(Math.floor(at))}.${String(Math.floor((at % 1) * 10))} µs`,
        ),
        element("span", {}, text),
        element("span", { class: "after" }, since),
      ),
    );
  });
  return list;
}

function steering({ input, hash, group, queue, core }: RssLife): HTMLElement {
  return definitions([
    ["Input", input],
    ["Toeplitz hash", `0x${hash.toString(16).padStart(8, "0")}`],
    ["Low 7 bits", `${(hash & 127).toString(2).padStart(7, "0")} = entry ${group}`],
    ["Queue", `${queue}, of core ${core}`],
  ]);
}

function fieldList({ fields }: Layer): HTMLElement {
  return definitions(fields.map(({ name, value }) => [name, value]));
}

function definitions(rows: readonly (readonly [string, string])[]): HTMLElement {
  const list = element("dl");
  for (const [name, value] of rows) list.append(element("dt", {}, name), element("dd", {}, value));
  return list;
}

function dump(bytes: Uint8Array): HTMLElement {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += DUMP_LINE) {
    const line = [...bytes.subarray(at, at + DUMP_LINE)];
    lines.push(line.map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
  }
  return element("pre", { tabindex: 0, "aria-label": "Bytes of the frame" }, lines.join("\n"));
}
