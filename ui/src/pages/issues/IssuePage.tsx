import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ListTree, Pencil } from "lucide-react";
import { useMemo, useState } from "react";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import { tracesQuery } from "@/api/queries";
import { issueQuery } from "@/api/registries";
import type { IssueRow, TraceRow } from "@/api/types";
import { useProjectId } from "@/app/url";
import { dateTime, shortId } from "@/base/format";
import { traceColumns } from "@/pages/traces/columns";
import { Button } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { DataTable } from "@/ui/DataTable";
import { useHotkeys } from "@/ui/hotkeys";
import { Markdown } from "@/ui/Markdown";
import { PageHeader, page } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { IssueDialog } from "./IssueDialog";
import css from "./Issues.module.css";
import { STATUSES, severityLabel, severityTone, tracesOf } from "./words";

const COLUMNS = ["start", "name", "input", "output", "latency", "cost", "model", "user"];
const traceId = (row: TraceRow) => row.trace_id;

/** One issue: what it is, what causes it, and the traces that show it. */
export function IssuePage() {
  const projectId = useProjectId();
  const { issueId } = useParams({ strict: false }) as { issueId: string };
  const queries = useQueryClient();
  const query = useQuery(issueQuery(projectId, issueId));
  const [editing, setEditing] = useState(false);
  useLive((events) => {
    if (events.some((e) => e.kind === "score" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "issues"] });
  });
  const move = useMutation({
    mutationFn: (status: IssueRow["status"]) =>
      api.patch("/projects/{project_id}/issues/{issue_id}", {
        path: { project_id: projectId, issue_id: issueId },
        body: { status },
      }),
    onSuccess: async (row) => {
      queries.setQueryData([projectId, "issues", "one", issueId], row);
      await queries.invalidateQueries({ queryKey: [projectId, "issues"] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  useHotkeys([
    ...STATUSES.map((s, i) => ({
      keys: String(i + 1),
      label: `Mark as ${s.label.toLowerCase()}`,
      group: "Issue",
      run: () => move.mutate(s.value),
    })),
    { keys: "e", label: "Edit the issue", group: "Issue", run: () => setEditing(true) },
  ]);
  const issue = query.data;
  return (
    <>
      <PageHeader
        name={issue?.name ?? shortId(issueId)}
        crumbs={[
          <Link key="i" to="/project/$projectId/issues" params={{ projectId }}>
            Issues
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{issue?.name ?? shortId(issueId)}</span>
            <CopyButton text={issueId} label="Copy the issue's id" />
          </>
        }
      >
        {issue ? (
          <>
            <Segmented label="Status" value={issue.status} options={STATUSES} onChange={(s) => move.mutate(s)} />
            <Button icon={<Pencil size={14} aria-hidden="true" />} onClick={() => setEditing(true)}>
              Edit
            </Button>
          </>
        ) : null}
      </PageHeader>
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <div className={css.issue}>
          <section className={css.about} aria-label="About">
            <div className={css.facts}>
              <Chip name="severity" tone={severityTone(query.data.severity)}>
                {severityLabel(query.data.severity)}
              </Chip>
              {query.data.categories.map((c) => (
                <Chip key={c}>{c}</Chip>
              ))}
              <span className="muted">
                Found {dateTime(query.data.created_ms)}
                {query.data.created_by ? ` by ${query.data.created_by}` : ""}
              </span>
              {query.data.source_run_id ? (
                <Link
                  to="/project/$projectId/experiments/$experimentId/runs/$runId"
                  params={{ projectId, experimentId: query.data.experiment_id, runId: query.data.source_run_id }}
                >
                  run {shortId(query.data.source_run_id)}
                </Link>
              ) : null}
            </div>
            {query.data.description ? (
              <Markdown text={query.data.description} />
            ) : (
              <p className="muted">Nobody has described it yet.</p>
            )}
            {query.data.root_causes.length > 0 ? (
              <>
                <h2>Root causes</h2>
                <ul>
                  {query.data.root_causes.map((cause) => (
                    <li key={cause}>{cause}</li>
                  ))}
                </ul>
              </>
            ) : null}
          </section>
          <Traces projectId={projectId} issue={query.data} />
          {editing ? <IssueDialog projectId={projectId} issue={query.data} onClose={() => setEditing(false)} /> : null}
        </div>
      )}
    </>
  );
}

function Traces({ projectId, issue }: { readonly projectId: string; readonly issue: IssueRow }) {
  const navigate = useNavigate();
  const filter = tracesOf(issue.issue_id);
  const args = { filter, order: "-start", rangeKey: `all-${issue.trace_count}` };
  const query = useInfiniteQuery(tracesQuery(projectId, args, () => ({ from: null, to: null })));
  const columns = useMemo(() => {
    const all = traceColumns({
      projectId,
      filter: "",
      onFilter: (q) => void navigate({ to: "/project/$projectId/traces", params: { projectId }, search: { q } }),
    });
    return COLUMNS.flatMap((c) => all.find((a) => a.id === c) ?? []);
  }, [projectId, navigate]);
  return (
    <section className={css.traces} aria-label="Traces">
      <header className={css.bar}>
        <h2>
          {issue.trace_count.toLocaleString("en-US")} {issue.trace_count === 1 ? "trace shows" : "traces show"} it
        </h2>
        <Link to="/project/$projectId/traces" params={{ projectId }} search={{ q: filter }} className={css.all}>
          <ListTree size={14} aria-hidden="true" /> Open in traces
        </Link>
      </header>
      {query.isPending ? (
        <LoadingRows rows={4} />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <div className={page.fill}>
          <DataTable
            label="Traces that show the issue"
            name="issue-traces"
            columns={columns}
            rows={query.data.pages.flatMap((p) => p.traces)}
            rowId={traceId}
            onOpen={(row) =>
              void navigate({ to: "/project/$projectId/traces/$traceId", params: { projectId, traceId: row.trace_id } })
            }
            onEnd={() => query.hasNextPage && !query.isFetchingNextPage && void query.fetchNextPage()}
            empty={
              <Empty title="No traces yet">
                Open a trace that shows it and press <kbd>i</kbd>, or select several in the list.
              </Empty>
            }
          />
        </div>
      )}
    </section>
  );
}
