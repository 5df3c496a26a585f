import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** Contrast of the tokens, as WCAG 2.2 computes it, in both themes. */
const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");

function theme(name: "light" | "dark"): Map<string, string> {
  const start = css.indexOf(`[data-mantine-color-scheme="${name}"]`);
  const body = css.slice(start, css.indexOf("}", start));
  return new Map([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map(([, key = "", value = ""]) => [key, value]));
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ["bg", "surface", "sunken", "raised", "hover"];
const PAIRS: [string, string, number][] = [
  ...GROUNDS.flatMap((g): [string, string, number][] => [
    ["text", g, 7],
    ["text-2", g, 4.5],
    ["text-3", g, 4.5],
    ["accent-text", g, 4.5],
    ["err", g, 4.5],
    ["focus", g, 3],
  ]),
  ["on-accent", "accent", 4.5],
  ["accent-text", "accent-weak", 4.5],
  ["ok", "ok-weak", 4.5],
  ["warn", "warn-weak", 4.5],
  ["err", "err-weak", 4.5],
  ["text", "selected", 7],
  ["text-3", "selected", 4.5],
  ...["generation", "agent", "tool", "retriever", "embedding", "evaluator", "guardrail", "other"].map(
    (k): [string, string, number] => [`kind-${k}`, "surface", 3],
  ),
  ...["key", "string", "number", "literal"].map((k): [string, string, number] => [`json-${k}`, "surface", 4.5]),
];

describe.each(["light", "dark"] as const)("%s", (name) => {
  const tokens = theme(name);
  it.each(PAIRS)("%s on %s is at least %d : 1", (front, ground, least) => {
    const a = tokens.get(front);
    const b = tokens.get(ground);
    expect(a && b, `${front} and ${ground} are tokens`).toBeTruthy();
    if (a && b) expect(contrast(a, b)).toBeGreaterThanOrEqual(least);
  });
});
