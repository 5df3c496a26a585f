import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pencil, Plus, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { api } from "@/api/client";
import type { RunDetail, RunEdit } from "@/api/types";
import { dateTime, duration, metric } from "@/base/format";
import { metricNumber } from "@/base/runs";
import { Button, IconButton } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { Input, TextArea } from "@/ui/Field";
import { Markdown } from "@/ui/Markdown";
import { useNow } from "@/ui/time";
import { toast } from "@/ui/toast";
import css from "./RunPage.module.css";

/** Facts, note, params, newest metrics, tags, data sets and models of a run. */
export function RunSide({ projectId, detail }: { readonly projectId: string; readonly detail: RunDetail }) {
  const { run } = detail;
  const queries = useQueryClient();
  const now = useNow();
  const edit = useMutation({
    mutationFn: (change: RunEdit) =>
      api.patch("/projects/{project_id}/runs/{run_id}", {
        path: { project_id: projectId, run_id: run.run_id },
        body: change,
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "run", run.run_id] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const source = run.tags?.["mlflow.source.name"];
  const commit = run.tags?.["mlflow.source.git.commit"];
  const parent = run.tags?.["mlflow.parentRunId"];
  const metrics = Object.entries(run.metrics ?? {})
    .filter(([key]) => !key.startsWith("system/"))
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .map(([key, v]) => [key, metric(metricNumber(v.value))] as const);
  const params = Object.entries(run.params ?? {}).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  const tags = Object.entries(run.tags ?? {}).filter(
    ([key]) => !key.startsWith("mlflow.") && !key.startsWith("twinlens.capture."),
  );
  return (
    <div className={css.side}>
      <section className={css.section}>
        <dl className={css.facts}>
          <dt>Started</dt>
          <dd>{dateTime(run.start_ms)}</dd>
          <dt>Duration</dt>
          <dd>
            {run.duration_ms === null && run.start_ms !== null
              ? `${duration(now - run.start_ms)} so far`
              : duration(run.duration_ms)}
          </dd>
          <dt>User</dt>
          <dd>{run.user || "–"}</dd>
          {source ? (
            <>
              <dt>Source</dt>
              <dd title={source}>{source}</dd>
            </>
          ) : null}
          {commit ? (
            <>
              <dt>Commit</dt>
              <dd className="mono" title={commit}>
                {commit.slice(0, 10)}
              </dd>
            </>
          ) : null}
          {parent ? (
            <>
              <dt>Parent</dt>
              <dd>
                <Link
                  to="/project/$projectId/experiments/$experimentId/runs/$runId"
                  params={{ projectId, experimentId: run.experiment_id, runId: parent }}
                  className="mono"
                >
                  {parent.slice(0, 12)}
                </Link>
              </dd>
            </>
          ) : null}
          <dt>Run id</dt>
          <dd className="mono ellipsis" title={run.run_id}>
            {run.run_id}
          </dd>
        </dl>
      </section>
      <Note note={detail.note} busy={edit.isPending} onSave={(note) => edit.mutate({ note })} />
      <Values title="Metrics" rows={metrics} empty="None logged" />
      <Values title="Params" rows={params} empty="None logged" />
      <Section title="Tags">
        <TagList tags={tags} onChange={(change) => edit.mutate({ tags: change })} />
      </Section>
      {detail.datasets.length > 0 ? (
        <Section title="Data sets">
          {detail.datasets.map((d) => (
            <div key={`${d.name}${d.digest}${d.context}`}>
              {d.name} <span className="muted mono">{d.digest}</span> {d.context ? <Chip>{d.context}</Chip> : null}
            </div>
          ))}
        </Section>
      ) : null}
      {detail.models.length > 0 ? (
        <Section title="Models">
          {detail.models.map((m, i) => (
            <div key={i}>
              {m.version ? (
                <Link to="/project/$projectId/models/$name" params={{ projectId, name: m.name }}>
                  {m.name} version {m.version}
                </Link>
              ) : (
                m.name || m.model_id
              )}{" "}
              {m.status ? <span className="muted">{m.status.toLowerCase()}</span> : null}
            </div>
          ))}
        </Section>
      ) : null}
    </div>
  );
}

function Section({
  title,
  tools,
  children,
}: {
  readonly title: string;
  readonly tools?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <section className={css.section}>
      <header>
        <h2>{title}</h2>
        {tools}
      </header>
      {children}
    </section>
  );
}

const MANY = 12;
const SHOWN = 200;

function Values({
  title,
  rows,
  empty,
}: {
  readonly title: string;
  readonly rows: readonly (readonly [string, string])[];
  readonly empty: string;
}) {
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  const found = rows.filter(
    ([k, v]) => wanted === "" || k.toLowerCase().includes(wanted) || v.toLowerCase().includes(wanted),
  );
  return (
    <Section
      title={rows.length > 0 ? `${title} ${rows.length}` : title}
      tools={
        rows.length > MANY ? (
          <Input
            className={css.filter}
            placeholder="Search"
            aria-label={`Filter ${title.toLowerCase()}`}
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
          />
        ) : rows.length > 0 ? (
          <CopyButton
            text={() => JSON.stringify(Object.fromEntries(rows), null, 2)}
            label={`Copy ${title.toLowerCase()} as JSON`}
          />
        ) : null
      }
    >
      {rows.length === 0 ? (
        <span className="muted">{empty}</span>
      ) : (
        <table className={css.values}>
          <tbody>
            {found.slice(0, SHOWN).map(([key, value]) => (
              <tr key={key}>
                <td>{key}</td>
                <td title={value}>{value.length > 300 ? `${value.slice(0, 300)}…` : value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {found.length > SHOWN ? <span className="muted">{found.length - SHOWN} more: search to narrow down</span> : null}
    </Section>
  );
}

function Note({
  note,
  busy,
  onSave,
}: {
  readonly note: string | null;
  readonly busy: boolean;
  readonly onSave: (note: string) => void;
}) {
  const [draft, setDraft] = useState<string | null>(null);
  return (
    <Section
      title="Notes"
      tools={
        draft === null ? (
          <IconButton label="Edit the notes" small onClick={() => setDraft(note ?? "")}>
            <Pencil size={13} aria-hidden="true" />
          </IconButton>
        ) : null
      }
    >
      {draft !== null ? (
        <form
          className={css.editor}
          onSubmit={(event) => {
            event.preventDefault();
            onSave(draft);
            setDraft(null);
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              event.stopPropagation();
              setDraft(null);
            } else if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) event.currentTarget.requestSubmit();
          }}
        >
          <TextArea
            autoFocus
            rows={6}
            aria-label="Notes, in Markdown"
            value={draft}
            onChange={(e) => setDraft(e.currentTarget.value)}
          />
          <div>
            <Button small onClick={() => setDraft(null)}>
              Cancel
            </Button>
            <Button small look="primary" type="submit" disabled={busy}>
              Save
            </Button>
          </div>
        </form>
      ) : note ? (
        <div className={css.note}>
          <Markdown text={note} />
        </div>
      ) : (
        <span className="muted">None</span>
      )}
    </Section>
  );
}

function TagList({
  tags,
  onChange,
}: {
  readonly tags: readonly (readonly [string, string])[];
  readonly onChange: (change: Record<string, string | null>) => void;
}) {
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  return (
    <div>
      <div className={css.tags}>
        {tags.map(([k, v]) => (
          <span key={k} className={css.tag}>
            <Chip name={k} title={`${k}: ${v}`}>
              {v}
            </Chip>
            <IconButton label={`Remove ${k}`} small onClick={() => onChange({ [k]: null })}>
              <X size={12} aria-hidden="true" />
            </IconButton>
          </span>
        ))}
      </div>
      <form
        className={css.addtag}
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() === "") return;
          onChange({ [key.trim()]: value });
          setKey("");
          setValue("");
        }}
      >
        <Input
          placeholder="Key"
          aria-label="Key of a new tag"
          value={key}
          onChange={(e) => setKey(e.currentTarget.value)}
        />
        <Input
          placeholder="Value"
          aria-label="Value of a new tag"
          value={value}
          onChange={(e) => setValue(e.currentTarget.value)}
        />
        <IconButton label="Add the tag" type="submit" disabled={key.trim() === ""}>
          <Plus size={15} aria-hidden="true" />
        </IconButton>
      </form>
    </div>
  );
}
