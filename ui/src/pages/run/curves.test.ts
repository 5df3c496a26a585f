import { expect, it } from "vitest";
import type { SeriesBucket } from "@/api/types";
import { buildCurves } from "./curves";

const bucket = (step: number, mean: number | string, count = 1): SeriesBucket => ({
  step_min: step,
  step_max: step,
  time_min_ms: step * 10,
  time_max_ms: step * 10,
  first: mean,
  last: mean,
  min: typeof mean === "number" ? mean - 1 : mean,
  max: typeof mean === "number" ? mean + 1 : mean,
  mean,
  count,
  nan_count: 0,
});
const runs = [
  { id: "a", name: "A", color: "#111111", startMs: 5 },
  { id: "b", name: "B", color: "#222222", startMs: null },
];

it("draws one curve per run on a common axis, with gaps for NaN", () => {
  const out = buildCurves(
    [
      { run_id: "a", key: "k", buckets: [bucket(0, 1), bucket(2, "NaN")] },
      { run_id: "b", key: "k", buckets: [bucket(1, 3)] },
    ],
    runs,
    "step",
    0,
  );
  expect(out.x).toEqual([0, 1, 2]);
  expect(out.series.map((s) => s.values)).toEqual([
    [1, undefined, null],
    [undefined, 3, undefined],
  ]);
  expect(out.points).toBe(3);
});

it("adds a band where buckets hold many points and a faint raw curve when smoothing", () => {
  const out = buildCurves(
    [{ run_id: "a", key: "k", buckets: [bucket(0, 1, 50), bucket(1, 2, 50)] }],
    runs,
    "step",
    0.5,
  );
  expect(out.bands).toEqual([{ upper: 0, lower: 1, color: "#111111", alpha: 0.13 }]);
  expect(out.series.map((s) => [s.label, s.quiet ?? false])).toEqual([
    ["", true],
    ["", true],
    ["", true],
    ["A", false],
  ]);
});

it("counts relative time from the run's start", () => {
  expect(
    buildCurves([{ run_id: "a", key: "k", buckets: [bucket(1, 1), bucket(2, 2)] }], runs, "relative", 0).x,
  ).toEqual([5, 15]);
});
