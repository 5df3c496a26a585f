import { Modal } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Lock } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import type { PromptVersionRow } from "@/api/types";
import { Button } from "@/ui/Button";
import { Input } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./Prompts.module.css";

interface LabelDialogProps {
  readonly projectId: string;
  readonly name: string;
  readonly version: PromptVersionRow;
  /** label -> version, of the whole prompt */
  readonly labels: Readonly<Record<string, number>>;
  /** of the project */
  readonly locked: readonly string[];
  readonly mayMoveLocked: boolean;
  readonly onClose: () => void;
}

/** Put labels on a version, which takes them from the others; clients see it with their next fetch. */
export function LabelDialog({ projectId, name, version, labels, locked, mayMoveLocked, onClose }: LabelDialogProps) {
  const queries = useQueryClient();
  const had = new Set(version.labels.filter((label) => label !== "latest"));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(had);
  const [text, setText] = useState("");
  const known = [...new Set(["production", ...Object.keys(labels)])].filter((label) => label !== "latest").sort();
  const wanted = new Set([
    ...chosen,
    ...text
      .split(",")
      .map((t) => t.trim())
      .filter(Boolean),
  ]);
  const save = useMutation({
    mutationFn: async () => {
      const path = { project_id: projectId, name };
      for (const label of wanted)
        if (!had.has(label))
          await api.put("/projects/{project_id}/prompts/{name}/labels/{label}", {
            path: { ...path, label },
            body: { version: version.version },
          });
      for (const label of had)
        if (!wanted.has(label))
          await api.delete("/projects/{project_id}/prompts/{name}/labels/{label}", { path: { ...path, label } });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: [projectId, "prompt", name] }),
    onSuccess: () => {
      onClose();
      toast(`Labels of version ${version.version} saved`, { tone: "ok" });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal opened onClose={onClose} title={`Labels of version ${version.version}`} size="sm">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {known.map((label) => {
          const elsewhere = labels[label] !== undefined && labels[label] !== version.version;
          return (
            <label key={label} className={css.choice}>
              <input
                type="checkbox"
                checked={chosen.has(label)}
                disabled={locked.includes(label) && !mayMoveLocked}
                onChange={() =>
                  setChosen((was) => {
                    const next = new Set(was);
                    if (!next.delete(label)) next.add(label);
                    return next;
                  })
                }
              />
              <span>{label}</span>
              {locked.includes(label) ? (
                <span className="muted">
                  <Lock size={12} aria-hidden="true" />{" "}
                  {mayMoveLocked ? "protected" : "protected: ask an administrator of the project"}
                </span>
              ) : null}
              {elsewhere ? (
                <span className="muted">
                  {chosen.has(label) ? `moves from version ${labels[label]}` : `on version ${labels[label]}`}
                </span>
              ) : null}
            </label>
          );
        })}
        <Input
          data-autofocus
          placeholder="New labels, separated by commas"
          aria-label="New labels"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
        />
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}
