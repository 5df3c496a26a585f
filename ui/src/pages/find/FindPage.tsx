import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import { ApiError, api } from "@/api/client";
import { projectsQuery, sessionQuery } from "@/api/queries";
import { queryClient } from "@/api/query-client";
import { usePageSearch } from "@/app/url";
import { canonicalTraceId, type Target } from "@/base/links";
import { Failure } from "@/ui/State";

/** The project that holds something whose address does not name its project; the default project first. */
async function findProject(look: (project_id: string) => Promise<unknown>): Promise<string | null> {
  const session = await queryClient.ensureQueryData(sessionQuery);
  const { projects } = await queryClient.ensureQueryData(projectsQuery);
  const rest = projects.map((p) => p.id).filter((id) => id !== session.default_project_id);
  for (const id of [session.default_project_id, ...rest]) {
    try {
      await look(id);
      return id;
    } catch (error) {
      if (!(error instanceof ApiError && (error.status === 404 || error.status === 403))) throw error;
    }
  }
  return null;
}

/** The page a target means, as a path; null when no project has it. */
async function pathOf(target: Target): Promise<string | null> {
  const inside = (projectId: string | null, ...rest: string[]) =>
    projectId === null ? null : ["/project", ...[projectId, ...rest].map(encodeURIComponent)].join("/");
  const experiment = (experiment_id: string) =>
    findProject((project_id) =>
      api.get("/projects/{project_id}/experiments/{experiment_id}", { path: { project_id, experiment_id } }),
    );
  switch (target.to) {
    case "trace": {
      const trace_id = target.traceId;
      const project = await findProject((project_id) =>
        api.get("/projects/{project_id}/traces/{trace_id}", { path: { project_id, trace_id } }),
      );
      return inside(project, "traces", trace_id);
    }
    case "run": {
      const run_id = target.runId;
      const project = await findProject((project_id) =>
        api.get("/projects/{project_id}/runs/{run_id}", { path: { project_id, run_id } }),
      );
      return inside(project, "experiments", target.experimentId, "runs", run_id);
    }
    case "experiment":
      return inside(await experiment(target.experimentId), "experiments", target.experimentId);
    case "traces": {
      const path = inside(await experiment(target.experimentId), "traces");
      return path && `${path}?q=experiment:${encodeURIComponent(target.experimentId)}&range=all`;
    }
    case "model": {
      const { name } = target;
      const project = await findProject((project_id) =>
        api.get("/projects/{project_id}/models/{name}", { path: { project_id, name } }),
      );
      return inside(project, "models", name);
    }
    default:
      return inside((await queryClient.ensureQueryData(sessionQuery)).default_project_id, target.to);
  }
}

/** `/trace/ID` as Langfuse's clients print it, and `/find?…`, which stands for MLflow's hash routes. */
export function FindPage() {
  const { traceId } = useParams({ strict: false }) as { traceId?: string };
  const search = usePageSearch();
  const navigate = useNavigate();
  const target: Target = traceId ? { to: "trace", traceId: canonicalTraceId(traceId) } : (search as unknown as Target);
  const found = useQuery({ queryKey: ["find", target], queryFn: () => pathOf(target), staleTime: 0 });
  useEffect(() => {
    if (found.data) void navigate({ href: found.data, replace: true });
  }, [found.data, navigate]);
  if (found.isError) return <Failure error={found.error} retry={() => void found.refetch()} />;
  if (found.data === null) {
    const what =
      target.to === "trace" ? `trace ${target.traceId}` : target.to === "run" ? `run ${target.runId}` : "such page";
    return <Failure error={new ApiError(`No project has a ${what}`, 404, "NotFound")} />;
  }
  return null;
}
