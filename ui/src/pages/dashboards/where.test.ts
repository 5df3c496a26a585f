import { expect, it } from "vitest";
import { filterText, parseWhere } from "./where";

it("reads terms with quotes, and lists by their own operator", () => {
  expect(parseWhere('environment:production userId:"a \\"b\\"" tags:eu word')).toEqual([
    { type: "stringOptions", column: "environment", operator: "any of", value: ["production"] },
    { type: "stringOptions", column: "userId", operator: "any of", value: ['a "b"'] },
    { type: "arrayOptions", column: "tags", operator: "any of", value: ["eu"] },
  ]);
  expect(filterText({ type: "stringOptions", column: "type", operator: "any of", value: ["A", "B"] })).toBe(
    "type any of A, B",
  );
});
