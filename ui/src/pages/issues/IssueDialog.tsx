import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "@/api/client";
import type { IssueRow } from "@/api/types";
import { Field, Input, Select, TextArea } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { SEVERITIES } from "./words";

interface IssueDialogProps {
  readonly projectId: string;
  /** The issue to change; without it a new one is made. */
  readonly issue?: IssueRow;
  readonly onClose: () => void;
}

const lines = (text: string, separator: string | RegExp) => [
  ...new Set(
    text
      .split(separator)
      .map((part) => part.trim())
      .filter(Boolean),
  ),
];

/** What is known of an issue. */
export function IssueDialog({ projectId, issue, onClose }: IssueDialogProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(issue?.name ?? "");
  const [description, setDescription] = useState(issue?.description ?? "");
  const [severity, setSeverity] = useState<string>(issue?.severity ?? "medium");
  const [causes, setCauses] = useState(issue?.root_causes.join("\n") ?? "");
  const [categories, setCategories] = useState(issue?.categories.join(", ") ?? "");
  const save = useMutation({
    mutationFn: () => {
      const body = {
        name: name.trim(),
        description: description.trim(),
        severity: severity as NonNullable<IssueRow["severity"]>,
        root_causes: lines(causes, "\n"),
        categories: lines(categories, ","),
      };
      return issue
        ? api.patch("/projects/{project_id}/issues/{issue_id}", {
            path: { project_id: projectId, issue_id: issue.issue_id },
            body,
          })
        : api.post("/projects/{project_id}/issues", { path: { project_id: projectId }, body });
    },
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [projectId, "issues"] });
      onClose();
      if (!issue)
        await navigate({ to: "/project/$projectId/issues/$issueId", params: { projectId, issueId: made.issue_id } });
    },
  });
  return (
    <FormDialog
      title={issue ? "Edit the issue" : "New issue"}
      verb={issue ? "Save" : "Create"}
      onClose={onClose}
      onSubmit={() => save.mutate()}
      ready={name.trim() !== ""}
      pending={save.isPending}
      error={save.error}
    >
      <Field label="Name">
        <Input
          data-autofocus
          required
          maxLength={250}
          placeholder="Answers in the wrong language"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
      </Field>
      <Field label="Description" hint="Markdown.">
        <TextArea
          rows={4}
          placeholder="When it happens and how to tell"
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
      </Field>
      <Field label="Severity">
        <Select value={severity} onChange={(e) => setSeverity(e.currentTarget.value)}>
          {SEVERITIES.map((s) => (
            <option key={s.value} value={s.value}>
              {s.label}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Root causes" hint="One on each line.">
        <TextArea rows={2} value={causes} onChange={(e) => setCauses(e.currentTarget.value)} />
      </Field>
      <Field label="Categories" hint="Separated by commas.">
        <Input placeholder="tools, prompt" value={categories} onChange={(e) => setCategories(e.currentTarget.value)} />
      </Field>
    </FormDialog>
  );
}
