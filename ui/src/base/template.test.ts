import { expect, test } from "vitest";
import { asText, diffLines, fill, inFolder, variablesOf } from "./template";

const chat = [
  { role: "system", content: "You are {{ tone }}." },
  { type: "placeholder", name: "history" },
  { role: "user", content: "{{question}} {{tone}}" },
];

test("variables are found once, in order, in text and chat", () => {
  expect(variablesOf("{{a}} {{ b }} {{a}} {c}")).toEqual(["a", "b"]);
  expect(variablesOf(chat)).toEqual(["tone", "question"]);
});

test("values fill variables; unknown ones stay", () => {
  expect(fill("{{a}} and {{ b }}", { a: "1" })).toBe("1 and {{ b }}");
});

test("a chat reads as one text", () => {
  expect(asText(chat)).toBe("[system]\nYou are {{ tone }}.\n\n[placeholder history]\n\n[user]\n{{question}} {{tone}}");
});

test("a diff holds both texts and nothing else", () => {
  const [before, after] = ["a\nb\nc\nd", "a\nc\nx\nd\ne"];
  const lines = diffLines(before, after);
  expect(lines.filter((l) => l.kind !== "added").map((l) => l.text)).toEqual(before.split("\n"));
  expect(lines.filter((l) => l.kind !== "removed").map((l) => l.text)).toEqual(after.split("\n"));
  expect(lines.filter((l) => l.kind === "same").map((l) => l.text)).toEqual(["a", "c", "d"]);
  expect(diffLines("same", "same")).toEqual([{ kind: "same", text: "same" }]);
});

test("names with slashes stand in folders", () => {
  const rows = ["a", "b/c", "b/d/e", "b/d/f"].map((name) => ({ name }));
  expect(inFolder(rows, "")).toEqual({ folders: [{ folder: "b/", count: 3 }], here: [{ name: "a" }] });
  expect(inFolder(rows, "b/")).toEqual({ folders: [{ folder: "b/d/", count: 2 }], here: [{ name: "b/c" }] });
});
