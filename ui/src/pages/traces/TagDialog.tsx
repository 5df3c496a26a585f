import { Modal } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { TraceRow } from "@/api/types";
import { Button } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { Input } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./TagDialog.module.css";

interface TagDialogProps {
  readonly projectId: string;
  readonly traces: readonly TraceRow[];
  readonly onDone: (changed: readonly TraceRow[]) => void;
  readonly onClose: () => void;
}

/** Add tags to the selected traces, or take tags away that some of them have. */
export function TagDialog({ projectId, traces, onDone, onClose }: TagDialogProps) {
  const [text, setText] = useState("");
  const [removed, setRemoved] = useState<ReadonlySet<string>>(new Set());
  const present = [...new Set(traces.flatMap((t) => t.tags))].sort();
  const added = text
    .split(",")
    .map((t) => t.trim())
    .filter(Boolean);
  const save = useMutation({
    mutationFn: () =>
      Promise.all(
        traces.map((t) =>
          api.patch("/projects/{project_id}/traces/{trace_id}", {
            path: { project_id: projectId, trace_id: t.trace_id },
            body: { tags: [...new Set([...t.tags.filter((tag) => !removed.has(tag)), ...added])] },
          }),
        ),
      ),
    onSuccess: (changed) => {
      onDone(changed);
      onClose();
      toast(`Tags of ${changed.length} ${changed.length === 1 ? "trace" : "traces"} saved`, { tone: "ok" });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Tag ${traces.length} ${traces.length === 1 ? "trace" : "traces"}`}
      size="sm"
    >
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Input
          data-autofocus
          placeholder="Tags to add, separated by commas"
          aria-label="Tags to add"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
        />
        {present.length > 0 ? (
          <div className={css.tags}>
            {present.map((tag) => (
              <Chip
                key={tag}
                tone={removed.has(tag) ? "err" : "plain"}
                title={removed.has(tag) ? `Keep ${tag}` : `Remove ${tag}`}
                onClick={() =>
                  setRemoved((was) => {
                    const next = new Set(was);
                    if (!next.delete(tag)) next.add(tag);
                    return next;
                  })
                }
              >
                {removed.has(tag) ? <s>{tag}</s> : tag}
              </Chip>
            ))}
          </div>
        ) : null}
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending || (added.length === 0 && removed.size === 0)}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}
