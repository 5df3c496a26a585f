import { Modal } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { readScoreValue } from "@/base/score";
import { Button } from "@/ui/Button";
import { Input } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./TagDialog.module.css";

interface ScoreDialogProps {
  readonly projectId: string;
  readonly ids: readonly string[];
  readonly onDone: () => void;
  readonly onClose: () => void;
}

/** Give all selected traces the same score. */
export function ScoreDialog({ projectId, ids, onDone, onClose }: ScoreDialogProps) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const save = useMutation({
    mutationFn: () =>
      Promise.all(
        ids.map((id) =>
          api.post("/projects/{project_id}/scores", {
            path: { project_id: projectId },
            body: { name: name.trim(), value: readScoreValue(value), trace_id: id },
          }),
        ),
      ),
    onSuccess: (made) => {
      onDone();
      onClose();
      toast(`${made.length} ${made.length === 1 ? "trace" : "traces"} scored`, { tone: "ok" });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal opened onClose={onClose} title={`Score ${ids.length} ${ids.length === 1 ? "trace" : "traces"}`} size="sm">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Input
          data-autofocus
          placeholder="Name"
          aria-label="Name of the score"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <Input
          placeholder="Value: 0.8, true, helpful…"
          aria-label="Value"
          value={value}
          onChange={(e) => setValue(e.currentTarget.value)}
        />
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending || name.trim() === "" || value.trim() === ""}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}
