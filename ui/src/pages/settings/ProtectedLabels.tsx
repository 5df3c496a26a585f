import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { Button } from "@/ui/Button";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { Field, Input } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { protectedLabelsQuery } from "./queries";
import css from "./Settings.module.css";

/** Labels of prompts that members may not move. */
export function ProtectedLabels({ projectId }: { readonly projectId: string }) {
  const queries = useQueryClient();
  const query = useQuery(protectedLabelsQuery(projectId));
  const [label, setLabel] = useState("");
  const path = (name: string) => ({ path: { project_id: projectId, label: name } });
  const settled = {
    onSuccess: () => {
      setLabel("");
      void queries.invalidateQueries({ queryKey: [projectId, "prompt"] });
      return queries.invalidateQueries({ queryKey: [projectId, "protected-labels"] });
    },
    onError: (error: Error) => toast(error.message, { tone: "err" }),
  };
  const protect = useMutation({
    mutationFn: (name: string) => api.put("/projects/{project_id}/protected-labels/{label}", path(name)),
    ...settled,
  });
  const release = useMutation({
    mutationFn: (name: string) => api.delete("/projects/{project_id}/protected-labels/{label}", path(name)),
    ...settled,
  });
  if (query.isPending) return <LoadingRows rows={3} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return (
    <>
      <form
        className={css.form}
        aria-label="Protect a label"
        onSubmit={(event) => {
          event.preventDefault();
          protect.mutate(label.trim());
        }}
      >
        <Field label="Label" grow>
          <Input
            required
            maxLength={36}
            placeholder="production"
            value={label}
            onChange={(e) => setLabel(e.currentTarget.value)}
          />
        </Field>
        <Button look="primary" type="submit" disabled={protect.isPending}>
          Protect
        </Button>
      </form>
      {query.data.labels.length === 0 ? (
        <Empty title="No protected labels">
          Whoever may change prompts may move every label. A protected one is moved and deleted by owners,
          administrators and key pairs alone.
        </Empty>
      ) : (
        <table className={css.table} aria-label="Protected labels">
          <thead>
            <tr>
              <th>Label</th>
              <th>
                <span className={css.hidden}>Stop protecting</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {query.data.labels.map((name) => (
              <tr key={name}>
                <td>{name}</td>
                <td>
                  <ConfirmButton
                    label={`Stop protecting ${name}`}
                    verb="Stop protecting"
                    run={() => release.mutate(name)}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
