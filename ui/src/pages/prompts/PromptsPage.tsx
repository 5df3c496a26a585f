import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { FileText, Folder as FolderIcon, MessagesSquare, Plus } from "lucide-react";
import { useMemo } from "react";
import { useLive } from "@/api/live";
import { promptsQuery } from "@/api/queries";
import type { PromptRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { compact, dateTime } from "@/base/format";
import { type Folder, inFolder } from "@/base/template";
import { Button } from "@/ui/Button";
import { Chip, ChipList } from "@/ui/Chip";
import { type Column, DataTable } from "@/ui/DataTable";
import { FilterBox } from "@/ui/FilterBox";
import { useHotkeys } from "@/ui/hotkeys";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { LabelChip } from "./LabelChip";
import { PromptSnippet } from "./PromptSnippet";
import css from "./Prompts.module.css";

type Row = Folder | PromptRow;

const isFolder = (row: Row): row is Folder => "folder" in row;
const rowId = (row: Row) => (isFolder(row) ? row.folder : row.name);

/** All prompts, in the folders that their names make. A search looks through all folders. */
export function PromptsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(promptsQuery(projectId));
  const folder = search.folder ?? "";
  const text = (search.q ?? "").toLowerCase();
  useLive((events) => {
    if (events.some((e) => e.kind === "prompt" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "prompts"] });
  });
  const write = () => void navigate({ to: "/project/$projectId/prompts/new", params: { projectId } });
  useHotkeys([{ keys: "n", label: "New prompt", group: "Prompts", run: write }]);
  const rows = useMemo<Row[]>(() => {
    const all = query.data?.prompts ?? [];
    if (text)
      return all.filter((p) =>
        [p.name, ...p.tags, ...Object.keys(p.labels)].some((word) => word.toLowerCase().includes(text)),
      );
    const found = inFolder(all, folder);
    return [...found.folders, ...found.here];
  }, [query.data, folder, text]);
  const columns = useMemo<Column<Row>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 240,
        grow: 2,
        cell: (row) =>
          isFolder(row) ? (
            <Link
              to="/project/$projectId/prompts"
              params={{ projectId }}
              search={{ folder: row.folder } as never}
              className={css.name}
            >
              <FolderIcon size={15} aria-hidden="true" />
              {row.folder.slice(folder.length, -1)}
            </Link>
          ) : (
            <Link to="/project/$projectId/prompts/$name" params={{ projectId, name: row.name }} className={css.name}>
              {row.type === "chat" ? (
                <MessagesSquare size={15} aria-label="Chat" />
              ) : (
                <FileText size={15} aria-label="Text" />
              )}
              {text ? row.name : row.name.slice(folder.length)}
            </Link>
          ),
      },
      {
        id: "versions",
        label: "Versions",
        width: 90,
        align: "right",
        cell: (row) => <span className="num">{isFolder(row) ? "" : row.versions}</span>,
      },
      {
        id: "labels",
        label: "Labels",
        width: 280,
        grow: 1,
        cell: (row) =>
          isFolder(row) ? (
            <span className="muted">{row.count === 1 ? "1 prompt" : `${row.count} prompts`}</span>
          ) : (
            <ChipList>
              {Object.entries(row.labels).map(([label, version]) => (
                <LabelChip key={label} label={label} version={version} />
              ))}
            </ChipList>
          ),
      },
      {
        id: "tags",
        label: "Tags",
        width: 160,
        cell: (row) => (
          <ChipList>{isFolder(row) ? null : row.tags.map((tag) => <Chip key={tag}>{tag}</Chip>)}</ChipList>
        ),
      },
      {
        id: "calls",
        label: "Calls, 7 days",
        width: 110,
        align: "right",
        cell: (row) => <span className="num">{isFolder(row) || !row.calls ? "" : compact(row.calls)}</span>,
      },
      {
        id: "updated",
        label: "Updated",
        width: 170,
        cell: (row) => <span>{isFolder(row) ? "" : dateTime(row.updated_ms)}</span>,
      },
    ],
    [projectId, folder, text],
  );
  const none = query.data?.prompts.length === 0;
  const parts = folder.split("/").filter(Boolean);
  return (
    <>
      <PageHeader
        name="Prompts"
        title={parts.at(-1) ?? "Prompts"}
        crumbs={
          parts.length > 0
            ? ["", ...parts.slice(0, -1)].map((part, i) => (
                <Link
                  key={part}
                  to="/project/$projectId/prompts"
                  params={{ projectId }}
                  search={(i ? { folder: `${parts.slice(0, i).join("/")}/` } : {}) as never}
                >
                  {part || "Prompts"}
                </Link>
              ))
            : []
        }
      >
        <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={write}>
          New prompt
        </Button>
      </PageHeader>
      <Bar label="Filters">
        <FilterBox
          value={search.q ?? ""}
          onChange={(q) => setSearch({ q })}
          label="Filter prompts"
          placeholder="Filter by name, label or tag"
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
          <PromptSnippet />
        ) : (
          <DataTable
            label="Prompts"
            name="prompts"
            columns={columns}
            rows={rows}
            rowId={rowId}
            onOpen={(row) =>
              isFolder(row)
                ? setSearch({ folder: row.folder }, { replace: false })
                : void navigate({ to: "/project/$projectId/prompts/$name", params: { projectId, name: row.name } })
            }
            empty={<Empty title={text ? "No prompt matches" : "This folder is empty"} />}
          />
        )}
      </div>
    </>
  );
}
