import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { api } from "@/api/client";
import { type CommentTarget, commentsQuery, peopleQuery } from "@/api/feedback";
import type { CommentRow } from "@/api/types";
import { usePerson } from "@/app/person";
import { ago, dateTime } from "@/base/format";
import { Button, IconButton } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { TextArea } from "@/ui/Field";
import { Markdown } from "@/ui/Markdown";
import { Failure } from "@/ui/State";
import { useNow } from "@/ui/time";
import { toast } from "@/ui/toast";
import css from "./Scores.module.css";

interface CommentsProps {
  readonly projectId: string;
  readonly type: CommentTarget;
  readonly id: string;
}

/** What people say about a trace, span or session. `@` proposes whom to mention. */
export function Comments({ projectId, type, id }: CommentsProps) {
  const queries = useQueryClient();
  const person = usePerson();
  const query = useQuery(commentsQuery(projectId, type, id));
  const people = useQuery(peopleQuery(projectId));
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const changed = () => queries.invalidateQueries({ queryKey: [projectId, "comments", type, id] });
  const add = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/comments", {
        path: { project_id: projectId },
        body: { object_type: type, object_id: id, content: text.trim(), author: person.name },
      }),
    onSuccess: async () => {
      setText("");
      await changed();
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const remove = useMutation({
    mutationFn: (comment: string) =>
      api.delete("/projects/{project_id}/comments/{comment_id}", {
        path: { project_id: projectId, comment_id: comment },
      }),
    onSuccess: changed,
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const typed = /(?:^|\s)@([\w.@ -]{0,40})$/.exec(text)?.[1]?.toLowerCase() ?? null;
  const proposed =
    typed === null
      ? []
      : (people.data?.people ?? []).filter(
          (p) => p.name.toLowerCase().startsWith(typed) && p.name.length > typed.length,
        );
  return (
    <div>
      {query.isError ? <Failure error={query.error} retry={() => void query.refetch()} /> : null}
      {query.data?.comments.length === 0 ? <p className="muted">No comments yet.</p> : null}
      <div className={css.list}>
        {query.data?.comments.map((comment) => (
          <CommentItem key={comment.comment_id} comment={comment} onRemove={() => remove.mutate(comment.comment_id)} />
        ))}
      </div>
      <form
        className={css.form}
        style={{ marginTop: 8 }}
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) add.mutate();
        }}
      >
        <TextArea
          ref={box}
          className={css.wide}
          rows={3}
          placeholder="Comment; Markdown works, @ mentions somebody"
          aria-label="Comment"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) event.currentTarget.form?.requestSubmit();
          }}
        />
        {proposed.length > 0 ? (
          <div className={`${css.wide} ${css.quick}`} role="listbox" aria-label="People to mention">
            {proposed.slice(0, 6).map((p) => (
              <Chip
                key={p.email ?? p.name}
                title={p.email ?? p.name}
                onClick={() => {
                  setText(text.replace(/@[\w.@ -]*$/, `@${p.name} `));
                  box.current?.focus();
                }}
              >
                @{p.name}
              </Chip>
            ))}
          </div>
        ) : null}
        <div className={css.actions}>
          <span className={css.hint}>as {person.name}</span>
          <Button small look="primary" type="submit" disabled={text.trim() === "" || add.isPending}>
            Comment
          </Button>
        </div>
      </form>
    </div>
  );
}

function CommentItem({ comment, onRemove }: { readonly comment: CommentRow; readonly onRemove: () => void }) {
  const now = useNow();
  return (
    <article className={css.score}>
      <div className={css.line}>
        <span className={css.name}>{comment.author ?? "Somebody"}</span>
        {comment.mentions.map((name) => (
          <Chip key={name} tone="accent">
            @{name}
          </Chip>
        ))}
        <span className={css.by} title={dateTime(comment.created_ms)}>
          {ago(comment.created_ms, now)}
        </span>
        <IconButton label="Delete the comment" small onClick={onRemove}>
          <Trash2 size={13} aria-hidden="true" />
        </IconButton>
      </div>
      <Markdown text={comment.content} />
    </article>
  );
}
