/** Reads about human feedback: score configs, annotation queues, comments, people. */
import { queryOptions } from "@tanstack/react-query";
import { api } from "./client";

export const scoreConfigsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "score-configs"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/score-configs", { path: { project_id: projectId }, signal }),
  });

/** All queues, or those that hold one trace, span or session. */
export const queuesQuery = (projectId: string, objectId: string | null = null) =>
  queryOptions({
    queryKey: [projectId, "queues", objectId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/queues", {
        path: { project_id: projectId },
        query: { object_id: objectId },
        signal,
      }),
    staleTime: 2_000,
  });

export const queueQuery = (projectId: string, queueId: string) =>
  queryOptions({
    queryKey: [projectId, "queue", queueId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/queues/{queue_id}", {
        path: { project_id: projectId, queue_id: queueId },
        signal,
      }),
    staleTime: 2_000,
  });

export const QUEUE_PAGE = 500;

export const queueItemsQuery = (projectId: string, queueId: string) =>
  queryOptions({
    queryKey: [projectId, "queue", queueId, "items"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/queues/{queue_id}/items", {
        path: { project_id: projectId, queue_id: queueId },
        query: { limit: QUEUE_PAGE },
        signal,
      }),
    staleTime: 2_000,
  });

export const queueItemQuery = (projectId: string, queueId: string, itemId: string, reviewer: string) =>
  queryOptions({
    queryKey: [projectId, "queue", queueId, "item", itemId, reviewer],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/queues/{queue_id}/items/{item_id}", {
        path: { project_id: projectId, queue_id: queueId, item_id: itemId },
        query: { reviewer },
        signal,
      }),
    staleTime: 0,
  });

export type CommentTarget = "TRACE" | "OBSERVATION" | "SESSION";

export const commentsQuery = (projectId: string, type: CommentTarget, id: string) =>
  queryOptions({
    queryKey: [projectId, "comments", type, id],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/comments", {
        path: { project_id: projectId },
        query: { object_type: type, object_id: id },
        signal,
      }),
    staleTime: 2_000,
  });

export const peopleQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "people"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/people", { path: { project_id: projectId }, signal }),
    staleTime: 60_000,
  });
