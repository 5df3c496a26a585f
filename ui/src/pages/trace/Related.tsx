import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { SpanDetail, SpanRow, TraceDetail } from "@/api/types";
import { writeTerm } from "@/base/filter";
import { CopyButton } from "@/ui/Copy";
import css from "./SpanPane.module.css";

interface RelatedProps {
  readonly projectId: string;
  readonly detail: TraceDetail;
  readonly span: SpanRow | null;
  readonly links: SpanDetail["links"];
}

/** Where to go from here: session, user, experiment, runs, prompts, linked spans; and the ids. */
export function Related({ projectId, detail, span, links }: RelatedProps) {
  const { trace } = detail;
  const list = (field: string, value: string) => ({
    q: writeTerm({ field, key: null, op: ":", values: [value], not: false }),
    range: "all",
  });
  const rows: [string, ReactNode][] = [];
  if (trace.session_id) {
    rows.push([
      "Session",
      <Link key="s" to="/project/$projectId/sessions/$sessionId" params={{ projectId, sessionId: trace.session_id }}>
        {trace.session_id}
      </Link>,
    ]);
  }
  if (trace.user_id) {
    rows.push([
      "User",
      <Link key="u" to="/project/$projectId/traces" params={{ projectId }} search={list("user", trace.user_id)}>
        {trace.user_id}
      </Link>,
    ]);
  }
  rows.push([
    "Experiment",
    <Link
      key="e"
      to="/project/$projectId/experiments/$experimentId"
      params={{ projectId, experimentId: trace.experiment_id }}
    >
      {trace.experiment_id === "0" ? "Default" : trace.experiment_id}
    </Link>,
  ]);
  for (const run of trace.run_ids) {
    rows.push([
      "Run",
      <Link
        key={run}
        to="/project/$projectId/experiments/$experimentId/runs/$runId"
        params={{ projectId, experimentId: trace.experiment_id, runId: run }}
      >
        {run}
      </Link>,
    ]);
  }
  const prompts = new Set(trace.prompts);
  if (span?.prompt_name) prompts.add(`${span.prompt_name}/${span.prompt_version ?? "?"}`);
  for (const prompt of prompts) {
    rows.push([
      "Prompt",
      <Link key={prompt} to="/project/$projectId/traces" params={{ projectId }} search={list("prompt", prompt)}>
        {prompt}
      </Link>,
    ]);
  }
  for (const link of links) {
    rows.push([
      "Linked span",
      <Link
        key={link.span_id}
        to="/project/$projectId/traces/$traceId"
        params={{ projectId, traceId: link.trace_id }}
        search={{ span: link.span_id }}
      >
        {link.trace_id} / {link.span_id}
      </Link>,
    ]);
  }
  rows.push(["Trace id", <Id key="t" id={trace.trace_id} />]);
  if (span) rows.push(["Span id", <Id key="sp" id={span.span_id} />]);
  if (detail.client_request_id) rows.push(["Request id", <Id key="rq" id={detail.client_request_id} />]);
  if (trace.release) rows.push(["Release", trace.release]);
  if (trace.version) rows.push(["Version", trace.version]);
  if (trace.service) rows.push(["Service", trace.service]);
  rows.push(["Environment", trace.environment]);
  return (
    <dl className={css.links}>
      {rows.map(([name, value], i) => (
        <div key={i} style={{ display: "contents" }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Id({ id }: { readonly id: string }) {
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: 4 }}>
      <code>{id}</code>
      <CopyButton text={id} label="Copy the id" />
    </span>
  );
}
