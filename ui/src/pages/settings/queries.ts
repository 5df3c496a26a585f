import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api } from "@/api/client";

export const projectQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "settings"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}", { path: { project_id: projectId }, signal }),
  });

export const keysQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "keys"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/keys", { path: { project_id: projectId }, signal }),
  });

export const protectedLabelsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "protected-labels"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/protected-labels", { path: { project_id: projectId }, signal }),
  });

export const membersQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "members"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/members", { path: { project_id: projectId }, signal }),
  });

export const webhooksQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "webhooks"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/webhooks", { path: { project_id: projectId }, signal }),
  });

/** Asked again every two seconds while something is under way. */
export const deliveriesQuery = (projectId: string, webhookId: string) =>
  queryOptions({
    queryKey: [projectId, "webhook-deliveries", webhookId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/webhooks/{webhook_id}/deliveries", {
        path: { project_id: projectId, webhook_id: webhookId },
        signal,
      }),
    refetchInterval: (query) =>
      query.state.data?.deliveries.some((row) => row.status === "pending") === true ? 2000 : false,
  });

export const auditQuery = (projectId: string) =>
  infiniteQueryOptions({
    queryKey: [projectId, "audit"],
    queryFn: ({ pageParam, signal }) =>
      api.get("/projects/{project_id}/audit", {
        path: { project_id: projectId },
        query: { cursor: pageParam, limit: 100 },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });

export const scheduledExportQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "scheduled-export"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/scheduled-export", { path: { project_id: projectId }, signal }),
    refetchInterval: (query) => (query.state.data?.export?.status === "running" ? 2000 : false),
  });

export const connectionsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "connections"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/connections", { path: { project_id: projectId }, signal }),
  });

export const gatewayQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "gateway"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/gateway", { path: { project_id: projectId }, signal }),
  });
