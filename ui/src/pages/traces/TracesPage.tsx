import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ArrowUp, Bug, ClipboardPlus, Gauge, Pause, Play, TableProperties, Tag, Trash2 } from "lucide-react";
import { lazy, Suspense, useCallback, useMemo, useState } from "react";
import { ApiError, api } from "@/api/client";
import { anyTraceQuery, traceCountQuery, traceFieldsQuery, traceValuesQuery } from "@/api/queries";
import type { TraceRow } from "@/api/types";
import { useColumnChoice } from "@/app/columns";
import { useRange } from "@/app/range";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import type { Completion } from "@/base/filter";
import { Button, IconButton } from "@/ui/Button";
import { ColumnMenu } from "@/ui/ColumnMenu";
import { CopyButton } from "@/ui/Copy";
import { DataTable } from "@/ui/DataTable";
import { FacetMenu } from "@/ui/FacetMenu";
import { FilterBox, FilterProblem, type Suggestion, valueSuggestions } from "@/ui/FilterBox";
import { useHotkeys } from "@/ui/hotkeys";
import { Bar, PageHeader, page } from "@/ui/Page";
import { RangePicker } from "@/ui/RangePicker";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { DEFAULT_COLUMNS, traceColumns } from "./columns";
import { Histogram } from "./Histogram";
import { ScoreDialog } from "./ScoreDialog";
import { TagDialog } from "./TagDialog";
import css from "./Traces.module.css";
import { useTraceList } from "./use-trace-list";

const AddToDataset = lazy(() => import("./AddToDataset").then((m) => ({ default: m.AddToDataset })));
const AddToQueue = lazy(() => import("@/pages/trace/AddToQueue").then((m) => ({ default: m.AddToQueue })));
const AddToIssue = lazy(() => import("@/pages/trace/AddToIssue").then((m) => ({ default: m.AddToIssue })));
const PeekPanel = lazy(() => import("@/pages/trace/PeekPanel").then((m) => ({ default: m.PeekPanel })));
const Onboarding = lazy(() => import("@/pages/overview/Onboarding").then((m) => ({ default: m.Onboarding })));

const FACETS = [
  ["Status", "status"],
  ["Model", "model"],
  ["Tag", "tag"],
  ["User", "user"],
  ["Environment", "env"],
] as const;

export function TracesPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const filter = search.q ?? "";
  const order = search.sort ?? "-start";
  const playing = search.live !== "off";
  const { range, key: rangeKey, resolve } = useRange("all");
  const [atTop, setAtTop] = useState(true);
  const [toTop, setToTop] = useState(0);
  const [tagging, setTagging] = useState(false);
  const [scoring, setScoring] = useState(false);
  const [queueing, setQueueing] = useState(false);
  const [filing, setFiling] = useState(false);
  const [collecting, setCollecting] = useState(false);

  const args = useMemo(() => ({ filter, order, rangeKey }), [filter, order, rangeKey]);
  const { query, rows, held, release, fresh, drop, put } = useTraceList({ projectId, args, resolve, playing, atTop });

  const setFilter = useCallback((q: string) => setSearch({ q, sel: undefined }), [setSearch]);
  const all = useMemo(() => traceColumns({ projectId, filter, onFilter: setFilter }), [projectId, filter, setFilter]);
  const [chosen, choose] = useColumnChoice("traces");
  const shown = useMemo(() => chosen?.split(",") ?? DEFAULT_COLUMNS, [chosen]);
  const columns = useMemo(() => shown.flatMap((id) => all.find((c) => c.id === id) ?? []), [all, shown]);
  const selected = useMemo(() => new Set((search.sel ?? "").split(",").filter(Boolean)), [search.sel]);
  const peek = search.peek ?? null;
  const at = peek === null ? -1 : rows.findIndex((t) => t.trace_id === peek);

  const open = useCallback((row: TraceRow) => setSearch({ peek: row.trace_id }), [setSearch]);
  const step = useCallback(
    (by: number) => {
      const next = rows[at + by];
      if (next) setSearch({ peek: next.trace_id });
    },
    [rows, at, setSearch],
  );
  useHotkeys([
    {
      keys: "space",
      label: playing ? "Pause new rows" : "Let new rows in",
      group: "List",
      run: () => setSearch({ live: playing ? "off" : undefined }),
    },
  ]);

  const remove = useMutation({
    mutationFn: (ids: readonly string[]) =>
      api.post("/projects/{project_id}/traces/delete", {
        path: { project_id: projectId },
        body: { trace_ids: [...ids] },
      }),
    onSuccess: (done, ids) => {
      drop(ids);
      setSearch({ sel: undefined, peek: peek !== null && ids.includes(peek) ? undefined : (peek ?? undefined) });
      toast(`${done.count} ${done.count === 1 ? "trace" : "traces"} deleted`, { tone: "ok" });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const [sure, setSure] = useState(false);

  const fields = useQuery(traceFieldsQuery(projectId));
  const [place, setPlace] = useState<Completion | null>(null);
  const knows =
    fields.data?.fields.some(
      (f) => f.suggests && (f.name === place?.field || (f.name.endsWith(".") && place?.field.startsWith(f.name))),
    ) ?? false;
  const values = useQuery(
    traceValuesQuery(projectId, place?.field ?? "", place?.prefix ?? "", place?.kind === "value" && knows),
  );
  const suggest = useCallback(
    (where: Completion): readonly Suggestion[] => {
      if (where.kind === "value") {
        const spec = fields.data?.fields.find((f) => f.name === where.field);
        if (values.data && place?.field === where.field) return valueSuggestions(values.data.values);
        return (spec?.choices ?? [])
          .filter((c) => c.startsWith(where.prefix))
          .map((c) => ({ insert: c, label: c, open: false }));
      }
      const typed = where.prefix.toLowerCase();
      return (fields.data?.fields ?? [])
        .filter((f) => f.name.startsWith(typed) || (typed.length > 1 && f.name.includes(typed)))
        .map((f) => ({
          insert: f.name.endsWith(".")
            ? f.name
            : `${f.name}${["number", "duration", "time"].includes(f.type) ? ">" : ":"}`,
          label: f.name.endsWith(".") ? `${f.name}…` : f.name,
          help: `${f.help} · ${f.example}`,
          open: true,
        }));
    },
    [fields.data, values.data, place],
  );

  const wrong = query.error instanceof ApiError && query.error.status === 400 && filter !== "";
  const sort = { field: order.replace(/^-/, ""), descending: order.startsWith("-") };
  const count = rows.length;
  const total = useQuery({
    ...traceCountQuery(projectId, args, resolve),
    enabled: query.isSuccess && query.hasNextPage,
  });
  const known = query.hasNextPage ? Math.max(total.data?.count ?? 0, count) : count;
  /** Only a project that never had a trace gets the onboarding. */
  const any = useQuery({ ...anyTraceQuery(projectId), enabled: query.isSuccess && count === 0 });
  const blank = count === 0 && query.isSuccess && any.data?.traces.length === 0;
  const onEnd = useCallback(() => {
    if (query.hasNextPage && !query.isFetchingNextPage && !query.isError) void query.fetchNextPage();
  }, [query]);

  return (
    <>
      <PageHeader title="Traces" name="Traces">
        <span className="muted num" aria-live="off">
          {query.isPending || wrong ? "" : `${known.toLocaleString("en-US")} ${known === 1 ? "trace" : "traces"}`}
        </span>
        <IconButton
          label={playing ? "Pause new rows" : "Let new rows in"}
          keys="Space"
          active={!playing}
          onClick={() => setSearch({ live: playing ? "off" : undefined })}
        >
          {playing ? <Pause size={15} aria-hidden="true" /> : <Play size={15} aria-hidden="true" />}
        </IconButton>
        <CopyButton text={() => window.location.href} label="Copy a link to this list" kind="link" small={false} />
      </PageHeader>
      <Bar label="Filters">
        <FilterBox
          value={filter}
          onChange={setFilter}
          label="Filter traces"
          placeholder="Filter: status:error model:gpt-4o latency>2s score.quality<0.5 or any text"
          invalid={wrong}
          suggest={suggest}
          onPlace={setPlace}
          hint="Several words must all hold; - negates, OR and ( ) combine."
        />
        {FACETS.map(([label, field]) => (
          <FacetMenu
            key={field}
            projectId={projectId}
            label={label}
            field={field}
            filter={filter}
            onFilter={setFilter}
          />
        ))}
        <RangePicker value={range} onChange={(text) => setSearch({ range: text === "all" ? undefined : text })} />
        <ColumnMenu
          choices={all}
          shown={shown}
          onChange={(next) =>
            choose(next === null || next.join() === DEFAULT_COLUMNS.join() ? undefined : next.join(","))
          }
        />
      </Bar>
      <FilterProblem error={query.error} text={filter} onFix={setFilter} />
      {selected.size > 0 ? (
        <div className={css.picked} role="toolbar" aria-label="Selected traces">
          <strong className="num">{selected.size} selected</strong>
          <Button small icon={<Tag size={13} aria-hidden="true" />} onClick={() => setTagging(true)}>
            Tag
          </Button>
          <Button small icon={<Gauge size={13} aria-hidden="true" />} onClick={() => setScoring(true)}>
            Score
          </Button>
          <Button small icon={<ClipboardPlus size={13} aria-hidden="true" />} onClick={() => setQueueing(true)}>
            Add to queue
          </Button>
          <Button small icon={<Bug size={13} aria-hidden="true" />} onClick={() => setFiling(true)}>
            Add to issue
          </Button>
          <Button small icon={<TableProperties size={13} aria-hidden="true" />} onClick={() => setCollecting(true)}>
            Add to dataset
          </Button>
          <Button
            small
            look="danger"
            icon={<Trash2 size={13} aria-hidden="true" />}
            disabled={remove.isPending}
            onClick={() => {
              if (sure) remove.mutate([...selected]);
              setSure(!sure);
            }}
            onBlur={() => setSure(false)}
          >
            {sure ? `Delete ${selected.size} for good?` : "Delete"}
          </Button>
          <Button small look="ghost" onClick={() => setSearch({ sel: undefined })}>
            Clear
          </Button>
        </div>
      ) : null}
      {blank ? null : (
        <Histogram
          projectId={projectId}
          filter={wrong ? "" : filter}
          range={range}
          rangeKey={rangeKey}
          onRange={(text) => setSearch({ range: text })}
        />
      )}
      <div className={page.fill}>
        <div className={css.list}>
          {held > 0 ? (
            <button
              type="button"
              className={css.news}
              onClick={() => {
                release();
                setToTop((n) => n + 1);
              }}
            >
              <ArrowUp size={13} aria-hidden="true" />
              {held >= 1_000 ? "1,000+" : held} new
            </button>
          ) : null}
          {query.isPending ? (
            <LoadingRows rows={16} />
          ) : blank ? (
            <div className={page.scroll}>
              <Suspense fallback={null}>
                <Onboarding projectId={projectId} />
              </Suspense>
            </div>
          ) : query.isError && !wrong && rows.length === 0 ? (
            <Failure error={query.error} retry={() => void query.refetch()} />
          ) : (
            <DataTable
              label="Traces"
              name="traces"
              columns={columns}
              rows={rows}
              rowId={traceId}
              sort={sort}
              onSort={(s) =>
                setSearch({
                  sort: s.field === "start" && s.descending ? undefined : `${s.descending ? "-" : ""}${s.field}`,
                })
              }
              selected={selected}
              onSelect={(ids) => setSearch({ sel: [...ids].join(",") || undefined })}
              activeId={peek}
              fresh={fresh}
              onOpen={(row, how) =>
                how === "key" && peek === row.trace_id
                  ? void navigate({
                      to: "/project/$projectId/traces/$traceId",
                      params: { projectId, traceId: row.trace_id },
                    })
                  : open(row)
              }
              onCursor={peek === null ? undefined : open}
              onEnd={onEnd}
              onTop={setAtTop}
              toTop={toTop}
              foot={query.isFetchingNextPage ? "Loading more…" : null}
              empty={
                wrong ? (
                  <Empty
                    title="The filter cannot be read"
                    actions={<Button onClick={() => setFilter("")}>Clear it</Button>}
                  />
                ) : any.data ? (
                  <NothingFound
                    filter={filter}
                    onFilter={setFilter}
                    onAll={() => setSearch({ range: "all", q: undefined })}
                  />
                ) : null
              }
            />
          )}
        </div>
        {peek !== null ? (
          <Suspense fallback={null}>
            <PeekPanel
              projectId={projectId}
              traceId={peek}
              onClose={() => setSearch({ peek: undefined, span: undefined })}
              onStep={step}
              hasPrevious={at > 0}
              hasNext={at >= 0 && at < rows.length - 1}
            />
          </Suspense>
        ) : null}
      </div>
      {scoring ? (
        <ScoreDialog
          projectId={projectId}
          ids={[...selected]}
          onDone={() => void query.refetch()}
          onClose={() => setScoring(false)}
        />
      ) : null}
      {collecting ? (
        <Suspense fallback={null}>
          <AddToDataset projectId={projectId} ids={[...selected]} onClose={() => setCollecting(false)} />
        </Suspense>
      ) : null}
      {filing ? (
        <Suspense fallback={null}>
          <AddToIssue
            projectId={projectId}
            ids={[...selected]}
            onClose={() => {
              setFiling(false);
              void query.refetch();
            }}
          />
        </Suspense>
      ) : null}
      {queueing ? (
        <Suspense fallback={null}>
          <AddToQueue projectId={projectId} type="TRACE" ids={[...selected]} onClose={() => setQueueing(false)} />
        </Suspense>
      ) : null}
      {tagging ? (
        <TagDialog
          projectId={projectId}
          traces={rows.filter((t) => selected.has(t.trace_id))}
          onDone={(changed) => changed.forEach(put)}
          onClose={() => setTagging(false)}
        />
      ) : null}
    </>
  );
}

const traceId = (row: TraceRow) => row.trace_id;

/** Rows exist, but none here: say how to widen the view. */
function NothingFound({
  filter,
  onFilter,
  onAll,
}: {
  readonly filter: string;
  readonly onFilter: (q: string) => void;
  readonly onAll: () => void;
}) {
  return (
    <Empty
      title="No trace fits"
      actions={
        <>
          {filter ? <Button onClick={() => onFilter("")}>Clear the filter</Button> : null}
          <Button onClick={onAll}>Show everything</Button>
        </>
      }
    >
      {filter ? "No trace in this time range satisfies the filter." : "Nothing was recorded in this time range."}
    </Empty>
  );
}
