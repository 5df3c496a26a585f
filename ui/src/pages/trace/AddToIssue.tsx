import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "@/api/client";
import { issuesQuery } from "@/api/registries";
import { Field, Input, Select } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";

const NEW = "new";

interface AddToIssueProps {
  readonly projectId: string;
  readonly ids: readonly string[];
  readonly onClose: () => void;
}

/** Say that traces show an issue: one that is there, or a new one. */
export function AddToIssue({ projectId, ids, onClose }: AddToIssueProps) {
  const queries = useQueryClient();
  const query = useQuery(issuesQuery(projectId));
  const open = (query.data?.issues ?? []).filter((i) => i.status === "pending");
  const [choice, setChoice] = useState<string | null>(null);
  const [name, setName] = useState("");
  const [comment, setComment] = useState("");
  const issueId = choice ?? open[0]?.issue_id ?? NEW;
  const add = useMutation({
    mutationFn: async () => {
      const issue =
        issueId === NEW
          ? await api.post("/projects/{project_id}/issues", {
              path: { project_id: projectId },
              body: { name: name.trim(), severity: "medium" },
            })
          : { issue_id: issueId };
      return api.post("/projects/{project_id}/issues/{issue_id}/traces", {
        path: { project_id: projectId, issue_id: issue.issue_id },
        body: { trace_ids: [...ids], comment: comment.trim() || null },
      });
    },
    onSuccess: async (issue) => {
      onClose();
      toast(`${issue.name}: ${issue.trace_count} ${issue.trace_count === 1 ? "trace" : "traces"}`, { tone: "ok" });
      await Promise.all([
        queries.invalidateQueries({ queryKey: [projectId, "issues"] }),
        ...ids.map((id) => queries.invalidateQueries({ queryKey: [projectId, "trace", id] })),
      ]);
    },
  });
  return (
    <FormDialog
      title={`Add ${ids.length} ${ids.length === 1 ? "trace" : "traces"} to an issue`}
      verb="Add"
      size="sm"
      onClose={onClose}
      onSubmit={() => add.mutate()}
      ready={query.isSuccess && (issueId !== NEW || name.trim() !== "")}
      pending={add.isPending}
      error={add.error}
    >
      {query.isPending ? (
        <LoadingRows rows={3} />
      ) : (
        <Field label="Issue">
          <Select value={issueId} onChange={(e) => setChoice(e.currentTarget.value)}>
            {open.map((issue) => (
              <option key={issue.issue_id} value={issue.issue_id}>
                {issue.name}
              </option>
            ))}
            <option value={NEW}>New issue…</option>
          </Select>
        </Field>
      )}
      {issueId === NEW && query.isSuccess ? (
        <Field label="Name of the new issue">
          <Input
            data-autofocus
            maxLength={250}
            placeholder="Answers in the wrong language"
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
          />
        </Field>
      ) : null}
      <Field label="What there is to see">
        <Input placeholder="Optional" value={comment} onChange={(e) => setComment(e.currentTarget.value)} />
      </Field>
      <Link to="/project/$projectId/issues" params={{ projectId }}>
        All issues
      </Link>
    </FormDialog>
  );
}
