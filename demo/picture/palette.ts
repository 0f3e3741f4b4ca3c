/** The colours of the canvas: those of the style sheet, read anew when the theme changes. */
import { MAX_CORES } from "../engine/messages.ts";

export interface Palette {
  readonly plate: string;
  readonly well: string;
  readonly ink: string;
  readonly ink2: string;
  readonly ink3: string;
  readonly line: string;
  readonly line2: string;
  readonly alarm: string;
  readonly sans: string;
  readonly dark: boolean;
  readonly cores: readonly string[];
  /** Text on a core's colour. */
  readonly onCores: readonly string[];
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const cores = Array.from({ length: MAX_CORES }, (_, core) => read(`core-${core}`));
  return {
    plate: read("plate"),
    well: read("well"),
    ink: read("ink"),
    ink2: read("ink-2"),
    ink3: read("ink-3"),
    line: read("line"),
    line2: read("line-2"),
    alarm: read("alarm"),
    sans: read("sans"),
    dark: read("color-scheme") === "dark" || style.colorScheme === "dark",
    cores,
    onCores: cores.map(readable),
  };
}

/** Black or white, whichever reads better on a colour of the form #rrggbb (WCAG's contrast). */
function readable(colour: string): string {
  const channel = (at: number): number => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? "#ffffff" : "#0d1412";
}

/** Calls back when the reader's theme changes, by the button or by the system. */
export function onThemeChange(callback: () => void): void {
  new MutationObserver(callback).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });
}
