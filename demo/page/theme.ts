/**
 * Light or dark: as the system has it, also when that changes, until the reader chooses. The page begins
 * with the right one (index.html); `data-theme` always says which that is.
 */
const KEY = "theme";

export function startTheme(toggle: HTMLButtonElement): void {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let isChosen = recall() !== null;
  const isDark = (): boolean => root.dataset.theme === "dark";
  const wear = (theme: string): void => {
    root.dataset.theme = theme;
    toggle.setAttribute("aria-pressed", String(isDark()));
  };
  toggle.addEventListener("click", () => {
    isChosen = true;
    wear(isDark() ? "light" : "dark");
    remember(root.dataset.theme!);
  });
  system.addEventListener("change", () => {
    if (!isChosen) wear(system.matches ? "dark" : "light");
  });
  wear(root.dataset.theme!);
}

function recall(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(theme: string): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A page without storage keeps the theme until it is left.
  }
}
