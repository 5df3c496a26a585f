import { Tabs } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ArrowUpFromLine, Undo2 } from "lucide-react";
import { lazy, Suspense, useMemo, useState } from "react";
import { useLive } from "@/api/live";
import type { DeploymentRow, ReleaseRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { colorsFor } from "@/base/color";
import { compact, dateTime, duration, listTime, money, percent, shortId } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chart } from "@/ui/Chart";
import { CopyButton } from "@/ui/Copy";
import { type Column, DataTable } from "@/ui/DataTable";
import { useHotkeys } from "@/ui/hotkeys";
import { PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { useNow } from "@/ui/time";
import css from "./Deployment.module.css";
import { Health, traceFilter, Version } from "./parts";
import { deploymentQuery, historyQuery, timelineQuery } from "./queries";
import { ReleaseDialog } from "./ReleaseDialog";

const Lineage = lazy(() => import("@/pages/lineage/Lineage").then((m) => ({ default: m.Lineage })));

/** One place in an environment: what serves, what traces show, and every release it has had. */
export function DeploymentPage() {
  const projectId = useProjectId();
  const { deploymentId } = useParams({ strict: false }) as { deploymentId: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const now = useNow();
  const [dialog, setDialog] = useState<{ what: "promote" | "rollback"; to: number | null } | null>(null);
  const query = useQuery(deploymentQuery(projectId, deploymentId));
  const history = useQuery(historyQuery(projectId, deploymentId));
  const refresh = () => void queries.invalidateQueries({ queryKey: [projectId, "deployment"] });
  useLive((events) => {
    if (events.some((e) => e.kind === "deployment" || e.kind === "gap")) refresh();
  });
  const row = query.data;
  const serving = row !== undefined && !row.retired;
  const earlier = (history.data?.releases ?? []).some((r) => r.version !== row?.release.version);
  useHotkeys(
    [
      { keys: "p", label: "Promote", group: "Deployment", run: () => setDialog({ what: "promote", to: null }) },
      { keys: "b", label: "Roll back", group: "Deployment", run: () => setDialog({ what: "rollback", to: null }) },
    ],
    serving && dialog === null,
  );
  const tab = search.tab ?? "history";
  const name = row?.name ?? "Deployment";
  return (
    <>
      <PageHeader
        name={row ? `${name} in ${row.environment}` : name}
        crumbs={[
          <Link key="d" to="/project/$projectId/deployments" params={{ projectId }}>
            Deployments
          </Link>,
          ...(row ? [<span key="e">{row.environment}</span>] : []),
        ]}
        title={
          <>
            <span className="ellipsis">{name}</span>
            {row ? <CopyButton text={`${row.name}@${row.environment}`} label="Copy name@environment" /> : null}
          </>
        }
      >
        {row ? <Health row={row} /> : null}
        {serving ? (
          <>
            <Button
              icon={<Undo2 size={14} />}
              disabled={!earlier}
              onClick={() => setDialog({ what: "rollback", to: null })}
            >
              Roll back
            </Button>
            <Button
              look="primary"
              icon={<ArrowUpFromLine size={14} />}
              onClick={() => setDialog({ what: "promote", to: null })}
            >
              Promote
            </Button>
          </>
        ) : null}
      </PageHeader>
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <>
          {row?.drift ? (
            <div className={css.notice} role="status">
              Declared <strong>{row.release.version}</strong>, {row.drift.both ? "also " : ""}observed{" "}
              <strong>{row.drift.version}</strong> since {listTime(row.drift.since_ms, now)}.
            </div>
          ) : null}
          <div className={css.split}>
            <Facts projectId={projectId} row={query.data} />
            <div className={css.body}>
              <Timeline projectId={projectId} row={query.data} />
              <Tabs
                value={tab}
                onChange={(value) => setSearch({ tab: value === "history" || !value ? undefined : value })}
              >
                <Tabs.List>
                  <Tabs.Tab value="history">History</Tabs.Tab>
                  <Tabs.Tab value="lineage">Lineage</Tabs.Tab>
                </Tabs.List>
              </Tabs>
              {tab === "lineage" ? (
                <Suspense fallback={<LoadingRows />}>
                  <Lineage projectId={projectId} node={`deployment:${query.data.deployment_id}`} />
                </Suspense>
              ) : history.isPending ? (
                <LoadingRows />
              ) : history.isError ? (
                <Failure error={history.error} retry={() => void history.refetch()} />
              ) : (
                <History
                  projectId={projectId}
                  row={query.data}
                  releases={history.data.releases}
                  onRestore={serving ? (to) => setDialog({ what: "rollback", to }) : null}
                />
              )}
            </div>
          </div>
        </>
      )}
      {dialog && row ? (
        <ReleaseDialog
          projectId={projectId}
          row={row}
          what={dialog.what}
          to={dialog.to}
          onClose={() => setDialog(null)}
          onDone={(done) => {
            refresh();
            if (done.deployment_id !== row.deployment_id)
              void navigate({
                to: "/project/$projectId/deployments/$deploymentId",
                params: { projectId, deploymentId: done.deployment_id },
              });
          }}
        />
      ) : null}
    </>
  );
}

function Facts({ projectId, row }: { readonly projectId: string; readonly row: DeploymentRow }) {
  const { release, observed } = row;
  const config = Object.entries(release.config ?? {});
  const seen = { environment: row.environment, kind: row.kind, subject: row.subject, version: release.version };
  return (
    <div className={css.side}>
      <dl className={css.facts}>
        <dt>{row.kind === "agent" ? "Agent" : row.kind === "model" ? "Model" : "Prompt"}</dt>
        <dd>{row.subject}</dd>
        <dt>Version</dt>
        <dd>
          <Version projectId={projectId} kind={row.kind} subject={row.subject} version={release.version} />
        </dd>
        <dt>Since</dt>
        <dd>{dateTime(release.at_ms)}</dd>
        <dt>By</dt>
        <dd>{release.by || "–"}</dd>
        <dt>Run</dt>
        <dd>{release.run_id ? <RunLink projectId={projectId} runId={release.run_id} /> : "–"}</dd>
        {release.url ? (
          <>
            <dt>Address</dt>
            <dd>
              <a href={release.url} rel="noreferrer" target="_blank">
                {release.url}
              </a>
            </dd>
          </>
        ) : null}
        {row.health_message ? (
          <>
            <dt>Health</dt>
            <dd>{row.health_message}</dd>
          </>
        ) : null}
        <dt>Calls</dt>
        <dd>
          {observed ? (
            <Link to="/project/$projectId/traces" params={{ projectId }} search={{ q: traceFilter(seen) } as never}>
              {compact(observed.calls)} {observed.calls === 1 ? "trace" : "traces"}
            </Link>
          ) : (
            "no traces yet"
          )}
        </dd>
        {observed ? (
          <>
            <dt>Errors</dt>
            <dd>{percent(observed.errors / Math.max(1, observed.calls))}</dd>
            <dt>Latency</dt>
            <dd>{duration(observed.latency_ms)}</dd>
            <dt>Cost</dt>
            <dd>{money(observed.cost)}</dd>
            <dt>First call</dt>
            <dd>{dateTime(observed.first_ms)}</dd>
            <dt>Last call</dt>
            <dd>{dateTime(observed.last_ms)}</dd>
          </>
        ) : null}
        {config.map(([key, value]) => (
          <Entry key={key} name={key} value={typeof value === "string" ? value : JSON.stringify(value)} />
        ))}
      </dl>
    </div>
  );
}

function Entry({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="mono">{value}</dd>
    </>
  );
}

function RunLink({ projectId, runId }: { readonly projectId: string; readonly runId: string }) {
  return (
    <Link
      to="/project/$projectId/experiments/$experimentId/runs/$runId"
      params={{ projectId, experimentId: "-", runId }}
      className="mono"
    >
      {shortId(runId)}
    </Link>
  );
}

/** Calls per hour, one line per version. */
function Timeline({ projectId, row }: { readonly projectId: string; readonly row: DeploymentRow }) {
  const query = useQuery(timelineQuery(projectId, row.deployment_id));
  const points = query.data?.points ?? [];
  const drawn = useMemo(() => {
    const versions = [...new Set(points.map((p) => p.version))];
    const first = Math.min(...points.map((p) => p.hour_ms));
    const last = Math.max(...points.map((p) => p.hour_ms));
    const hours: number[] = [];
    for (let at = first - 3_600_000; at <= last + 3_600_000; at += 3_600_000) hours.push(at);
    const colors = colorsFor(versions);
    return {
      x: hours,
      series: versions.map((version) => {
        const by = new Map(points.filter((p) => p.version === version).map((p) => [p.hour_ms, p.calls]));
        return {
          label: version,
          color: colors.get(version) ?? "var(--accent)",
          kind: "line" as const,
          values: hours.map((ms) => by.get(ms) ?? 0),
        };
      }),
    };
  }, [points]);
  if (points.length === 0) return null;
  return (
    <section className={css.chart} aria-label="Calls per hour by version">
      <h2>Calls per hour by version</h2>
      <Chart
        label="Calls per hour by version"
        x={drawn.x}
        xKind="time"
        series={drawn.series}
        height={120}
        zero
        format={compact}
      />
      <div className={css.legend}>
        {drawn.series.map((s) => (
          <span key={s.label}>
            <i style={{ background: s.color }} aria-hidden="true" />
            {s.label}
            {s.label === row.release.version ? " (declared)" : ""}
          </span>
        ))}
      </div>
    </section>
  );
}

const WORDS: Record<ReleaseRow["action"], string> = {
  create: "Created",
  update: "Updated",
  promote: "Promoted",
  rollback: "Rolled back",
  retire: "Retired",
};

interface HistoryProps {
  readonly projectId: string;
  readonly row: DeploymentRow;
  readonly releases: readonly ReleaseRow[];
  readonly onRestore: ((number: number) => void) | null;
}

function History({ projectId, row, releases, onRestore }: HistoryProps) {
  const now = useNow();
  const columns = useMemo<Column<ReleaseRow>[]>(
    () => [
      { id: "number", label: "#", width: 50, align: "right", cell: (r) => <span>{r.number}</span> },
      {
        id: "version",
        label: "Version",
        width: 84,
        grow: 1,
        cell: (r) => <Version projectId={projectId} kind={row.kind} subject={row.subject} version={r.version} />,
      },
      {
        id: "action",
        label: "What",
        width: 160,
        cell: (r) => (
          <span className="ellipsis">
            {WORDS[r.action]}
            {r.from_environment ? ` from ${r.from_environment}` : ""}
            {r.restores ? ` to #${r.restores}` : ""}
          </span>
        ),
      },
      {
        id: "restore",
        label: "",
        width: 90,
        cell: (r) =>
          onRestore && r.until_ms !== null && r.action !== "retire" && r.version !== row.release.version ? (
            <Button small onClick={() => onRestore(r.number)} aria-label={`Bring back release ${r.number}`}>
              Restore
            </Button>
          ) : null,
      },
      { id: "at", label: "From", width: 160, cell: (r) => <span>{dateTime(r.at_ms)}</span> },
      {
        id: "until",
        label: "Served for",
        width: 130,
        cell: (r) => (
          <span>
            {r.action === "retire"
              ? ""
              : r.until_ms
                ? duration(r.until_ms - r.at_ms)
                : `${duration(now - r.at_ms)} so far`}
          </span>
        ),
      },
      { id: "by", label: "By", width: 84, cell: (r) => <span className="ellipsis">{r.by}</span> },
      {
        id: "run",
        label: "Run",
        width: 90,
        cell: (r) => (r.run_id ? <RunLink projectId={projectId} runId={r.run_id} /> : null),
      },
      { id: "note", label: "Why", width: 140, grow: 2, cell: (r) => <span className="muted ellipsis">{r.note}</span> },
    ],
    [projectId, row, now, onRestore],
  );
  return (
    <div className={page.fill}>
      <DataTable
        label="Releases"
        name="releases"
        columns={columns}
        rows={releases}
        rowId={(r) => String(r.number)}
        empty={<Empty title="No releases" />}
      />
    </div>
  );
}
