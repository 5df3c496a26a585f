import { Link } from "@tanstack/react-router";
import type { TraceDetail } from "@/api/types";
import { writeTerm } from "@/base/filter";
import { dateTime, duration } from "@/base/format";
import { Chip, ScoreChip, StatusText, traceStatus } from "@/ui/Chip";
import { IssueChip } from "@/ui/IssueChip";
import css from "./TraceView.module.css";
import { Usage } from "./Usage";
import { traceCostSource } from "./use-trace";

/** The line under the title: what one wants to know of a trace before reading it. */
export function TraceFacts({ projectId, detail }: { readonly projectId: string; readonly detail: TraceDetail }) {
  const { trace } = detail;
  const status = traceStatus(trace.status, trace.level, trace.latency_ms === null);
  const list = (field: string, value: string) => ({
    q: writeTerm({ field, key: null, op: ":", values: [value], not: false }),
  });
  return (
    <div className={css.facts}>
      <StatusText status={status.name}>{status.label}</StatusText>
      <time className="num" dateTime={new Date(trace.start_ms).toISOString()}>
        {dateTime(trace.start_ms, true)}
      </time>
      <span className="num">{trace.latency_ms === null ? "running" : duration(trace.latency_ms)}</span>
      <Usage
        usage={detail.usage}
        cost={detail.cost}
        totalTokens={trace.total_tokens}
        totalCost={trace.total_cost}
        usageSource={trace.usage_source}
        costSource={traceCostSource(detail)}
      />
      {trace.user_id ? (
        <span>
          <span className={css.label}>user</span>
          <Link to="/project/$projectId/traces" params={{ projectId }} search={list("user", trace.user_id)}>
            {trace.user_id}
          </Link>
        </span>
      ) : null}
      {trace.session_id ? (
        <span>
          <span className={css.label}>session</span>
          <Link to="/project/$projectId/sessions/$sessionId" params={{ projectId, sessionId: trace.session_id }}>
            {trace.session_id}
          </Link>
        </span>
      ) : null}
      {trace.environment !== "default" ? (
        <span>
          <span className={css.label}>env</span>
          {trace.environment}
        </span>
      ) : null}
      {trace.tags.map((tag) => (
        <Link key={tag} to="/project/$projectId/traces" params={{ projectId }} search={list("tag", tag)}>
          <Chip>{tag}</Chip>
        </Link>
      ))}
      {(trace.scores ?? []).map((score) =>
        score.kind === "issue" ? (
          <IssueChip key={score.name} projectId={projectId} issueId={score.name} />
        ) : (
          <ScoreChip key={score.name} score={score} />
        ),
      )}
    </div>
  );
}
