import { useQuery } from "@tanstack/react-query";
import { Maximize2, Pin, ZoomOut } from "lucide-react";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { seriesQuery } from "@/api/queries";
import { metric } from "@/base/format";
import { metricNumber } from "@/base/runs";
import { IconButton } from "@/ui/Button";
import { buildCurves, type CurveRun, type XAxis } from "./curves";
import css from "./MetricChart.module.css";

const Chart = lazy(() => import("@/ui/Chart").then((m) => ({ default: m.Chart })));

export interface ChartSettings {
  readonly x: XAxis;
  readonly smooth: number;
  readonly log: boolean;
}

interface MetricChartProps {
  readonly projectId: string;
  readonly metricKey: string;
  readonly runs: readonly CurveRun[];
  readonly settings: ChartSettings;
  readonly height?: number;
  readonly pinned?: boolean;
  readonly onPin?: () => void;
  readonly onExpand?: () => void;
}

/** One metric of one or more runs. Loads when it comes into sight; zooming asks for finer buckets of that part. */
export function MetricChart({
  projectId,
  metricKey,
  runs,
  settings,
  height = 190,
  pinned,
  onPin,
  onExpand,
}: MetricChartProps) {
  const card = useRef<HTMLElement>(null);
  const [seen, width] = useInSight(card);
  const [range, setRange] = useState<readonly [number, number] | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another axis, another range
  useEffect(() => setRange(null), [settings.x]);
  const ids = useMemo(() => runs.map((r) => r.id), [runs]);
  const origin = settings.x === "relative" && runs.length === 1 ? (runs[0]?.startMs ?? 0) : 0;
  const zoomable = settings.x !== "relative" || runs.length === 1;
  const query = useQuery({
    ...seriesQuery(projectId, {
      runIds: ids,
      key: metricKey,
      x: settings.x === "step" ? "step" : "time",
      lower: range && zoomable ? Math.floor(range[0] + origin) : null,
      upper: range && zoomable ? Math.ceil(range[1] + origin) : null,
      buckets: Math.max(100, Math.min(1_600, Math.round(width / 100) * 100 || 400)),
    }),
    enabled: seen,
  });
  const curves = useMemo(
    () => (query.data ? buildCurves(query.data.series, runs, settings.x, settings.smooth) : null),
    [query.data, runs, settings.x, settings.smooth],
  );
  const single =
    curves !== null &&
    range === null &&
    (query.data?.series ?? []).every((s) => s.buckets.reduce((n, b) => n + b.count, 0) <= 1);
  const last = runs.length === 1 ? query.data?.series[0]?.buckets.at(-1)?.last : undefined;
  return (
    <section ref={card} className={css.card} aria-label={metricKey} data-metric={metricKey} data-count={curves?.points}>
      <header className={css.head}>
        <h3 className="ellipsis" title={metricKey}>
          {metricKey}
        </h3>
        {last !== undefined && !single ? <span className={css.last}>{metric(metricNumber(last))}</span> : null}
        {range ? (
          <IconButton label="Zoom out" small onClick={() => setRange(null)}>
            <ZoomOut size={13} aria-hidden="true" />
          </IconButton>
        ) : null}
        {onPin ? (
          <IconButton label={pinned ? "Unpin" : "Pin to the top"} small active={pinned} onClick={onPin}>
            <Pin size={13} aria-hidden="true" fill={pinned ? "currentColor" : "none"} />
          </IconButton>
        ) : null}
        {onExpand ? (
          <IconButton label="Enlarge" small onClick={onExpand}>
            <Maximize2 size={13} aria-hidden="true" />
          </IconButton>
        ) : null}
      </header>
      <div className={css.plot} style={{ height: height + 6 }}>
        {query.isError ? (
          <div className={css.wait} style={{ height }}>
            {query.error.message}
          </div>
        ) : curves === null ? (
          <div className={css.wait} style={{ height }} />
        ) : single ? (
          <Values height={height} runs={runs} values={query.data?.series ?? []} />
        ) : (
          <Suspense fallback={null}>
            <Chart
              label={`${metricKey} over ${settings.x}`}
              x={curves.x}
              xKind={settings.x === "step" ? "number" : settings.x === "time" ? "time" : "elapsed"}
              series={curves.series}
              bands={curves.bands}
              height={height}
              log={settings.log}
              format={metric}
              sync={`metrics-${settings.x}`}
              range={range}
              onRange={setRange}
            />
          </Suspense>
        )}
      </div>
    </section>
  );
}

/** A metric logged once is a number, not a curve; of several runs, bars. */
function Values({
  height,
  runs,
  values,
}: {
  readonly height: number;
  readonly runs: readonly CurveRun[];
  readonly values: readonly { run_id: string; buckets: readonly { last: number | string | null }[] }[];
}) {
  const rows = runs.flatMap((run) => {
    const value = metricNumber(values.find((v) => v.run_id === run.id)?.buckets.at(-1)?.last);
    return value === null ? [] : [{ run, value }];
  });
  if (runs.length === 1) {
    return (
      <div className={css.number} style={{ height }}>
        <strong>{rows[0] ? metric(rows[0].value) : "–"}</strong>
        <span className="muted">{rows[0] ? "logged once" : "no values"}</span>
      </div>
    );
  }
  const most = Math.max(...rows.map((r) => Math.abs(r.value)).filter(Number.isFinite), Number.MIN_VALUE);
  return (
    <div className={css.bars} style={{ height }}>
      {rows
        .sort((a, b) => b.value - a.value)
        .map(({ run, value }) => (
          <div key={run.id} className={css.barline}>
            <span className="ellipsis">{run.name}</span>
            <i style={{ background: run.color, width: `${Math.min(100, (Math.abs(value) / most) * 100)}%` }} />
            <span>{metric(value)}</span>
          </div>
        ))}
    </div>
  );
}

/** True once the element has come near the visible part of the page; and its width then. */
function useInSight(ref: { readonly current: HTMLElement | null }): [boolean, number] {
  const [state, setState] = useState<[boolean, number]>([false, 0]);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((e) => e.isIntersecting)) return;
        setState([true, element.clientWidth]);
        observer.disconnect();
      },
      { rootMargin: "200px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return state;
}
