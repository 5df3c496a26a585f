import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ListPlus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useLive } from "@/api/live";
import { sessionTracesQuery, traceQuery } from "@/api/queries";
import type { TraceRow } from "@/api/types";
import { useProjectId } from "@/app/url";
import { type Message, readChat } from "@/base/chat";
import { compact, dateTime, duration, money, shortId } from "@/base/format";
import { AddToQueue } from "@/pages/trace/AddToQueue";
import { Button } from "@/ui/Button";
import { ScoreChip, StatusDot, traceStatus } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { JsonTree } from "@/ui/JsonTree";
import { Markdown } from "@/ui/Markdown";
import { PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import css from "./Session.module.css";

/** A conversation from its first trace to its last: what was asked, what was answered. */
export function SessionPage() {
  const projectId = useProjectId();
  const { sessionId } = useParams({ strict: false }) as { sessionId: string };
  const queries = useQueryClient();
  const [queueing, setQueueing] = useState(false);
  const options = sessionTracesQuery(projectId, sessionId);
  const query = useInfiniteQuery(options);
  useLive((events) => {
    if (events.some((e) => e.kind === "gap" || (e.kind === "trace" && e.trace?.session_id === sessionId)))
      void queries.invalidateQueries({ queryKey: options.queryKey });
  });
  const traces = (query.data?.pages ?? []).flatMap((p) => p.traces);
  const first = traces[0];
  const users = [...new Set(traces.map((t) => t.user_id).filter(Boolean))];
  return (
    <>
      <PageHeader
        name={sessionId}
        crumbs={[
          <Link key="s" to="/project/$projectId/sessions" params={{ projectId }}>
            Sessions
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{sessionId}</span>
            <CopyButton text={sessionId} label="Copy the session id" />
          </>
        }
      >
        <Button icon={<ListPlus size={14} aria-hidden="true" />} onClick={() => setQueueing(true)}>
          Add to queue
        </Button>
        <CopyButton text={() => window.location.href} label="Copy a link" kind="link" small={false} />
      </PageHeader>
      {queueing ? (
        <AddToQueue projectId={projectId} type="SESSION" ids={[sessionId]} onClose={() => setQueueing(false)} />
      ) : null}
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : traces.length === 0 ? (
        <Empty title="No such session">No trace names the session “{sessionId}”.</Empty>
      ) : (
        <>
          <div className={css.facts}>
            <span>
              {traces.length}
              {query.hasNextPage ? "+" : ""} {traces.length === 1 ? "trace" : "traces"}
            </span>
            <span>since {dateTime(first?.start_ms)}</span>
            <span>{compact(traces.reduce((n, t) => n + t.total_tokens, 0))} tokens</span>
            <span>{money(traces.reduce((n, t) => n + (t.total_cost ?? 0), 0))}</span>
            {users.length > 0 ? <span>{users.join(", ")}</span> : null}
          </div>
          <div className={`${page.scroll} ${css.ground}`}>
            <div className={css.list}>
              {traces.map((t) => (
                <Turn key={t.trace_id} projectId={projectId} trace={t} />
              ))}
              {query.hasNextPage ? (
                <Button disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                  Later traces
                </Button>
              ) : null}
            </div>
          </div>
        </>
      )}
    </>
  );
}

function Turn({ projectId, trace }: { readonly projectId: string; readonly trace: TraceRow }) {
  const card = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = card.current;
    if (!element) return undefined;
    const observer = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && setSeen(true), {
      rootMargin: "400px",
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const whole = useQuery({ ...traceQuery(projectId, trace.trace_id), enabled: seen });
  const status = traceStatus(trace.status, trace.level, trace.latency_ms === null);
  return (
    <article ref={card} className={css.turn}>
      <header className={css.head}>
        <StatusDot status={status.name} label={status.label} />
        <Link to="/project/$projectId/traces/$traceId" params={{ projectId, traceId: trace.trace_id }}>
          {trace.name || shortId(trace.trace_id)}
        </Link>
        <span>{dateTime(trace.start_ms)}</span>
        <span className={css.right}>
          {(trace.scores ?? [])
            .filter((s) => s.kind !== "issue")
            .map((s) => (
              <ScoreChip key={s.name} score={s} />
            ))}
          <span>{duration(trace.latency_ms)}</span>
          {trace.total_tokens > 0 ? <span>{compact(trace.total_tokens)} tokens</span> : null}
          <span>{money(trace.total_cost)}</span>
        </span>
      </header>
      <div className={css.said}>
        <span className={css.who}>Input</span>
        <Said text={whole.data?.input ?? null} preview={trace.input_preview} side="input" />
      </div>
      <div className={css.said}>
        <span className={css.who}>Output</span>
        <Said text={whole.data?.output ?? null} preview={trace.output_preview} side="output" />
      </div>
    </article>
  );
}

/** The newest words of a side: the last user message of an input, the last assistant message of an output. */
function Said({
  text,
  preview,
  side,
}: {
  readonly text: string | null;
  readonly preview: string | null;
  readonly side: "input" | "output";
}) {
  if (text === null) return preview ? <Markdown text={preview} /> : <span className="muted">Not recorded</span>;
  const value = parse(text);
  const chat = readChat(value, side);
  const role = side === "input" ? "user" : "assistant";
  const last: Message | undefined = chat?.messages.filter((m) => m.role === role).at(-1) ?? chat?.messages.at(-1);
  if (last) {
    return (
      <div>
        {last.parts.map((p, i) =>
          p.type === "text" ? (
            <Markdown key={i} text={p.text} />
          ) : p.type === "tool_call" ? (
            <JsonTree key={i} value={{ [p.name]: p.args }} open={1} />
          ) : p.type === "reasoning" ? null : (
            <span key={i} className="muted">
              {p.type.replace("_", " ")}
            </span>
          ),
        )}
      </div>
    );
  }
  return typeof value === "object" && value !== null ? <JsonTree value={value} /> : <Markdown text={String(value)} />;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
