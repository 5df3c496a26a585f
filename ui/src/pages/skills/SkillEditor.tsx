import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { SkillVersionRow } from "@/api/types";
import { Field, Input, TextArea } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";

const FILE = "SKILL.md";
const START = `---
name: my-skill
description: When to use it, in a sentence.
---

# What to do

1. …
`;

interface SkillEditorProps {
  readonly projectId: string;
  /** The version whose file is changed; its other files go along. Without it a new skill is made. */
  readonly base?: { readonly version: SkillVersionRow; readonly path: string; readonly text: string };
  /** What the skill is called when its file does not say so: MLflow's may be. */
  readonly name?: string | null;
  readonly onClose: () => void;
  readonly onMade: (name: string, version: number) => void;
}

/** Write a file; saving makes a new version. */
export function SkillEditor({ projectId, base, name = null, onClose, onMade }: SkillEditorProps) {
  const queries = useQueryClient();
  const [text, setText] = useState(base?.text ?? START);
  const [message, setMessage] = useState("");
  const path = base?.path ?? FILE;
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/skills", {
        path: { project_id: projectId },
        body: {
          files: [
            { path, text },
            ...(base?.version.files ?? [])
              .filter((file) => file.path !== path)
              .map((file) => ({ path: file.path, sha256: file.sha256 })),
          ],
          commit_message: message.trim() || null,
          name,
        },
      }),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [projectId, "skills"] });
      onClose();
      onMade(name ?? String(made.frontmatter.name), made.version);
    },
  });
  return (
    <FormDialog
      title={base ? `Edit ${path}` : "New skill"}
      verb={base ? "Save as a new version" : "Create"}
      size="xl"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      ready={text !== base?.text}
      pending={save.isPending}
      error={save.error}
    >
      <Field label={path} hint={path === FILE ? "The lines between the dashes hold its name and description." : null}>
        <TextArea
          className="mono"
          rows={18}
          spellCheck={false}
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
        />
      </Field>
      <Field label="What changed">
        <Input placeholder="Optional" value={message} onChange={(e) => setMessage(e.currentTarget.value)} />
      </Field>
    </FormDialog>
  );
}
