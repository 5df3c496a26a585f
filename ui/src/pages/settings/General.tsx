import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "@/api/client";
import { useUnsaved } from "@/app/unsaved";
import { problems } from "@/base/problems";
import { Button } from "@/ui/Button";
import { Field, FormError, Input } from "@/ui/Field";
import { Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { projectQuery } from "./queries";
import css from "./Settings.module.css";

interface Project {
  readonly id: string;
  readonly name: string;
  readonly retention_days?: number | null;
}

export function General({ projectId }: { readonly projectId: string }) {
  const query = useQuery(projectQuery(projectId));
  if (query.isPending) return <LoadingRows rows={3} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return (
    <>
      <ProjectForm project={query.data} />
      <DeleteProject project={query.data} />
    </>
  );
}

function ProjectForm({ project }: { readonly project: Project }) {
  const queries = useQueryClient();
  const [name, setName] = useState(project.name);
  const [days, setDays] = useState(project.retention_days ? String(project.retention_days) : "");
  const save = useMutation({
    mutationFn: () =>
      api.patch("/projects/{project_id}", {
        path: { project_id: project.id },
        body: { name, retention_days: days === "" ? null : Number(days) },
      }),
    onSuccess: async () => {
      toast("Saved", { tone: "ok" });
      await queries.invalidateQueries();
    },
  });
  const wrong = problems(save.error, { days: /retention|days/i, name: /name/i });
  useUnsaved(
    !save.isPending &&
      (name !== project.name || days !== (project.retention_days ? String(project.retention_days) : "")),
  );
  return (
    <form
      className={css.form}
      aria-label="Project"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Field label="Name" error={wrong.name} grow>
        <Input required maxLength={255} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      </Field>
      <Field label="Retention in days" error={wrong.days}>
        <Input
          type="number"
          min={1}
          max={36500}
          placeholder="keep everything"
          value={days}
          onChange={(e) => setDays(e.currentTarget.value)}
        />
      </Field>
      <Field label="Project id">
        <Input readOnly value={project.id} />
      </Field>
      <Button look="primary" type="submit" disabled={save.isPending}>
        Save
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}

function DeleteProject({ project }: { readonly project: Project }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [asked, setAsked] = useState(false);
  const [typed, setTyped] = useState("");
  const remove = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}", { path: { project_id: project.id } }),
    onSuccess: async () => {
      toast(`${project.name} is deleted`, { tone: "ok" });
      queries.clear();
      await navigate({ to: "/" });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <section className={css.danger} aria-label="Delete the project">
      <div>
        <strong>Delete this project</strong>
        <div className="muted">Traces, runs, prompts, files and keys go with it. This cannot be undone.</div>
      </div>
      {asked ? (
        <form
          className={css.form}
          onSubmit={(event) => {
            event.preventDefault();
            remove.mutate();
          }}
        >
          <Field label="Type the project id to confirm">
            <Input autoFocus value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
          </Field>
          <Button look="danger" type="submit" disabled={typed !== project.id || remove.isPending}>
            Delete for good
          </Button>
          <Button onClick={() => setAsked(false)}>Cancel</Button>
        </form>
      ) : (
        <Button look="danger" onClick={() => setAsked(true)}>
          Delete…
        </Button>
      )}
    </section>
  );
}
