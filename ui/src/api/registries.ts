/** Reads of issues, skills and MCP servers. */
import { queryOptions } from "@tanstack/react-query";
import { address, api } from "./client";

export const issuesQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "issues", "list"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/issues", { path: { project_id: projectId }, signal }),
    staleTime: 10_000,
  });

export const issueQuery = (projectId: string, issueId: string) =>
  queryOptions({
    queryKey: [projectId, "issues", "one", issueId],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/issues/{issue_id}", {
        path: { project_id: projectId, issue_id: issueId },
        signal,
      }),
  });

export const skillsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "skills", "list"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/skills", { path: { project_id: projectId }, signal }),
  });

export const skillQuery = (projectId: string, name: string) =>
  queryOptions({
    queryKey: [projectId, "skills", "one", name],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/skills/{name}", { path: { project_id: projectId, name }, signal }),
  });

/** The text of a file. A version's files never change. */
export const skillFileQuery = (projectId: string, name: string, version: number, file: string) =>
  queryOptions({
    queryKey: [projectId, "skill-file", name, version, file],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/skills/{name}/versions/{version}/file", {
        path: { project_id: projectId, name, version },
        query: { path: file },
        signal,
      }),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** Where a file is downloaded. */
export const skillFileUrl = (projectId: string, name: string, version: number, file: string) =>
  address(
    "/projects/{project_id}/skills/{name}/versions/{version}/download",
    { project_id: projectId, name, version },
    { path: file },
  );

export const mcpServersQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "mcp-servers", "list"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/mcp-servers", { path: { project_id: projectId }, signal }),
  });

export const mcpServerQuery = (projectId: string, name: string) =>
  queryOptions({
    queryKey: [projectId, "mcp-servers", "one", name],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/mcp-servers/{name}", { path: { project_id: projectId, name }, signal }),
  });
