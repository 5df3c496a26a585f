import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { X } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { compareQuery } from "@/api/queries";
import type { RunCompare } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { colorsFor } from "@/base/color";
import { dateTime, duration, metric, shortId } from "@/base/format";
import { metricNumber } from "@/base/runs";
import { ChartGrid } from "@/pages/run/ChartGrid";
import { useLiveMetrics } from "@/pages/run/use-live-metrics";
import { IconButton } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { PageHeader } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import css from "./Experiment.module.css";

const Scatter = lazy(() => import("./Scatter").then((m) => ({ default: m.Scatter })));
const Parallel = lazy(() => import("./Parallel").then((m) => ({ default: m.Parallel })));

/** Several runs on one page: curves over each other, and what was different about them beside that. */
export function ComparePage() {
  const projectId = useProjectId();
  const { experimentId } = useParams({ strict: false }) as { experimentId: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const ids = useMemo(() => (search.runs ?? "").split(",").filter(Boolean), [search.runs]);
  const query = useQuery({ ...compareQuery(projectId, ids), enabled: ids.length > 0 });
  useLiveMetrics(projectId, ids);
  const data = query.data;
  const colors = useMemo(() => colorsFor(ids), [ids]);
  const curves = useMemo(
    () =>
      (data?.runs ?? []).map((r) => ({
        id: r.run_id,
        name: r.name || shortId(r.run_id),
        color: colors.get(r.run_id) ?? "#888888",
        startMs: r.start_ms,
      })),
    [data, colors],
  );
  const keyText = [...new Set((data?.runs ?? []).flatMap((r) => Object.keys(r.metrics ?? {})))].sort().join("\n");
  const keys = useMemo(() => (keyText === "" ? [] : keyText.split("\n")), [keyText]);
  const tab = search.tab ?? "curves";
  return (
    <>
      <PageHeader
        name={`Compare ${ids.length} runs`}
        crumbs={[
          <Link key="e" to="/project/$projectId/experiments/$experimentId" params={{ projectId, experimentId }}>
            Runs
          </Link>,
        ]}
        title={ids.length === 1 ? "One run" : `${ids.length} runs compared`}
      >
        <CopyButton
          text={() => window.location.href}
          label="Copy a link to this comparison"
          kind="link"
          small={false}
        />
      </PageHeader>
      {ids.length === 0 ? (
        <Empty title="No runs picked">Select runs in the table of an experiment and press Compare.</Empty>
      ) : query.isError && !data ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : data === undefined ? (
        <LoadingRows />
      ) : (
        <>
          <div className={css.legend}>
            {curves.map((run) => (
              <span key={run.id} className={css.chip}>
                <i className={css.dot} style={{ background: run.color }} aria-hidden="true" />
                <Link
                  to="/project/$projectId/experiments/$experimentId/runs/$runId"
                  params={{ projectId, experimentId, runId: run.id }}
                >
                  {run.name}
                </Link>
                <IconButton
                  label={`Take ${run.name} out`}
                  small
                  onClick={() => setSearch({ runs: ids.filter((id) => id !== run.id).join(",") })}
                >
                  <X size={12} aria-hidden="true" />
                </IconButton>
              </span>
            ))}
          </div>
          <Tabs
            value={tab}
            onChange={(value) => setSearch({ tab: value === "curves" || !value ? undefined : value })}
            className={css.tabs}
          >
            <Tabs.List>
              <Tabs.Tab value="curves">Curves</Tabs.Tab>
              <Tabs.Tab value="table">Params &amp; metrics</Tabs.Tab>
              <Tabs.Tab value="parallel">Parallel coordinates</Tabs.Tab>
              <Tabs.Tab value="scatter">Scatter</Tabs.Tab>
            </Tabs.List>
          </Tabs>
          <div className={css.body}>
            {tab === "table" ? (
              <DiffTable
                data={data}
                colors={colors}
                onlyDifferent={search.diff === "1"}
                onOnly={(on) => setSearch({ diff: on ? "1" : undefined })}
              />
            ) : tab === "parallel" ? (
              <Suspense fallback={<LoadingRows />}>
                <Parallel data={data} colors={colors} />
              </Suspense>
            ) : tab === "scatter" ? (
              <Suspense fallback={<LoadingRows />}>
                <Scatter data={data} colors={colors} />
              </Suspense>
            ) : (
              <ChartGrid
                projectId={projectId}
                runs={curves}
                keys={keys}
                empty="None of these runs has logged a metric."
              />
            )}
          </div>
        </>
      )}
    </>
  );
}

interface DiffTableProps {
  readonly data: RunCompare;
  readonly colors: ReadonlyMap<string, string>;
  readonly onlyDifferent: boolean;
  readonly onOnly: (on: boolean) => void;
}

const ROWS = 1_000;

function DiffTable({ data, colors, onlyDifferent, onOnly }: DiffTableProps) {
  const union = (pick: (run: RunCompare["runs"][number]) => Record<string, unknown> | undefined) =>
    [...new Set(data.runs.flatMap((r) => Object.keys(pick(r) ?? {})))].sort((a, b) =>
      a.localeCompare(b, "en", { numeric: true }),
    );
  const groups = [
    {
      title: "Params",
      keys: union((r) => r.params),
      differing: new Set(data.differing_params),
      text: (r: RunCompare["runs"][number], k: string) => r.params?.[k],
    },
    {
      title: "Metrics",
      keys: union((r) => r.metrics),
      differing: new Set(data.differing_metrics),
      text: (r: RunCompare["runs"][number], k: string) =>
        r.metrics?.[k] ? metric(metricNumber(r.metrics[k].value)) : undefined,
    },
    {
      title: "Tags",
      keys: union((r) => r.tags).filter((k) => !k.startsWith("mlflow.") || k === "mlflow.source.git.commit"),
      differing: new Set(data.differing_tags),
      text: (r: RunCompare["runs"][number], k: string) => r.tags?.[k],
    },
  ];
  return (
    <div className={css.diff}>
      <div className={css.options}>
        <label className={css.check}>
          <input type="checkbox" checked={onlyDifferent} onChange={(e) => onOnly(e.currentTarget.checked)} />
          Only what differs
        </label>
      </div>
      <table>
        <thead>
          <tr>
            <th scope="col" />
            {data.runs.map((r) => (
              <th key={r.run_id} scope="col" title={r.run_id}>
                <span className={css.run}>
                  <i className={css.dot} style={{ background: colors.get(r.run_id) }} aria-hidden="true" />
                  {r.name || shortId(r.run_id)}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {onlyDifferent ? null : (
            <>
              <tr>
                <th scope="row">Started</th>
                {data.runs.map((r) => (
                  <td key={r.run_id}>{dateTime(r.start_ms)}</td>
                ))}
              </tr>
              <tr>
                <th scope="row">Duration</th>
                {data.runs.map((r) => (
                  <td key={r.run_id}>{duration(r.duration_ms)}</td>
                ))}
              </tr>
            </>
          )}
          {groups.map((group) => {
            const rows = group.keys.filter((k) => !onlyDifferent || group.differing.has(k)).slice(0, ROWS);
            if (rows.length === 0) return null;
            return [
              <tr key={group.title} className={css.group}>
                <th scope="rowgroup" colSpan={data.runs.length + 1}>
                  {group.title}
                </th>
              </tr>,
              ...rows.map((key) => (
                <tr key={`${group.title}${key}`} className={group.differing.has(key) ? css.differs : undefined}>
                  <th scope="row" title={key}>
                    {key}
                  </th>
                  {data.runs.map((r) => {
                    const text = group.text(r, key);
                    return (
                      <td key={r.run_id} title={text}>
                        {text ?? <span className="muted">–</span>}
                      </td>
                    );
                  })}
                </tr>
              )),
            ];
          })}
        </tbody>
      </table>
    </div>
  );
}
