import { describe, expect, it } from "vitest";
import { buildTree, extent, searchRows, type TreeSpan, ticks, visibleRows } from "./tree";

const span = (id: string, parentId: string | null, startMs: number, endMs: number | null = startMs + 1): TreeSpan => ({
  id,
  parentId,
  name: id,
  startMs,
  endMs,
});

describe("buildTree", () => {
  it("orders siblings by start and counts descendants", () => {
    const forest = buildTree([span("c", "a", 3), span("a", null, 1), span("b", "a", 2), span("d", "b", 4)]);
    expect(visibleRows(forest, new Set()).map((n) => [n.span.id, n.depth, n.size])).toEqual([
      ["a", 0, 3],
      ["b", 1, 1],
      ["d", 2, 0],
      ["c", 1, 0],
    ]);
    expect(visibleRows(forest, new Set(["b"])).map((n) => n.span.id)).toEqual(["a", "b", "c"]);
  });
  it("shows orphans as roots and cuts cycles", () => {
    const forest = buildTree([span("x", "missing", 1), span("p", "q", 2), span("q", "p", 3), span("s", "s", 4)]);
    expect(visibleRows(forest, new Set()).map((n) => n.span.id)).toEqual(["x", "s", "p", "q"]);
  });
  it("takes 30,000 spans, also as one deep chain, without recursion", () => {
    const deep = Array.from({ length: 30_000 }, (_, i) => span(`s${i}`, i === 0 ? null : `s${i - 1}`, i));
    const started = performance.now();
    const forest = buildTree(deep);
    expect(visibleRows(forest, new Set()).length).toBe(30_000);
    expect(forest[0]?.size).toBe(29_999);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("searchRows", () => {
  it("keeps the path to every match", () => {
    const forest = buildTree([span("a", null, 1), span("b", "a", 2), span("c", "b", 3), span("d", "a", 4)]);
    const { rows, hits } = searchRows(forest, (s) => s.name === "c");
    expect(rows.map((n) => n.span.id)).toEqual(["a", "b", "c"]);
    expect([...hits]).toEqual(["c"]);
  });
});

describe("time axis", () => {
  it("covers open spans up to now", () => {
    expect(extent([span("a", null, 100, null), span("b", "a", 120, 130)], 500)).toEqual({ start: 100, end: 500 });
    expect(extent([], 5)).toEqual({ start: 0, end: 1 });
  });
  it("picks round ticks", () => {
    expect(ticks(1000, 5)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticks(37, 4)).toEqual([0, 10, 20, 30]);
  });
});
