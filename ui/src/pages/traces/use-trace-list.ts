import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import { type TraceArgs, tracesQuery } from "@/api/queries";
import type { LiveEvent, TraceRow } from "@/api/types";
import { quoteValue } from "@/base/filter";

interface Options {
  readonly projectId: string;
  readonly args: TraceArgs;
  readonly resolve: () => { from: number | null; to: number | null };
  readonly playing: boolean;
  /** New rows go straight in; otherwise they are counted. */
  readonly atTop: boolean;
}

const REFRESH_MS = 600;
/** When this many rows have come in, the list starts again from its first page instead of growing for ever. */
const MOST = 1_000;

/**
 * The pages of a trace list with what has happened since laid over them. Changes to rows in sight show at once; new rows
 * show at once while the list stands at its top and plays, and are held back (and counted) otherwise, so that nothing
 * moves under the reader. A list in another order or with a filter asks the server which rows belong to it.
 */
export function useTraceList({ projectId, args, resolve, playing, atTop }: Options) {
  const queries = useQueryClient();
  const options = useMemo(() => tracesQuery(projectId, args, resolve), [projectId, args, resolve]);
  const query = useInfiniteQuery(options);
  const [changed, setChanged] = useState<ReadonlyMap<string, TraceRow>>(new Map());
  const [added, setAdded] = useState<readonly TraceRow[]>([]);
  const [held, setHeld] = useState<readonly TraceRow[]>([]);
  const [gone, setGone] = useState<ReadonlySet<string>>(new Set());
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const natural = args.order === "-start";

  const listKey = `${projectId}|${args.filter}|${args.order}|${args.rangeKey}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another list, another overlay
  useEffect(() => {
    setChanged(new Map());
    setAdded([]);
    setHeld([]);
    setGone(new Set());
    setFresh(new Set());
  }, [listKey]);

  const base = useMemo(() => (query.data?.pages ?? []).flatMap((p) => p.traces), [query.data]);
  const baseIds = useMemo(() => new Set(base.map((t) => t.trace_id)), [base]);
  const rows = useMemo(() => {
    const front = added.filter((t) => !baseIds.has(t.trace_id));
    const seen = new Set<string>();
    const out: TraceRow[] = [];
    for (const row of [...front, ...base]) {
      if (gone.has(row.trace_id) || seen.has(row.trace_id)) continue;
      seen.add(row.trace_id);
      const newer = changed.get(row.trace_id);
      out.push(newer && newer.updated_ms >= row.updated_ms ? newer : row);
    }
    return out;
  }, [base, baseIds, added, changed, gone]);

  const state = useRef({ rows, playing, atTop, held });
  state.current = { rows, playing, atTop, held };

  /** Take rows that belong to the list: known ones are updated, new ones go in or are held back. */
  const take = useCallback((incoming: readonly TraceRow[]) => {
    const { rows: shown, playing: plays, atTop: top, held: waiting } = state.current;
    const known = new Map([...waiting, ...shown].map((t) => [t.trace_id, t]));
    const news: TraceRow[] = [];
    const updates = new Map<string, TraceRow>();
    for (const row of incoming) {
      const before = known.get(row.trace_id);
      // Live events carry no scores; those of the row stay.
      const whole = before && (row.scores ?? []).length === 0 ? { ...row, scores: before.scores } : row;
      if (before) updates.set(row.trace_id, whole);
      else if (!news.some((n) => n.trace_id === row.trace_id)) news.push(whole);
    }
    if (updates.size > 0) {
      setChanged((was) => new Map([...was, ...updates]));
      setHeld((was) => was.map((t) => updates.get(t.trace_id) ?? t));
    }
    if (news.length === 0) return;
    const sorted = news.sort((a, b) => b.start_ms - a.start_ms);
    if (plays && top) {
      setAdded((was) => [...sorted, ...was].sort((a, b) => b.start_ms - a.start_ms));
      setFresh(new Set(sorted.map((t) => t.trace_id)));
    } else setHeld((was) => [...sorted, ...was].slice(0, MOST));
  }, []);

  /** Load the first page again and forget what was laid over it. */
  const rebase = useCallback(async () => {
    const { from, to } = resolve();
    const page = await api.get("/projects/{project_id}/traces", {
      path: { project_id: projectId },
      query: { filter: args.filter, order: args.order, from_ms: from, to_ms: to, limit: 100 },
    });
    queries.setQueryData(options.queryKey, { pages: [page], pageParams: [null] });
    setAdded([]);
    setHeld([]);
    setChanged(new Map());
  }, [args.filter, args.order, options.queryKey, projectId, queries, resolve]);
  const rebasing = useRef(false);
  useEffect(() => {
    if (added.length < MOST || rebasing.current) return;
    rebasing.current = true;
    rebase()
      .catch(() => undefined)
      .finally(() => {
        rebasing.current = false;
      });
  }, [added.length, rebase]);

  const release = useCallback(() => {
    const { held: waiting } = state.current;
    if (waiting.length === 0) return;
    if (waiting.length >= MOST) {
      void rebase().catch(() => undefined);
      return;
    }
    setAdded((was) => [...waiting, ...was].sort((a, b) => b.start_ms - a.start_ms));
    setFresh(new Set(waiting.slice(0, 40).map((t) => t.trace_id)));
    setHeld([]);
  }, [rebase]);
  useEffect(() => {
    if (playing && atTop) release();
  }, [playing, atTop, release]);

  const timer = useRef(0);
  const scores = useRef(new Set<string>());
  useEffect(() => () => window.clearTimeout(timer.current), []);

  /** Ask the server for the first page (filters, other orders) and for rows whose scores changed. */
  const refresh = useCallback(
    (whole: boolean, scored: readonly string[]) => {
      for (const id of scored) scores.current.add(id);
      if (timer.current !== 0) return;
      timer.current = window.setTimeout(async () => {
        timer.current = 0;
        const ids = [...scores.current].slice(0, 100);
        scores.current.clear();
        try {
          if (whole && !natural) await queries.invalidateQueries({ queryKey: options.queryKey });
          else {
            const bounds = resolve();
            const ask = (query: { filter: string; from_ms?: number | null; to_ms?: number | null; limit: number }) =>
              api.get("/projects/{project_id}/traces", { path: { project_id: projectId }, query });
            const jobs = [
              ...(whole ? [ask({ filter: args.filter, from_ms: bounds.from, to_ms: bounds.to, limit: 50 })] : []),
              ...(ids.length > 0 ? [ask({ filter: `id:${ids.map(quoteValue).join(",")}`, limit: 100 })] : []),
            ];
            for (const page of await Promise.all(jobs)) take(page.traces);
          }
        } catch {
          // The next event tries again; the stream's own status says when the server is away.
        }
      }, REFRESH_MS);
    },
    [args.filter, natural, options.queryKey, projectId, queries, resolve, take],
  );

  useLive(
    useCallback(
      (events: readonly LiveEvent[]) => {
        const arrived: TraceRow[] = [];
        const scored: string[] = [];
        let deleted: string[] = [];
        let ask = false;
        for (const event of events) {
          if (event.kind === "gap") ask = true;
          else if (event.kind === "trace" && event.trace) arrived.push(event.trace);
          else if (event.kind === "score" && event.trace_id) scored.push(event.trace_id);
          else if (event.kind === "deleted") deleted = [...deleted, event.id];
        }
        if (deleted.length > 0) setGone((was) => new Set([...was, ...deleted]));
        const shown = new Set(state.current.rows.map((t) => t.trace_id));
        if (natural && args.filter === "") {
          const { from, to } = resolve();
          take(
            arrived.filter(
              (t) =>
                shown.has(t.trace_id) || ((from === null || t.start_ms >= from) && (to === null || t.start_ms < to)),
            ),
          );
        } else if (arrived.length > 0) {
          take(arrived.filter((t) => shown.has(t.trace_id)));
          ask = true;
        }
        const mine = scored.filter((id) => shown.has(id) || arrived.some((t) => t.trace_id === id));
        if (ask || mine.length > 0) refresh(ask, mine);
      },
      [args.filter, natural, refresh, resolve, take],
    ),
  );

  const drop = useCallback((ids: Iterable<string>) => setGone((was) => new Set([...was, ...ids])), []);
  const put = useCallback((row: TraceRow) => setChanged((was) => new Map(was).set(row.trace_id, row)), []);
  return { query, rows, held: held.length, release, fresh, drop, put };
}
