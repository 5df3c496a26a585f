import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLive } from "@/api/live";
import { traceQuery } from "@/api/queries";
import type { SpanRow, TraceDetail } from "@/api/types";
import type { TreeSpan } from "@/base/tree";

export interface ViewSpan extends TreeSpan {
  readonly row: SpanRow;
}

const REFRESH_MS = 400;
/** A trace that takes long to load is loaded again at most this share of the time. */
const SHARE = 4;

/** One trace with its spans ready for the tree; follows what is committed while it is open. */
export function useTrace(projectId: string, traceId: string, follow = true) {
  const queries = useQueryClient();
  const query = useQuery(traceQuery(projectId, traceId));
  const timer = useRef(0);
  const took = useRef(0);
  // False once this page itself deletes the trace: nothing must ask for it any more.
  const stays = useRef(follow);
  stays.current = follow;
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const [gone, setGone] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another trace, another fate
  useEffect(() => setGone(false), [traceId]);
  useLive((events) => {
    if (events.some((e) => e.kind === "deleted" && e.id === traceId)) {
      window.clearTimeout(timer.current);
      setGone(true);
      return;
    }
    if (!stays.current) return;
    const mine = events.some(
      (e) => e.kind === "gap" || e.trace_id === traceId || (e.kind === "trace" && e.id === traceId),
    );
    if (!mine || timer.current !== 0) return;
    timer.current = window.setTimeout(
      async () => {
        const begun = performance.now();
        if (stays.current) await queries.invalidateQueries({ queryKey: [projectId, "trace", traceId] });
        took.current = performance.now() - begun;
        timer.current = 0; // only now: a reload must not be overtaken by the next one before it is done
      },
      Math.max(REFRESH_MS, took.current * SHARE),
    );
  });
  const spans = useMemo(() => (query.data?.spans ?? []).map(viewSpan), [query.data]);
  return { query, spans, gone };
}

function viewSpan(row: SpanRow): ViewSpan {
  return { id: row.span_id, parentId: row.parent_id, name: row.name, startMs: row.start_ms, endMs: row.end_ms, row };
}

/** The worst of what the trace's own totals say about where cost comes from. */
export function traceCostSource(detail: TraceDetail): string {
  const sources = new Set(detail.spans.filter((s) => s.counted && s.cost_source !== "none").map((s) => s.cost_source));
  return sources.has("computed")
    ? "computed"
    : sources.has("client")
      ? "client"
      : detail.trace.total_cost === null
        ? "none"
        : "client";
}
