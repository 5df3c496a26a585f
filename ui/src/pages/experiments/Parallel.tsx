import { useMemo, useRef, useState } from "react";
import type { RunCompare } from "@/api/types";
import { usePageSearch, useSetSearch } from "@/app/url";
import { metric, shortId } from "@/base/format";
import { type Axis, makeAxis } from "@/base/parallel";
import { metricNumber, readColumns, writeColumns } from "@/base/runs";
import { ColumnMenu } from "@/ui/ColumnMenu";
import { Empty } from "@/ui/State";
import css from "./Experiment.module.css";

const WIDTH = 1_200;
const HEIGHT = 420;
const TOP = 40;
const BOTTOM = 24;
const SIDE = 90;

/** Each run a line through its params and metrics; drag along an axis to keep only the lines that pass there. */
export function Parallel({
  data,
  colors,
}: {
  readonly data: RunCompare;
  readonly colors: ReadonlyMap<string, string>;
}) {
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const all = useMemo(() => {
    const params = [...new Set(data.runs.flatMap((r) => Object.keys(r.params ?? {})))].sort();
    const metrics = [...new Set(data.runs.flatMap((r) => Object.keys(r.metrics ?? {})))].sort();
    return [
      ...params.map((k) => ({ id: `p:${k}`, label: k, group: "Params" })),
      ...metrics.map((k) => ({ id: `m:${k}`, label: k, group: "Metrics" })),
    ];
  }, [data]);
  const usual = useMemo(
    () => [
      ...data.differing_params.slice(0, 5).map((k) => `p:${k}`),
      ...data.differing_metrics
        .filter((k) => !k.startsWith("system/"))
        .slice(0, 3)
        .map((k) => `m:${k}`),
    ],
    [data],
  );
  const shown = search.axes ? readColumns(search.axes) : usual;
  const axes = shown.flatMap((id): Axis[] => {
    const key = id.slice(2);
    const made = makeAxis(
      id,
      key,
      data.runs.map((r) => (id.startsWith("p:") ? r.params?.[key] : metricNumber(r.metrics?.[key]?.value))),
      metric,
    );
    return made ? [made] : [];
  });
  const [brushes, setBrushes] = useState<Readonly<Record<string, readonly [number, number]>>>({});
  const drag = useRef<{ id: string; from: number } | null>(null);
  const x = (i: number) => SIDE + (axes.length === 1 ? 0.5 : i / (axes.length - 1)) * (WIDTH - 2 * SIDE);
  const y = (at: number) => TOP + (1 - at) * (HEIGHT - TOP - BOTTOM);
  const place = (event: React.PointerEvent<SVGRectElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, 1 - (event.clientY - box.top) / box.height));
  };
  const passes = (row: number) =>
    axes.every((axis) => {
      const brush = brushes[axis.id];
      const at = axis.places[row];
      return !brush || (at !== null && at !== undefined && at >= brush[0] && at <= brush[1]);
    });
  return (
    <div className={css.parallel}>
      <ColumnMenu
        choices={all}
        shown={shown}
        onChange={(next) => setSearch({ axes: next === null ? undefined : writeColumns(next) })}
      />
      {axes.length < 2 ? (
        <Empty title="Pick two or more axes">These runs differ in too little to draw by themselves.</Empty>
      ) : (
        <svg
          className={css.plot}
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          role="img"
          aria-label={`Parallel coordinates of ${data.runs.length} runs over ${axes.map((a) => a.label).join(", ")}`}
        >
          {data.runs.map((run, row) => {
            let path = "";
            axes.forEach((axis, i) => {
              const at = axis.places[row];
              if (at === null || at === undefined) return;
              path += `${path === "" ? "M" : "L"}${x(i).toFixed(1)},${y(at).toFixed(1)}`;
            });
            return (
              <path key={run.run_id} d={path} stroke={colors.get(run.run_id)} data-faint={!passes(row)}>
                <title>{run.name || shortId(run.run_id)}</title>
              </path>
            );
          })}
          {axes.map((axis, i) => {
            const brush = brushes[axis.id];
            return (
              <g key={axis.id}>
                <line className={css.axis} x1={x(i)} x2={x(i)} y1={y(0)} y2={y(1)} />
                <text className={css.axisname} x={x(i)} y={18} textAnchor="middle">
                  {axis.label.length > 24 ? `${axis.label.slice(0, 23)}…` : axis.label}
                </text>
                {axis.ticks.map((tick) => (
                  <text key={tick.at} x={x(i) + 6} y={y(tick.at) + 4}>
                    {tick.text.length > 14 ? `${tick.text.slice(0, 13)}…` : tick.text}
                  </text>
                ))}
                {brush ? (
                  <rect
                    className={css.brush}
                    x={x(i) - 7}
                    width={14}
                    y={y(brush[1])}
                    height={Math.max(2, y(brush[0]) - y(brush[1]))}
                  />
                ) : null}
                <rect
                  className={css.hit}
                  x={x(i) - 12}
                  width={24}
                  y={y(1)}
                  height={y(0) - y(1)}
                  onPointerDown={(event) => {
                    event.currentTarget.setPointerCapture(event.pointerId);
                    drag.current = { id: axis.id, from: place(event) };
                  }}
                  onPointerMove={(event) => {
                    const from = drag.current?.id === axis.id ? drag.current.from : null;
                    if (from === null) return;
                    const to = place(event);
                    setBrushes({ ...brushes, [axis.id]: [Math.min(from, to), Math.max(from, to)] });
                  }}
                  onPointerUp={(event) => {
                    if (drag.current && Math.abs(place(event) - drag.current.from) < 0.01) {
                      const { [axis.id]: _gone, ...rest } = brushes;
                      setBrushes(rest);
                    }
                    drag.current = null;
                  }}
                />
              </g>
            );
          })}
        </svg>
      )}
    </div>
  );
}
