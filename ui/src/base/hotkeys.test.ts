import { describe, expect, it } from "vitest";
import { HotkeyRegistry, keyName } from "./hotkeys";

const press = (key: string, mods: Partial<KeyboardEvent> = {}) =>
  ({ key, timeStamp: 0, metaKey: false, ctrlKey: false, altKey: false, shiftKey: false, ...mods }) as KeyboardEvent;

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
    const at = (key: string, timeStamp: number, handled = timeStamp) =>
      registry.press(press(key, { timeStamp }), false, handled);
    at("g", 1_000);
    at("t", 1_200);
    at("g", 5_000);
    at("t", 9_000);
    expect(seen).toEqual(["traces", "t"]);
    at("g", 11_000, 14_000); // a page that is busy handles keys late
    at("t", 11_200, 16_000);
    expect(seen.at(-1)).toBe("traces");
  });
  it("names keys", () => {
    expect(keyName(press("?", { shiftKey: true }))).toBe("?");
    expect(keyName(press("J", { shiftKey: true }))).toBe("shift+j");
    expect(keyName(press("ArrowDown", { shiftKey: true }))).toBe("shift+arrowdown");
  });
});
