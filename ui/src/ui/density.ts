import { useSyncExternalStore } from "react";

export type Density = "compact" | "comfortable";

const KEY = "twinlens.density";
const listeners = new Set<() => void>();

function current(): Density {
  return document.documentElement.dataset.density === "comfortable" ? "comfortable" : "compact";
}

export function setDensity(density: Density): void {
  document.documentElement.dataset.density = density;
  try {
    localStorage.setItem(KEY, density);
  } catch {
    // Storage may be blocked; the choice lasts for this page.
  }
  for (const listener of listeners) listener();
}

export function useDensity(): Density {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
}

/** Height of a table row in pixels, as the token `--row` says. */
export function rowHeight(density: Density): number {
  return density === "compact" ? 32 : 40;
}
