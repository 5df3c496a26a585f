import { Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { peopleQuery, scoreConfigsQuery } from "@/api/feedback";
import type { NewScoreConfig, ScoreConfigRow } from "@/api/types";
import { Button } from "@/ui/Button";
import { Input, Select, TextArea } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./Annotation.module.css";

interface DialogProps {
  readonly projectId: string;
  readonly onClose: () => void;
}

const list = (text: string) => [
  ...new Set(
    text
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean),
  ),
];

/** A new queue: its name, its questions, who works on it. */
export function QueueDialog({ projectId, onClose }: DialogProps) {
  const queries = useQueryClient();
  const configs = useQuery(scoreConfigsQuery(projectId));
  const people = useQuery(peopleQuery(projectId));
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [reviewers, setReviewers] = useState("");
  const [needed, setNeeded] = useState("1");
  const [creating, setCreating] = useState(false);
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/queues", {
        path: { project_id: projectId },
        body: {
          name: name.trim(),
          description: description.trim() || null,
          config_ids: [...chosen],
          reviewers: list(reviewers),
          reviews_needed: Number(needed) || 1,
        },
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [projectId, "queues"] });
      onClose();
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const usable = (configs.data?.configs ?? []).filter((c) => !c.archived && !c.experiment_id);
  return (
    <Modal opened onClose={onClose} title="New annotation queue" size="md">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Input
          data-autofocus
          aria-label="Name of the queue"
          placeholder="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <TextArea
          rows={2}
          aria-label="Description"
          placeholder="What reviewers should know"
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
        <fieldset className={css.label} style={{ border: 0, margin: 0, padding: 0 }}>
          Questions
          <div className={css.checks}>
            {usable.map((config) => (
              <label key={config.config_id}>
                <input
                  type="checkbox"
                  checked={chosen.has(config.config_id)}
                  onChange={() =>
                    setChosen((was) => {
                      const next = new Set(was);
                      if (!next.delete(config.config_id)) next.add(config.config_id);
                      return next;
                    })
                  }
                />
                {config.name} <span className="muted">{config.data_type.toLowerCase()}</span>
              </label>
            ))}
          </div>
        </fieldset>
        <div>
          <Button small onClick={() => setCreating(true)}>
            New score config
          </Button>
        </div>
        <label className={css.label}>
          Reviewers, separated by commas
          <Input
            list="people"
            value={reviewers}
            placeholder="anybody"
            onChange={(e) => setReviewers(e.currentTarget.value)}
          />
          <datalist id="people">
            {people.data?.people.map((p) => (
              <option key={p.email ?? p.name} value={p.name} />
            ))}
          </datalist>
        </label>
        <label className={css.label}>
          How many people must judge each item
          <Input type="number" min={1} max={10} value={needed} onChange={(e) => setNeeded(e.currentTarget.value)} />
        </label>
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending || name.trim() === ""}>
            Create
          </Button>
        </div>
      </form>
      {creating ? (
        <ConfigDialog
          projectId={projectId}
          onClose={() => setCreating(false)}
          onMade={(id) => setChosen((was) => new Set(was).add(id))}
        />
      ) : null}
    </Modal>
  );
}

const TYPES = ["CATEGORICAL", "BOOLEAN", "NUMERIC", "TEXT"] as const;
const number = (text: string) => (text.trim() === "" ? null : Number(text));

/** A new question for the whole project. */
export function ConfigDialog({
  projectId,
  onClose,
  onMade,
}: DialogProps & { readonly onMade?: (configId: string) => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [type, setType] = useState<NewScoreConfig["data_type"]>("CATEGORICAL");
  const [description, setDescription] = useState("");
  const [labels, setLabels] = useState("");
  const [least, setLeast] = useState("");
  const [most, setMost] = useState("");
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/score-configs", {
        path: { project_id: projectId },
        body: {
          name: name.trim(),
          data_type: type,
          description: description.trim() || null,
          categories: type === "CATEGORICAL" ? list(labels).map((label, value) => ({ label, value })) : null,
          min_value: type === "NUMERIC" ? number(least) : null,
          max_value: type === "NUMERIC" ? number(most) : null,
        },
      }),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [projectId, "score-configs"] });
      onMade?.(made.config_id);
      onClose();
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const ready = name.trim() !== "" && (type !== "CATEGORICAL" || list(labels).length > 0);
  return (
    <Modal opened onClose={onClose} title="New score config" size="sm">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          event.stopPropagation();
          save.mutate();
        }}
      >
        <Input
          data-autofocus
          aria-label="Name of the score config"
          placeholder="Name"
          maxLength={35}
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <Select
          aria-label="Type"
          value={type}
          onChange={(e) => setType(e.currentTarget.value as NewScoreConfig["data_type"])}
        >
          {TYPES.map((one) => (
            <option key={one} value={one}>
              {one.toLowerCase()}
            </option>
          ))}
        </Select>
        {type === "CATEGORICAL" ? (
          <Input
            aria-label="Categories"
            placeholder="Categories, separated by commas"
            value={labels}
            onChange={(e) => setLabels(e.currentTarget.value)}
          />
        ) : null}
        {type === "NUMERIC" ? (
          <div className={css.row}>
            <Input
              type="number"
              step="any"
              aria-label="Least value"
              placeholder="Least"
              value={least}
              onChange={(e) => setLeast(e.currentTarget.value)}
            />
            <Input
              type="number"
              step="any"
              aria-label="Greatest value"
              placeholder="Greatest"
              value={most}
              onChange={(e) => setMost(e.currentTarget.value)}
            />
          </div>
        ) : null}
        <TextArea
          rows={2}
          aria-label="Instruction"
          placeholder="How to answer"
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending || !ready}>
            Create
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** Another name or description. What a config takes stays: scores were given by it. */
export function EditConfigDialog({ projectId, config, onClose }: DialogProps & { readonly config: ScoreConfigRow }) {
  const queries = useQueryClient();
  const [name, setName] = useState(config.name);
  const [description, setDescription] = useState(config.description ?? "");
  const save = useMutation({
    mutationFn: () =>
      api.patch("/projects/{project_id}/score-configs/{config_id}", {
        path: { project_id: projectId, config_id: config.config_id },
        body: { name: name.trim(), description: description.trim() || null },
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [projectId, "score-configs"] });
      onClose();
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal opened onClose={onClose} title={`Edit ${config.name}`} size="sm">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Input
          data-autofocus
          aria-label="Name of the score config"
          maxLength={35}
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <TextArea
          rows={3}
          aria-label="Description"
          placeholder="What reviewers should know"
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
        <div className={css.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending || name.trim() === ""}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}
