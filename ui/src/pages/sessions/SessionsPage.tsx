import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef } from "react";
import { useLive } from "@/api/live";
import { sessionsQuery } from "@/api/queries";
import type { SessionRow } from "@/api/types";
import { useRange } from "@/app/range";
import { useProjectId, useSetSearch } from "@/app/url";
import { ago, compact, dateTime, duration, integer, money } from "@/base/format";
import { type Column, DataTable } from "@/ui/DataTable";
import { PageHeader, page } from "@/ui/Page";
import { RangePicker } from "@/ui/RangePicker";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { useNow } from "@/ui/time";

const REFRESH_MS = 2_000;
const id = (row: SessionRow) => row.session_id;

/** Conversations: traces that name the same session, most recently active first. */
export function SessionsPage() {
  const projectId = useProjectId();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { range, key, resolve } = useRange("30d");
  const query = useInfiniteQuery(sessionsQuery(projectId, key, resolve));
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useLive((events) => {
    if (timer.current !== 0 || !events.some((e) => e.kind === "gap" || (e.kind === "trace" && e.trace?.session_id)))
      return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      void queries.invalidateQueries({ queryKey: [projectId, "sessions"] });
    }, REFRESH_MS);
  });
  const rows = useMemo(() => (query.data?.pages ?? []).flatMap((p) => p.sessions), [query.data]);
  const columns = useMemo<Column<SessionRow>[]>(
    () => [
      {
        id: "id",
        label: "Session",
        width: 220,
        grow: 2,
        cell: (s) => (
          <Link to="/project/$projectId/sessions/$sessionId" params={{ projectId, sessionId: s.session_id }}>
            {s.session_id}
          </Link>
        ),
      },
      { id: "last", label: "Last active", width: 120, cell: (s) => <Ago ms={s.last_ms} /> },
      { id: "first", label: "Started", width: 160, cell: (s) => <span>{dateTime(s.first_ms)}</span> },
      {
        id: "length",
        label: "Span of time",
        width: 110,
        align: "right",
        cell: (s) => <span>{s.traces > 1 ? duration(s.last_ms - s.first_ms) : "–"}</span>,
      },
      { id: "traces", label: "Traces", width: 80, align: "right", cell: (s) => <span>{integer(s.traces)}</span> },
      {
        id: "errors",
        label: "Errors",
        width: 76,
        align: "right",
        cell: (s) => <span>{s.errors > 0 ? integer(s.errors) : "–"}</span>,
      },
      { id: "users", label: "Users", width: 76, align: "right", cell: (s) => <span>{integer(s.users)}</span> },
      { id: "tokens", label: "Tokens", width: 90, align: "right", cell: (s) => <span>{compact(s.total_tokens)}</span> },
      { id: "cost", label: "Cost", width: 90, align: "right", cell: (s) => <span>{money(s.total_cost)}</span> },
    ],
    [projectId],
  );
  return (
    <>
      <PageHeader title="Sessions" name="Sessions">
        <span className="muted num">
          {query.isSuccess ? `${rows.length.toLocaleString("en-US")}${query.hasNextPage ? "+" : ""} sessions` : ""}
        </span>
        <RangePicker
          value={range}
          all={false}
          onChange={(text) => setSearch({ range: text === "30d" ? undefined : text })}
        />
      </PageHeader>
      <div className={page.fill}>
        {query.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            label="Sessions"
            name="sessions"
            columns={columns}
            rows={rows}
            rowId={id}
            onOpen={(row) =>
              void navigate({
                to: "/project/$projectId/sessions/$sessionId",
                params: { projectId, sessionId: row.session_id },
              })
            }
            onEnd={() => query.hasNextPage && !query.isFetchingNextPage && void query.fetchNextPage()}
            empty={
              <Empty title="No sessions in this time range">
                Traces with a session id are gathered into conversations here: <code>session_id</code> in Langfuse,{" "}
                <code>session.id</code> or <code>gen_ai.conversation.id</code> in OpenTelemetry,{" "}
                <code>mlflow.trace.session</code> in MLflow.
              </Empty>
            }
          />
        )}
      </div>
    </>
  );
}

function Ago({ ms }: { readonly ms: number }) {
  const now = useNow();
  return <span title={dateTime(ms)}>{ago(ms, now)}</span>;
}
