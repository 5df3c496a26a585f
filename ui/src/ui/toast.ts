import { useSyncExternalStore } from "react";

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly tone: "plain" | "ok" | "err";
  readonly action: { readonly label: string; readonly run: () => void } | null;
}

let toasts: readonly Toast[] = [];
let counter = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Say something briefly in the corner. Errors stay longer, and anything with an action stays long enough to take it. */
export function toast(text: string, options: Partial<Pick<Toast, "tone" | "action">> = {}): void {
  counter += 1;
  const item: Toast = { id: counter, text, tone: options.tone ?? "plain", action: options.action ?? null };
  set([...toasts.slice(-3), item]);
  window.setTimeout(() => dismiss(item.id), item.action || item.tone === "err" ? 8_000 : 3_500);
}

export function dismiss(id: number): void {
  set(toasts.filter((t) => t.id !== id));
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
