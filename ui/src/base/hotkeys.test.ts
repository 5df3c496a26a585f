import { describe, expect, it } from "vitest";
import { HotkeyRegistry, keyName } from "./hotkeys";

const press = (key: string, mods: Partial<KeyboardEvent> = {}) =>
  ({ key, metaKey: false, ctrlKey: false, altKey: false, shiftKey: false, ...mods }) as KeyboardEvent;

describe("HotkeyRegistry", () => {
  it("gives keys to the innermost scope and back when it goes", () => {
    const registry = new HotkeyRegistry();
    const seen: string[] = [];
    registry.push([{ keys: "escape", run: () => void seen.push("outer") }]);
    const pop = registry.push([{ keys: "escape", run: () => void seen.push("inner") }]);
    registry.press(press("Escape"), false);
    pop();
    registry.press(press("Escape"), false);
    expect(seen).toEqual(["inner", "outer"]);
  });
  it("leaves text fields alone unless told otherwise", () => {
    const registry = new HotkeyRegistry();
    registry.push([
      { keys: "j", run: () => undefined },
      { keys: "mod+k", inFields: true, run: () => undefined },
    ]);
    expect(registry.press(press("j"), true)).toBe(false);
    expect(registry.press(press("k", { ctrlKey: true }), true)).toBe(true);
  });
  it("reads sequences, within their time", () => {
    const registry = new HotkeyRegistry();
    const seen: string[] = [];
    registry.push([
      { keys: "g t", run: () => void seen.push("traces") },
      { keys: "t", run: () => void seen.push("t") },
    ]);
    registry.press(press("g"), false, 1_000);
    registry.press(press("t"), false, 1_200);
    registry.press(press("g"), false, 5_000);
    registry.press(press("t"), false, 9_000);
    expect(seen).toEqual(["traces", "t"]);
  });
  it("names keys", () => {
    expect(keyName(press("?", { shiftKey: true }))).toBe("?");
    expect(keyName(press("J", { shiftKey: true }))).toBe("shift+j");
    expect(keyName(press("ArrowDown", { shiftKey: true }))).toBe("shift+arrowdown");
  });
});
