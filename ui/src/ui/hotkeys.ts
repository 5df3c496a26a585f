import { useEffect, useRef } from "react";
import { type Hotkey, HotkeyRegistry, isField } from "@/base/hotkeys";

export const hotkeys = new HotkeyRegistry();
export const isApple = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);

window.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if (hotkeys.press(event, isField(event.target))) event.preventDefault();
});

/** Shortcuts that hold while the component is on the page. `run` may change between renders; `keys` must not. */
export function useHotkeys(keys: readonly Hotkey[], enabled = true): void {
  const latest = useRef(keys);
  latest.current = keys;
  const signature = keys.map((k) => `${k.keys}|${k.label ?? ""}|${k.group ?? ""}|${k.inFields ? 1 : 0}`).join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the signature stands for the list
  useEffect(() => {
    if (!enabled) return undefined;
    return hotkeys.push(
      latest.current.map((key, i) => ({ ...key, run: (event: KeyboardEvent) => latest.current[i]?.run(event) })),
    );
  }, [signature, enabled]);
}
