import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import { useLive } from "@/api/live";
import { modelQuery } from "@/api/queries";
import type { ModelVersionRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime, shortId } from "@/base/format";
import { Chip, ChipList, StatusText } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { type Column, DataTable } from "@/ui/DataTable";
import { Markdown } from "@/ui/Markdown";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";

const Lineage = lazy(() => import("@/pages/lineage/Lineage").then((m) => ({ default: m.Lineage })));

const id = (row: ModelVersionRow) => row.version;

/** A registered model: its versions, which alias points where, and the runs they came from. */
export function ModelPage() {
  const projectId = useProjectId();
  const { name } = useParams({ strict: false }) as { name: string };
  const queries = useQueryClient();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const query = useQuery(modelQuery(projectId, name));
  useLive((events) => {
    if (events.some((e) => e.kind === "gap" || (e.kind === "model" && e.id === name)))
      void queries.invalidateQueries({ queryKey: [projectId, "model", name] });
  });
  const columns = useMemo<Column<ModelVersionRow>[]>(
    () => [
      { id: "version", label: "Version", width: 84, align: "right", cell: (v) => <strong>{v.version}</strong> },
      {
        id: "aliases",
        label: "Aliases",
        width: 150,
        cell: (v) => (
          <ChipList>
            {v.aliases.map((alias) => (
              <Chip key={alias} tone="accent">
                @{alias}
              </Chip>
            ))}
          </ChipList>
        ),
      },
      { id: "stage", label: "Stage", width: 110, cell: (v) => <span>{v.stage === "None" ? "" : v.stage}</span> },
      {
        id: "status",
        label: "Status",
        width: 110,
        cell: (v) => (
          <StatusText status={v.status === "READY" ? "ok" : v.status.startsWith("FAILED") ? "error" : "running"}>
            {v.status === "READY" ? "Ready" : v.status}
          </StatusText>
        ),
      },
      {
        id: "run",
        label: "Run",
        width: 120,
        cell: (v) => (v.run_id ? <RunLink projectId={projectId} runId={v.run_id} /> : null),
      },
      {
        id: "description",
        label: "Description",
        width: 150,
        grow: 2,
        cell: (v) => <span className="muted">{v.description}</span>,
      },
      { id: "source", label: "Source", width: 190, grow: 1, cell: (v) => <span className="mono">{v.source}</span> },
      { id: "created", label: "Created", width: 170, cell: (v) => <span>{dateTime(v.created_ms)}</span> },
    ],
    [projectId],
  );
  return (
    <>
      <PageHeader
        name={name}
        crumbs={[
          <Link key="m" to="/project/$projectId/models" params={{ projectId }}>
            Models
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{name}</span>
            <CopyButton text={`models:/${name}`} label="Copy the model URI" />
          </>
        }
      />
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <>
          {query.data.model.description || Object.keys(query.data.model.tags).length > 0 ? (
            <Bar>
              {query.data.model.description ? <Markdown text={query.data.model.description} /> : null}
              {Object.entries(query.data.model.tags).map(([k, v]) => (
                <Chip key={k} name={k}>
                  {v}
                </Chip>
              ))}
            </Bar>
          ) : null}
          <div className={page.fill}>
            <DataTable
              label="Versions"
              name="versions"
              columns={columns}
              rows={query.data.versions}
              rowId={id}
              activeId={search.version ?? null}
              onOpen={(v) => setSearch({ version: v.version === search.version ? undefined : v.version })}
              empty={<Empty title="No versions yet" />}
            />
          </div>
          {search.version ? (
            <Suspense fallback={<LoadingRows rows={4} />}>
              <section className={page.fill} aria-label={`Lineage of version ${search.version}`}>
                <Lineage projectId={projectId} node={`model:${name}/${search.version}`} />
              </section>
            </Suspense>
          ) : null}
        </>
      )}
    </>
  );
}

/** A version knows its run but not the run's experiment; the run page finds it. */
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
