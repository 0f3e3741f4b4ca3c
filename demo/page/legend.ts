/** What shapes and colours mean: the picture's own shapes, drawn small. */
import { MAX_CORES } from "../engine/messages.ts";
import { element, icon } from "./dom.ts";

const SHAPES: readonly (readonly [path: string, name: string, style: "fill" | "line"])[] = [
  ["M1 3.5h12v5H1z", "data", "fill"],
  ["M5 4h4v4H5z", "ACK", "fill"],
  ["M7 1l5 5-5 5-5-5z", "SYN", "fill"],
  ["M7 2a4 4 0 1 0 .01 0z", "FIN, reset", "line"],
  ["M7 1.5l4.5 8h-9z", "forged", "fill"],
  ["M2 3.5h10v5H2z", "sent again", "line"],
  ["M3 2l8 8M11 2l-8 8", "lost", "line"],
];

export function buildLegend(holder: HTMLElement): void {
  const swatches = element("span", { class: "swatches" });
  for (let core = 0; core < MAX_CORES; core++) {
    swatches.append(element("i", { style: `background: var(--core-${core})` }));
  }
  holder.append(
    element("span", {}, element("b", {}, "Colour"), swatches, "the flow’s core"),
    element("span", {}, element("b", {}, "Shape")),
  );
  for (const [d, name, style] of SHAPES) {
    const paint = style === "fill" ? { stroke: "none" } : { fill: "none", "stroke-width": 1.75 };
    const colour = name === "lost" || name === "forged" ? "var(--alarm)" : undefined;
    const attributes = style === "fill" ? { fill: colour } : { stroke: colour };
    holder.append(element("span", {}, icon("0 0 14 12", { d, ...paint, ...attributes }), name));
  }
  holder.append(element("span", {}, element("b", {}, "Filled"), "a stage that runs now"));
}
