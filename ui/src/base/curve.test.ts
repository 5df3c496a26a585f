import { describe, expect, it } from "vitest";
import { colorOf, colorsFor, RUN_COLORS } from "./color";
import { align, smooth } from "./curve";

describe("smooth", () => {
  it("keeps a constant constant from the first point on", () => {
    for (const y of smooth([5, 5, 5], 0.9)) expect(y).toBeCloseTo(5, 10);
  });
  it("keeps gaps and returns the input for weight 0", () => {
    expect(smooth([1, null, Number.NaN, 3], 0)).toEqual([1, null, Number.NaN, 3]);
    const out = smooth([1, null, Number.NaN, 3], 0.5);
    expect(out[1]).toBeNull();
    expect(out[2]).toBeNull();
    expect(out[3]).toBeCloseTo((0.5 * 0.5 * 1 + 0.5 * 3) / (1 - 0.25), 10);
  });
});

describe("align", () => {
  it("joins curves with different steps", () => {
    const { x, ys } = align([
      { x: [0, 2], y: [1, 2] },
      { x: [1, 2], y: [3, null] },
    ]);
    expect(x).toEqual([0, 1, 2]);
    expect(ys).toEqual([
      [1, undefined, 2],
      [undefined, 3, null],
    ]);
  });
});

describe("colours", () => {
  it("are stable by id and distinct within a chart", () => {
    expect(colorOf("run-1")).toBe(colorOf("run-1"));
    const ids = Array.from({ length: RUN_COLORS.length }, (_, i) => `run-${i}`);
    expect(new Set(colorsFor(ids).values()).size).toBe(RUN_COLORS.length);
  });
});
