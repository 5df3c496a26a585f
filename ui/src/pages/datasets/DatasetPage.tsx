import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Download, Plus, Upload } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { ApiError, address } from "@/api/client";
import { datasetItemsQuery, datasetQuery, datasetRunsQuery, datasetVersionsQuery } from "@/api/queries";
import type { DatasetItemRow, DatasetRunRow, ImportReport } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime, duration, integer, metric, money } from "@/base/format";
import { Button } from "@/ui/Button";
import { type Column, DataTable } from "@/ui/DataTable";
import { Select } from "@/ui/Field";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Datasets.module.css";
import { ItemEditor } from "./ItemEditor";
import { preview } from "./values";

const itemId = (row: DatasetItemRow) => row.id;
const runId = (row: DatasetRunRow) => row.id;

/** One dataset: its items now or as of a version, and the runs over it. */
export function DatasetPage() {
  const projectId = useProjectId();
  const { datasetId = "" } = useParams({ strict: false }) as { datasetId?: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const query = useQuery(datasetQuery(projectId, datasetId));
  const tab = search.tab === "runs" ? "runs" : "items";
  const dataset = query.data;
  return (
    <>
      <PageHeader
        title={dataset?.name ?? "Dataset"}
        name={dataset?.name ?? "Dataset"}
        crumbs={[
          <Link key="d" to="/project/$projectId/datasets" params={{ projectId }}>
            Datasets
          </Link>,
        ]}
      >
        <Segmented
          label="Part"
          value={tab}
          options={[
            { value: "items", label: "Items" },
            { value: "runs", label: "Runs" },
          ]}
          onChange={(value) => setSearch({ tab: value === "runs" ? "runs" : undefined })}
        />
      </PageHeader>
      {query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : !dataset ? (
        <div className={page.column}>
          <LoadingRows />
        </div>
      ) : tab === "runs" ? (
        <Runs projectId={projectId} datasetId={dataset.id} />
      ) : (
        <Items projectId={projectId} datasetId={dataset.id} />
      )}
    </>
  );
}

interface PartProps {
  readonly projectId: string;
  readonly datasetId: string;
}

function Items({ projectId, datasetId }: PartProps) {
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const queries = useQueryClient();
  const at = search.at ? Number(search.at) : null;
  const query = useInfiniteQuery(datasetItemsQuery(projectId, datasetId, at));
  const versions = useQuery(datasetVersionsQuery(projectId, datasetId));
  const [report, setReport] = useState<ImportReport | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const rows = useMemo(() => (query.data?.pages ?? []).flatMap((each) => each.items), [query.data]);
  const total = query.data?.pages[0]?.total;
  const open = search.item === "new" ? null : rows.find((row) => row.id === search.item);
  const columns = useMemo<Column<DatasetItemRow>[]>(
    () => [
      { id: "id", label: "Item", width: 150, cell: (i) => <span className="mono ellipsis">{i.id}</span> },
      { id: "input", label: "Input", width: 240, grow: 2, cell: (i) => <span>{preview(i.input)}</span> },
      {
        id: "expected",
        label: "Expected output",
        width: 200,
        grow: 2,
        cell: (i) => <span>{preview(i.expected_output)}</span>,
      },
      { id: "metadata", label: "Metadata", width: 160, grow: 1, cell: (i) => <span>{preview(i.metadata)}</span> },
      {
        id: "source",
        label: "Source trace",
        width: 120,
        cell: (i) =>
          i.source_trace_id ? (
            <Link to="/project/$projectId/traces/$traceId" params={{ projectId, traceId: i.source_trace_id }}>
              {i.source_trace_id.slice(0, 8)}
            </Link>
          ) : (
            <span className="muted">–</span>
          ),
      },
      { id: "changed", label: "Changed", width: 160, cell: (i) => <span>{dateTime(i.valid_from_ms)}</span> },
    ],
    [projectId],
  );
  const changed = () => void queries.invalidateQueries({ queryKey: [projectId, "datasets"] });
  const upload = async (file: File) => {
    setBusy(true);
    const format = file.name.toLowerCase().endsWith(".csv") ? "csv" : "jsonl";
    const route = "/projects/{project_id}/datasets/{dataset_id}/import";
    try {
      const answer = await fetch(address(route, { project_id: projectId, dataset_id: datasetId }, { format }), {
        method: "POST",
        body: file,
        credentials: "same-origin",
      });
      const body: unknown = await answer.json();
      if (!answer.ok) throw new ApiError(String((body as { message?: string }).message), answer.status, "Error");
      setReport(body as ImportReport);
      changed();
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), { tone: "err" });
    } finally {
      setBusy(false);
      if (input.current) input.current.value = "";
    }
  };
  const file = (format: string) =>
    address(
      "/projects/{project_id}/datasets/{dataset_id}/export",
      { project_id: projectId, dataset_id: datasetId },
      {
        format,
        at_ms: at,
      },
    );
  return (
    <>
      <Bar label="Items">
        <Button
          icon={<Plus size={14} aria-hidden="true" />}
          look="primary"
          onClick={() => setSearch({ item: "new", at: undefined })}
        >
          New item
        </Button>
        <Button icon={<Upload size={14} aria-hidden="true" />} disabled={busy} onClick={() => input.current?.click()}>
          {busy ? "Importing…" : "Import CSV or JSONL"}
        </Button>
        <input
          ref={input}
          type="file"
          hidden
          accept=".csv,.jsonl,.ndjson"
          aria-label="File to import"
          onChange={(event) => {
            const chosen = event.currentTarget.files?.[0];
            if (chosen) void upload(chosen);
          }}
        />
        <a className={css.link} href={file("csv")} download>
          <Download size={14} aria-hidden="true" /> CSV
        </a>
        <a className={css.link} href={file("jsonl")} download>
          <Download size={14} aria-hidden="true" /> JSONL
        </a>
        <span className={css.space} />
        <Select
          className={css.select}
          aria-label="Version"
          value={search.at ?? ""}
          onChange={(event) => setSearch({ at: event.currentTarget.value || undefined, item: undefined })}
        >
          <option value="">Now</option>
          {(versions.data?.versions ?? []).map((v) => (
            <option key={v.at_ms} value={String(v.at_ms)}>
              {dateTime(v.at_ms)} · {v.items} changed
            </option>
          ))}
        </Select>
        <span className="muted num">{total === undefined ? "" : `${integer(total)} items`}</span>
      </Bar>
      {report ? <Report report={report} onClose={() => setReport(null)} /> : null}
      <div className={css.split}>
        <div className={page.fill}>
          {query.isPending ? (
            <div className={page.column}>
              <LoadingRows />
            </div>
          ) : query.isError ? (
            <Failure error={query.error} retry={() => void query.refetch()} />
          ) : (
            <DataTable
              label="Items"
              name="dataset-items"
              columns={columns}
              rows={rows}
              rowId={itemId}
              activeId={search.item ?? null}
              onOpen={(row) => setSearch({ item: row.id })}
              onEnd={() => query.hasNextPage && !query.isFetchingNextPage && void query.fetchNextPage()}
              empty={
                <Empty title={at === null ? "No items yet" : "No items at that time"}>
                  Make one here, import a file with a column <code>input</code>, or write with{" "}
                  <code>merge_records</code> (MLflow) or <code>create_dataset_item</code> (Langfuse).
                </Empty>
              }
            />
          )}
        </div>
        {search.item === "new" || open ? (
          <ItemEditor
            key={`${search.item}-${open?.valid_from_ms ?? 0}`}
            projectId={projectId}
            datasetId={datasetId}
            item={open ?? null}
            readOnly={at !== null}
            onClose={() => setSearch({ item: undefined })}
            onSaved={(saved) => {
              changed();
              setSearch({ item: saved });
            }}
          />
        ) : null}
      </div>
    </>
  );
}

function Report({ report, onClose }: { readonly report: ImportReport; readonly onClose: () => void }) {
  return (
    <div className={css.report} role="status" data-failed={report.failed > 0}>
      <div className={css.reportHead}>
        <strong>
          {report.created} created, {report.updated} updated, {report.failed} refused
        </strong>
        <Button small onClick={onClose}>
          Close
        </Button>
      </div>
      {report.errors.length > 0 ? (
        <ul>
          {report.errors.map((error) => (
            <li key={error.row}>
              Row {error.row}: {error.message}
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}

function Runs({ projectId, datasetId }: PartProps) {
  const navigate = useNavigate();
  const query = useQuery(datasetRunsQuery(projectId, datasetId));
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const rows = query.data?.runs ?? [];
  const names = useMemo(() => [...new Set(rows.flatMap((r) => Object.keys(r.scores)))].sort().slice(0, 8), [rows]);
  const columns = useMemo<Column<DatasetRunRow>[]>(
    () => [
      {
        id: "name",
        label: "Run",
        width: 220,
        grow: 2,
        cell: (r) => (
          <Link to="/project/$projectId/datasets/$datasetId/runs/$runId" params={{ projectId, datasetId, runId: r.id }}>
            {r.name}
          </Link>
        ),
      },
      { id: "items", label: "Items", width: 70, align: "right", cell: (r) => <span>{integer(r.items)}</span> },
      {
        id: "errors",
        label: "Errors",
        width: 70,
        align: "right",
        cell: (r) => <span>{r.errors > 0 ? integer(r.errors) : "–"}</span>,
      },
      ...names.map(
        (name): Column<DatasetRunRow> => ({
          id: `s:${name}`,
          label: name,
          width: 110,
          align: "right",
          cell: (r) => <span>{r.scores[name] === undefined ? "–" : metric(r.scores[name])}</span>,
        }),
      ),
      {
        id: "latency",
        label: "Mean latency",
        width: 110,
        align: "right",
        cell: (r) => <span>{duration(r.latency_ms)}</span>,
      },
      { id: "cost", label: "Cost", width: 90, align: "right", cell: (r) => <span>{money(r.cost)}</span> },
      { id: "created", label: "Started", width: 160, cell: (r) => <span>{dateTime(r.created_ms)}</span> },
    ],
    [projectId, datasetId, names],
  );
  const compare = (ids: readonly string[]) => {
    const [first, ...others] = ids;
    if (first === undefined) return;
    void navigate({
      to: "/project/$projectId/datasets/$datasetId/runs/$runId",
      params: { projectId, datasetId, runId: first },
      search: (others.length > 0 ? { with: others.join(",") } : {}) as never,
    });
  };
  // The oldest of the chosen runs is the baseline: people look for what changed since.
  const chosen = rows.filter((r) => picked.has(r.id)).map((r) => r.id);
  return (
    <>
      <Bar label="Runs">
        <Button look="primary" disabled={chosen.length < 2} onClick={() => compare([...chosen].reverse().slice(0, 8))}>
          Compare {chosen.length > 1 ? chosen.length : ""} runs
        </Button>
        <span className="muted">Select runs with the boxes, or with x.</span>
      </Bar>
      <div className={page.fill}>
        {query.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            label="Runs over the dataset"
            name="dataset-runs"
            columns={columns}
            rows={rows}
            rowId={runId}
            selected={picked}
            onSelect={setPicked}
            onOpen={(row) => compare([row.id])}
            empty={
              <Empty title="No runs yet">
                <code>mlflow.genai.evaluate(data=dataset, …)</code> or <code>dataset.run_experiment(…)</code> of
                Langfuse makes one.
              </Empty>
            }
          />
        )}
      </div>
    </>
  );
}
