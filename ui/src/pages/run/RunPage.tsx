import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo } from "react";
import { runQuery } from "@/api/queries";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { colorOf } from "@/base/color";
import { shortId } from "@/base/format";
import { runStatus, StatusText } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { PageHeader, page } from "@/ui/Page";
import { Failure, LoadingRows } from "@/ui/State";
import { ChartGrid } from "./ChartGrid";
import css from "./RunPage.module.css";
import { RunSide } from "./RunSide";
import { useLiveMetrics } from "./use-live-metrics";

const Artifacts = lazy(() => import("./Artifacts").then((m) => ({ default: m.Artifacts })));
const Lineage = lazy(() => import("@/pages/lineage/Lineage").then((m) => ({ default: m.Lineage })));
const LinkedTraces = lazy(() => import("./LinkedTraces").then((m) => ({ default: m.LinkedTraces })));

const SYSTEM = "system/";

/** One run: what it was given, how it went, what it left behind. Curves grow while it runs. */
export function RunPage() {
  const projectId = useProjectId();
  const { runId, experimentId } = useParams({ strict: false }) as { runId: string; experimentId: string };
  const navigate = useNavigate();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const query = useQuery(runQuery(projectId, runId));
  const ids = useMemo(() => [runId], [runId]);
  useLiveMetrics(projectId, ids);
  const detail = query.data;
  const run = detail?.run;
  const owner = run?.experiment_id;
  useEffect(() => {
    // Links from models know the run but not its experiment.
    if (owner !== undefined && owner !== experimentId) {
      void navigate({
        to: "/project/$projectId/experiments/$experimentId/runs/$runId",
        params: { projectId, experimentId: owner, runId },
        search: ((s: object) => s) as never,
        replace: true,
      });
    }
  }, [owner, experimentId, projectId, runId, navigate]);
  const name = run ? run.name || shortId(runId) : shortId(runId);
  const keyText = Object.keys(run?.metrics ?? {})
    .sort()
    .join("\n");
  const { own, system } = useMemo(() => {
    const keys = keyText === "" ? [] : keyText.split("\n");
    return { own: keys.filter((k) => !k.startsWith(SYSTEM)), system: keys.filter((k) => k.startsWith(SYSTEM)) };
  }, [keyText]);
  const start = run?.start_ms ?? null;
  const curves = useMemo(() => [{ id: runId, name, color: colorOf(runId), startMs: start }], [runId, name, start]);
  const tab = search.tab ?? "overview";
  const status = run ? runStatus(run.status) : null;
  return (
    <>
      <PageHeader
        name={name}
        crumbs={[
          <Link key="e" to="/project/$projectId/experiments" params={{ projectId }}>
            Experiments
          </Link>,
          ...(detail
            ? [
                <Link
                  key="x"
                  to="/project/$projectId/experiments/$experimentId"
                  params={{ projectId, experimentId: detail.experiment.experiment_id }}
                >
                  {detail.experiment.name}
                </Link>,
              ]
            : []),
        ]}
        title={
          <>
            <i
              aria-hidden="true"
              style={{ width: 10, height: 10, borderRadius: "50%", background: colorOf(runId), flex: "none" }}
            />
            <span className="ellipsis">{name}</span>
            <CopyButton text={runId} label="Copy the run id" />
          </>
        }
      >
        {run?.lifecycle_stage === "deleted" ? <span className="muted">deleted</span> : null}
        {status ? <StatusText status={status.name}>{status.label}</StatusText> : null}
        <CopyButton text={() => window.location.href} label="Copy a link" kind="link" small={false} />
      </PageHeader>
      {query.isError && !detail ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <>
          <Tabs
            value={tab}
            onChange={(value) =>
              setSearch({ tab: value === "overview" || !value ? undefined : value, path: undefined })
            }
            className={css.tabs}
          >
            <Tabs.List>
              <Tabs.Tab value="overview">Overview</Tabs.Tab>
              <Tabs.Tab value="system">System metrics{system.length > 0 ? ` ${system.length}` : ""}</Tabs.Tab>
              <Tabs.Tab value="artifacts">Artifacts</Tabs.Tab>
              <Tabs.Tab value="traces">Traces{detail?.trace_count ? ` ${detail.trace_count}` : ""}</Tabs.Tab>
              <Tabs.Tab value="lineage">Lineage</Tabs.Tab>
            </Tabs.List>
          </Tabs>
          {detail === undefined ? (
            <LoadingRows />
          ) : tab === "artifacts" ? (
            <Suspense fallback={<LoadingRows />}>
              <Artifacts projectId={projectId} runId={runId} uri={detail.artifact_uri} />
            </Suspense>
          ) : tab === "traces" ? (
            <Suspense fallback={<LoadingRows />}>
              <LinkedTraces projectId={projectId} runId={runId} />
            </Suspense>
          ) : tab === "lineage" ? (
            <Suspense fallback={<LoadingRows />}>
              <Lineage projectId={projectId} node={`run:${runId}`} />
            </Suspense>
          ) : tab === "system" ? (
            <div className={`${page.scroll} ${css.charts}`}>
              <ChartGrid
                projectId={projectId}
                runs={curves}
                keys={system}
                empty="CPU, memory and GPU are recorded with mlflow.enable_system_metrics_logging()."
              />
            </div>
          ) : (
            <div className={css.split}>
              <RunSide projectId={projectId} detail={detail} />
              <div className={css.charts}>
                <ChartGrid
                  projectId={projectId}
                  runs={curves}
                  keys={own}
                  empty="The run has logged no metric. Curves appear here as points arrive."
                />
              </div>
            </div>
          )}
        </>
      )}
    </>
  );
}
