import { Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { Button } from "@/ui/Button";
import { Input } from "@/ui/Field";
import { LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./TagDialog.module.css";

interface AddToDatasetProps {
  readonly projectId: string;
  readonly ids: readonly string[];
  readonly onClose: () => void;
}

const read = (text: string | null): unknown => {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

/** Make dataset items of the selected traces: their input, and their output as what is expected. */
export function AddToDataset({ projectId, ids, onClose }: AddToDatasetProps) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const query = useQuery({
    queryKey: [projectId, "datasets", "names"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/datasets", { path: { project_id: projectId }, signal }),
  });
  const add = useMutation({
    mutationFn: async (dataset: string) => {
      const target = await api.post("/projects/{project_id}/datasets", {
        path: { project_id: projectId },
        body: { name: dataset },
      });
      for (const id of ids) {
        const whole = await api.get("/projects/{project_id}/traces/{trace_id}", {
          path: { project_id: projectId, trace_id: id },
        });
        await api.post("/projects/{project_id}/datasets/{dataset_id}/items", {
          path: { project_id: projectId, dataset_id: target.id },
          body: { input: read(whole.input), expected_output: read(whole.output), source_trace_id: id },
        });
      }
      return dataset;
    },
    onSuccess: async (dataset) => {
      onClose();
      toast(`${ids.length} ${ids.length === 1 ? "item" : "items"} added to ${dataset}`, { tone: "ok" });
      await queries.invalidateQueries({ queryKey: [projectId, "datasets"] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Add ${ids.length} ${ids.length === 1 ? "trace" : "traces"} to a dataset`}
      size="sm"
    >
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) add.mutate(name.trim());
        }}
      >
        {query.isPending ? <LoadingRows rows={2} /> : null}
        {query.data?.datasets.map((dataset) => (
          <Button key={dataset.id} disabled={add.isPending} onClick={() => add.mutate(dataset.name)}>
            {dataset.name}
          </Button>
        ))}
        <Input
          data-autofocus
          aria-label="Name of a new dataset"
          placeholder="A new dataset"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={add.isPending || name.trim() === ""}>
            Create and add
          </Button>
        </div>
      </form>
    </Modal>
  );
}
