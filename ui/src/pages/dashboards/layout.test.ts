import { describe, expect, it } from "vitest";
import { columnLabel, curves, formatOf, moveTo, pack, periods, stacked, words } from "./layout";

const tile = (id: string, width: number, x = 0, y = 0) => ({ id, x, y, width, height: 6 });

describe("the grid", () => {
  it("fills rows from the left", () => {
    const placed = pack([tile("a", 6), tile("b", 6), tile("c", 8), tile("d", 6)]);
    expect(placed.map((t) => [t.x, t.y])).toEqual([
      [0, 0],
      [6, 0],
      [0, 6],
      [0, 12],
    ]);
  });
  it("moves a tile into another's place", () => {
    const tiles = [tile("a", 6, 0, 0), tile("b", 6, 6, 0), tile("c", 6, 0, 6)];
    expect(moveTo(tiles, "c", "a").map((t) => [t.id, t.x, t.y])).toEqual([
      ["c", 0, 0],
      ["a", 6, 0],
      ["b", 0, 6],
    ]);
    expect(moveTo(tiles, "a", "c").map((t) => t.id)).toEqual(["b", "c", "a"]);
    expect(moveTo(tiles, "a", "absent").map((t) => t.id)).toEqual(["a", "b", "c"]);
  });
});

describe("series", () => {
  const rows = [
    { time_ms: 0, model: "a", sum_cost: 1 },
    { time_ms: 60_000, model: "b", sum_cost: 5 },
    { time_ms: 120_000, model: "a", sum_cost: 2 },
  ];
  const metrics = [{ column: "sum_cost", label: "sum cost" }];
  it("has a curve for each group, the largest first, and no gaps", () => {
    const x = periods(rows, 0, 180_000);
    expect(x).toEqual([0, 60_000, 120_000]);
    const found = curves(rows, x, "model", metrics, 0);
    expect(found).toEqual([
      { label: "b", values: [0, 5, 0] },
      { label: "a", values: [1, 0, 2] },
    ]);
    expect(stacked(found)).toEqual([
      [1, 5, 2],
      [1, 0, 2],
    ]);
  });
  it("names metrics when there is no dimension", () => {
    expect(curves(rows, [0], undefined, metrics, null)).toEqual([{ label: "sum cost", values: [1] }]);
  });
});

it("writes values as their measure is read", () => {
  expect(formatOf("totalCost", "sum")(1.5)).toBe("$1.50");
  expect(formatOf("latency", "p95")(1500)).toBe("1.50s");
  expect(formatOf("totalCost", "count")(1500)).toBe("1.5k");
  expect(columnLabel("latency", "p95")).toBe("p95 latency");
  expect(words("promptName")).toBe("prompt name");
});
