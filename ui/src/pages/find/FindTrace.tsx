import { useQuery } from "@tanstack/react-query";
import { Navigate, useParams } from "@tanstack/react-router";
import { ApiError, api, url } from "@/api/client";
import { projectsQuery, sessionQuery } from "@/api/queries";
import { queryClient } from "@/api/query-client";
import { canonicalTraceId } from "@/base/links";
import { Failure } from "@/ui/State";

/** The project that holds something which an address names without its project; the default project first. */
export async function findProject(path: (projectId: string) => string): Promise<string | null> {
  const session = await queryClient.ensureQueryData(sessionQuery);
  const { projects } = await queryClient.ensureQueryData(projectsQuery);
  const ids = [
    session.default_project_id,
    ...projects.map((p) => p.id).filter((id) => id !== session.default_project_id),
  ];
  for (const id of ids) {
    try {
      await api.get<unknown>(path(id));
      return id;
    } catch (error) {
      if (!(error instanceof ApiError && (error.status === 404 || error.status === 403))) throw error;
    }
  }
  return null;
}

/** `/trace/ID`, as Langfuse's clients print it. */
export function FindTrace() {
  const { traceId: raw } = useParams({ strict: false }) as { traceId: string };
  const traceId = canonicalTraceId(raw);
  const found = useQuery({
    queryKey: ["find", "trace", traceId],
    queryFn: () => findProject((id) => url("/projects", id, "traces", traceId)),
  });
  if (found.isError) return <Failure error={found.error} retry={() => void found.refetch()} />;
  if (found.isPending) return null;
  if (found.data === null)
    return <Failure error={new ApiError(`No project has a trace ${traceId}`, 404, "NotFound")} />;
  return <Navigate to="/project/$projectId/traces/$traceId" params={{ projectId: found.data, traceId }} replace />;
}
