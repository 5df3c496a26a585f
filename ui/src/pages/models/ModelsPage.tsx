import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useLive } from "@/api/live";
import { modelsQuery } from "@/api/queries";
import type { RegisteredModelRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime } from "@/base/format";
import { Chip, ChipList } from "@/ui/Chip";
import { type Column, DataTable } from "@/ui/DataTable";
import { FilterBox } from "@/ui/FilterBox";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { RegisterSnippet } from "./RegisterSnippet";

const id = (row: RegisteredModelRow) => row.name;

export function ModelsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(modelsQuery(projectId));
  useLive((events) => {
    if (events.some((e) => e.kind === "model" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "models"] });
  });
  const text = (search.q ?? "").toLowerCase();
  const rows = useMemo(
    () =>
      (query.data?.models ?? []).filter(
        (m) => m.name.toLowerCase().includes(text) || m.description.toLowerCase().includes(text),
      ),
    [query.data, text],
  );
  const columns = useMemo<Column<RegisteredModelRow>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 200,
        grow: 1,
        cell: (m) => (
          <Link to="/project/$projectId/models/$name" params={{ projectId, name: m.name }}>
            {m.name}
          </Link>
        ),
      },
      {
        id: "version",
        label: "Newest version",
        width: 136,
        align: "right",
        cell: (m) => <span>{Math.max(0, ...m.latest_versions.map((v) => Number(v.version))) || "–"}</span>,
      },
      {
        id: "aliases",
        label: "Aliases",
        width: 220,
        cell: (m) => (
          <ChipList>
            {Object.entries(m.aliases).map(([alias, version]) => (
              <Chip key={alias} tone="accent">
                @{alias} → {version}
              </Chip>
            ))}
          </ChipList>
        ),
      },
      {
        id: "description",
        label: "Description",
        width: 220,
        grow: 2,
        cell: (m) => <span className="muted">{m.description}</span>,
      },
      { id: "updated", label: "Updated", width: 170, cell: (m) => <span>{dateTime(m.updated_ms)}</span> },
    ],
    [projectId],
  );
  const none = query.data?.models.length === 0;
  return (
    <>
      <PageHeader title="Models" name="Models">
        <span className="muted num">{query.data && !none ? `${query.data.models.length} registered` : ""}</span>
      </PageHeader>
      <Bar label="Filters">
        <FilterBox
          value={search.q ?? ""}
          onChange={(q) => setSearch({ q })}
          label="Filter models"
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
          <RegisterSnippet />
        ) : (
          <DataTable
            label="Registered models"
            name="models"
            columns={columns}
            rows={rows}
            rowId={id}
            onOpen={(row) =>
              void navigate({ to: "/project/$projectId/models/$name", params: { projectId, name: row.name } })
            }
            empty={<Empty title="No model of that name" />}
          />
        )}
      </div>
    </>
  );
}
