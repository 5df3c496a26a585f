import { useQuery } from "@tanstack/react-query";
import { ChevronRight, Download, File, FileImage, FileText, Folder, FolderOpen, Table2 } from "lucide-react";
import { useMemo, useState } from "react";
import { artifactPreviewQuery, artifactsQuery } from "@/api/queries";
import type { ArtifactPreview, ArtifactRow } from "@/api/types";
import { usePageSearch, useSetSearch } from "@/app/url";
import { parseCsv } from "@/base/csv";
import { bytes } from "@/base/format";
import { CopyButton } from "@/ui/Copy";
import { type Column, DataTable } from "@/ui/DataTable";
import { JsonTree } from "@/ui/JsonTree";
import { Markdown } from "@/ui/Markdown";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import css from "./Artifacts.module.css";

interface ArtifactsProps {
  readonly projectId: string;
  readonly runId: string;
  readonly uri: string;
}

/** The files of a run: a tree that loads folder by folder, and a preview of what can be shown. */
export function Artifacts({ projectId, runId, uri }: ArtifactsProps) {
  const { path } = usePageSearch();
  const root = useQuery(artifactsQuery(projectId, runId, ""));
  if (root.isPending) return <LoadingRows />;
  if (root.isError) return <Failure error={root.error} retry={() => void root.refetch()} />;
  if (root.data.entries.length === 0) {
    return (
      <Empty title="No artifacts">
        Files logged with mlflow.log_artifact and models logged with log_model appear here.
      </Empty>
    );
  }
  return (
    <div className={css.view}>
      <div className={css.tree} role="tree" aria-label="Artifacts">
        <Entries projectId={projectId} runId={runId} entries={root.data.entries} depth={0} selected={path ?? null} />
        <div className={css.uri}>{uri}</div>
      </div>
      <div className={css.preview}>
        {path ? (
          <Preview key={path} projectId={projectId} runId={runId} path={path} />
        ) : (
          <Empty title="Pick a file">
            Text, JSON, tables and pictures are shown here; everything can be downloaded.
          </Empty>
        )}
      </div>
    </div>
  );
}

interface EntriesProps {
  readonly projectId: string;
  readonly runId: string;
  readonly entries: readonly ArtifactRow[];
  readonly depth: number;
  readonly selected: string | null;
}

function Entries({ entries, ...rest }: EntriesProps) {
  const sorted = useMemo(
    () =>
      [...entries].sort(
        (a, b) => Number(b.is_dir) - Number(a.is_dir) || a.name.localeCompare(b.name, "en", { numeric: true }),
      ),
    [entries],
  );
  return sorted.map((entry) =>
    entry.is_dir ? (
      <FolderItem key={entry.path} entry={entry} {...rest} />
    ) : (
      <FileItem key={entry.path} entry={entry} {...rest} />
    ),
  );
}

type ItemProps = Omit<EntriesProps, "entries"> & { readonly entry: ArtifactRow };

function FolderItem({ entry, ...rest }: ItemProps) {
  const { projectId, runId, depth, selected } = rest;
  const [open, setOpen] = useState(selected?.startsWith(`${entry.path}/`) ?? false);
  const list = useQuery({ ...artifactsQuery(projectId, runId, entry.path), enabled: open });
  return (
    <>
      <button
        type="button"
        role="treeitem"
        aria-expanded={open}
        className={css.item}
        style={{ paddingLeft: 4 + depth * 16 }}
        onClick={() => setOpen(!open)}
      >
        <ChevronRight size={12} aria-hidden="true" style={{ transform: open ? "rotate(90deg)" : undefined }} />
        {open ? <FolderOpen size={14} aria-hidden="true" /> : <Folder size={14} aria-hidden="true" />}
        <span className="ellipsis">{entry.name}</span>
      </button>
      {open && list.data ? <Entries {...rest} entries={list.data.entries} depth={depth + 1} /> : null}
      {open && list.isError ? <div className={css.uri}>{list.error.message}</div> : null}
    </>
  );
}

function FileItem({ entry, depth, selected }: ItemProps) {
  const setSearch = useSetSearch();
  const Icon = /\.(png|jpe?g|gif|webp|svg)$/i.test(entry.name)
    ? FileImage
    : /\.(csv|tsv)$/i.test(entry.name)
      ? Table2
      : /\.(txt|md|json|ya?ml|log|py)$/i.test(entry.name)
        ? FileText
        : File;
  return (
    <button
      type="button"
      role="treeitem"
      aria-selected={selected === entry.path}
      className={css.item}
      style={{ paddingLeft: 22 + depth * 16 }}
      onClick={() => setSearch({ path: entry.path })}
    >
      <Icon size={14} aria-hidden="true" />
      <span className="ellipsis" title={entry.name}>
        {entry.name}
      </span>
      <span className={css.size}>{bytes(entry.size)}</span>
    </button>
  );
}

function Preview({
  projectId,
  runId,
  path,
}: {
  readonly projectId: string;
  readonly runId: string;
  readonly path: string;
}) {
  const query = useQuery(artifactPreviewQuery(projectId, runId, path));
  if (query.isPending) return <LoadingRows rows={6} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const { data } = query;
  return (
    <>
      <div className={css.head}>
        <strong className="ellipsis">{path}</strong>
        <CopyButton text={path} label="Copy the path" />
        <span className="muted num">
          {bytes(data.size)} · {data.content_type}
        </span>
        <a
          className={css.download}
          href={`${data.url}${data.url.includes("?") ? "&" : "?"}download=true`}
          download={path.split("/").at(-1)}
        >
          <Download size={14} aria-hidden="true" />
          Download
        </a>
      </div>
      {data.truncated ? (
        <div className={css.note}>Only the beginning is shown; download the file to see all of it.</div>
      ) : null}
      <div className={css.body}>
        <Content data={data} />
      </div>
    </>
  );
}

function Content({ data }: { readonly data: ArtifactPreview }) {
  const text = data.text ?? "";
  switch (data.kind) {
    case "image":
      return (
        <div className={css.pad}>
          <img className={css.image} src={data.url} alt={data.path} />
        </div>
      );
    case "markdown":
      return (
        <div className={css.pad}>
          <Markdown text={text} />
        </div>
      );
    case "csv":
      return <CsvTable text={text} separator={data.path.endsWith(".tsv") ? "\t" : ","} cut={data.truncated ?? false} />;
    case "json": {
      const value = tryJson(text);
      return value === undefined ? (
        <pre className={css.text}>{text}</pre>
      ) : (
        <div className={css.pad}>
          <JsonTree value={value} open={3} />
        </div>
      );
    }
    case "text":
      return <pre className={css.text}>{text}</pre>;
    case "html":
      return <HtmlFrame data={data} />;
    case "pdf":
      return (
        <Empty title="PDF">
          Open it in its own tab:{" "}
          <a href={data.url} target="_blank" rel="noopener noreferrer">
            {data.path}
          </a>
        </Empty>
      );
    case "binary":
      return (
        <Empty title="No preview for this kind of file">
          It is never opened on the server or in the browser. Download it to look inside.
        </Empty>
      );
  }
}

/**
 * A report of somebody's making. Without any permission at first; when asked, its scripts run in an origin of their own
 * that can reach neither this page nor the server (the file's own policy says so too).
 */
function HtmlFrame({ data }: { readonly data: ArtifactPreview }) {
  const [scripts, setScripts] = useState(false);
  return (
    <>
      <div className={css.note}>
        {scripts ? "Its scripts run, shut off from this page." : "Shown without its scripts."}{" "}
        <button type="button" onClick={() => setScripts(!scripts)}>
          <u>{scripts ? "Stop them" : "Run its scripts"}</u>
        </button>
      </div>
      <iframe
        key={String(scripts)}
        className={css.frame}
        sandbox={scripts ? "allow-scripts" : ""}
        src={data.url}
        title={data.path}
      />
    </>
  );
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const MAX_ROWS = 5_000;
const MAX_COLUMNS = 60;

function CsvTable({
  text,
  separator,
  cut,
}: {
  readonly text: string;
  readonly separator: string;
  readonly cut: boolean;
}) {
  const { columns, rows, wide } = useMemo(() => {
    const all = parseCsv(text, separator, MAX_ROWS + 1);
    if (cut) all.pop();
    const head = all[0] ?? [];
    const body = all.slice(1);
    const made: Column<Indexed>[] = head.slice(0, MAX_COLUMNS).map((name, i) => {
      const numeric = body.slice(0, 50).every((r) => (r[i] ?? "") === "" || Number.isFinite(Number(r[i])));
      return {
        id: `${i}`,
        label: name || `column ${i + 1}`,
        width: 120,
        grow: 1,
        ...(numeric ? { align: "right" as const } : {}),
        cell: (row) => <span title={row.cells[i]}>{row.cells[i]}</span>,
      };
    });
    return { columns: made, rows: body.map((cells, at) => ({ at, cells })), wide: head.length > MAX_COLUMNS };
  }, [text, separator, cut]);
  return (
    <DataTable
      label="Table"
      name={`csv-${columns.length}`}
      columns={columns}
      rows={rows}
      rowId={rowAt}
      foot={`${rows.length.toLocaleString("en-US")} rows${wide ? `, the first ${MAX_COLUMNS} columns` : ""}`}
    />
  );
}

interface Indexed {
  readonly at: number;
  readonly cells: readonly string[];
}

const rowAt = (row: Indexed) => String(row.at);
