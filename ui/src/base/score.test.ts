import { expect, it } from "vitest";
import { readScoreValue } from "./score";

it("reads numbers, booleans and labels", () => {
  expect(["0.8", "-1", ".5", "1e-3", "true", "No", "good", "1 star", ""].map(readScoreValue)).toEqual([
    0.8,
    -1,
    0.5,
    0.001,
    true,
    false,
    "good",
    "1 star",
    "",
  ]);
});
