import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { runTracesQuery } from "@/api/queries";
import type { TraceRow } from "@/api/types";
import { traceColumns } from "@/pages/traces/columns";
import { DataTable } from "@/ui/DataTable";
import { page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";

const COLUMNS = ["start", "name", "input", "output", "latency", "tokens", "cost", "scores"];
const id = (row: TraceRow) => row.trace_id;

/** Traces that were recorded under a run. */
export function LinkedTraces({ projectId, runId }: { readonly projectId: string; readonly runId: string }) {
  const navigate = useNavigate();
  const query = useInfiniteQuery(runTracesQuery(projectId, runId));
  const columns = useMemo(() => {
    const all = traceColumns({
      projectId,
      filter: "",
      onFilter: (q) => void navigate({ to: "/project/$projectId/traces", params: { projectId }, search: { q } }),
    });
    return COLUMNS.flatMap((c) => all.find((a) => a.id === c) ?? []);
  }, [projectId, navigate]);
  if (query.isPending) return <LoadingRows />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return (
    <div className={page.fill}>
      <DataTable
        label="Traces of this run"
        name="run-traces"
        columns={columns}
        rows={query.data.pages.flatMap((p) => p.traces)}
        rowId={id}
        onOpen={(row) =>
          void navigate({ to: "/project/$projectId/traces/$traceId", params: { projectId, traceId: row.trace_id } })
        }
        onEnd={() => query.hasNextPage && !query.isFetchingNextPage && void query.fetchNextPage()}
        empty={
          <Empty title="No traces">
            Traces made inside this run (MLflow tracing within start_run) are listed here.
          </Empty>
        }
      />
    </div>
  );
}
