/** Every read of the pages, with its cache key: `[project, noun, …]`, so that live events can say what is stale. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, url } from "./client";
import type * as T from "./types";

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => api.get<T.Session>("/session", undefined, signal),
  staleTime: 5 * 60_000,
});

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => api.get<T.ProjectList>("/projects", undefined, signal),
  staleTime: 60_000,
});

const project = (id: string, ...rest: string[]) => url("/projects", id, ...rest);

export const overviewQuery = (
  projectId: string,
  rangeKey: string,
  resolve: () => { from: number | null; to: number | null },
) =>
  queryOptions({
    queryKey: [projectId, "overview", rangeKey],
    queryFn: ({ signal }) => {
      const { from, to } = resolve();
      return api.get<T.Overview>(project(projectId, "overview"), { from_ms: from, to_ms: to, buckets: 72 }, signal);
    },
    placeholderData: keepPreviousData,
  });

export interface TraceArgs {
  readonly filter: string;
  readonly order: string;
  /** Names the range in the cache key: relative ranges move, their name does not. */
  readonly rangeKey: string;
}

export const tracesQuery = (
  projectId: string,
  args: TraceArgs,
  resolve: () => { from: number | null; to: number | null },
) =>
  infiniteQueryOptions({
    queryKey: [projectId, "traces", "list", args.filter, args.order, args.rangeKey],
    queryFn: ({ pageParam, signal }) => {
      const bounds = resolve();
      return api.get<T.TracePage>(
        project(projectId, "traces"),
        {
          filter: args.filter,
          order: args.order,
          from_ms: bounds.from,
          to_ms: bounds.to,
          cursor: pageParam,
          limit: 100,
        },
        signal,
      );
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

export const traceQuery = (projectId: string, traceId: string) =>
  queryOptions({
    queryKey: [projectId, "trace", traceId],
    queryFn: ({ signal }) => api.get<T.TraceDetail>(project(projectId, "traces", traceId), undefined, signal),
    staleTime: 2_000,
  });

export const spanQuery = (projectId: string, traceId: string, spanId: string) =>
  queryOptions({
    queryKey: [projectId, "trace", traceId, "span", spanId],
    queryFn: ({ signal }) =>
      api.get<T.SpanDetail>(project(projectId, "traces", traceId, "spans", spanId), undefined, signal),
    staleTime: 10_000,
  });

export const traceFieldsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "fields"],
    queryFn: ({ signal }) => api.get<T.FilterFields>(project(projectId, "traces", "fields"), undefined, signal),
    staleTime: 5 * 60_000,
  });

export const traceValuesQuery = (projectId: string, field: string, prefix: string, enabled = true) =>
  queryOptions({
    queryKey: [projectId, "values", field, prefix],
    queryFn: ({ signal }) =>
      api.get<T.FieldValues>(project(projectId, "traces", "values"), { field, prefix, limit: 50 }, signal),
    staleTime: 10_000,
    enabled,
  });

export const sessionsQuery = (
  projectId: string,
  rangeKey: string,
  resolve: () => { from: number | null; to: number | null },
) =>
  infiniteQueryOptions({
    queryKey: [projectId, "sessions", rangeKey],
    queryFn: ({ pageParam, signal }) => {
      const { from, to } = resolve();
      return api.get<T.SessionPage>(
        project(projectId, "sessions"),
        { from_ms: from, to_ms: to, cursor: pageParam, limit: 100 },
        signal,
      );
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    placeholderData: keepPreviousData,
  });

export const experimentsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "experiments"],
    queryFn: ({ signal }) => api.get<T.ExperimentList>(project(projectId, "experiments"), undefined, signal),
    staleTime: 10_000,
  });

export const runsQuery = (
  projectId: string,
  experimentId: string,
  args: { filter: string; order: string; deleted: boolean },
) =>
  infiniteQueryOptions({
    queryKey: [projectId, "runs", experimentId, args.filter, args.order, args.deleted],
    queryFn: ({ pageParam, signal }) =>
      api.get<T.RunPage>(
        project(projectId, "runs"),
        {
          experiment_id: experimentId,
          filter: args.filter,
          order_by: args.order,
          view: args.deleted ? "deleted" : undefined,
          cursor: pageParam,
          limit: 200,
        },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

export const runQuery = (projectId: string, runId: string) =>
  queryOptions({
    queryKey: [projectId, "run", runId],
    queryFn: ({ signal }) => api.get<T.RunDetail>(project(projectId, "runs", runId), undefined, signal),
    staleTime: 5_000,
  });

export const compareQuery = (projectId: string, runIds: readonly string[]) =>
  queryOptions({
    queryKey: [projectId, "compare", ...runIds],
    queryFn: ({ signal }) => api.get<T.RunCompare>(project(projectId, "runs", "compare"), { run_id: runIds }, signal),
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

export const seriesQuery = (projectId: string, args: SeriesArgs) =>
  queryOptions({
    queryKey: [projectId, "series", args.key, ...args.runIds, args.x, args.lower, args.upper, args.buckets],
    queryFn: ({ signal }) =>
      api.get<T.SeriesList>(
        project(projectId, "metrics", "buckets"),
        { run_id: args.runIds, key: args.key, x: args.x, lower: args.lower, upper: args.upper, buckets: args.buckets },
        signal,
      ),
    placeholderData: keepPreviousData,
    staleTime: 2_000,
  });

export const artifactsQuery = (projectId: string, runId: string, path: string) =>
  queryOptions({
    queryKey: [projectId, "artifacts", runId, path],
    queryFn: ({ signal }) => api.get<T.ArtifactList>(project(projectId, "runs", runId, "artifacts"), { path }, signal),
  });

export const artifactPreviewQuery = (projectId: string, runId: string, path: string) =>
  queryOptions({
    queryKey: [projectId, "artifact", runId, path],
    queryFn: ({ signal }) =>
      api.get<T.ArtifactPreview>(project(projectId, "runs", runId, "artifacts", "preview"), { path }, signal),
  });

export const modelsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "models"],
    queryFn: ({ signal }) => api.get<T.RegisteredModelPage>(project(projectId, "models"), undefined, signal),
  });

export const modelQuery = (projectId: string, name: string) =>
  queryOptions({
    queryKey: [projectId, "model", name],
    queryFn: ({ signal }) => api.get<T.RegisteredModelDetail>(project(projectId, "models", name), undefined, signal),
  });
