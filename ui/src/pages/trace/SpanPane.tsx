import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { commentsQuery } from "@/api/feedback";
import { spanQuery } from "@/api/queries";
import type { SpanDetail, SpanRow, TraceDetail } from "@/api/types";
import { usePageSearch, useSetSearch } from "@/app/url";
import { dateTime, duration } from "@/base/format";
import { Io, type IoMode } from "@/ui/ChatView";
import { StatusDot, StatusText, traceStatus } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { JsonTree } from "@/ui/JsonTree";
import { Bar, Failure } from "@/ui/State";
import { readStored, writeStored } from "@/ui/stored";
import { Attributes } from "./Attributes";
import { Comments } from "./Comments";
import { KindIcon } from "./kinds";
import { Related } from "./Related";
import { Scores } from "./Scores";
import css from "./SpanPane.module.css";
import { Usage } from "./Usage";
import { traceCostSource } from "./use-trace";

interface SpanPaneProps {
  readonly projectId: string;
  readonly detail: TraceDetail;
  /** null: the trace as a whole. */
  readonly span: SpanRow | null;
}

/** Everything about one span, or about the trace as a whole. Payloads are loaded when a span is looked at. */
export function SpanPane({ projectId, detail, span }: SpanPaneProps) {
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const traceId = detail.trace.trace_id;
  const whole = useQuery({ ...spanQuery(projectId, traceId, span?.span_id ?? ""), enabled: span !== null });
  const [mode, setMode] = useState<IoMode>(() => readStored("twinlens.io", "read"));
  const remember = (next: IoMode) => {
    setMode(next);
    writeStored("twinlens.io", next);
  };
  const tab = search.tab ?? "io";
  const target = span
    ? ({ type: "OBSERVATION", id: span.span_id } as const)
    : ({ type: "TRACE", id: traceId } as const);
  const comments = useQuery(commentsQuery(projectId, target.type, target.id));
  const scores = detail.scores.filter((s) => (span ? s.span_id === span.span_id : true));
  const names = [...new Set(detail.scores.map((s) => s.name))];
  const events = whole.data?.events ?? [];
  const bad = events.some((e) => e.name === "exception");
  return (
    <section className={css.pane} aria-label={span ? `Span ${span.name}` : "Trace"}>
      <div className={css.head}>
        {span ? <SpanHead span={span} detail={whole.data ?? null} /> : <TraceHead detail={detail} />}
      </div>
      <Tabs
        value={tab}
        onChange={(value) => setSearch({ tab: value === "io" || !value ? undefined : value })}
        className={css.tabs}
        keepMounted={false}
      >
        <Tabs.List>
          <Tabs.Tab value="io">Input &amp; output</Tabs.Tab>
          <Tabs.Tab value="attributes">{span ? "Attributes" : "Metadata"}</Tabs.Tab>
          {span ? (
            <Tabs.Tab value="events">
              Events{events.length > 0 ? ` ${events.length}` : ""}
              {bad ? (
                <>
                  {" "}
                  <StatusDot status="error" label="with an exception" />
                </>
              ) : null}
            </Tabs.Tab>
          ) : null}
          <Tabs.Tab value="scores">Scores{scores.length > 0 ? ` ${scores.length}` : ""}</Tabs.Tab>
          <Tabs.Tab value="comments">
            Comments{comments.data?.comments.length ? ` ${comments.data.comments.length}` : ""}
          </Tabs.Tab>
          <Tabs.Tab value="links">Links</Tabs.Tab>
        </Tabs.List>
      </Tabs>
      <div className={css.body} key={`${span?.span_id ?? ""}|${tab}`}>
        {span && whole.isError ? <Failure error={whole.error} retry={() => void whole.refetch()} /> : null}
        {tab === "io" ? (
          span === null ? (
            <>
              <Io title="Input" side="input" text={detail.input} mode={mode} onMode={remember} />
              <Io title="Output" side="output" text={detail.output} mode={mode} onMode={remember} />
            </>
          ) : whole.data ? (
            <>
              <Io title="Input" side="input" text={whole.data.input} mode={mode} onMode={remember} />
              <Io title="Output" side="output" text={whole.data.output} mode={mode} onMode={remember} />
            </>
          ) : whole.isPending ? (
            <IoLoading />
          ) : null
        ) : null}
        {tab === "attributes" ? (
          span === null ? (
            <Attributes
              projectId={projectId}
              groups={[
                { title: "Metadata", values: detail.metadata, field: "metadata" },
                { title: "Tags", values: detail.trace.tag_values, field: "tag" },
              ]}
            />
          ) : whole.data ? (
            <Attributes
              projectId={projectId}
              groups={[
                { title: "Metadata", values: whole.data.metadata },
                { title: "Model parameters", values: whole.data.model_parameters },
                { title: "Span attributes", values: whole.data.attributes, field: "attribute" },
                { title: "Resource", values: whole.data.resource },
                {
                  title: "Scope",
                  values: {
                    ...(whole.data.scope_name ? { name: whole.data.scope_name } : {}),
                    ...(whole.data.scope_version ? { version: whole.data.scope_version } : {}),
                  },
                },
                {
                  title: "Read by",
                  values: { ...(span.dialect ? { dialect: span.dialect } : {}), ...whole.data.rules },
                },
              ]}
            />
          ) : null
        ) : null}
        {tab === "events" && span && whole.data ? <Events detail={whole.data} /> : null}
        {tab === "scores" ? (
          <Scores
            projectId={projectId}
            traceId={traceId}
            spanId={span?.span_id ?? null}
            scores={scores}
            names={names}
          />
        ) : null}
        {tab === "comments" ? <Comments projectId={projectId} type={target.type} id={target.id} /> : null}
        {tab === "links" ? (
          <Related projectId={projectId} detail={detail} span={span} links={whole.data?.links ?? []} />
        ) : null}
      </div>
    </section>
  );
}

function SpanHead({ span, detail }: { readonly span: SpanRow; readonly detail: SpanDetail | null }) {
  const status = traceStatus(span.status, span.level, span.end_ms === null);
  return (
    <>
      <div className={css.title}>
        <KindIcon kind={span.kind} size={16} />
        <h2 className="ellipsis" style={{ font: "inherit", margin: 0 }} title={span.name}>
          {span.name || span.kind}
        </h2>
        <CopyButton text={span.span_id} label="Copy the span id" />
        <CopyButton text={() => window.location.href} label="Copy a link to this span" kind="link" />
      </div>
      <div className={css.facts}>
        <StatusText status={status.name}>{status.label}</StatusText>
        <span>{span.kind}</span>
        {span.model ? <span className="mono">{span.model}</span> : null}
        {span.provider ? <span>{span.provider}</span> : null}
        {span.tool_name && span.tool_name !== span.name ? <span>tool {span.tool_name}</span> : null}
        {span.agent_name && span.agent_name !== span.name ? <span>agent {span.agent_name}</span> : null}
        <span className="num" title={`${dateTime(span.start_ms, true)} – ${dateTime(span.end_ms, true)}`}>
          {span.latency_ms === null ? "still running" : duration(span.latency_ms)}
        </span>
        {span.ttft_ms !== null ? <span className="num">first token {duration(span.ttft_ms)}</span> : null}
        <Usage
          usage={span.usage}
          cost={span.cost}
          totalTokens={span.total_tokens}
          totalCost={span.total_cost}
          usageSource={span.usage_source}
          costSource={span.cost_source}
          priceId={detail?.price_id ?? null}
          counted={span.counted}
        />
      </div>
      {span.status_message ? (
        <div className={css.message} data-tone={status.name === "error" ? "err" : "warn"}>
          {span.status_message}
        </div>
      ) : null}
    </>
  );
}

function TraceHead({ detail }: { readonly detail: TraceDetail }) {
  const { trace } = detail;
  return (
    <>
      <div className={css.title}>
        <KindIcon kind="trace" size={16} />
        <h2 style={{ font: "inherit", margin: 0 }}>Whole trace</h2>
      </div>
      <div className={css.facts}>
        <span className="num">{trace.span_count} spans</span>
        <span className="num">{trace.model_call_count} model calls</span>
        <span className="num">{duration(trace.latency_ms)}</span>
        <Usage
          usage={detail.usage}
          cost={detail.cost}
          totalTokens={trace.total_tokens}
          totalCost={trace.total_cost}
          usageSource={trace.usage_source}
          costSource={traceCostSource(detail)}
        />
        <span>sent by {trace.source}</span>
      </div>
    </>
  );
}

function Events({ detail }: { readonly detail: SpanDetail }) {
  if (detail.events.length === 0) return <p className="muted">No events in this span.</p>;
  return (
    <>
      {detail.events.map((event, i) => {
        const { "exception.stacktrace": stack, ...rest } = event.attributes;
        return (
          <article key={i} className={css.event} data-bad={event.name === "exception"}>
            <h4>
              {event.name}
              <span className="muted num" style={{ fontWeight: 400 }}>
                +{duration(event.time_ms - detail.span.start_ms)}
              </span>
            </h4>
            {Object.keys(rest).length > 0 ? <JsonTree value={rest} open={2} /> : null}
            {typeof stack === "string" ? <pre className={css.stack}>{stack}</pre> : null}
          </article>
        );
      })}
    </>
  );
}

function IoLoading() {
  return (
    <div role="status" aria-label="Loading" style={{ display: "grid", gap: 10, paddingTop: 36 }}>
      {["80%", "60%", "72%", "40%"].map((w) => (
        <Bar key={w} width={w} />
      ))}
    </div>
  );
}
