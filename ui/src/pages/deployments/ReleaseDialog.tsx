import { Modal } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { DeploymentRow } from "@/api/types";
import { Button } from "@/ui/Button";
import { Input } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./Deployment.module.css";

interface ReleaseDialogProps {
  readonly projectId: string;
  readonly row: DeploymentRow;
  readonly what: "promote" | "rollback";
  /** For a rollback: the release to bring back; null lets the server choose the one before. */
  readonly to: number | null;
  readonly onDone: (row: DeploymentRow) => void;
  readonly onClose: () => void;
}

/** Asks where to and why. The server refuses if another release serves by now than the one on the page. */
export function ReleaseDialog({ projectId, row, what, to, onDone, onClose }: ReleaseDialogProps) {
  const [environment, setEnvironment] = useState(row.environment === "production" ? "" : "production");
  const [note, setNote] = useState("");
  const path = { project_id: projectId, deployment_id: row.deployment_id };
  const expected = row.release.number;
  const save = useMutation({
    mutationFn: () =>
      what === "promote"
        ? api.post("/projects/{project_id}/deployments/{deployment_id}/promote", {
            path,
            body: { environment: environment.trim(), note, expected_release: expected },
          })
        : api.post("/projects/{project_id}/deployments/{deployment_id}/rollback", {
            path,
            body: { to, note, expected_release: expected },
          }),
    onSuccess: (done) => {
      onDone(done);
      onClose();
      toast(`${done.name} ${done.release.version} serves in ${done.environment}`, { tone: "ok" });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const title = what === "promote" ? `Promote ${row.name} ${row.release.version}` : `Roll back ${row.name}`;
  return (
    <Modal opened onClose={onClose} title={title} size="sm">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {what === "promote" ? (
          <label>
            To environment
            <Input
              data-autofocus
              value={environment}
              placeholder="production"
              onChange={(e) => setEnvironment(e.currentTarget.value)}
            />
          </label>
        ) : (
          <p>
            {to === null
              ? `The newest version before ${row.release.version} serves in ${row.environment} again.`
              : `Release ${to} serves in ${row.environment} again.`}
          </p>
        )}
        <label>
          Why (for the history)
          <Input
            data-autofocus={what === "rollback" ? true : undefined}
            value={note}
            onChange={(e) => setNote(e.currentTarget.value)}
          />
        </label>
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look={what === "promote" ? "primary" : "danger"}
            type="submit"
            disabled={save.isPending || (what === "promote" && !environment.trim())}
          >
            {what === "promote" ? "Promote" : "Roll back"}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
