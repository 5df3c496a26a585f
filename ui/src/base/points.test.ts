import { expect, test } from "vitest";
import { lonely } from "./points";

test("a value without neighbours needs a point", () => {
  expect(lonely([1, 2, null, 3, null, null, 4], false)).toEqual([3, 6]);
  expect(lonely([null, null, 5, null], false)).toEqual([2]);
  expect(lonely([1, 2, 3], false)).toEqual([]);
  expect(lonely([null, undefined], false)).toEqual([]);
});

test("a line that goes on across gaps shows all but a single value", () => {
  expect(lonely([null, 5, null, 6], true)).toEqual([]);
  expect(lonely([null, 5, null], true)).toEqual([1]);
});
