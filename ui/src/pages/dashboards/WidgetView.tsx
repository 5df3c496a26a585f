import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useMemo } from "react";
import type { WidgetFilter, WidgetForm } from "@/api/types";
import { cx } from "@/ui/cx";
import css from "./Dashboards.module.css";
import { columnLabel, curves, formatOf, label, periods, stacked, words } from "./layout";
import { answerQuery, formOf, type Row } from "./queries";

const Chart = lazy(() => import("@/ui/Chart").then((m) => ({ default: m.Chart })));

const COLOURS = [
  "--accent",
  "--kind-retriever",
  "--kind-tool",
  "--kind-generation",
  "--kind-evaluator",
  "--tok-cache",
  "--kind-guardrail",
  "--tok-audio",
  "--kind-embedding",
  "--kind-other",
];
const colour = (i: number) => `var(${COLOURS[i % COLOURS.length]})`;

export interface WidgetViewProps {
  readonly projectId: string;
  readonly widget: WidgetForm;
  readonly filters: readonly WidgetFilter[];
  readonly range: string;
  readonly resolve: () => { from: number | null; to: number | null };
  /** Pixels for the drawing. */
  readonly height: number;
  readonly onRange?: (from: number, to: number) => void;
}

/** A widget's answer, drawn. What it shows stays while a newer answer is on its way. */
export function WidgetView({ projectId, widget, filters, range, resolve, height, onRange }: WidgetViewProps) {
  const query = useQuery(answerQuery(projectId, { form: formOf(widget), filters, range, resolve }));
  if (query.isError)
    return (
      <div className={css.problem} role="alert">
        {query.error.message}
      </div>
    );
  if (!query.data) return <div style={{ height }} />;
  const { rows, from, to } = query.data;
  const metrics = widget.metrics.map((m) => ({
    column: `${m.agg}_${m.measure}`,
    label: columnLabel(m.measure, m.agg),
    format: formatOf(m.measure, m.agg),
  }));
  const first = metrics[0];
  if (!first) return null;
  const empty = rows.every((r) => metrics.every((m) => blank(r[m.column])));
  if (empty && widget.chart_type !== "NUMBER")
    return (
      <div className={css.nothing} style={{ height }}>
        Nothing in this range
      </div>
    );
  const drawn = { widget, rows, metrics, first, height };
  switch (widget.chart_type) {
    case "NUMBER":
      return <BigNumber value={rows[0]?.[first.column]} format={first.format} />;
    case "HISTOGRAM":
      return <Histogram bins={rows[0]?.[first.column]} format={first.format} name={widget.name} height={height} />;
    case "PIVOT_TABLE":
      return <Table {...drawn} />;
    case "PIE":
      return <Pie {...drawn} />;
    case "HORIZONTAL_BAR":
    case "VERTICAL_BAR":
      return <Bars {...drawn} />;
    default:
      return <Series {...drawn} from={from} to={to} onRange={onRange} />;
  }
}

function blank(value: unknown): boolean {
  return value === null || value === undefined || value === 0 || (Array.isArray(value) && value.length === 0);
}

interface Metric {
  readonly column: string;
  readonly label: string;
  readonly format: (value: number) => string;
}

interface Drawn {
  readonly widget: WidgetForm;
  readonly rows: readonly Row[];
  readonly metrics: readonly Metric[];
  readonly first: Metric;
  readonly height: number;
}

function BigNumber({ value, format }: { readonly value: unknown; readonly format: (value: number) => string }) {
  return <div className={css.number}>{typeof value === "number" ? format(value) : "–"}</div>;
}

interface SeriesProps extends Drawn {
  readonly from: number;
  readonly to: number;
  readonly onRange?: (from: number, to: number) => void;
}

function Series({ widget, rows, metrics, first, height, from, to, onRange }: SeriesProps) {
  const kind = widget.chart_type;
  const built = useMemo(() => {
    const x = periods(rows, from, to);
    const piled = kind !== "LINE_TIME_SERIES";
    const list = curves(rows, x, widget.dimensions?.[0], metrics, piled ? 0 : null);
    const tops = piled ? stacked(list) : [];
    const series = list.map((c, i) => ({
      label: c.label,
      color: colour(i),
      kind: kind === "BAR_TIME_SERIES" ? ("bars" as const) : ("line" as const),
      values: tops[i] ?? c.values,
      ...(piled ? { shown: c.values } : {}),
    }));
    if (kind !== "AREA_TIME_SERIES") return { x, series, bands: [] };
    const zero = { label: "", color: "var(--line)", quiet: true, width: 0, values: x.map(() => 0) };
    const bands = series.map((s, i) => ({ upper: i, lower: i + 1, color: s.color, alpha: 0.35 }));
    return { x, series: [...series, zero], bands };
  }, [rows, metrics, kind, widget.dimensions, from, to]);
  const named = built.series.filter((s) => s.label !== "");
  const legend = named.length > 1 || widget.dimensions?.length;
  return (
    <>
      <Suspense fallback={<div style={{ height }} />}>
        <Chart
          label={widget.name}
          x={built.x}
          xKind="time"
          series={built.series}
          bands={built.bands}
          height={height - (legend ? 22 : 0)}
          zero
          join
          format={first.format}
          sync="dashboard"
          onRange={onRange ? (r) => r && onRange(r[0], r[1]) : undefined}
        />
      </Suspense>
      {legend ? (
        <div className={css.legend}>
          {named.map((s) => (
            <span key={s.label} title={s.label}>
              <i style={{ background: s.color }} />
              {s.label}
            </span>
          ))}
        </div>
      ) : null}
    </>
  );
}

/** Categories by size: bars read from the left, with their names, which a rotated axis would cut off. */
function Bars({ widget, rows, first, height }: Drawn) {
  const dimension = widget.dimensions?.[0];
  const most = Math.max(...rows.map((r) => Number(r[first.column]) || 0), Number.MIN_VALUE);
  return (
    <div className={css.bars} style={{ height }} role="img" aria-label={widget.name}>
      {rows.map((row) => {
        const name = dimension ? label(row[dimension]) : first.label;
        const value = Number(row[first.column]) || 0;
        return (
          <div key={name} className={css.bar} title={`${name}: ${first.format(value)}`}>
            <span className="ellipsis">{name}</span>
            <div className={css.track}>
              <i style={{ width: `${Math.max(0.5, (100 * value) / most)}%` }} />
            </div>
            <b>{first.format(value)}</b>
          </div>
        );
      })}
    </div>
  );
}

function Pie({ widget, rows, first, height }: Drawn) {
  const dimension = widget.dimensions?.[0];
  const all = rows.map((r) => ({
    name: dimension ? label(r[dimension]) : first.label,
    value: Math.max(0, Number(r[first.column]) || 0),
  }));
  const parts = all.slice(0, 9);
  const rest = all.slice(9).reduce((sum, p) => sum + p.value, 0);
  if (rest > 0) parts.push({ name: "others", value: rest });
  const total = parts.reduce((sum, p) => sum + p.value, 0) || 1;
  const ring = 2 * Math.PI * 40;
  let turned = 0;
  return (
    <div className={css.pie} style={{ height }}>
      <svg viewBox="0 0 100 100" role="img" aria-label={widget.name}>
        <title>{widget.name}</title>
        {parts.map((p, i) => {
          const share = p.value / total;
          const start = turned;
          turned += share;
          return (
            <circle
              key={p.name}
              cx="50"
              cy="50"
              r="40"
              fill="none"
              strokeWidth="18"
              style={{ stroke: colour(i) }}
              strokeDasharray={`${Math.max(0, share * ring - 0.8)} ${ring}`}
              strokeDashoffset={-start * ring}
              transform="rotate(-90 50 50)"
            />
          );
        })}
      </svg>
      <ul>
        {parts.map((p, i) => (
          <li key={p.name}>
            <i style={{ background: colour(i) }} />
            <span className="ellipsis" title={p.name}>
              {p.name}
            </span>
            <b>{first.format(p.value)}</b>
            <span className="muted num">{Math.round((100 * p.value) / total)}%</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Histogram({
  bins,
  format,
  name,
  height,
}: {
  readonly bins: unknown;
  readonly format: (value: number) => string;
  readonly name: string;
  readonly height: number;
}) {
  const list = (Array.isArray(bins) ? bins : []) as readonly (readonly [number, number, number])[];
  const most = Math.max(...list.map((b) => b[2]), 1);
  const [low, high] = [list[0]?.[0] ?? 0, list[list.length - 1]?.[1] ?? 0];
  return (
    <div className={css.histogram} style={{ height }} role="img" aria-label={name}>
      <div className={css.columns}>
        {list.map((b) => (
          <div key={b[0]} title={`${format(b[0])} to ${format(b[1])}: ${b[2].toLocaleString("en-US")}`}>
            <i style={{ height: `${b[2] ? Math.max(1, (100 * b[2]) / most) : 0}%` }} />
          </div>
        ))}
      </div>
      <footer>
        <span>{format(low)}</span>
        <span>{format((low + high) / 2)}</span>
        <span>{format(high)}</span>
      </footer>
    </div>
  );
}

function Table({ widget, rows, metrics, height }: Drawn) {
  const dimensions = widget.dimensions ?? [];
  return (
    <div className={css.scroll} style={{ maxHeight: height }} tabIndex={0}>
      <table className={css.table}>
        <thead>
          <tr>
            {dimensions.map((d) => (
              <th key={d} scope="col">
                {words(d)}
              </th>
            ))}
            {metrics.map((m) => (
              <th key={m.column} scope="col" className={css.right}>
                {m.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={dimensions.map((d) => label(row[d])).join("\n")}>
              {dimensions.map((d) => (
                <td key={d}>{label(row[d])}</td>
              ))}
              {metrics.map((m): ReactNode => {
                const value = row[m.column];
                return (
                  <td key={m.column} className={cx(css.right, "num")}>
                    {typeof value === "number" ? m.format(value) : "–"}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
