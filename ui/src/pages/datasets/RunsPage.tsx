import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { datasetCompareQuery, datasetPlaceQuery, datasetRunsQuery } from "@/api/queries";
import type { ComparedCell, ComparedItem, DatasetRunRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { duration, integer, metric, money } from "@/base/format";
import { IconButton } from "@/ui/Button";
import { cx } from "@/ui/cx";
import { Select } from "@/ui/Field";
import { FilterBox } from "@/ui/FilterBox";
import { useHotkeys } from "@/ui/hotkeys";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import css from "./Datasets.module.css";
import { changed, numeric, preview, regressed } from "./values";

const ROW = 104;
const MOST = 8;
const SHOWN = ["all", "worse", "changed", "errors"] as const;
type Shown = (typeof SHOWN)[number];
const LABELS: Record<Shown, string> = { all: "All", worse: "Regressions", changed: "Changed", errors: "Errors" };

/** Runs over a dataset item by item, side by side; the first is the baseline that the others are compared with. */
export function RunsPage() {
  const projectId = useProjectId();
  const { datasetId = "", runId = "" } = useParams({ strict: false }) as { datasetId?: string; runId?: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const others = useMemo(() => (search.with ?? "").split(",").filter((id) => id && id !== runId), [search.with, runId]);
  const query = useQuery(datasetCompareQuery(projectId, datasetId, [runId, ...others]));
  const all = useQuery(datasetRunsQuery(projectId, datasetId));
  const shown = SHOWN.find((each) => each === search.show) ?? "all";
  const text = (search.q ?? "").toLowerCase();
  const found = query.data;
  const rows = useMemo(() => (found?.items ?? []).filter((row) => wanted(row, shown, text)), [found, shown, text]);
  const runs = found?.runs ?? [];
  const baseline = runs[0];
  const put = (ids: readonly string[]) => setSearch({ with: ids.join(",") || undefined });
  const addable = (all.data?.runs ?? []).filter((run) => run.id !== runId && !others.includes(run.id));
  const name = baseline ? baseline.name : "Run";
  return (
    <>
      <PageHeader
        title={runs.length > 1 ? `${name} and ${runs.length - 1} more` : name}
        name={name}
        crumbs={[
          <Link key="d" to="/project/$projectId/datasets" params={{ projectId }}>
            Datasets
          </Link>,
          <Link
            key="n"
            to="/project/$projectId/datasets/$datasetId"
            params={{ projectId, datasetId }}
            search={{ tab: "runs" } as never}
          >
            {found?.dataset_name ?? datasetId}
          </Link>,
        ]}
      >
        {addable.length > 0 && runs.length < MOST ? (
          <Select
            className={css.select}
            aria-label="Compare with another run"
            value=""
            onChange={(event) => put([...others, event.currentTarget.value])}
          >
            <option value="">Compare with…</option>
            {addable.map((run) => (
              <option key={run.id} value={run.id}>
                {run.name}
              </option>
            ))}
          </Select>
        ) : null}
      </PageHeader>
      <Bar label="Filters">
        <Segmented
          label="Items shown"
          value={shown}
          options={SHOWN.filter((each) => runs.length > 1 || each === "all" || each === "errors").map((value) => ({
            value,
            label: LABELS[value],
          }))}
          onChange={(value) => setSearch({ show: value === "all" ? undefined : value })}
        />
        <FilterBox
          value={search.q ?? ""}
          onChange={(q) => setSearch({ q })}
          label="Filter items"
          placeholder="Text in input, expected output or outputs"
        />
        <span className="muted num">
          {found ? `${integer(rows.length)} of ${integer(found.items.length)} items` : ""}
        </span>
      </Bar>
      {query.isPending ? (
        <div className={page.column}>
          <LoadingRows />
        </div>
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <Matrix
          projectId={projectId}
          runs={runs}
          rows={rows}
          onRemove={(id) => put(others.filter((each) => each !== id))}
        />
      )}
    </>
  );
}

function wanted(row: ComparedItem, shown: Shown, text: string): boolean {
  const [base, ...rest] = row.cells;
  if (shown === "worse" && !rest.some((cell) => regressed(base, cell))) return false;
  if (shown === "changed" && !rest.some((cell) => changed(base, cell))) return false;
  if (shown === "errors" && !row.cells.some((cell) => cell?.error)) return false;
  if (!text) return true;
  const parts = [row.input, row.expected_output, ...row.cells.map((cell) => cell?.output)];
  return parts.some((part) => preview(part).toLowerCase().includes(text));
}

interface MatrixProps {
  readonly projectId: string;
  readonly runs: readonly DatasetRunRow[];
  readonly rows: readonly ComparedItem[];
  readonly onRemove: (runId: string) => void;
}

function Matrix({ projectId, runs, rows, onRemove }: MatrixProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const navigate = useNavigate();
  const [cursor, setCursor] = useState(-1);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 6,
  });
  const move = (step: number) => {
    const to = Math.max(0, Math.min(rows.length - 1, cursor + step));
    setCursor(to);
    virtual.scrollToIndex(to);
  };
  useHotkeys([
    { keys: "j", label: "Next item", group: "Comparison", run: () => move(1) },
    { keys: "k", label: "Previous item", group: "Comparison", run: () => move(-1) },
    {
      keys: "enter",
      label: "Open the baseline's trace",
      group: "Comparison",
      run: () => {
        const traceId = rows[cursor]?.cells.find((cell) => cell !== null)?.trace_id;
        if (traceId) void navigate({ to: "/project/$projectId/traces/$traceId", params: { projectId, traceId } });
      },
    },
  ]);
  const template = `minmax(220px, 1fr) minmax(160px, 0.8fr) repeat(${runs.length}, minmax(240px, 1.2fr))`;
  const minWidth = 380 + runs.length * 240;
  return (
    <div ref={scroller} className={css.matrix} role="table" aria-label="Runs item by item" tabIndex={0}>
      <div className={css.matrixHead} role="row" style={{ gridTemplateColumns: template, minWidth }}>
        <div role="columnheader">Input</div>
        <div role="columnheader">Expected output</div>
        {runs.map((run, i) => (
          <div key={run.id} role="columnheader">
            <div className={css.runName}>
              <span className="ellipsis" title={run.name}>
                {run.name}
              </span>
              {i === 0 ? (
                <span className="muted">{runs.length > 1 ? "baseline" : ""}</span>
              ) : (
                <IconButton label={`Remove ${run.name}`} small onClick={() => onRemove(run.id)}>
                  <X size={13} aria-hidden="true" />
                </IconButton>
              )}
            </div>
            <Totals run={run} baseline={i === 0 ? undefined : runs[0]} />
          </div>
        ))}
      </div>
      {rows.length === 0 ? (
        <Empty title="No item to show">The run has no items, or none that the filters let through.</Empty>
      ) : null}
      <div className={css.matrixBody} style={{ height: virtual.getTotalSize(), minWidth }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          if (row === undefined) return null;
          return (
            <div
              key={row.item_id}
              role="row"
              className={css.matrixRow}
              data-cursor={item.index === cursor}
              style={{ top: item.start, height: ROW, gridTemplateColumns: template, minWidth }}
            >
              <div role="cell" className={css.text} title={row.item_id}>
                {row.there ? preview(row.input) : <span className="muted">deleted item {row.item_id}</span>}
              </div>
              <div role="cell" className={css.text}>
                {preview(row.expected_output)}
              </div>
              {row.cells.map((cell, i) => (
                <div role="cell" key={runs[i]?.id ?? i}>
                  <Answer projectId={projectId} cell={cell} baseline={i === 0 ? undefined : row.cells[0]} />
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Totals({ run, baseline }: { readonly run: DatasetRunRow; readonly baseline: DatasetRunRow | undefined }) {
  return (
    <div className={css.scores}>
      {Object.entries(run.scores).map(([name, value]) => (
        <Score key={name} name={name} value={value} before={baseline?.scores[name]} />
      ))}
      <span className="muted num">
        {duration(run.latency_ms)} · {money(run.cost)}
      </span>
    </div>
  );
}

interface AnswerProps {
  readonly projectId: string;
  readonly cell: ComparedCell | null;
  readonly baseline: ComparedCell | null | undefined;
}

function Answer({ projectId, cell, baseline }: AnswerProps) {
  if (!cell) return <span className="muted">not in this run</span>;
  return (
    <div className={css.answer}>
      <div className={cx(css.text, cell.error && css.failed)}>{preview(cell.output)}</div>
      <div className={css.scores}>
        {Object.entries(cell.scores).map(([name, value]) => (
          <Score key={name} name={name} value={value} before={baseline?.scores[name]} />
        ))}
        <Link
          className="num"
          to="/project/$projectId/traces/$traceId"
          params={{ projectId, traceId: cell.trace_id }}
          title="Open the trace"
        >
          {duration(cell.latency_ms)} · {money(cell.cost)}
        </Link>
      </div>
    </div>
  );
}

interface ScoreProps {
  readonly name: string;
  readonly value: unknown;
  readonly before?: unknown;
}

/** A score; beside a baseline its difference, green when higher, red when lower, and told in words to those who do not see colours. */
function Score({ name, value, before }: ScoreProps) {
  const [now, then] = [numeric(value), numeric(before)];
  const step = now === null || then === null ? 0 : now - then;
  const shown = typeof value === "number" ? metric(value) : preview(value);
  const tone = step > 0 ? css.up : step < 0 ? css.down : undefined;
  return (
    <span
      className={cx(css.score, tone)}
      title={step ? `${name}: ${step > 0 ? "higher" : "lower"} than the baseline` : name}
    >
      {name} <b>{shown}</b>
      {step !== 0 ? ` ${step > 0 ? "▲" : "▼"}${metric(Math.abs(step))}` : ""}
    </span>
  );
}

/** `/experiments/results?baseline=ID`, the link that Langfuse's SDK 5 prints: finds the dataset and goes there. */
export function ResultsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const navigate = useNavigate();
  const baseline = search.baseline ?? "";
  const place = useQuery(datasetPlaceQuery(projectId, baseline));
  useEffect(() => {
    if (!place.data) return;
    void navigate({
      to: "/project/$projectId/datasets/$datasetId/runs/$runId",
      params: { projectId, datasetId: place.data.dataset_id, runId: place.data.run_id },
      replace: true,
    });
  }, [place.data, navigate, projectId]);
  return (
    <>
      <PageHeader title="Experiment" name="Experiment" />
      {baseline === "" ? (
        <Empty title="Which experiment?">The address names none: it ends in “?baseline=” and an id.</Empty>
      ) : place.isError ? (
        <Failure error={place.error} retry={() => void place.refetch()} />
      ) : (
        <div className={page.column}>
          <LoadingRows />
        </div>
      )}
    </>
  );
}
