import { Link } from "@tanstack/react-router";
import type { TraceRow } from "@/api/types";
import { toggleValue } from "@/base/filter";
import { compact, dateTime, duration, listTime, money, shortId } from "@/base/format";
import { Chip, ChipList, ScoreChip, StatusDot, scoreText, traceStatus } from "@/ui/Chip";
import type { Column } from "@/ui/DataTable";
import { IssueChip } from "@/ui/IssueChip";
import { useNow } from "@/ui/time";
import css from "./Traces.module.css";

interface Context {
  readonly projectId: string;
  readonly filter: string;
  readonly onFilter: (filter: string) => void;
}

export const DEFAULT_COLUMNS = [
  "start",
  "name",
  "input",
  "output",
  "latency",
  "tokens",
  "cost",
  "model",
  "user",
  "tags",
  "scores",
];

function ListTime({ ms }: { readonly ms: number }) {
  const now = useNow();
  return (
    <time className="num" dateTime={new Date(ms).toISOString()} title={dateTime(ms, true)}>
      {listTime(ms, now)}
    </time>
  );
}

/** What a number of tokens or dollars is worth: the words for its tooltip. */
export function usageNote(source: string): string {
  return (
    {
      client: "reported by the client",
      estimated: "estimated from the text",
      masked: "unknown: text and counts were masked",
      none: "not reported",
    }[source] ?? source
  );
}

/** Every column the list knows; the chooser offers all of them. */
export function traceColumns({ projectId, filter, onFilter }: Context): Column<TraceRow>[] {
  const pick = (field: string, value: string) => () => onFilter(toggleValue(filter, field, null, value));
  return [
    { id: "start", label: "Time", width: 84, sort: "start", cell: (t) => <ListTime ms={t.start_ms} /> },
    {
      id: "name",
      label: "Name",
      width: 136,
      grow: 1,
      sort: "name",
      cell: (t) => {
        const status = traceStatus(t.status, t.level, t.latency_ms === null);
        return (
          <>
            <StatusDot status={status.name} label={status.label} />
            <Link
              to="/project/$projectId/traces/$traceId"
              params={{ projectId, traceId: t.trace_id }}
              className={css.name}
              title={t.name ?? t.trace_id}
            >
              {t.name || shortId(t.trace_id)}
            </Link>
          </>
        );
      },
    },
    { id: "input", label: "Input", width: 101, grow: 2, cell: (t) => <Preview text={t.input_preview} /> },
    { id: "output", label: "Output", width: 101, grow: 2, cell: (t) => <Preview text={t.output_preview} /> },
    {
      id: "latency",
      label: "Latency",
      width: 76,
      align: "right",
      sort: "latency",
      cell: (t) => <span>{duration(t.latency_ms)}</span>,
    },
    {
      id: "tokens",
      label: "Tokens",
      width: 78,
      align: "right",
      sort: "tokens",
      cell: (t) => (
        <span
          title={`${t.input_tokens.toLocaleString()} in, ${t.output_tokens.toLocaleString()} out; ${usageNote(t.usage_source)}`}
        >
          {t.usage_source === "masked"
            ? "masked"
            : t.total_tokens > 0
              ? `${t.usage_source === "estimated" ? "≈" : ""}${compact(t.total_tokens)}`
              : "–"}
        </span>
      ),
    },
    {
      id: "cost",
      label: "Cost",
      width: 92,
      align: "right",
      sort: "cost",
      cell: (t) => <span>{money(t.total_cost)}</span>,
    },
    {
      id: "model",
      label: "Model",
      width: 112,
      cell: (t) => (t.models.length > 0 ? <List values={t.models} onPick={(v) => pick("model", v)} /> : null),
    },
    {
      id: "user",
      label: "User",
      width: 74,
      sort: "user",
      cell: (t) => (t.user_id ? <Word text={t.user_id} onClick={pick("user", t.user_id)} /> : null),
    },
    {
      id: "session",
      label: "Session",
      width: 100,
      sort: "session",
      cell: (t) =>
        t.session_id ? (
          <Link to="/project/$projectId/sessions/$sessionId" params={{ projectId, sessionId: t.session_id }}>
            {shortId(t.session_id)}
          </Link>
        ) : null,
    },
    {
      id: "tags",
      label: "Tags",
      width: 84,
      cell: (t) => (
        <ChipList>
          {t.tags.map((tag) => (
            <Chip key={tag} title={`Filter by tag ${tag}`} onClick={pick("tag", tag)}>
              {tag}
            </Chip>
          ))}
        </ChipList>
      ),
    },
    {
      id: "scores",
      label: "Scores",
      width: 126,
      cell: (t) => (
        <ChipList>
          {(t.scores ?? []).map((score) =>
            score.kind === "issue" ? (
              <IssueChip key={score.name} projectId={projectId} issueId={score.name} />
            ) : (
              <ScoreChip
                key={score.name}
                score={score}
                onClick={() =>
                  onFilter(
                    toggleValue(
                      filter,
                      "score",
                      score.name,
                      score.value === null ? scoreText(score) : String(score.value),
                    ),
                  )
                }
              />
            ),
          )}
        </ChipList>
      ),
    },
    {
      id: "status",
      label: "Status",
      width: 90,
      sort: "status",
      cell: (t) => <span>{traceStatus(t.status, t.level, t.latency_ms === null).label}</span>,
    },
    {
      id: "environment",
      label: "Environment",
      width: 100,
      sort: "environment",
      cell: (t) => <Word text={t.environment} onClick={pick("env", t.environment)} />,
    },
    { id: "release", label: "Release", width: 90, cell: (t) => <span>{t.release}</span> },
    { id: "version", label: "Version", width: 80, cell: (t) => <span>{t.version}</span> },
    {
      id: "service",
      label: "Service",
      width: 100,
      cell: (t) => (t.service ? <Word text={t.service} onClick={pick("service", t.service)} /> : null),
    },
    {
      id: "prompts",
      label: "Prompts",
      width: 120,
      cell: (t) => (t.prompts.length > 0 ? <List values={t.prompts} onPick={(v) => pick("prompt", v)} /> : null),
    },
    {
      id: "spans",
      label: "Spans",
      width: 64,
      align: "right",
      sort: "spans",
      cell: (t) => <span>{compact(t.span_count)}</span>,
    },
    {
      id: "errors",
      label: "Errors",
      width: 64,
      align: "right",
      sort: "errors",
      cell: (t) => <span>{t.error_count > 0 ? compact(t.error_count) : "–"}</span>,
    },
    {
      id: "calls",
      label: "Model calls",
      width: 84,
      align: "right",
      cell: (t) => <span>{compact(t.model_call_count)}</span>,
    },
    { id: "source", label: "Source", width: 84, cell: (t) => <span>{t.source}</span> },
    { id: "id", label: "Trace id", width: 110, cell: (t) => <span className="mono">{t.trace_id}</span> },
  ];
}

function Preview({ text }: { readonly text: string | null }) {
  return text ? (
    <span className={css.preview} title={text.slice(0, 600)}>
      {text}
    </span>
  ) : null;
}

function Word({ text, onClick }: { readonly text: string; readonly onClick: () => void }) {
  return (
    <button type="button" className={`${css.word} ellipsis`} title={`Filter by ${text}`} onClick={onClick}>
      {text}
    </button>
  );
}

function List({
  values,
  onPick,
}: {
  readonly values: readonly string[];
  readonly onPick: (value: string) => () => void;
}) {
  const [first = "", ...more] = values;
  return (
    <>
      <Word text={first} onClick={onPick(first)} />
      {more.length > 0 ? (
        <span className="muted" title={values.join(", ")}>
          +{more.length}
        </span>
      ) : null}
    </>
  );
}
