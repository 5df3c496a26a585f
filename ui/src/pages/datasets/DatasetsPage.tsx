import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { datasetsQuery } from "@/api/queries";
import type { DatasetRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime, integer, plural } from "@/base/format";
import { type Column, DataTable } from "@/ui/DataTable";
import { FilterBox } from "@/ui/FilterBox";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { DatasetSnippet } from "./DatasetSnippet";

const id = (row: DatasetRow) => row.id;

/** Datasets of MLflow and Langfuse alike, newest first. */
export function DatasetsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const query = useQuery(datasetsQuery(projectId));
  const text = (search.q ?? "").toLowerCase();
  const rows = useMemo(
    () =>
      (query.data?.datasets ?? []).filter(
        (d) => d.name.toLowerCase().includes(text) || (d.description ?? "").toLowerCase().includes(text),
      ),
    [query.data, text],
  );
  const columns = useMemo<Column<DatasetRow>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 240,
        grow: 1,
        cell: (d) => (
          <Link to="/project/$projectId/datasets/$datasetId" params={{ projectId, datasetId: d.id }}>
            {d.name}
          </Link>
        ),
      },
      { id: "items", label: "Items", width: 90, align: "right", cell: (d) => <span>{integer(d.items)}</span> },
      {
        id: "description",
        label: "Description",
        width: 220,
        grow: 2,
        cell: (d) => <span className="muted">{d.description}</span>,
      },
      { id: "updated", label: "Updated", width: 170, cell: (d) => <span>{dateTime(d.updated_ms)}</span> },
      { id: "created", label: "Created", width: 170, cell: (d) => <span>{dateTime(d.created_ms)}</span> },
    ],
    [projectId],
  );
  const none = query.data?.datasets.length === 0;
  return (
    <>
      <PageHeader title="Datasets" name="Datasets">
        <span className="muted num">{query.data && !none ? plural(query.data.total, "dataset") : ""}</span>
      </PageHeader>
      <Bar label="Filters">
        <FilterBox
          value={search.q ?? ""}
          onChange={(q) => setSearch({ q })}
          label="Filter datasets"
          placeholder="Filter by name or description"
        />
      </Bar>
      <div className={none ? page.scroll : page.fill}>
        {query.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : none ? (
          <DatasetSnippet />
        ) : (
          <DataTable
            label="Datasets"
            name="datasets"
            columns={columns}
            rows={rows}
            rowId={id}
            onOpen={(row) =>
              void navigate({ to: "/project/$projectId/datasets/$datasetId", params: { projectId, datasetId: row.id } })
            }
            empty={<Empty title="No dataset of that name" />}
          />
        )}
      </div>
    </>
  );
}
