import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef } from "react";
import { useLive } from "@/api/live";
import { overviewQuery } from "@/api/queries";
import type { Overview, RunRow, TraceRow } from "@/api/types";
import { useRange } from "@/app/range";
import { useProjectId, useSetSearch } from "@/app/url";
import { writeTerm } from "@/base/filter";
import { ago, compact, duration, integer, money, percent, shortId } from "@/base/format";
import { writeRange } from "@/base/range";
import { runStatus, ScoreChip, StatusDot, traceStatus } from "@/ui/Chip";
import { PageHeader, page } from "@/ui/Page";
import { RangePicker } from "@/ui/RangePicker";
import { Bar, Failure } from "@/ui/State";
import { useNow } from "@/ui/time";
import css from "./Overview.module.css";

const Chart = lazy(() => import("@/ui/Chart").then((m) => ({ default: m.Chart })));
const Onboarding = lazy(() => import("./Onboarding").then((m) => ({ default: m.Onboarding })));

const REFRESH_MS = 2_000;
const PLOT = 168;

export function OverviewPage() {
  const projectId = useProjectId();
  const setSearch = useSetSearch();
  const queries = useQueryClient();
  const { range, key, resolve } = useRange("24h");
  const query = useQuery(overviewQuery(projectId, key, resolve));
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useLive((events) => {
    if (timer.current !== 0 || events.length === 0) return;
    timer.current = window.setTimeout(
      () => {
        timer.current = 0;
        void queries.invalidateQueries({ queryKey: [projectId, "overview"] });
      },
      query.data?.empty ? 0 : REFRESH_MS,
    );
  });
  const data = query.data;
  const nothing = data?.empty && data.recent_runs.length === 0;
  return (
    <>
      <PageHeader title="Overview" name="Overview">
        <RangePicker
          value={range}
          all={false}
          onChange={(text) => setSearch({ range: text === "24h" ? undefined : text })}
        />
      </PageHeader>
      <div className={page.scroll}>
        {query.isError && !data ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : nothing ? (
          <Suspense fallback={null}>
            <Onboarding projectId={projectId} />
          </Suspense>
        ) : (
          <div className={css.page}>
            <Tiles data={data} />
            <Plots
              data={data}
              onRange={(from, to) => setSearch({ range: writeRange({ kind: "absolute", from, to }) })}
            />
            <div className={css.grid}>
              <Models projectId={projectId} data={data} />
              <Names projectId={projectId} data={data} />
              <RecentTraces projectId={projectId} traces={data?.recent_traces} />
              <RecentRuns projectId={projectId} runs={data?.recent_runs} />
            </div>
          </div>
        )}
      </div>
    </>
  );
}

function Tiles({ data }: { readonly data: Overview | undefined }) {
  const t = data?.totals;
  const p = data?.previous;
  const rate = t && t.traces > 0 ? t.errors / t.traces : t ? 0 : null;
  const before = p && p.traces > 0 ? p.errors / p.traces : null;
  const tiles: [string, string, ReactNode, string][] = [
    [
      "Traces",
      integer(t?.traces),
      <Change key="c" now={t?.traces} before={p?.traces} />,
      t ? `${integer(t.users)} users, ${integer(t.sessions)} sessions` : "",
    ],
    [
      "Tokens",
      compact(t?.total_tokens),
      <Change key="c" now={t?.total_tokens} before={p?.total_tokens} />,
      t ? `${compact(t.input_tokens)} in, ${compact(t.output_tokens)} out` : "",
    ],
    [
      "Cost",
      money(t?.total_cost),
      <Change key="c" now={t?.total_cost} before={p?.total_cost} />,
      t && t.traces > 0 ? `${money(t.total_cost / t.traces)} per trace` : "",
    ],
    ["Latency p50", duration(t?.latency.p50), <Change key="c" now={t?.latency.p50} before={p?.latency.p50} />, ""],
    [
      "Latency p95",
      duration(t?.latency.p95),
      <Change key="c" now={t?.latency.p95} before={p?.latency.p95} />,
      t ? `p99 ${duration(t.latency.p99)}` : "",
    ],
    [
      "Error rate",
      percent(rate),
      <Change key="c" now={rate} before={before} />,
      t ? `${integer(t.errors)} of ${integer(t.traces)}` : "",
    ],
  ];
  return (
    <dl className={css.tiles}>
      {tiles.map(([name, value, change, note]) => (
        <div key={name} className={css.tile}>
          <dt>{name}</dt>
          <dd>
            {data ? value : <Bar width={72} height={16} />}
            {data ? change : null}
          </dd>
          <dd className={css.note}>{note}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Against the range of the same length before. Without a judgement: more is not better or worse by itself. */
function Change({
  now,
  before,
}: {
  readonly now: number | null | undefined;
  readonly before: number | null | undefined;
}) {
  if (now === null || now === undefined || !before) return null;
  const ratio = now / before - 1;
  if (Math.abs(ratio) < 0.005) return null;
  const text =
    Math.abs(ratio) > 9.99
      ? `×${(now / before).toFixed(0)}`
      : `${ratio > 0 ? "+" : "−"}${Math.abs(ratio * 100).toFixed(0)}%`;
  return (
    <span className={css.change} title="Against the same length of time before">
      {text}
    </span>
  );
}

function Plots({
  data,
  onRange,
}: {
  readonly data: Overview | undefined;
  readonly onRange: (from: number, to: number) => void;
}) {
  const charts = useMemo(() => {
    const line = data?.timeline ?? [];
    return {
      x: line.map((b) => b.start_ms),
      traces: [
        { label: "All", color: "var(--accent)", values: line.map((b) => b.traces), kind: "bars" as const, alpha: 0.75 },
        { label: "Errors", color: "var(--err)", values: line.map((b) => b.errors), kind: "bars" as const },
      ],
      tokens: [
        {
          label: "Tokens",
          color: "var(--tok-output)",
          values: line.map((b) => b.total_tokens),
          kind: "bars" as const,
          alpha: 0.8,
        },
      ],
      cost: [
        {
          label: "Cost",
          color: "var(--kind-retriever)",
          values: line.map((b) => b.total_cost),
          kind: "bars" as const,
          alpha: 0.85,
        },
      ],
      latency: [
        { label: "p50", color: "var(--accent)", values: line.map((b) => b.latency.p50) },
        { label: "p95", color: "var(--tok-write)", values: line.map((b) => b.latency.p95) },
      ],
    };
  }, [data]);
  const common = {
    x: charts.x,
    xKind: "time" as const,
    height: PLOT,
    zero: true,
    sync: "overview",
    onRange: (r: readonly [number, number] | null) => r && onRange(r[0], r[1]),
  };
  return (
    <div className={css.grid}>
      <Plot title="Traces" legend={charts.traces}>
        <Chart {...common} label="Traces and errors over time" series={charts.traces} format={compact} />
      </Plot>
      <Plot title="Latency" legend={charts.latency}>
        <Chart
          {...common}
          label="Latency over time"
          join
          series={charts.latency}
          format={(v) => duration(v).replace(/\.00s/, "s")}
        />
      </Plot>
      <Plot title="Tokens">
        <Chart {...common} label="Tokens over time" series={charts.tokens} format={compact} />
      </Plot>
      <Plot title="Cost">
        <Chart {...common} label="Cost over time" series={charts.cost} format={money} />
      </Plot>
    </div>
  );
}

interface PlotProps {
  readonly title: string;
  readonly legend?: readonly { readonly label: string; readonly color: string }[];
  readonly children: ReactNode;
}

function Plot({ title, legend, children }: PlotProps) {
  return (
    <section className={css.card}>
      <header>
        <h2>{title}</h2>
        {legend ? (
          <div className={css.legend}>
            {legend.map((l) => (
              <span key={l.label}>
                <i style={{ background: l.color }} />
                {l.label}
              </span>
            ))}
          </div>
        ) : null}
      </header>
      <div className={css.plot} style={{ height: PLOT }}>
        <Suspense fallback={null}>{children}</Suspense>
      </div>
    </section>
  );
}

interface CardProps {
  readonly title: string;
  readonly more?: ReactNode;
  readonly empty: string;
  readonly rows: readonly ReactNode[] | undefined;
  readonly head: readonly (readonly [string, string?, boolean?])[];
}

/** A small table; its height does not depend on whether the numbers have come yet. */
function Card({ title, more, empty, rows, head }: CardProps) {
  return (
    <section className={css.card}>
      <header>
        <h2>{title}</h2>
        {more}
      </header>
      {rows && rows.length === 0 ? (
        <div className={css.empty}>{empty}</div>
      ) : (
        <table className={css.table}>
          <thead>
            <tr>
              {head.map(([name, width, right]) => (
                <th key={name} style={{ width }} className={right ? css.right : undefined} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows ??
              Array.from({ length: 5 }, (_, i) => (
                <tr key={i}>
                  <td colSpan={head.length}>
                    <Bar width={`${70 - i * 8}%`} />
                  </td>
                </tr>
              ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Models({ projectId, data }: { readonly projectId: string; readonly data: Overview | undefined }) {
  const most = Math.max(0, ...(data?.models ?? []).map((m) => m.total_cost));
  return (
    <Card
      title="Cost by model"
      empty="No model was called in this range."
      head={[["Model"], ["Calls", "14%", true], ["Tokens", "15%", true], ["p95", "14%", true], ["Cost", "16%", true]]}
      rows={data?.models.slice(0, 8).map((m) => (
        <tr key={m.model}>
          <td className={css.share} style={{ "--share": most > 0 ? m.total_cost / most : 0 } as React.CSSProperties}>
            <Link
              to="/project/$projectId/traces"
              params={{ projectId }}
              search={{ q: writeTerm({ field: "model", key: null, op: ":", values: [m.model], not: false }) }}
            >
              {m.model}
            </Link>
          </td>
          <td className={css.right}>{compact(m.calls)}</td>
          <td className={css.right}>{compact(m.total_tokens)}</td>
          <td className={css.right}>{duration(m.latency.p95)}</td>
          <td className={css.right}>{money(m.total_cost)}</td>
        </tr>
      ))}
    />
  );
}

function Names({ projectId, data }: { readonly projectId: string; readonly data: Overview | undefined }) {
  return (
    <Card
      title="Traces by name"
      empty="No traces in this range."
      head={[
        ["Name"],
        ["Traces", "14%", true],
        ["Errors", "13%", true],
        ["p50", "14%", true],
        ["p95", "14%", true],
        ["Cost", "15%", true],
      ]}
      rows={data?.names.slice(0, 8).map((n) => (
        <tr key={n.name}>
          <td>
            <Link
              to="/project/$projectId/traces"
              params={{ projectId }}
              search={{ q: writeTerm({ field: "name", key: null, op: ":", values: [n.name], not: false }) }}
            >
              {n.name || "(no name)"}
            </Link>
          </td>
          <td className={css.right}>{compact(n.traces)}</td>
          <td className={css.right}>{n.errors > 0 ? compact(n.errors) : "–"}</td>
          <td className={css.right}>{duration(n.latency.p50)}</td>
          <td className={css.right}>{duration(n.latency.p95)}</td>
          <td className={css.right}>{money(n.total_cost)}</td>
        </tr>
      ))}
    />
  );
}

function RecentTraces({
  projectId,
  traces,
}: {
  readonly projectId: string;
  readonly traces: readonly TraceRow[] | undefined;
}) {
  const now = useNow();
  return (
    <Card
      title="Recent traces"
      empty="No traces yet."
      more={
        <Link className={css.all} to="/project/$projectId/traces" params={{ projectId }}>
          All traces
        </Link>
      }
      head={[["Name"], ["Scores", "26%"], ["Latency", "14%", true], ["Cost", "15%", true], ["", "15%", true]]}
      rows={traces?.map((t) => {
        const status = traceStatus(t.status, t.level, t.latency_ms === null);
        return (
          <tr key={t.trace_id}>
            <td>
              <StatusDot status={status.name} label={status.label} />{" "}
              <Link to="/project/$projectId/traces/$traceId" params={{ projectId, traceId: t.trace_id }}>
                {t.name || shortId(t.trace_id)}
              </Link>
            </td>
            <td>
              {(t.scores ?? [])
                .filter((s) => s.kind !== "issue")
                .slice(0, 2)
                .map((s) => (
                  <ScoreChip key={s.name} score={s} />
                ))}
            </td>
            <td className={css.right}>{duration(t.latency_ms)}</td>
            <td className={css.right}>{money(t.total_cost)}</td>
            <td className={`${css.right} muted`}>{ago(t.start_ms, now)}</td>
          </tr>
        );
      })}
    />
  );
}

function RecentRuns({ projectId, runs }: { readonly projectId: string; readonly runs: readonly RunRow[] | undefined }) {
  const now = useNow();
  return (
    <Card
      title="Recent runs"
      empty="No runs yet: log one with the MLflow client."
      more={
        <Link className={css.all} to="/project/$projectId/experiments" params={{ projectId }}>
          All experiments
        </Link>
      }
      head={[["Run"], ["Status", "20%"], ["User", "16%"], ["Duration", "16%", true], ["", "15%", true]]}
      rows={runs?.map((r) => {
        const status = runStatus(r.status);
        return (
          <tr key={r.run_id}>
            <td>
              <StatusDot status={status.name} label={status.label} />{" "}
              <Link
                to="/project/$projectId/experiments/$experimentId/runs/$runId"
                params={{ projectId, experimentId: r.experiment_id, runId: r.run_id }}
              >
                {r.name || shortId(r.run_id)}
              </Link>
            </td>
            <td>{status.label}</td>
            <td>{r.user}</td>
            <td className={css.right}>{duration(r.duration_ms)}</td>
            <td className={`${css.right} muted`}>{ago(r.start_ms, now)}</td>
          </tr>
        );
      })}
    />
  );
}
