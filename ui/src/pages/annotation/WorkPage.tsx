import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { api } from "@/api/client";
import { queueItemQuery, queueItemsQuery, queueQuery } from "@/api/feedback";
import { sessionTracesQuery, traceQuery } from "@/api/queries";
import type { ItemDetail, QueueItemRow, ScoreConfigRow } from "@/api/types";
import { usePerson } from "@/app/person";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { Comments } from "@/pages/trace/Comments";
import { TraceLoading, TraceView } from "@/pages/trace/TraceView";
import { useTrace } from "@/pages/trace/use-trace";
import { Button } from "@/ui/Button";
import { Input, TextArea } from "@/ui/Field";
import { useHotkeys } from "@/ui/hotkeys";
import { Markdown } from "@/ui/Markdown";
import { PageHeader } from "@/ui/Page";
import { Empty, Failure } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Annotation.module.css";
import { choicesOf, pressed, readNumber } from "./keys";
import { Progress } from "./Progress";
import { type Draft, type Drafts, draftsOf, Question } from "./ReviewForm";

const NOTHING: readonly QueueItemRow[] = [];

/** One item after the other: the thing to judge on the left, the questions on the right, everything by key. */
export function WorkPage() {
  const projectId = useProjectId();
  const { queueId } = useParams({ strict: false }) as { queueId: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const person = usePerson();
  const queue = useQuery(queueQuery(projectId, queueId));
  const list = useQuery(queueItemsQuery(projectId, queueId));
  const [skipped, setSkipped] = useState<ReadonlySet<string>>(new Set());
  const items = list.data?.items ?? NOTHING;
  const me = person.name;
  const todo = useMemo(() => items.filter((i) => i.status === "PENDING" && !i.reviewed_by.includes(me)), [items, me]);
  const wanted = search.item ?? todo.find((i) => !skipped.has(i.item_id))?.item_id ?? todo[0]?.item_id ?? null;
  const at = items.findIndex((i) => i.item_id === wanted);
  const go = (id: string | undefined) => setSearch({ item: id, span: undefined, tab: undefined });

  /** The next thing to do behind the current one, then from the start. */
  const advance = (done: ReadonlySet<string>) => {
    const open = todo.filter((i) => i.item_id !== wanted && !done.has(i.item_id));
    const later = open.find((i) => items.indexOf(i) > at) ?? open[0];
    if (!later && done.size > 0 && todo.some((i) => i.item_id !== wanted)) {
      toast("Only skipped items are left");
      setSkipped(new Set());
    }
    go(later?.item_id ?? todo.find((i) => i.item_id !== wanted)?.item_id);
  };
  const skip = () => {
    const now = new Set(skipped).add(wanted ?? "");
    setSkipped(now);
    advance(now);
  };
  const row = queue.data?.queue;
  return (
    <>
      <PageHeader
        name={`Annotate ${row?.name ?? ""}`}
        crumbs={[
          <Link key="a" to="/project/$projectId/annotation" params={{ projectId }}>
            Annotation
          </Link>,
          <Link key="q" to="/project/$projectId/annotation/$queueId" params={{ projectId, queueId }}>
            {row?.name ?? "Queue"}
          </Link>,
        ]}
        title={wanted ? `Item ${at + 1} of ${list.data?.total ?? 0}` : "Done"}
      >
        {person.rename ? (
          <Input
            aria-label="Your name"
            placeholder="Your name"
            style={{ width: 140 }}
            defaultValue={person.known ? person.name : ""}
            onBlur={(e) => person.rename?.(e.currentTarget.value)}
          />
        ) : null}
        {row ? <Progress queue={row} /> : null}
      </PageHeader>
      {queue.isError || list.isError ? (
        <Failure error={queue.error ?? list.error} retry={() => void list.refetch()} />
      ) : !queue.data || list.isPending ? (
        <TraceLoading />
      ) : wanted === null ? (
        <Empty
          title={items.length === 0 ? "The queue is empty" : "Nothing left for you here"}
          actions={
            <Link to="/project/$projectId/annotation/$queueId" params={{ projectId, queueId }}>
              Back to the queue
            </Link>
          }
        >
          {items.length === 0 ? "Select traces in the trace list and choose “Add to queue”." : null}
        </Empty>
      ) : (
        <Item
          key={`${wanted}|${me}`}
          projectId={projectId}
          queueId={queueId}
          itemId={wanted}
          reviewer={me}
          questions={queue.data.questions}
          onDone={() => advance(skipped)}
          onSkip={skip}
          onStep={(by) => {
            const next = items[at + by];
            if (next) go(next.item_id);
          }}
        />
      )}
    </>
  );
}

interface ItemProps {
  readonly projectId: string;
  readonly queueId: string;
  readonly itemId: string;
  readonly reviewer: string;
  readonly questions: readonly ScoreConfigRow[];
  readonly onDone: () => void;
  readonly onSkip: () => void;
  readonly onStep: (by: number) => void;
}

function Item({ projectId, queueId, itemId, reviewer, questions, onDone, onSkip, onStep }: ItemProps) {
  const queries = useQueryClient();
  const query = useQuery(queueItemQuery(projectId, queueId, itemId, reviewer));
  const [drafts, setDrafts] = useState<Drafts | null>(null);
  const [correction, setCorrection] = useState<string | null>(null);
  const [active, setActive] = useState(0);
  const detail = query.data;
  const traceId = detail?.trace_id ?? "";
  const trace = useQuery({ ...traceQuery(projectId, traceId), enabled: traceId !== "" });
  useEffect(() => {
    if (!detail || drafts !== null) return;
    setDrafts(draftsOf(questions, detail.answers));
    setCorrection(detail.answers.find((s) => s.data_type === "CORRECTION")?.string_value ?? null);
  }, [detail, drafts, questions]);
  const filled = drafts ?? {};
  const change = (id: string, draft: Draft) => setDrafts({ ...filled, [id]: draft });
  const bad = questions.some(
    (c) => c.data_type === "NUMERIC" && readNumber(c, String(filled[c.config_id]?.value ?? "")).problem,
  );
  const answers = questions.flatMap((config) => {
    const draft = filled[config.config_id];
    const raw = config.data_type === "NUMERIC" ? readNumber(config, String(draft?.value ?? "")).value : draft?.value;
    return raw === undefined
      ? []
      : [
          {
            config_id: config.config_id,
            value: raw as number | boolean | string | string[],
            comment: draft?.comment ?? null,
          },
        ];
  });
  const refresh = async () => {
    await queries.invalidateQueries({ queryKey: [projectId, "queue", queueId] });
    await queries.invalidateQueries({ queryKey: [projectId, "queues"] });
  };
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/queues/{queue_id}/items/{item_id}/review", {
        path: { project_id: projectId, queue_id: queueId, item_id: itemId },
        body: { answers, correction: correction?.trim() ? correction : null, reviewer },
      }),
    onSuccess: async () => {
      onDone();
      await refresh();
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const decline = useMutation({
    mutationFn: () =>
      api.patch("/projects/{project_id}/queues/{queue_id}/items/{item_id}", {
        path: { project_id: projectId, queue_id: queueId, item_id: itemId },
        body: { status: "DECLINED", reviewer },
      }),
    onSuccess: async () => {
      onDone();
      await refresh();
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const complete = () => {
    if (save.isPending || drafts === null) return;
    if (bad) toast("A number is out of its bounds", { tone: "err" });
    else if (answers.length === 0 && !correction?.trim()) toast("Answer a question, or press S to skip");
    else save.mutate();
  };
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (!detail) return <TraceLoading />;
  const target = detail.span_id
    ? ({ type: "OBSERVATION", id: detail.span_id } as const)
    : detail.trace_id
      ? ({ type: "TRACE", id: detail.trace_id } as const)
      : detail.session_id
        ? ({ type: "SESSION", id: detail.session_id } as const)
        : null;
  return (
    <div className={css.work}>
      <div className={css.object}>
        <Thing projectId={projectId} detail={detail} />
      </div>
      <aside className={css.side} aria-label="Questions">
        <div className={css.questions}>
          {questions.length === 0 ? <p className="muted">This queue asks nothing yet.</p> : null}
          {questions.map((config, i) => (
            <Question
              key={config.config_id}
              config={config}
              draft={filled[config.config_id] ?? {}}
              active={i === active}
              onActive={() => setActive(i)}
              onChange={(draft) => change(config.config_id, draft)}
            />
          ))}
          {detail.trace_id ? (
            <Correction projectId={projectId} detail={detail} value={correction} onChange={setCorrection} />
          ) : null}
          {target ? <Comments projectId={projectId} type={target.type} id={target.id} /> : null}
        </div>
        <div className={css.foot}>
          <div className={css.row}>
            <Button look="primary" disabled={save.isPending || drafts === null} onClick={complete}>
              Complete <span className={css.cap}>↵</span>
            </Button>
            <Button onClick={onSkip}>
              Skip <span className={css.cap}>S</span>
            </Button>
            <Button look="ghost" disabled={decline.isPending} onClick={() => decline.mutate()}>
              Decline <span className={css.cap}>D</span>
            </Button>
          </div>
          <span className={css.hint}>↑ ↓ question · ← → item · numbers and letters choose</span>
        </div>
        <Keys
          key={String(trace.isSuccess)}
          questions={questions}
          active={active}
          onActive={setActive}
          drafts={filled}
          onChange={change}
          onComplete={complete}
          onSkip={onSkip}
          onDecline={() => decline.mutate()}
          onStep={onStep}
        />
      </aside>
    </div>
  );
}

interface KeysProps {
  readonly questions: readonly ScoreConfigRow[];
  readonly active: number;
  readonly onActive: (index: number) => void;
  readonly drafts: Drafts;
  readonly onChange: (id: string, draft: Draft) => void;
  readonly onComplete: () => void;
  readonly onSkip: () => void;
  readonly onDecline: () => void;
  readonly onStep: (by: number) => void;
}

/** The keys of the page. Mounted again when the trace view comes, so that they lie above its keys. */
function Keys({ questions, active, onActive, drafts, onChange, onComplete, onSkip, onDecline, onStep }: KeysProps) {
  const config = questions[active];
  const draft = (config && drafts[config.config_id]) ?? {};
  const choices = config ? choicesOf(config) : [];
  const typing = config?.data_type === "NUMERIC";
  const text = typeof draft.value === "string" ? draft.value : "";
  const move = (by: number) => onActive(Math.min(Math.max(active + by, 0), Math.max(questions.length - 1, 0)));
  const group = "Annotation";
  useHotkeys([
    { keys: "enter", label: "Complete and go on", group, run: onComplete },
    { keys: "mod+enter", group, inFields: true, run: onComplete },
    { keys: "s", label: "Skip", group, run: onSkip },
    { keys: "d", label: "Decline: nobody can judge it", group, run: onDecline },
    { keys: "arrowdown", label: "Next question", group, run: () => move(1) },
    { keys: "arrowup", label: "Previous question", group, run: () => move(-1) },
    { keys: "arrowright", label: "Next item", group, run: () => onStep(1) },
    { keys: "arrowleft", label: "Previous item", group, run: () => onStep(-1) },
    ...choices.flatMap((choice) =>
      choice.keys.map((keys) => ({
        keys,
        label: `${config?.name}: ${choice.label}`,
        group,
        run: () => config && onChange(config.config_id, { ...draft, value: pressed(config, draft.value, choice) }),
      })),
    ),
    ...(typing && config
      ? [..."0123456789.-"].map((keys) => ({
          keys,
          group,
          run: () => onChange(config.config_id, { ...draft, value: text + keys }),
        }))
      : []),
    ...(typing && config
      ? [
          {
            keys: "backspace",
            group,
            run: () => onChange(config.config_id, { ...draft, value: text.slice(0, -1) || undefined }),
          },
        ]
      : []),
  ]);
  return null;
}

/** The trace, the span within its trace, or the turns of the session. */
function Thing({ projectId, detail }: { readonly projectId: string; readonly detail: ItemDetail }) {
  if (detail.trace_id) return <TraceThing projectId={projectId} traceId={detail.trace_id} spanId={detail.span_id} />;
  if (detail.session_id) return <SessionThing projectId={projectId} sessionId={detail.session_id} />;
  return (
    <Empty title="This is gone">
      The {detail.item.object_type.toLowerCase()} <code>{detail.item.object_id}</code> is not stored here (any more).
      Skip or decline the item.
    </Empty>
  );
}

function TraceThing({
  projectId,
  traceId,
  spanId,
}: {
  readonly projectId: string;
  readonly traceId: string;
  readonly spanId: string | null;
}) {
  const { query, spans } = useTrace(projectId, traceId);
  const search = usePageSearch();
  const setSearch = useSetSearch();
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when another item opens
  useEffect(() => {
    if (!search.span) setSearch({ span: spanId ?? "trace" });
  }, [traceId, spanId]);
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return query.data ? <TraceView projectId={projectId} detail={query.data} spans={spans} /> : <TraceLoading />;
}

function SessionThing({ projectId, sessionId }: { readonly projectId: string; readonly sessionId: string }) {
  const query = useInfiniteQuery(sessionTracesQuery(projectId, sessionId));
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const traces = query.data?.pages.flatMap((p) => p.traces) ?? [];
  return (
    <div className={css.turns}>
      {traces.map((t) => (
        <article key={t.trace_id} className={css.turn}>
          <Link to="/project/$projectId/traces/$traceId" params={{ projectId, traceId: t.trace_id }}>
            {t.name || t.trace_id}
          </Link>
          <div className={css.hint}>Input</div>
          <Markdown text={t.input_preview ?? "–"} />
          <div className={css.hint}>Output</div>
          <Markdown text={t.output_preview ?? "–"} />
        </article>
      ))}
      {query.hasNextPage ? <Button onClick={() => void query.fetchNextPage()}>Later traces</Button> : null}
    </div>
  );
}

interface CorrectionProps {
  readonly projectId: string;
  readonly detail: ItemDetail;
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
}

/** What the output should have been, starting from what it was. */
function Correction({ projectId, detail, value, onChange }: CorrectionProps) {
  const trace = useQuery(traceQuery(projectId, detail.trace_id ?? ""));
  const row = trace.data?.spans.find((s) => s.span_id === detail.span_id);
  const output = detail.span_id ? (row?.output_preview ?? "") : (trace.data?.trace.output_preview ?? "");
  if (value === null)
    return (
      <div>
        <Button small look="ghost" onClick={() => onChange(output)}>
          Correct the output
        </Button>
      </div>
    );
  return (
    <div className={css.question}>
      <h3>Corrected output</h3>
      <TextArea
        rows={5}
        aria-label="Corrected output"
        value={value}
        onChange={(e) => onChange(e.currentTarget.value)}
      />
      <div>
        <Button small look="ghost" onClick={() => onChange(null)}>
          No correction
        </Button>
      </div>
    </div>
  );
}
