/** Making elements in one expression. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with attributes and children; `true` sets an attribute, `false` and undefined leave it out. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

/** An SVG of one path or more, decorative: screen readers do not meet it. */
export function icon(viewBox: string, ...paths: Attributes[]): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  setAttributes(svg, { viewBox, "aria-hidden": "true" });
  for (const attributes of paths) {
    const path = document.createElementNS(space, "path");
    setAttributes(path, attributes);
    svg.append(path);
  }
  return svg;
}

function setAttributes(target: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) target.setAttribute(name, String(value));
  }
}

export function button(
  text: string,
  onClick: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** Writes a text only when it is another, so that nothing is laid out again for nothing. */
export function write(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
