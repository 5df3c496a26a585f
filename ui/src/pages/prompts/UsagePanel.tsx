import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { promptUsageQuery } from "@/api/queries";
import { compact, duration, integer, metric, money } from "@/base/format";
import { Chart } from "@/ui/Chart";
import { Chip, ChipList } from "@/ui/Chip";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import css from "./Prompts.module.css";

const DAY = 86_400_000;
const COLOURS = [
  "--accent",
  "--kind-retriever",
  "--kind-tool",
  "--kind-generation",
  "--kind-evaluator",
  "--kind-other",
];

/** What each version did in the last 30 days. */
export function UsagePanel({ projectId, name }: { readonly projectId: string; readonly name: string }) {
  const query = useQuery(promptUsageQuery(projectId, name));
  const chart = useMemo(() => {
    const days = query.data?.days ?? [];
    if (days.length === 0) return null;
    const first = Math.min(...days.map((d) => d.day_ms)) - DAY;
    const last = Math.max(...days.map((d) => d.day_ms)) + DAY;
    const x = Array.from({ length: Math.round((last - first) / DAY) + 1 }, (_, i) => first + i * DAY);
    const versions = [...new Set(days.map((d) => d.version))].sort((a, b) => b - a).slice(0, COLOURS.length);
    const series = versions.map((version, i) => ({
      label: `Version ${version}`,
      color: `var(${COLOURS[i]})`,
      width: 2,
      values: x.map((day) => days.find((d) => d.day_ms === day && d.version === version)?.calls ?? 0),
    }));
    return { x, series };
  }, [query.data]);
  if (query.isPending) return <LoadingRows rows={6} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (!chart || query.data.versions.length === 0)
    return (
      <Empty title="No calls in the last 30 days">
        A generation counts here when it names its prompt: <code>prompt=prompt</code> in the Langfuse SDK.
      </Empty>
    );
  return (
    <>
      <h2 className={css.heading}>Calls by day</h2>
      <Chart
        label="Calls by day and version"
        x={chart.x}
        xKind="time"
        series={chart.series}
        height={180}
        zero
        format={integer}
      />
      <h2 className={css.heading}>Last 30 days</h2>
      <div className={css.wide}>
        <table className={css.table}>
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Calls</th>
              <th scope="col">Errors</th>
              <th scope="col">Tokens in</th>
              <th scope="col">Tokens out</th>
              <th scope="col">Cost</th>
              <th scope="col">Cost per call</th>
              <th scope="col">Latency p50</th>
              <th scope="col">p95</th>
              <th scope="col">Scores (mean)</th>
            </tr>
          </thead>
          <tbody>
            {query.data.versions.map((v) => (
              <tr key={v.version}>
                <td>
                  <Link
                    to="/project/$projectId/prompts/$name"
                    params={{ projectId, name }}
                    search={{ v: String(v.version) } as never}
                  >
                    Version {v.version}
                  </Link>
                </td>
                <td>{integer(v.calls)}</td>
                <td>{v.errors ? integer(v.errors) : "–"}</td>
                <td>{compact(v.input_tokens)}</td>
                <td>{compact(v.output_tokens)}</td>
                <td>{money(v.cost)}</td>
                <td>{money(v.calls ? v.cost / v.calls : null)}</td>
                <td>{duration(v.p50_ms)}</td>
                <td>{duration(v.p95_ms)}</td>
                <td>
                  <ChipList>
                    {v.scores.map((s) => (
                      <Chip key={s.name} name={s.name} title={`of ${s.count} scores`}>
                        {metric(s.mean)}
                      </Chip>
                    ))}
                  </ChipList>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
