/** Reads of the deployment pages. */
import { queryOptions } from "@tanstack/react-query";
import { api } from "@/api/client";

export const deploymentsQuery = (projectId: string, retired: boolean) =>
  queryOptions({
    queryKey: [projectId, "deployments", retired],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/deployments", {
        path: { project_id: projectId },
        query: { retired, limit: 500 },
        signal,
      }),
    refetchInterval: 15_000,
  });

export const observedQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "deployments", "observed"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/observed-versions", { path: { project_id: projectId }, signal }),
    refetchInterval: 15_000,
  });

const path = (projectId: string, id: string) => ({ project_id: projectId, deployment_id: id });

export const deploymentQuery = (projectId: string, id: string) =>
  queryOptions({
    queryKey: [projectId, "deployment", id],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/deployments/{deployment_id}", { path: path(projectId, id), signal }),
    refetchInterval: 15_000,
  });

export const historyQuery = (projectId: string, id: string) =>
  queryOptions({
    queryKey: [projectId, "deployment", id, "history"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/deployments/{deployment_id}/history", {
        path: path(projectId, id),
        query: { limit: 500 },
        signal,
      }),
  });

export const timelineQuery = (projectId: string, id: string) =>
  queryOptions({
    queryKey: [projectId, "deployment", id, "timeline"],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/deployments/{deployment_id}/timeline", { path: path(projectId, id), signal }),
    refetchInterval: 30_000,
  });
