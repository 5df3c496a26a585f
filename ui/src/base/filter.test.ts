import { describe, expect, it } from "vitest";
import { addTerm, completionAt, pickedValues, setField, toggleValue, topTerms, writeTerm } from "./filter";

const terms = (text: string) => topTerms(text).terms.map(({ start: _s, end: _e, ...rest }) => rest);

describe("topTerms", () => {
  it("reads comparisons outside parentheses", () => {
    expect(
      terms('status:error -user:bob latency>=2s score.quality<0.5 "free" word (tag:a OR tag:b) model:x,"a, b"'),
    ).toEqual([
      { field: "status", key: null, op: ":", values: ["error"], not: false },
      { field: "user", key: null, op: ":", values: ["bob"], not: true },
      { field: "latency", key: null, op: ">=", values: ["2s"], not: false },
      { field: "score", key: "quality", op: "<", values: ["0.5"], not: false },
      { field: "model", key: null, op: ":", values: ["x", "a, b"], not: false },
    ]);
    expect(topTerms("a:1 OR b:2").alternatives).toBe(true);
    expect(topTerms("(a:1 OR b:2)").alternatives).toBe(false);
  });
  it("lets values run on over touching operators", () => {
    expect(terms("start>2026-01-01T10:00 model:anthropic:claude")).toMatchObject([
      { values: ["2026-01-01T10:00"] },
      { values: ["anthropic:claude"] },
    ]);
  });
  it("survives anything", () => {
    for (const text of ['"open', "::", ")(", "a:", "-", "!", "a:,b", "((((", '\\"'])
      expect(() => topTerms(text)).not.toThrow();
  });
});

describe("editing", () => {
  it("toggles values in place and keeps the rest", () => {
    let text = 'cost>1 "free text" (tag:a OR tag:b)';
    text = toggleValue(text, "model", null, "gpt-4o");
    text = toggleValue(text, "model", null, "a b");
    expect(text).toBe('cost>1 "free text" (tag:a OR tag:b) model:gpt-4o,"a b"');
    expect([...pickedValues(text, "model")]).toEqual(["gpt-4o", "a b"]);
    expect(toggleValue(toggleValue(text, "model", null, "a b"), "model", null, "gpt-4o")).toBe(
      'cost>1 "free text" (tag:a OR tag:b)',
    );
  });
  it("keeps alternatives together", () => {
    expect(toggleValue("a:1 OR b:2", "model", null, "x")).toBe("(a:1 OR b:2) model:x");
    expect(addTerm("", "a:1")).toBe("a:1");
  });
  it("replaces a field", () => {
    expect(setField("latency>1s name:x latency<2s", "latency", "latency>5s")).toBe("name:x latency>5s");
    expect(setField("latency>1s", "latency", null)).toBe("");
  });
  it("quotes what needs it", () => {
    expect(
      writeTerm({ field: "metadata", key: "plan", op: ":", values: ['a"b', "x*", "-1", "OR", "a:b"], not: true }),
    ).toBe('-metadata.plan:"a\\"b","x*","-1","OR","a:b"');
    const odd = ['a"b', "x*y", "-1", "a,b", "(x)", "back\\slash", "a=b"];
    expect(terms(writeTerm({ field: "f", key: null, op: ":", values: odd, not: false }))[0]?.values).toEqual(odd);
  });
});

describe("completionAt", () => {
  it("knows whether a field or a value is being typed", () => {
    expect(completionAt("status:error mod", 16)).toMatchObject({ kind: "field", prefix: "mod", start: 13, end: 16 });
    expect(completionAt("-us", 3)).toMatchObject({ kind: "field", prefix: "us", start: 1 });
    expect(completionAt("model:gpt", 9)).toMatchObject({
      kind: "value",
      field: "model",
      prefix: "gpt",
      start: 6,
      end: 9,
    });
    expect(completionAt("model:", 6)).toMatchObject({ kind: "value", field: "model", prefix: "", start: 6 });
    expect(completionAt("model:gpt-4o,cl", 15)).toMatchObject({
      kind: "value",
      field: "model",
      prefix: "cl",
      start: 13,
    });
    expect(completionAt('user:"ann a', 11)).toMatchObject({ kind: "value", field: "user", prefix: "ann a", start: 5 });
    expect(completionAt("score.qu", 8)).toMatchObject({ kind: "field", prefix: "score.qu" });
    expect(completionAt("a:1 ", 4)).toMatchObject({ kind: "field", prefix: "", start: 4 });
    expect(completionAt("", 0)).toMatchObject({ kind: "field", prefix: "" });
  });
});
