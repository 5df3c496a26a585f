import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ChartLine, ListTree, RotateCcw, Trash2 } from "lucide-react";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ApiError, api } from "@/api/client";
import { useLive } from "@/api/live";
import { experimentsQuery, runsQuery } from "@/api/queries";
import { useColumnChoice } from "@/app/columns";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import type { Completion } from "@/base/filter";
import { defaultColumns, nestRuns, PARENT_TAG, quoteKey, readColumns, writeColumns } from "@/base/runs";
import { Button } from "@/ui/Button";
import { ColumnMenu } from "@/ui/ColumnMenu";
import { CopyButton } from "@/ui/Copy";
import { DataTable } from "@/ui/DataTable";
import { FilterBox, FilterProblem, type Suggestion } from "@/ui/FilterBox";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { type Row, runChoices, runColumns } from "./columns";
import css from "./Experiment.module.css";

const Onboarding = lazy(() => import("@/pages/overview/Onboarding").then((m) => ({ default: m.Onboarding })));

const REFRESH_MS = 700;
const NEWEST = "attributes.start_time DESC";
const rowId = (row: Row) => row.run.run_id;

/** The runs of an experiment: what was tried, with what, and how well it did. */
export function ExperimentPage() {
  const projectId = useProjectId();
  const { experimentId } = useParams({ strict: false }) as { experimentId: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const filter = search.q ?? "";
  const order = search.sort ?? NEWEST;
  const deleted = search.view === "deleted";
  const experiments = useQuery(experimentsQuery(projectId));
  const experiment = experiments.data?.experiments.find((e) => e.experiment_id === experimentId);
  const name = experiment?.name ?? (experimentId === "0" ? "Default" : experimentId);

  const options = useMemo(
    () => runsQuery(projectId, experimentId, { filter, order, deleted }),
    [projectId, experimentId, filter, order, deleted],
  );
  const query = useInfiniteQuery(options);
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useLive((events) => {
    const mine = events.some(
      (e) =>
        e.kind === "gap" ||
        e.kind === "metric" ||
        (e.kind === "run" && (!e.experiment_id || e.experiment_id === experimentId)),
    );
    if (!mine || timer.current !== 0) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      void queries.invalidateQueries({ queryKey: [projectId, "runs", experimentId] });
    }, REFRESH_MS);
  });

  const runs = useMemo(() => (query.data?.pages ?? []).flatMap((p) => p.runs), [query.data]);
  const keys = useMemo(() => {
    const union = (pick: (p: NonNullable<typeof query.data>["pages"][number]) => readonly string[]) =>
      [...new Set((query.data?.pages ?? []).flatMap(pick))].sort();
    return { metrics: union((p) => p.metric_keys), params: union((p) => p.param_keys), tags: union((p) => p.tag_keys) };
  }, [query.data]);
  const usual = useMemo(() => defaultColumns(runs.slice(0, 200), keys.metrics, keys.params), [runs, keys]);
  const [chosen, choose] = useColumnChoice(`runs.${projectId}.${experimentId}`);
  const shown = useMemo(() => (chosen ? readColumns(chosen) : usual), [chosen, usual]);

  const anyChild = useMemo(() => runs.some((r) => r.tags?.[PARENT_TAG]), [runs]);
  const nested = anyChild && search.nest !== "off";
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const onFold = useCallback(
    (id: string) =>
      setFolded((was) => {
        const next = new Set(was);
        if (!next.delete(id)) next.add(id);
        return next;
      }),
    [],
  );
  const rows = useMemo<Row[]>(
    () => (nested ? nestRuns(runs, folded) : runs.map((run) => ({ run, depth: 0, children: 0 }))),
    [runs, nested, folded],
  );
  const columns = useMemo(
    () => runColumns(shown, { projectId, nested, folded, onFold }),
    [shown, projectId, nested, folded, onFold],
  );
  const choices = useMemo(() => runChoices(keys.metrics, keys.params, keys.tags), [keys]);
  const selected = useMemo(() => new Set((search.sel ?? "").split(",").filter(Boolean)), [search.sel]);

  const change = useMutation({
    mutationFn: ({ ids, to }: { ids: readonly string[]; to: "delete" | "restore" }) =>
      api.post(to === "delete" ? "/projects/{project_id}/runs/delete" : "/projects/{project_id}/runs/restore", {
        path: { project_id: projectId },
        body: { run_ids: [...ids] },
      }),
    onSuccess: async (done, { ids, to }) => {
      setSearch({ sel: undefined });
      await queries.invalidateQueries({ queryKey: [projectId, "runs"] });
      const text = `${done.count} ${done.count === 1 ? "run" : "runs"} ${to === "delete" ? "deleted" : "restored"}`;
      toast(
        text,
        to === "delete"
          ? { tone: "ok", action: { label: "Undo", run: () => change.mutate({ ids, to: "restore" }) } }
          : { tone: "ok" },
      );
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });

  const suggest = useCallback(
    (at: Completion): readonly Suggestion[] => {
      if (at.kind !== "field" || at.prefix === "") return [];
      const typed = at.prefix.toLowerCase();
      const all: Suggestion[] = [
        ...keys.metrics.map((k) => ({
          insert: `${quoteKey("metrics", k)} < `,
          label: `metrics.${k}`,
          help: "metric",
          open: true,
        })),
        ...keys.params.map((k) => ({
          insert: `${quoteKey("params", k)} = '`,
          label: `params.${k}`,
          help: "param",
          open: true,
        })),
        ...keys.tags
          .filter((k) => !k.startsWith("mlflow."))
          .map((k) => ({ insert: `${quoteKey("tags", k)} = '`, label: `tags.${k}`, help: "tag", open: true })),
        ...["status", "run_name", "start_time", "user_id"].map((k) => ({
          insert: `attributes.${k} ${k === "start_time" ? ">" : "="} `,
          label: `attributes.${k}`,
          help: "attribute",
          open: true,
        })),
      ];
      return all.filter((s) => s.label.toLowerCase().includes(typed)).slice(0, 40);
    },
    [keys],
  );

  const wrong = query.error instanceof ApiError && query.error.status === 400;
  const direction = / DESC$/i.test(order);
  const sort = { field: order.replace(/ (ASC|DESC)$/i, ""), descending: direction };
  const onEnd = useCallback(() => {
    if (query.hasNextPage && !query.isFetchingNextPage && !query.isError) void query.fetchNextPage();
  }, [query]);
  const blank = query.isSuccess && runs.length === 0 && filter === "" && !deleted;
  return (
    <>
      <PageHeader
        name={name}
        crumbs={[
          <Link key="e" to="/project/$projectId/experiments" params={{ projectId }}>
            Experiments
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{name}</span>
            <CopyButton text={experimentId} label="Copy the experiment id" />
          </>
        }
      >
        <span className="muted num">
          {query.isSuccess
            ? `${runs.length.toLocaleString("en-US")}${query.hasNextPage ? "+" : ""} ${runs.length === 1 ? "run" : "runs"}`
            : ""}
        </span>
        <Button
          icon={<ListTree size={14} aria-hidden="true" />}
          onClick={() =>
            void navigate({
              to: "/project/$projectId/traces",
              params: { projectId },
              search: { q: `experiment:${experimentId}`, range: "all" },
            })
          }
        >
          Traces
        </Button>
        <CopyButton text={() => window.location.href} label="Copy a link to this table" kind="link" small={false} />
      </PageHeader>
      <Bar label="Filters">
        <FilterBox
          value={filter}
          onChange={(q) => setSearch({ q, sel: undefined })}
          label="Filter runs"
          placeholder="Filter: metrics.accuracy > 0.9 and params.optimizer = 'adam'"
          invalid={wrong}
          suggest={suggest}
          hint="MLflow's search grammar; OR, NOT and parentheses work too."
        />
        <Segmented
          label="Runs"
          value={deleted ? "deleted" : "active"}
          options={[
            { value: "active", label: "Active" },
            { value: "deleted", label: "Deleted" },
          ]}
          onChange={(value) => setSearch({ view: value === "deleted" ? "deleted" : undefined, sel: undefined })}
        />
        {anyChild ? (
          <Button active={nested} aria-pressed={nested} onClick={() => setSearch({ nest: nested ? "off" : undefined })}>
            Nest children
          </Button>
        ) : null}
        <ColumnMenu
          choices={choices}
          shown={shown}
          onChange={(next) => choose(next === null ? undefined : writeColumns(next))}
        />
      </Bar>
      <FilterProblem error={query.error} text={filter} onFix={(q) => setSearch({ q })} />
      {selected.size > 0 ? (
        <div className={css.picked} role="toolbar" aria-label="Selected runs">
          <strong className="num">{selected.size} selected</strong>
          {deleted ? (
            <Button
              small
              icon={<RotateCcw size={13} aria-hidden="true" />}
              onClick={() => change.mutate({ ids: [...selected], to: "restore" })}
            >
              Restore
            </Button>
          ) : (
            <>
              <Link
                to="/project/$projectId/experiments/$experimentId/compare"
                params={{ projectId, experimentId }}
                search={{ runs: [...selected].join(",") }}
                className={css.compare}
              >
                <ChartLine size={13} aria-hidden="true" />
                {selected.size === 1 ? "Show curves" : "Compare"}
              </Link>
              <Button
                small
                look="danger"
                icon={<Trash2 size={13} aria-hidden="true" />}
                onClick={() => change.mutate({ ids: [...selected], to: "delete" })}
              >
                Delete
              </Button>
            </>
          )}
          <Button small look="ghost" onClick={() => setSearch({ sel: undefined })}>
            Clear
          </Button>
        </div>
      ) : null}
      <div className={blank ? page.scroll : page.fill}>
        {query.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError && !wrong && runs.length === 0 ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : blank ? (
          <Suspense fallback={null}>
            <Onboarding projectId={projectId} first="run" />
          </Suspense>
        ) : (
          <DataTable
            label="Runs"
            name="runs"
            columns={columns}
            rows={rows}
            rowId={rowId}
            sort={sort}
            onSort={(s) => setSearch({ sort: `${s.field} ${s.descending ? "DESC" : "ASC"}` })}
            selected={selected}
            onSelect={(ids) => setSearch({ sel: [...ids].join(",") || undefined })}
            onOpen={({ run }) =>
              void navigate({
                to: "/project/$projectId/experiments/$experimentId/runs/$runId",
                params: { projectId, experimentId: run.experiment_id, runId: run.run_id },
              })
            }
            onEnd={onEnd}
            foot={query.isFetchingNextPage ? "Loading more…" : null}
            empty={
              <Empty
                title={deleted ? "No deleted runs" : "No run fits"}
                actions={filter ? <Button onClick={() => setSearch({ q: undefined })}>Clear the filter</Button> : null}
              >
                {deleted
                  ? "Runs you delete wait here until they are purged."
                  : "No run of this experiment satisfies the filter."}
              </Empty>
            }
          />
        )}
      </div>
    </>
  );
}
