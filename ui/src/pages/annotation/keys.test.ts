import { expect, it } from "vitest";
import type { ScoreConfigRow } from "@/api/types";
import { choicesOf, pressed, readNumber } from "./keys";

const config = (more: Partial<ScoreConfigRow>): ScoreConfigRow =>
  ({
    config_id: "c",
    name: "n",
    data_type: "CATEGORICAL",
    categories: [],
    multi_select: false,
    positive_label: null,
    negative_label: null,
    min_value: null,
    max_value: null,
    ...more,
  }) as ScoreConfigRow;

it("gives every choice a number and a letter of its own", () => {
  const categories = ["good", "bad", "so so", "goblin"].map((label, value) => ({ label, value }));
  const keys = choicesOf(config({ categories })).map((c) => c.keys);
  expect(keys).toEqual([["1", "o"], ["2", "b"], ["3"], ["4", "l"]]);
  expect(new Set(keys.flat()).size).toBe(keys.flat().length);
});

it("answers yes and no", () => {
  expect(choicesOf(config({ data_type: "BOOLEAN" })).map((c) => c.keys)).toEqual([
    ["1", "y"],
    ["2", "n"],
  ]);
});

it("takes a choice back when it is pressed again", () => {
  const categories = ["a", "b"].map((label, value) => ({ label, value }));
  const one = config({ categories });
  const [a, b] = choicesOf(one);
  if (!a || !b) throw new Error("two choices");
  expect(pressed(one, undefined, a)).toBe("a");
  expect(pressed(one, "a", a)).toBeUndefined();
  const many = config({ categories, multi_select: true });
  expect(pressed(many, ["a"], b)).toEqual(["a", "b"]);
  expect(pressed(many, ["a"], a)).toBeUndefined();
});

it("reads numbers within their bounds", () => {
  const stars = config({ data_type: "NUMERIC", min_value: 1, max_value: 5 });
  expect(readNumber(stars, "4.5")).toEqual({ value: 4.5 });
  expect(readNumber(stars, "6")).toEqual({ problem: "At most 5" });
  expect(readNumber(stars, "x")).toEqual({ problem: "Not a number" });
  expect(readNumber(stars, " ")).toEqual({});
});
