import type { Series, SeriesBucket } from "@/api/types";
import { align, smooth } from "@/base/curve";
import { metricNumber } from "@/base/runs";
import type { ChartBand, ChartSeries } from "@/ui/Chart";

export interface CurveRun {
  readonly id: string;
  readonly name: string;
  readonly color: string;
  readonly startMs: number | null;
}

export type XAxis = "step" | "time" | "relative";

export interface Curves {
  readonly x: number[];
  readonly series: ChartSeries[];
  readonly bands: ChartBand[];
  /** Points behind the drawn buckets. */
  readonly points: number;
}

/** More curves than this have no bands: they would only make a fog. */
const BANDS_UP_TO = 6;

/**
 * What a chart draws: per run the mean of each bucket, smoothed; the unsmoothed curve behind it, faint; and where a
 * bucket holds many points, the range between their least and greatest.
 */
export function buildCurves(data: readonly Series[], runs: readonly CurveRun[], xAxis: XAxis, weight: number): Curves {
  const lists = runs.flatMap((run) => {
    const found = data.find((s) => s.run_id === run.id);
    return found && found.buckets.length > 0 ? [{ run, buckets: found.buckets }] : [];
  });
  const joined = align(
    lists.map(({ run, buckets }) => {
      const origin = xAxis === "relative" ? (run.startMs ?? buckets[0]?.time_min_ms ?? 0) : 0;
      return { x: buckets.map((b) => xOf(b, xAxis) - origin), y: buckets.map((_, i) => i) };
    }),
  );
  const series: ChartSeries[] = [];
  const bands: ChartBand[] = [];
  let points = 0;
  lists.forEach(({ run, buckets }, i) => {
    const slots = joined.ys[i] ?? [];
    const place = (values: readonly (number | null)[]) =>
      slots.map((slot) => (slot === undefined || slot === null ? slot : (values[slot] ?? null)));
    const mean = buckets.map((b) => finite(b.mean));
    points += buckets.reduce((n, b) => n + b.count, 0);
    if (lists.length <= BANDS_UP_TO && buckets.some((b) => b.count > 1)) {
      bands.push({ upper: series.length, lower: series.length + 1, color: run.color, alpha: 0.13 });
      series.push({
        label: "",
        color: run.color,
        alpha: 0,
        width: 0,
        quiet: true,
        values: place(buckets.map((b) => finite(b.max))),
      });
      series.push({
        label: "",
        color: run.color,
        alpha: 0,
        width: 0,
        quiet: true,
        values: place(buckets.map((b) => finite(b.min))),
      });
    }
    if (weight > 0)
      series.push({ label: "", color: run.color, alpha: 0.25, width: 1, quiet: true, values: place(mean) });
    series.push({
      label: run.name,
      color: run.color,
      values: place(weight > 0 ? smooth(mean, weight) : mean),
      width: 1.75,
    });
  });
  return { x: joined.x, series, bands, points };
}

/** Where a bucket stands on the axis: at its newest point, so that a growing curve grows to the right. */
function xOf(bucket: SeriesBucket, axis: XAxis): number {
  return axis === "step" ? bucket.step_max : bucket.time_max_ms;
}

function finite(value: number | string | null): number | null {
  const number = metricNumber(value);
  return number !== null && Number.isFinite(number) ? number : null;
}
