import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Bookmark, Bug, ChevronDown, ChevronUp, ClipboardPlus, Trash2 } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { usePageSearch, useProjectId } from "@/app/url";
import { shortId } from "@/base/format";
import { canonicalTraceId } from "@/base/links";
import { Button, IconButton } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { useHotkeys } from "@/ui/hotkeys";
import { PageHeader } from "@/ui/Page";
import { Empty, Failure } from "@/ui/State";
import { toast } from "@/ui/toast";
import { AddToIssue } from "./AddToIssue";
import { AddToQueue } from "./AddToQueue";
import { TraceLoading, TraceView } from "./TraceView";
import { useTrace } from "./use-trace";

export function TracePage() {
  const projectId = useProjectId();
  const params = useParams({ strict: false }) as { traceId: string };
  const traceId = canonicalTraceId(params.traceId);
  const { q, span } = usePageSearch();
  const [queueing, setQueueing] = useState(false);
  const [filing, setFiling] = useState(false);
  const one = span && span !== "trace" ? span : null;
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/traces/delete", {
        path: { project_id: projectId },
        body: { trace_ids: [traceId] },
      }),
    onSuccess: async () => {
      toast("Trace deleted", { tone: "ok" });
      await navigate({ to: "/project/$projectId/traces", params: { projectId } });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const { query, spans, gone } = useTrace(projectId, traceId, remove.isIdle || remove.isError);
  const queries = useQueryClient();
  const detail = query.data;
  const trace = detail?.trace;
  const name = trace?.name ?? shortId(traceId);

  /** The trace before or after this one in time (within the filter of the list one came from). */
  const neighbour = async (newer: boolean) => {
    if (!trace) return;
    const found = await api
      .get("/projects/{project_id}/traces", {
        path: { project_id: projectId },
        query: {
          filter: q,
          order: newer ? "start" : "-start",
          from_ms: newer ? trace.start_ms : null,
          to_ms: newer ? null : trace.start_ms + 0.001,
          limit: 5,
        },
      })
      .catch(() => null);
    const next = found?.traces.find((t) => t.trace_id !== traceId);
    if (next)
      await navigate({
        to: "/project/$projectId/traces/$traceId",
        params: { projectId, traceId: next.trace_id },
        search: q ? { q } : {},
      });
    else toast(newer ? "This is the newest trace" : "This is the oldest trace");
  };
  useHotkeys([
    { keys: "j", label: "Next (older) trace", group: "Trace", run: () => void neighbour(false) },
    { keys: "k", label: "Previous (newer) trace", group: "Trace", run: () => void neighbour(true) },
    { keys: "a", label: "Add to an annotation queue", group: "Trace", run: () => setQueueing(true) },
    { keys: "i", label: "Add to an issue", group: "Trace", run: () => setFiling(true) },
    {
      keys: "escape",
      label: "Back to the list",
      group: "Trace",
      run: () => void navigate({ to: "/project/$projectId/traces", params: { projectId }, search: q ? { q } : {} }),
    },
  ]);

  const bookmark = useMutation({
    mutationFn: (on: boolean) =>
      api.patch("/projects/{project_id}/traces/{trace_id}", {
        path: { project_id: projectId, trace_id: traceId },
        body: { bookmarked: on },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "trace", traceId] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const [sure, setSure] = useState(false);

  return (
    <>
      <PageHeader
        name={name}
        crumbs={[
          <Link key="t" to="/project/$projectId/traces" params={{ projectId }} search={q ? { q } : {}}>
            Traces
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{name}</span>
            <code className="muted" style={{ fontSize: 11, fontWeight: 400 }}>
              {shortId(traceId)}
            </code>
            <CopyButton text={traceId} label="Copy the trace id" />
          </>
        }
      >
        <IconButton label="Newer trace" keys="k" onClick={() => void neighbour(true)}>
          <ChevronUp size={16} aria-hidden="true" />
        </IconButton>
        <IconButton label="Older trace" keys="j" onClick={() => void neighbour(false)}>
          <ChevronDown size={16} aria-hidden="true" />
        </IconButton>
        <IconButton
          label={trace?.bookmarked ? "Remove the bookmark" : "Bookmark"}
          active={trace?.bookmarked}
          onClick={() => bookmark.mutate(!trace?.bookmarked)}
        >
          <Bookmark size={15} aria-hidden="true" fill={trace?.bookmarked ? "currentColor" : "none"} />
        </IconButton>
        <IconButton label="Add to an annotation queue" keys="a" onClick={() => setQueueing(true)}>
          <ClipboardPlus size={15} aria-hidden="true" />
        </IconButton>
        <IconButton label="Add to an issue" keys="i" onClick={() => setFiling(true)}>
          <Bug size={15} aria-hidden="true" />
        </IconButton>
        <CopyButton text={() => window.location.href} label="Copy a link" kind="link" small={false} />
        <Button
          look={sure ? "danger" : "ghost"}
          aria-label={sure ? "Delete for good" : "Delete the trace"}
          icon={<Trash2 size={15} aria-hidden="true" />}
          onClick={() => {
            if (sure) remove.mutate();
            setSure(!sure);
          }}
          onBlur={() => setSure(false)}
        >
          {sure ? "Delete for good?" : null}
        </Button>
      </PageHeader>
      {gone ? (
        <Empty title="This trace was deleted" />
      ) : detail ? (
        <TraceView projectId={projectId} detail={detail} spans={spans} />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <TraceLoading />
      )}
      {filing ? <AddToIssue projectId={projectId} ids={[traceId]} onClose={() => setFiling(false)} /> : null}
      {queueing ? (
        <AddToQueue
          projectId={projectId}
          type={one ? "OBSERVATION" : "TRACE"}
          ids={[one ?? traceId]}
          onClose={() => setQueueing(false)}
        />
      ) : null}
    </>
  );
}
