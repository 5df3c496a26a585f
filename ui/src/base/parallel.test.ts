import { expect, it } from "vitest";
import { makeAxis } from "./parallel";

it("scales numbers, spreads words, and uses a log scale over two decades", () => {
  expect(makeAxis("a", "a", [0, 5, null, 10], String)?.places).toEqual([0, 0.5, null, 1]);
  expect(makeAxis("a", "a", ["0.0001", "0.01"], String)?.places).toEqual([0, 1]);
  expect(makeAxis("a", "a", [1, 10, 100], String)?.places[1]).toBeCloseTo(0.5, 10);
  expect(makeAxis("a", "a", ["sgd", "adam", "sgd"], String)?.places).toEqual([1, 0, 1]);
  expect(makeAxis("a", "a", [3, 3], String)?.places).toEqual([0.5, 0.5]);
  expect(makeAxis("a", "a", ["", null], String)).toBeNull();
});
