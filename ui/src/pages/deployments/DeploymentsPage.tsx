import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useLive } from "@/api/live";
import type { DeploymentRow, ObservedRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { compact, dateTime, duration, listTime, money, percent } from "@/base/format";
import { Chip } from "@/ui/Chip";
import { type Column, DataTable } from "@/ui/DataTable";
import { FilterBox } from "@/ui/FilterBox";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { useNow } from "@/ui/time";
import { DeploySnippet } from "./DeploySnippet";
import { DriftText, Health, traceFilter, Version } from "./parts";
import { deploymentsQuery, observedQuery } from "./queries";

/** A deployment, or a version that traces show and nobody declared. */
interface Row {
  readonly id: string;
  readonly place: DeploymentRow | null;
  readonly seen: ObservedRow | null;
}

const SHOWN = [
  { value: "serving", label: "Serving" },
  { value: "all", label: "With retired" },
] as const;

/** What serves where, as declared and as traces show it, by environment. */
export function DeploymentsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const now = useNow();
  const shown = search.show === "all" ? "all" : "serving";
  const query = useQuery(deploymentsQuery(projectId, shown === "all"));
  const observed = useQuery(observedQuery(projectId));
  useLive((events) => {
    if (events.some((e) => e.kind === "deployment" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "deployments"] });
  });
  const text = (search.q ?? "").toLowerCase();
  const rows = useMemo<Row[]>(() => {
    const places = (query.data?.deployments ?? []).map((d) => ({ id: d.deployment_id, place: d, seen: d.observed }));
    const unknown = (observed.data?.observed ?? [])
      .filter((o) => o.deployment_id === null)
      .map((o) => ({ id: `${o.kind} ${o.environment} ${o.subject} ${o.version}`, place: null, seen: o }));
    return [...places, ...unknown].filter((row) => {
      const names = row.place
        ? [row.place.name, row.place.subject, row.place.environment, row.place.release.version]
        : [row.seen?.subject, row.seen?.environment, row.seen?.version];
      return names.some((name) => name?.toLowerCase().includes(text));
    });
  }, [query.data, observed.data, text]);
  const columns = useMemo<Column<Row>[]>(
    () => [
      {
        id: "environment",
        label: "Environment",
        width: 114,
        cell: ({ place, seen }) => <span className="ellipsis">{place?.environment ?? seen?.environment}</span>,
      },
      {
        id: "name",
        label: "Name",
        width: 150,
        grow: 1,
        cell: ({ place, seen }) =>
          place ? (
            <Link
              to="/project/$projectId/deployments/$deploymentId"
              params={{ projectId, deploymentId: place.deployment_id }}
            >
              {place.name}
            </Link>
          ) : (
            <span className="muted ellipsis">{seen?.subject}</span>
          ),
      },
      {
        id: "kind",
        label: "Kind",
        width: 76,
        cell: ({ place, seen }) => <span>{place?.kind ?? seen?.kind}</span>,
      },
      {
        id: "version",
        label: "Version",
        width: 84,
        cell: ({ place, seen }) =>
          place ? (
            <Version projectId={projectId} kind={place.kind} subject={place.subject} version={place.release.version} />
          ) : (
            <span className="ellipsis">{seen?.version}</span>
          ),
      },
      {
        id: "live",
        label: "Declared and observed",
        width: 350,
        grow: 1,
        cell: ({ place }) =>
          place === null ? (
            <Chip tone="plain" title="Traces carry this version; nobody declared it">
              not declared
            </Chip>
          ) : place.drift ? (
            <DriftText row={place} now={now} />
          ) : place.observed ? (
            <span className="muted">as declared</span>
          ) : (
            <span className="muted">no traces yet</span>
          ),
      },
      {
        id: "health",
        label: "Health",
        width: 130,
        cell: ({ place }) => (place ? <Health row={place} /> : null),
      },
      {
        id: "calls",
        label: "Calls",
        width: 60,
        align: "right",
        cell: ({ seen }) =>
          seen ? (
            <Link
              to="/project/$projectId/traces"
              params={{ projectId }}
              search={{ q: traceFilter(seen) } as never}
              title="Traces of this version"
            >
              {compact(seen.calls)}
            </Link>
          ) : null,
      },
      {
        id: "errors",
        label: "Errors",
        width: 70,
        align: "right",
        cell: ({ seen }) => <span className="num">{seen?.calls ? percent(seen.errors / seen.calls) : ""}</span>,
      },
      {
        id: "latency",
        label: "Latency",
        width: 80,
        align: "right",
        cell: ({ seen }) => <span className="num">{seen ? duration(seen.latency_ms) : ""}</span>,
      },
      {
        id: "cost",
        label: "Cost",
        width: 80,
        align: "right",
        cell: ({ seen }) => <span className="num">{seen ? money(seen.cost) : ""}</span>,
      },
      {
        id: "last",
        label: "Last call",
        width: 100,
        cell: ({ seen }) => (
          <span title={seen ? dateTime(seen.last_ms) : ""}>{seen ? listTime(seen.last_ms, now) : ""}</span>
        ),
      },
      {
        id: "since",
        label: "Since",
        width: 110,
        cell: ({ place }) =>
          place ? <span title={dateTime(place.release.at_ms)}>{listTime(place.release.at_ms, now)}</span> : null,
      },
      { id: "by", label: "By", width: 100, cell: ({ place }) => <span className="ellipsis">{place?.release.by}</span> },
    ],
    [projectId, now],
  );
  const none = query.data?.deployments.length === 0 && observed.data?.observed.length === 0 && shown === "serving";
  return (
    <>
      <PageHeader title="Deployments" name="Deployments" />
      <Bar label="Filters">
        <FilterBox
          value={search.q ?? ""}
          onChange={(q) => setSearch({ q })}
          label="Filter deployments"
          placeholder="Filter by name, environment or version"
        />
        <Segmented
          label="Which deployments"
          value={shown}
          options={SHOWN}
          onChange={(show) => setSearch({ show: show === "all" ? "all" : undefined })}
        />
      </Bar>
      <div className={none ? page.scroll : page.fill}>
        {query.isPending || observed.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : none ? (
          <DeploySnippet />
        ) : (
          <DataTable
            label="Deployments"
            name="deployments"
            columns={columns}
            rows={rows}
            rowId={(row) => row.id}
            onOpen={({ place, seen }) =>
              place
                ? void navigate({
                    to: "/project/$projectId/deployments/$deploymentId",
                    params: { projectId, deploymentId: place.deployment_id },
                  })
                : seen &&
                  void navigate({
                    to: "/project/$projectId/traces",
                    params: { projectId },
                    search: { q: traceFilter(seen) } as never,
                  })
            }
            empty={<Empty title="Nothing of that name serves" />}
          />
        )}
      </div>
    </>
  );
}
