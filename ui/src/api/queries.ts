/** Every read of the pages, with its cache key: `[project, noun, …]`, so that live events can say what is stale. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "./client";

const PAGE = 100;

interface Bounds {
  readonly from: number | null;
  readonly to: number | null;
}

/** Cursors of lists: absent on the first page, and the last page names no next one. */
const paging = {
  initialPageParam: null as string | null,
  getNextPageParam: (page: { next_cursor?: string | null }) => page.next_cursor ?? null,
};

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => api.get("/session", { signal }),
  staleTime: 5 * 60_000,
});

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => api.get("/projects", { signal }),
  staleTime: 60_000,
});

export const overviewQuery = (projectId: string, rangeKey: string, resolve: () => Bounds) =>
  queryOptions({
    queryKey: [projectId, "overview", rangeKey],
    queryFn: ({ signal }) => {
      const { from, to } = resolve();
      return api.get("/projects/{project_id}/overview", {
        path: { project_id: projectId },
        query: { from_ms: from, to_ms: to, buckets: 72 },
        signal,
      });
    },
    placeholderData: keepPreviousData,
  });

export interface TraceArgs {
  readonly filter: string;
  readonly order: string;
  /** Names the range in the cache key: relative ranges move, their name does not. */
  readonly rangeKey: string;
}

export const tracesQuery = (projectId: string, args: TraceArgs, resolve: () => Bounds) =>
  infiniteQueryOptions({
    queryKey: [projectId, "traces", "list", args.filter, args.order, args.rangeKey],
    queryFn: ({ pageParam, signal }) => {
      const { from, to } = resolve();
      return api.get("/projects/{project_id}/traces", {
        path: { project_id: projectId },
        query: { filter: args.filter, order: args.order, from_ms: from, to_ms: to, cursor: pageParam, limit: PAGE },
        signal,
      });
    },
    ...paging,
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

/** Traces of a run, newest first. */
export const runTracesQuery = (projectId: string, runId: string) =>
  infiniteQueryOptions({
    queryKey: [projectId, "traces", "of-run", runId],
    queryFn: ({ pageParam, signal }) =>
      api.get("/projects/{project_id}/traces", {
        path: { project_id: projectId },
        query: { run_id: runId, cursor: pageParam, limit: PAGE },
        signal,
      }),
    ...paging,
  });

/** Traces of a session, oldest first. */
export const sessionTracesQuery = (projectId: string, sessionId: string) =>
  infiniteQueryOptions({
    queryKey: [projectId, "session", sessionId],
    queryFn: ({ pageParam, signal }) =>
      api.get("/projects/{project_id}/traces", {
        path: { project_id: projectId },
        query: { session_id: sessionId, order: "start", cursor: pageParam, limit: 50 },
        signal,
      }),
    ...paging,
  });

/** Has this project ever had a trace? */
export const anyTraceQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "any-trace"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/traces", { path: { project_id: projectId }, query: { limit: 1 }, signal }),
    staleTime: 0,
  });

/** The first trace of a project: where its history begins. */
export const oldestTraceQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "oldest-trace"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/traces", {
        path: { project_id: projectId },
        query: { order: "start", limit: 1 },
        signal,
      }),
    staleTime: 60_000,
  });

/** How many traces a list would have in the end. Under the histogram's key: both are refreshed together. */
export const traceCountQuery = (projectId: string, args: TraceArgs, resolve: () => Bounds) =>
  queryOptions({
    queryKey: [projectId, "histogram", "count", args.filter, args.rangeKey],
    queryFn: ({ signal }) => {
      const { from, to } = resolve();
      return api.get("/projects/{project_id}/traces/count", {
        path: { project_id: projectId },
        query: { filter: args.filter, from_ms: from, to_ms: to },
        signal,
      });
    },
    placeholderData: keepPreviousData,
  });

export const histogramQuery = (projectId: string, filter: string, rangeKey: string, resolve: () => Bounds) =>
  queryOptions({
    queryKey: [projectId, "histogram", filter, rangeKey],
    queryFn: ({ signal }) => {
      const { from, to } = resolve();
      return api.get("/projects/{project_id}/traces/histogram", {
        path: { project_id: projectId },
        query: { filter, from_ms: from, to_ms: to, buckets: 140 },
        signal,
      });
    },
    placeholderData: keepPreviousData,
  });

export const traceQuery = (projectId: string, traceId: string) =>
  queryOptions({
    queryKey: [projectId, "trace", traceId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/traces/{trace_id}", {
        path: { project_id: projectId, trace_id: traceId },
        signal,
      }),
    staleTime: 2_000,
  });

export const spanQuery = (projectId: string, traceId: string, spanId: string) =>
  queryOptions({
    queryKey: [projectId, "trace", traceId, "span", spanId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/traces/{trace_id}/spans/{span_id}", {
        path: { project_id: projectId, trace_id: traceId, span_id: spanId },
        signal,
      }),
    staleTime: 10_000,
  });

export const traceFieldsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "fields"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/traces/fields", { path: { project_id: projectId }, signal }),
    staleTime: 5 * 60_000,
  });

export const traceValuesQuery = (projectId: string, field: string, prefix: string, enabled = true) =>
  queryOptions({
    queryKey: [projectId, "values", field, prefix],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/traces/values", {
        path: { project_id: projectId },
        query: { field, prefix, limit: 50 },
        signal,
      }),
    staleTime: 10_000,
    enabled,
  });

export const sessionsQuery = (projectId: string, rangeKey: string, resolve: () => Bounds) =>
  infiniteQueryOptions({
    queryKey: [projectId, "sessions", rangeKey],
    queryFn: ({ pageParam, signal }) => {
      const { from, to } = resolve();
      return api.get("/projects/{project_id}/sessions", {
        path: { project_id: projectId },
        query: { from_ms: from, to_ms: to, cursor: pageParam, limit: PAGE },
        signal,
      });
    },
    ...paging,
    placeholderData: keepPreviousData,
  });

export const experimentsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "experiments"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/experiments", { path: { project_id: projectId }, signal }),
    staleTime: 10_000,
  });

export interface RunArgs {
  readonly filter: string;
  /** MLflow's grammar: `metrics.loss ASC`. */
  readonly order: string;
  readonly deleted: boolean;
}

export const runsQuery = (projectId: string, experimentId: string, args: RunArgs) =>
  infiniteQueryOptions({
    queryKey: [projectId, "runs", experimentId, args.filter, args.order, args.deleted],
    queryFn: ({ pageParam, signal }) =>
      api.get("/projects/{project_id}/runs", {
        path: { project_id: projectId },
        query: {
          experiment_id: [experimentId],
          filter: args.filter,
          order_by: [args.order],
          view: args.deleted ? "deleted" : "active",
          cursor: pageParam,
          limit: 200,
        },
        signal,
      }),
    ...paging,
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

export const runQuery = (projectId: string, runId: string) =>
  queryOptions({
    queryKey: [projectId, "run", runId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/runs/{run_id}", { path: { project_id: projectId, run_id: runId }, signal }),
    staleTime: 5_000,
  });

export const compareQuery = (projectId: string, runIds: readonly string[]) =>
  queryOptions({
    queryKey: [projectId, "compare", ...runIds],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/runs/compare", {
        path: { project_id: projectId },
        query: { run_id: [...runIds] },
        signal,
      }),
    placeholderData: keepPreviousData,
  });

export interface SeriesArgs {
  readonly runIds: readonly string[];
  readonly key: string;
  readonly x: "step" | "time";
  readonly lower: number | null;
  readonly upper: number | null;
  readonly buckets: number;
}

export const seriesQuery = (projectId: string, { runIds, key, ...rest }: SeriesArgs) =>
  queryOptions({
    queryKey: [projectId, "series", key, ...runIds, rest.x, rest.lower, rest.upper, rest.buckets],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/metrics/buckets", {
        path: { project_id: projectId },
        query: { run_id: [...runIds], key: [key], ...rest },
        signal,
      }),
    placeholderData: keepPreviousData,
    staleTime: 2_000,
  });

export const artifactsQuery = (projectId: string, runId: string, path: string) =>
  queryOptions({
    queryKey: [projectId, "artifacts", runId, path],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/runs/{run_id}/artifacts", {
        path: { project_id: projectId, run_id: runId },
        query: { path },
        signal,
      }),
  });

export const artifactPreviewQuery = (projectId: string, runId: string, path: string) =>
  queryOptions({
    queryKey: [projectId, "artifact", runId, path],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/runs/{run_id}/artifacts/preview", {
        path: { project_id: projectId, run_id: runId },
        query: { path },
        signal,
      }),
  });

export const modelsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "models"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/models", { path: { project_id: projectId }, signal }),
  });

export const modelQuery = (projectId: string, name: string) =>
  queryOptions({
    queryKey: [projectId, "model", name],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/models/{name}", { path: { project_id: projectId, name }, signal }),
  });

// --- datasets ---------------------------------------------------------------------------------------------------------
const ITEMS = 500;

export const datasetsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "datasets", "list"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/datasets", {
        path: { project_id: projectId },
        query: { limit: ITEMS },
        signal,
      }),
  });

export const datasetQuery = (projectId: string, datasetId: string) =>
  queryOptions({
    queryKey: [projectId, "datasets", "one", datasetId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/datasets/{dataset_id}", {
        path: { project_id: projectId, dataset_id: datasetId },
        signal,
      }),
  });

/** Items of a dataset now, or as they were at a time. */
export const datasetItemsQuery = (projectId: string, datasetId: string, at: number | null) =>
  infiniteQueryOptions({
    queryKey: [projectId, "datasets", "items", datasetId, at],
    queryFn: ({ pageParam, signal }) =>
      api.get("/projects/{project_id}/datasets/{dataset_id}/items", {
        path: { project_id: projectId, dataset_id: datasetId },
        query: { limit: ITEMS, cursor: pageParam, at_ms: at },
        signal,
      }),
    ...paging,
    placeholderData: keepPreviousData,
  });

export const datasetVersionsQuery = (projectId: string, datasetId: string) =>
  queryOptions({
    queryKey: [projectId, "datasets", "versions", datasetId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/datasets/{dataset_id}/versions", {
        path: { project_id: projectId, dataset_id: datasetId },
        signal,
      }),
  });

/** States of an item, newest first. */
export const datasetHistoryQuery = (projectId: string, datasetId: string, itemId: string | null) =>
  queryOptions({
    queryKey: [projectId, "datasets", "history", datasetId, itemId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/datasets/{dataset_id}/items/{item_id}/history", {
        path: { project_id: projectId, dataset_id: datasetId, item_id: itemId ?? "" },
        signal,
      }),
    enabled: itemId !== null,
  });

export const datasetRunsQuery = (projectId: string, datasetId: string) =>
  queryOptions({
    queryKey: [projectId, "datasets", "runs", datasetId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/datasets/{dataset_id}/runs", {
        path: { project_id: projectId, dataset_id: datasetId },
        signal,
      }),
  });

/** Runs item by item, the baseline first. */
export const datasetCompareQuery = (projectId: string, datasetId: string, runIds: readonly string[]) =>
  queryOptions({
    queryKey: [projectId, "datasets", "compare", datasetId, runIds.join()],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/datasets/{dataset_id}/compare", {
        path: { project_id: projectId, dataset_id: datasetId },
        query: { runs: runIds.join() },
        signal,
      }),
    placeholderData: keepPreviousData,
  });

/** Which dataset a run went over, for links that name the run only. */
export const datasetPlaceQuery = (projectId: string, runId: string) =>
  queryOptions({
    queryKey: [projectId, "datasets", "place", runId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/dataset-runs/{run_id}", {
        path: { project_id: projectId, run_id: runId },
        signal,
      }),
    enabled: runId !== "",
    retry: false,
  });

// --- prompts -----------------------------------------------------------------------------------------------------------
export const promptsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "prompts"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/prompts", { path: { project_id: projectId }, signal }),
  });

export const promptQuery = (projectId: string, name: string) =>
  queryOptions({
    queryKey: [projectId, "prompt", name],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/prompts/{name}", { path: { project_id: projectId, name }, signal }),
  });

export const resolvedPromptQuery = (projectId: string, name: string, version: number) =>
  queryOptions({
    queryKey: [projectId, "prompt", name, "resolved", version],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/prompts/{name}/versions/{version}/resolved", {
        path: { project_id: projectId, name, version },
        signal,
      }),
  });

export const promptUsageQuery = (projectId: string, name: string) =>
  queryOptions({
    queryKey: [projectId, "prompt", name, "usage"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/prompts/{name}/usage", { path: { project_id: projectId, name }, signal }),
    staleTime: 10_000,
  });

// --- evaluators -------------------------------------------------------------------------------------------------------
export const evaluatorsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "evaluators", "list"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/evaluators", { path: { project_id: projectId }, signal }),
  });

/** What an evaluator has judged, failed to judge, or has yet to judge. */
export const evaluationsQuery = (projectId: string, evaluatorId: string) =>
  queryOptions({
    queryKey: [projectId, "evaluators", "evaluations", evaluatorId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/evaluators/{evaluator_id}/evaluations", {
        path: { project_id: projectId, evaluator_id: evaluatorId },
        query: { limit: 100 },
        signal,
      }),
  });
