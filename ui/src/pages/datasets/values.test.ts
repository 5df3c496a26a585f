import { expect, it } from "vitest";
import { parsed, pretty, preview, regressed } from "./values";

it.each([null, "plain text", '"quoted"', "12", 12, true, { a: [1, "b"] }, "", [] as unknown[]])(
  "%j survives being edited",
  (value) => expect(parsed(pretty(value))).toEqual(value === "" ? null : value),
);

it("shows one short line", () => {
  expect(preview({ a: 1 })).toBe('{"a":1}');
  expect(preview("x".repeat(999))).toHaveLength(300);
  expect(preview(undefined)).toBe("–");
});

it("finds what got worse", () => {
  const cell = (scores: Record<string, unknown>, error = false) => ({ scores, error });
  expect(regressed(cell({ a: 1 }), cell({ a: 0.5 }))).toBe(true);
  expect(regressed(cell({ a: true }), cell({ a: false }))).toBe(true);
  expect(regressed(cell({ a: 0.5 }), cell({ a: 1 }))).toBe(false);
  expect(regressed(cell({ a: "x" }), cell({ a: "y" }))).toBe(false);
  expect(regressed(cell({}), cell({}, true))).toBe(true);
  expect(regressed(null, cell({ a: 0 }))).toBe(false);
});
