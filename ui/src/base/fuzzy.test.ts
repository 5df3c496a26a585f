import { expect, it } from "vitest";
import { fuzzy } from "./fuzzy";

it("finds letters in order and prefers whole words", () => {
  expect(fuzzy("xyz", "experiments")).toBe(0);
  expect(fuzzy("exp", "Experiments")).toBeGreaterThan(fuzzy("exp", "an experiment"));
  expect(fuzzy("rf", "random-forest")).toBeGreaterThan(fuzzy("rf", "rxxxxxxxxxxxf"));
  expect(fuzzy("trc", "traces")).toBeGreaterThan(0);
});
