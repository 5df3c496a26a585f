import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import { useLive } from "@/api/live";
import { experimentsQuery } from "@/api/queries";
import type { ExperimentRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { ago, dateTime, integer, plural } from "@/base/format";
import { type Column, DataTable } from "@/ui/DataTable";
import { FilterBox } from "@/ui/FilterBox";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { useNow } from "@/ui/time";

const Onboarding = lazy(() => import("@/pages/overview/Onboarding").then((m) => ({ default: m.Onboarding })));

const id = (row: ExperimentRow) => row.experiment_id;

export function ExperimentsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(experimentsQuery(projectId));
  useLive((events) => {
    if (events.some((e) => e.kind === "experiment" || e.kind === "run" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "experiments"] });
  });
  const text = (search.q ?? "").toLowerCase();
  const sort = search.sort ?? "-updated";
  const rows = useMemo(() => {
    const field = sort.replace(/^-/, "");
    const direction = sort.startsWith("-") ? -1 : 1;
    const value = (e: ExperimentRow): string | number =>
      field === "name"
        ? e.name.toLowerCase()
        : field === "runs"
          ? (e.run_count ?? 0)
          : field === "created"
            ? e.created_ms
            : (e.last_run_ms ?? e.updated_ms);
    return (query.data?.experiments ?? [])
      .filter((e) => e.name.toLowerCase().includes(text) || e.experiment_id === text)
      .sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * direction);
  }, [query.data, text, sort]);
  const columns = useMemo<Column<ExperimentRow>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 240,
        grow: 2,
        sort: "name",
        cell: (e) => (
          <Link
            to="/project/$projectId/experiments/$experimentId"
            params={{ projectId, experimentId: e.experiment_id }}
          >
            {e.name}
          </Link>
        ),
      },
      {
        id: "runs",
        label: "Runs",
        width: 80,
        align: "right",
        sort: "runs",
        cell: (e) => <span>{integer(e.run_count)}</span>,
      },
      { id: "last", label: "Last run", width: 130, sort: "updated", cell: (e) => <Ago ms={e.last_run_ms ?? null} /> },
      {
        id: "created",
        label: "Created",
        width: 170,
        sort: "created",
        cell: (e) => <span>{dateTime(e.created_ms)}</span>,
      },
      {
        id: "note",
        label: "Description",
        width: 180,
        grow: 2,
        cell: (e) => <span className="muted">{e.tags["mlflow.note.content"] ?? ""}</span>,
      },
      { id: "id", label: "Id", width: 90, cell: (e) => <span className="mono">{e.experiment_id}</span> },
    ],
    [projectId],
  );
  const unused = query.data?.experiments.every((e) => (e.run_count ?? 0) === 0) && text === "";
  return (
    <>
      <PageHeader title="Experiments" name="Experiments">
        <span className="muted num">{query.data ? plural(query.data.experiments.length, "experiment") : ""}</span>
      </PageHeader>
      <Bar label="Filters">
        <FilterBox
          value={search.q ?? ""}
          onChange={(q) => setSearch({ q })}
          label="Filter experiments"
          placeholder="Filter by name or id"
        />
      </Bar>
      <div className={unused ? page.scroll : page.fill}>
        {query.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : unused ? (
          <Suspense fallback={null}>
            <Onboarding projectId={projectId} first="run" />
          </Suspense>
        ) : (
          <DataTable
            label="Experiments"
            name="experiments"
            columns={columns}
            rows={rows}
            rowId={id}
            sort={{ field: sort.replace(/^-/, ""), descending: sort.startsWith("-") }}
            onSort={(s) => setSearch({ sort: `${s.descending ? "-" : ""}${s.field}` })}
            onOpen={(row) =>
              void navigate({
                to: "/project/$projectId/experiments/$experimentId",
                params: { projectId, experimentId: row.experiment_id },
              })
            }
            empty={<Empty title="No experiment of that name" />}
          />
        )}
      </div>
    </>
  );
}

function Ago({ ms }: { readonly ms: number | null }) {
  const now = useNow();
  return <span title={dateTime(ms)}>{ago(ms, now)}</span>;
}
