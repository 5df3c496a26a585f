import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { PenLine, Trash2, X } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { peopleQuery, QUEUE_PAGE, queueItemsQuery, queueQuery } from "@/api/feedback";
import type { AgreementRow, QueueItemRow } from "@/api/types";
import { useProjectId } from "@/app/url";
import { ago, dateTime, shortId } from "@/base/format";
import { Button, IconButton } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { Input } from "@/ui/Field";
import { PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { useNow } from "@/ui/time";
import { toast } from "@/ui/toast";
import css from "./Annotation.module.css";
import { takes } from "./AnnotationPage";
import { Progress } from "./Progress";

/** One queue: how far it is, how far people agree, who works on it, what is in it. */
export function QueuePage() {
  const projectId = useProjectId();
  const { queueId } = useParams({ strict: false }) as { queueId: string };
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(queueQuery(projectId, queueId));
  const items = useQuery(queueItemsQuery(projectId, queueId));
  const [sure, setSure] = useState(false);
  const changed = async () => {
    await queries.invalidateQueries({ queryKey: [projectId, "queue", queueId] });
    await queries.invalidateQueries({ queryKey: [projectId, "queues"] });
  };
  const path = { project_id: projectId, queue_id: queueId };
  const fail = (error: Error) => toast(error.message, { tone: "err" });
  const assign = useMutation({
    mutationFn: (reviewers: string[]) =>
      api.patch("/projects/{project_id}/queues/{queue_id}", { path, body: { reviewers } }),
    onSuccess: changed,
    onError: fail,
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}/queues/{queue_id}", { path }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [projectId, "queues"] });
      await navigate({ to: "/project/$projectId/annotation", params: { projectId } });
    },
    onError: fail,
  });
  const take = useMutation({
    mutationFn: (item: QueueItemRow) =>
      api.post("/projects/{project_id}/queues/{queue_id}/items/remove", {
        path,
        body: { objects: [{ type: item.object_type as "TRACE", id: item.object_id }] },
      }),
    onSuccess: changed,
    onError: fail,
  });
  const reopen = useMutation({
    mutationFn: (item: QueueItemRow) =>
      api.patch("/projects/{project_id}/queues/{queue_id}/items/{item_id}", {
        path: { ...path, item_id: item.item_id },
        body: { status: "PENDING" },
      }),
    onSuccess: changed,
    onError: fail,
  });
  const queue = query.data?.queue;
  return (
    <>
      <PageHeader
        name={queue?.name ?? "Queue"}
        crumbs={[
          <Link key="a" to="/project/$projectId/annotation" params={{ projectId }}>
            Annotation
          </Link>,
        ]}
        title={queue?.name ?? "…"}
      >
        <Button
          look={sure ? "danger" : "ghost"}
          aria-label={sure ? "Delete for good" : "Delete the queue"}
          icon={<Trash2 size={15} aria-hidden="true" />}
          onClick={() => {
            if (sure) remove.mutate();
            setSure(!sure);
          }}
          onBlur={() => setSure(false)}
        >
          {sure ? "Delete for good?" : null}
        </Button>
        <Button
          look="primary"
          icon={<PenLine size={14} aria-hidden="true" />}
          onClick={() =>
            void navigate({ to: "/project/$projectId/annotation/$queueId/work", params: { projectId, queueId } })
          }
        >
          Annotate
        </Button>
      </PageHeader>
      {query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : !query.data || !queue ? (
        <LoadingRows />
      ) : (
        <div className={page.scroll}>
          <div className={css.content}>
            <section aria-label="About the queue" className={css.form}>
              {queue.description ? <p style={{ margin: 0 }}>{queue.description}</p> : null}
              <div className={css.row}>
                <Progress queue={queue} />
                {queue.declined > 0 ? <span className="muted num">{queue.declined} declined</span> : null}
                {queue.reviews_needed > 1 ? (
                  <span className="muted num">{queue.reviews_needed} people judge each item</span>
                ) : null}
              </div>
              <Reviewers
                projectId={projectId}
                names={queue.reviewers}
                fixed={queue.personal}
                onChange={(names) => assign.mutate(names)}
              />
            </section>
            <section aria-label="Questions">
              <h2>Questions and agreement</h2>
              {query.data.questions.length === 0 ? (
                <p className="muted">This queue asks nothing: it was created without score configs.</p>
              ) : (
                <table className={css.table}>
                  <thead>
                    <tr>
                      <th>Question</th>
                      <th>Takes</th>
                      <th title="Things that two people or more have judged">Judged twice</th>
                      <th title="Share of equal pairs of answers">Equal</th>
                      <th title="Two people: Cohen's kappa for categories, Pearson's correlation for numbers">
                        κ or r
                      </th>
                      <th title="Krippendorff's alpha: any number of people, answers may be missing">α</th>
                    </tr>
                  </thead>
                  <tbody>
                    {query.data.questions.map((config) => {
                      const found = query.data.agreement.find((a) => a.config_id === config.config_id);
                      return (
                        <tr key={config.config_id}>
                          <td>
                            <strong>{config.name}</strong>
                            {config.description ? <div className={css.hint}>{config.description}</div> : null}
                          </td>
                          <td className="muted">{takes(config)}</td>
                          <td className="num">{found?.units ?? "–"}</td>
                          <td className="num">
                            {found?.percent == null ? "–" : `${Math.round(found.percent * 100)} %`}
                          </td>
                          <td className="num">{pairwise(found)}</td>
                          <td className="num">{decimal(found?.alpha)}</td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              )}
            </section>
            <section aria-label="Items">
              <h2>Items</h2>
              {items.data?.total === 0 ? (
                <Empty
                  title="The queue is empty"
                  actions={
                    <Link to="/project/$projectId/traces" params={{ projectId }}>
                      Go to the traces
                    </Link>
                  }
                >
                  Select traces in the list and choose “Add to queue”, or add one from its page.
                </Empty>
              ) : (
                <table className={css.table}>
                  <thead>
                    <tr>
                      <th>Item</th>
                      <th>Status</th>
                      <th>Judged by</th>
                      <th>Added</th>
                      <th aria-label="Actions" />
                    </tr>
                  </thead>
                  <tbody>
                    {items.data?.items.map((item) => (
                      <ItemLine
                        key={item.item_id}
                        projectId={projectId}
                        queueId={queueId}
                        item={item}
                        onReopen={() => reopen.mutate(item)}
                        onRemove={() => take.mutate(item)}
                      />
                    ))}
                  </tbody>
                </table>
              )}
              {(items.data?.total ?? 0) > QUEUE_PAGE ? (
                <p className="muted">
                  The oldest {QUEUE_PAGE} of {items.data?.total} items.
                </p>
              ) : null}
            </section>
          </div>
        </div>
      )}
    </>
  );
}

const decimal = (value: number | null | undefined) => (value == null ? "–" : value.toFixed(2));

function pairwise(found: AgreementRow | undefined): string {
  if (found?.kappa != null) return `κ ${decimal(found.kappa)}`;
  return found?.correlation != null ? `r ${decimal(found.correlation)}` : "–";
}

interface ItemLineProps {
  readonly projectId: string;
  readonly queueId: string;
  readonly item: QueueItemRow;
  readonly onReopen: () => void;
  readonly onRemove: () => void;
}

function ItemLine({ projectId, queueId, item, onReopen, onRemove }: ItemLineProps) {
  const now = useNow();
  const noun = { TRACE: "trace", OBSERVATION: "span", SESSION: "session" }[item.object_type] ?? item.object_type;
  const tone = item.status === "COMPLETED" ? "ok" : item.status === "DECLINED" ? "warn" : "plain";
  return (
    <tr data-item={item.object_id}>
      <td>
        <Link
          to="/project/$projectId/annotation/$queueId/work"
          params={{ projectId, queueId }}
          search={{ item: item.item_id }}
        >
          {noun} <code>{shortId(item.object_id)}</code>
        </Link>
      </td>
      <td>
        <Chip tone={tone}>{item.status.toLowerCase()}</Chip>
      </td>
      <td>{item.reviewed_by.length > 0 ? item.reviewed_by.join(", ") : (item.completed_by ?? "–")}</td>
      <td title={dateTime(item.created_ms)}>{ago(item.created_ms, now)}</td>
      <td>
        <span className={css.row} style={{ justifyContent: "flex-end" }}>
          {item.status === "PENDING" ? null : (
            <Button small look="ghost" onClick={onReopen}>
              Reopen
            </Button>
          )}
          <IconButton small label="Remove from the queue" onClick={onRemove}>
            <X size={13} aria-hidden="true" />
          </IconButton>
        </span>
      </td>
    </tr>
  );
}

interface ReviewersProps {
  readonly projectId: string;
  readonly names: readonly string[];
  readonly fixed: boolean;
  readonly onChange: (names: string[]) => void;
}

function Reviewers({ projectId, names, fixed, onChange }: ReviewersProps) {
  const people = useQuery(peopleQuery(projectId));
  const [text, setText] = useState("");
  return (
    <form
      className={css.row}
      onSubmit={(event) => {
        event.preventDefault();
        const name = text.trim();
        if (name && !names.includes(name)) onChange([...names, name]);
        setText("");
      }}
    >
      <span className="muted">Reviewers</span>
      {names.length === 0 ? <span className="muted">anybody</span> : null}
      {names.map((name) => (
        <Chip
          key={name}
          title={fixed ? name : `Take ${name} off the queue`}
          onClick={fixed ? undefined : () => onChange(names.filter((one) => one !== name))}
        >
          {name}
          {fixed ? "" : " ×"}
        </Chip>
      ))}
      {fixed ? null : (
        <>
          <Input
            list="queue-people"
            aria-label="Assign a reviewer"
            placeholder="Assign somebody"
            style={{ width: 160 }}
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
          />
          <datalist id="queue-people">
            {people.data?.people.map((p) => (
              <option key={p.email ?? p.name} value={p.name} />
            ))}
          </datalist>
        </>
      )}
    </form>
  );
}
