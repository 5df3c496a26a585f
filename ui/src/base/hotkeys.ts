/**
 * Keyboard shortcuts. Scopes stack: the innermost one that knows a key gets it, so a peek panel's `Escape` closes the
 * panel and nothing else. Keys are written `j`, `shift+j`, `mod+k` (⌘ on Apple, Ctrl elsewhere), `g t` (one after another).
 */

export interface Hotkey {
  readonly keys: string;
  /** What it does, for the cheat sheet; without a label it is not listed. */
  readonly label?: string;
  readonly group?: string;
  /** Also while a text field has the focus. */
  readonly inFields?: boolean;
  /** Return false to let outer scopes have the key. */
  readonly run: (event: KeyboardEvent) => unknown;
}

const PAUSE_MS = 900;

/** `mod+k`, `shift+arrowdown`, `?`: shift is named only where the character does not already say so. */
export function keyName(event: Pick<KeyboardEvent, "key" | "metaKey" | "ctrlKey" | "altKey" | "shiftKey">): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const letter = /^[a-z]$/.test(key);
  const printable = key.length === 1 && !letter;
  return [
    event.metaKey || event.ctrlKey ? "mod" : "",
    event.altKey ? "alt" : "",
    event.shiftKey && !printable ? "shift" : "",
    key,
  ]
    .filter(Boolean)
    .join("+");
}

export class HotkeyRegistry {
  #scopes: { readonly keys: readonly Hotkey[] }[] = [];
  #pending = "";
  #pendingAt = 0;
  #listeners = new Set<() => void>();
  #snapshot: readonly Hotkey[] = [];

  /** Put a scope on top; call the answer to take it away. */
  push(keys: readonly Hotkey[]): () => void {
    const scope = { keys };
    this.#scopes.push(scope);
    this.#changed();
    return () => {
      this.#scopes = this.#scopes.filter((s) => s !== scope);
      this.#changed();
    };
  }

  /** All labelled keys, innermost first, each key once. */
  list = (): readonly Hotkey[] => this.#snapshot;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #changed(): void {
    const seen = new Set<string>();
    this.#snapshot = [...this.#scopes].reverse().flatMap((s) =>
      s.keys.filter((k) => {
        if (!k.label || seen.has(k.keys)) return false;
        seen.add(k.keys);
        return true;
      }),
    );
    for (const listener of this.#listeners) listener();
  }

  /**
   * Handle one key press; true when some scope took it. A busy page handles keys late, so the second key of a sequence counts
   * from when it was pressed (`event.timeStamp`), to when the first was handled.
   */
  press(event: KeyboardEvent, inField: boolean, handled = performance.now()): boolean {
    const name = keyName(event);
    if (["shift", "control", "meta", "alt", "shift+shift", "mod+control", "mod+meta", "alt+alt"].includes(name))
      return false;
    const chord =
      this.#pending !== "" && event.timeStamp - this.#pendingAt < PAUSE_MS ? `${this.#pending} ${name}` : null;
    this.#pending = "";
    for (const wanted of chord ? [chord, name] : [name]) {
      for (let i = this.#scopes.length - 1; i >= 0; i--) {
        for (const hotkey of this.#scopes[i]?.keys ?? []) {
          if (hotkey.keys !== wanted || (inField && !hotkey.inFields)) continue;
          if (hotkey.run(event) !== false) return true;
        }
      }
    }
    if (!inField && this.#scopes.some((s) => s.keys.some((k) => k.keys.startsWith(`${name} `)))) {
      this.#pending = name;
      this.#pendingAt = handled;
    }
    return false;
  }
}

/** Does typing here mean text? */
export function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  const tag = target.tagName;
  if (tag === "TEXTAREA" || tag === "SELECT") return true;
  return tag === "INPUT" && !["checkbox", "radio", "button", "range"].includes((target as HTMLInputElement).type);
}

/** How keys are printed: `mod+k` → `⌘K` or `Ctrl K`. */
export function keyCaps(keys: string, apple: boolean): string[] {
  return keys.split(/[ +]/).map((part) => {
    const named: Record<string, string> = {
      mod: apple ? "⌘" : "Ctrl",
      shift: apple ? "⇧" : "Shift",
      alt: apple ? "⌥" : "Alt",
      enter: "↵",
      escape: "Esc",
      arrowdown: "↓",
      arrowup: "↑",
      arrowleft: "←",
      arrowright: "→",
      space: "Space",
    };
    return named[part] ?? (part.length === 1 ? part.toUpperCase() : part);
  });
}
