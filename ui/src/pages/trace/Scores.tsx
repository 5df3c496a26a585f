import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { api } from "@/api/client";
import type { NewScore, ScoreRow } from "@/api/types";
import { ago, dateTime } from "@/base/format";
import { readScoreValue } from "@/base/score";
import { Button, IconButton } from "@/ui/Button";
import { Chip, scoreText, scoreTone } from "@/ui/Chip";
import { Input, TextArea } from "@/ui/Field";
import { useHotkeys } from "@/ui/hotkeys";
import { IssueChip } from "@/ui/IssueChip";
import { useNow } from "@/ui/time";
import { toast } from "@/ui/toast";
import css from "./Scores.module.css";

interface ScoresProps {
  readonly projectId: string;
  readonly traceId: string;
  /** null: of the trace as a whole. */
  readonly spanId: string | null;
  readonly scores: readonly ScoreRow[];
  /** Names used elsewhere in the trace, for typeahead. */
  readonly names: readonly string[];
}

/** Scores of a trace or span: read them, add one without the mouse, correct or remove one. */
export function Scores({ projectId, traceId, spanId, scores, names }: ScoresProps) {
  const queries = useQueryClient();
  const [editing, setEditing] = useState<string | null>(null);
  const [adding, setAdding] = useState(false);
  const changed = () => queries.invalidateQueries({ queryKey: [projectId, "trace", traceId] });
  useHotkeys([{ keys: "e", label: "Add a score", group: "Trace", run: () => setAdding(true) }]);
  const add = useMutation({
    mutationFn: (score: NewScore) =>
      api.post("/projects/{project_id}/scores", { path: { project_id: projectId }, body: score }),
    onSuccess: async (score) => {
      await changed();
      setAdding(false);
      toast(`${score.name} saved`, { tone: "ok", action: { label: "Undo", run: () => remove.mutate(score.score_id) } });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const edit = useMutation({
    mutationFn: ({ id, value, comment }: { id: string; value: number | boolean | string; comment: string }) =>
      api.patch("/projects/{project_id}/scores/{score_id}", {
        path: { project_id: projectId, score_id: id },
        body: { value, comment },
      }),
    onSuccess: async () => {
      await changed();
      setEditing(null);
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const remove = useMutation({
    mutationFn: (id: string) =>
      api.delete("/projects/{project_id}/scores/{score_id}", { path: { project_id: projectId, score_id: id } }),
    onSuccess: changed,
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <div>
      {adding ? (
        <ScoreForm
          names={names}
          busy={add.isPending}
          onCancel={() => setAdding(false)}
          onSave={(name, value, comment) =>
            add.mutate({ name, value, comment: comment || null, trace_id: traceId, span_id: spanId })
          }
        />
      ) : (
        <div className={css.line} style={{ marginBottom: 8 }}>
          <Button small icon={<Plus size={13} aria-hidden="true" />} onClick={() => setAdding(true)}>
            Add a score
          </Button>
          <span className="muted">or press e</span>
        </div>
      )}
      {scores.length === 0 && !adding ? (
        <p className="muted">No scores yet. Langfuse scores and MLflow feedback show up here too.</p>
      ) : null}
      <div className={css.list}>
        {scores.map((score) =>
          editing === score.score_id ? (
            <ScoreForm
              key={score.score_id}
              score={score}
              names={names}
              busy={edit.isPending}
              onCancel={() => setEditing(null)}
              onSave={(_, value, comment) => edit.mutate({ id: score.score_id, value, comment })}
            />
          ) : (
            <ScoreItem
              key={score.score_id}
              projectId={projectId}
              score={score}
              onEdit={() => setEditing(score.score_id)}
              onRemove={() => remove.mutate(score.score_id)}
            />
          ),
        )}
      </div>
    </div>
  );
}

function ScoreItem({
  projectId,
  score,
  onEdit,
  onRemove,
}: {
  readonly projectId: string;
  readonly score: ScoreRow;
  readonly onEdit: () => void;
  readonly onRemove: () => void;
}) {
  const now = useNow();
  return (
    <div className={css.score} data-valid={score.valid}>
      <div className={css.line}>
        {score.kind === "issue" ? (
          <IssueChip projectId={projectId} issueId={score.name} />
        ) : (
          <>
            <span className={css.name}>{score.name}</span>
            <Chip tone={scoreTone(score)}>
              <span className={css.value}>{score.json_value ?? scoreText(score)}</span>
            </Chip>
            {score.kind === "feedback" ? null : <Chip>{score.kind}</Chip>}
          </>
        )}
        {score.valid ? null : <Chip tone="warn">overridden</Chip>}
        <span className={css.by} title={dateTime(score.timestamp_ms)}>
          {score.source}
          {score.source_id ? ` · ${score.source_id}` : ""} · {ago(score.timestamp_ms, now)}
        </span>
        {score.kind === "issue" ? null : (
          <IconButton label={`Edit ${score.name}`} small onClick={onEdit}>
            <Pencil size={13} aria-hidden="true" />
          </IconButton>
        )}
        <IconButton label={`Delete ${score.name}`} small onClick={onRemove}>
          <Trash2 size={13} aria-hidden="true" />
        </IconButton>
      </div>
      {score.comment ? <div className={css.comment}>{score.comment}</div> : null}
    </div>
  );
}

interface ScoreFormProps {
  readonly score?: ScoreRow;
  readonly names: readonly string[];
  readonly busy: boolean;
  readonly onSave: (name: string, value: number | boolean | string, comment: string) => void;
  readonly onCancel: () => void;
}

/** Name, value, comment. A number is a number, `true` and `false` are booleans, anything else is a label. */
function ScoreForm({ score, names, busy, onSave, onCancel }: ScoreFormProps) {
  const [name, setName] = useState(score?.name ?? names[0] ?? "");
  const [value, setValue] = useState(score ? (score.json_value ?? scoreText(score)) : "");
  const [comment, setComment] = useState(score?.comment ?? "");
  const valueBox = useRef<HTMLInputElement>(null);
  const ready = name.trim() !== "" && value.trim() !== "";
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready)
          onSave(
            name.trim(),
            score?.data_type === "TEXT" || score?.data_type === "CATEGORICAL" ? value : readScoreValue(value),
            comment.trim(),
          );
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          onCancel();
        } else if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) event.currentTarget.requestSubmit();
      }}
    >
      <Input
        placeholder="Name"
        aria-label="Name of the score"
        list="score-names"
        autoFocus={!score && name === ""}
        disabled={score !== undefined}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <datalist id="score-names">
        {names.map((n) => (
          <option key={n} value={n} />
        ))}
      </datalist>
      <Input
        ref={valueBox}
        placeholder="Value: 0.8, true, helpful…"
        aria-label="Value"
        autoFocus={score !== undefined || name !== ""}
        value={value}
        onChange={(event) => setValue(event.currentTarget.value)}
      />
      <TextArea
        className={css.wide}
        rows={2}
        placeholder="Comment"
        aria-label="Comment"
        value={comment}
        onChange={(event) => setComment(event.currentTarget.value)}
      />
      <div className={css.actions}>
        <span className={css.hint}>Enter saves, Esc cancels</span>
        <Button small onClick={onCancel}>
          Cancel
        </Button>
        <Button small look="primary" type="submit" disabled={!ready || busy}>
          Save
        </Button>
      </div>
    </form>
  );
}
