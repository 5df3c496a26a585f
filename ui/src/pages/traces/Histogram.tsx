import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLive } from "@/api/live";
import { histogramQuery, oldestTraceQuery } from "@/api/queries";
import { dateTime, integer, listTime } from "@/base/format";
import { bounds, type Range, writeRange } from "@/base/range";
import css from "./Histogram.module.css";

interface HistogramProps {
  readonly projectId: string;
  readonly filter: string;
  readonly range: Range;
  readonly rangeKey: string;
  readonly onRange: (text: string) => void;
}

const REFRESH_MS = 4_000;
/** The chart takes at most this share of the server's time. */
const SHARE = 20;

/** Traces over the range, errors in red; drag to zoom in. Without bounds it reaches back to the oldest trace. */
export function Histogram({ projectId, filter, range, rangeKey, onRange }: HistogramProps) {
  const queries = useQueryClient();
  const endless = range.kind === "all";
  const oldest = useQuery({ ...oldestTraceQuery(projectId), enabled: endless });
  const start = oldest.data?.traces[0]?.start_ms ?? null;
  const resolve = () => (endless ? { from: start, to: null } : bounds(range, Date.now()));
  const options = histogramQuery(projectId, filter, endless ? `${rangeKey}|${start}` : rangeKey, resolve);
  const data = useQuery({ ...options, enabled: !endless || start !== null });
  const timer = useRef(0);
  const took = useRef(0);
  useLive((events) => {
    if (timer.current !== 0 || !events.some((e) => e.kind === "trace" || e.kind === "deleted" || e.kind === "gap"))
      return;
    timer.current = window.setTimeout(
      async () => {
        const begun = performance.now();
        await queries.invalidateQueries({ queryKey: [projectId, "histogram"] });
        took.current = performance.now() - begun;
        timer.current = 0;
      },
      Math.max(REFRESH_MS, took.current * SHARE),
    );
  });
  useEffect(() => () => window.clearTimeout(timer.current), []);

  const plot = useRef<HTMLDivElement>(null);
  const [hover, setHover] = useState<number | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const bars = data.data?.bars ?? [];
  const width = data.data?.bucket_ms ?? 0;
  const most = Math.max(1, ...bars.map((b) => b.traces));
  const n = Math.max(1, bars.length);
  const place = (clientX: number) => {
    const box = plot.current?.getBoundingClientRect();
    return box ? Math.max(0, Math.min(0.9999, (clientX - box.left) / box.width)) : 0;
  };
  const bar = hover === null ? undefined : bars[Math.floor(hover * n)];
  const first = bars[0]?.start_ms;
  const last = bars[bars.length - 1]?.start_ms;
  const now = Date.now();
  return (
    <div className={css.box}>
      <div
        ref={plot}
        className={css.plot}
        role="img"
        aria-label={`Traces over time: ${integer(bars.reduce((sum, b) => sum + b.traces, 0))} in the range, ${integer(bars.reduce((sum, b) => sum + b.errors, 0))} with errors`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const x = place(event.clientX);
          setDrag({ from: x, to: x });
        }}
        onPointerMove={(event) => {
          const x = place(event.clientX);
          setHover(x);
          if (drag) setDrag({ ...drag, to: x });
        }}
        onPointerLeave={() => setHover(null)}
        onPointerUp={() => {
          if (drag && first !== undefined && Math.abs(drag.to - drag.from) > 0.01) {
            const a = Math.floor(Math.min(drag.from, drag.to) * n);
            const b = Math.ceil(Math.max(drag.from, drag.to) * n);
            onRange(writeRange({ kind: "absolute", from: first + a * width, to: first + b * width }));
          }
          setDrag(null);
        }}
      >
        <svg viewBox={`0 0 ${n} 100`} preserveAspectRatio="none" aria-hidden="true">
          {bars.map((b, i) => {
            if (b.traces === 0) return null;
            const h = Math.max(4, (b.traces / most) * 100);
            const bad = b.errors === 0 ? 0 : Math.max(4, (b.errors / most) * 100);
            return (
              <g key={b.start_ms}>
                <rect x={i + 0.1} width={0.8} y={100 - h} height={h} />
                {bad > 0 ? <rect className={css.bad} x={i + 0.1} width={0.8} y={100 - bad} height={bad} /> : null}
              </g>
            );
          })}
        </svg>
        {drag ? (
          <div
            className={css.brush}
            style={{ left: `${Math.min(drag.from, drag.to) * 100}%`, width: `${Math.abs(drag.to - drag.from) * 100}%` }}
          />
        ) : null}
      </div>
      <div className={css.axis} aria-hidden="true">
        <span>{first === undefined ? "" : listTime(first, now)}</span>
        <span>{last === undefined ? "" : listTime(last + width, now)}</span>
      </div>
      {bar && hover !== null && !drag ? (
        <div className={css.tip} style={{ left: `${Math.max(8, Math.min(92, hover * 100))}%` }}>
          <span className="num">
            {dateTime(bar.start_ms).slice(5, 16)} · {integer(bar.traces)} {bar.traces === 1 ? "trace" : "traces"}
            {bar.errors > 0 ? `, ${integer(bar.errors)} with errors` : ""}
          </span>
        </div>
      ) : null}
    </div>
  );
}
