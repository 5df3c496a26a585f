import { Modal } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "@/api/client";
import type { PromptVersionRow } from "@/api/types";
import { useSetSearch } from "@/app/url";
import { Button } from "@/ui/Button";
import { toast } from "@/ui/toast";
import css from "./Prompts.module.css";

interface DeleteDialogProps {
  readonly projectId: string;
  readonly name: string;
  readonly version: PromptVersionRow;
  readonly versions: number;
  readonly onClose: () => void;
}

/** Deletes the chosen version, or the whole prompt, and says what that takes away from programs that fetch it. */
export function DeleteDialog({ projectId, name, version, versions, onClose }: DeleteDialogProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const setSearch = useSetSearch();
  const [whole, setWhole] = useState(versions === 1);
  const labels = version.labels.filter((label) => label !== "latest");
  const remove = useMutation({
    mutationFn: () =>
      api.delete("/projects/{project_id}/prompts/{name}", {
        path: { project_id: projectId, name },
        query: whole ? {} : { version: version.version },
      }),
    onSuccess: async () => {
      toast(whole ? `${name} is deleted` : `Version ${version.version} is deleted`, { tone: "ok" });
      if (whole) await navigate({ to: "/project/$projectId/prompts", params: { projectId } });
      else {
        setSearch({ v: undefined });
        onClose();
      }
      await queries.invalidateQueries({ queryKey: [projectId, whole ? "prompts" : "prompt"] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal opened onClose={onClose} title={`Delete from ${name}`} size="sm">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          remove.mutate();
        }}
      >
        {versions > 1 ? (
          <label className={css.choice}>
            <input type="radio" name="what" checked={!whole} onChange={() => setWhole(false)} data-autofocus />
            <span>Version {version.version} only</span>
          </label>
        ) : null}
        <label className={css.choice}>
          <input type="radio" name="what" checked={whole} onChange={() => setWhole(true)} />
          <span>The prompt{versions > 1 ? `, all ${versions} versions` : ""}</span>
        </label>
        <p className="muted">
          {whole
            ? "Programs that fetch it get a 404, or their fallback. Traces keep what they recorded."
            : labels.length > 0
              ? `Its labels go with it: ${labels.join(", ")}. Programs that fetch by them get a 404, or their fallback.`
              : "Traces keep what they recorded."}
        </p>
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" type="submit" disabled={remove.isPending}>
            {whole ? "Delete prompt" : "Delete version"}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
