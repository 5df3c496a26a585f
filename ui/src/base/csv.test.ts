import { expect, it } from "vitest";
import { parseCsv } from "./csv";

it("reads quotes, doubled quotes and line breaks", () => {
  expect(parseCsv('a,b\r\n"x, y","say ""hi"""\n"two\nlines",\n')).toEqual([
    ["a", "b"],
    ["x, y", 'say "hi"'],
    ["two\nlines", ""],
  ]);
  expect(parseCsv("a\tb", "\t")).toEqual([["a", "b"]]);
  expect(parseCsv("")).toEqual([]);
  expect(parseCsv("a\nb\nc", ",", 2)).toEqual([["a"], ["b"]]);
});
