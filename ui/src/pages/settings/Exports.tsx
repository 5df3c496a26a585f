import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { components } from "@/api/schema.gen";
import { useUnsaved } from "@/app/unsaved";
import { dateTime } from "@/base/format";
import { problems } from "@/base/problems";
import { Button } from "@/ui/Button";
import { type StatusName, StatusText } from "@/ui/Chip";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { Field, FormError, Input, Select } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { scheduledExportQuery } from "./queries";
import css from "./Settings.module.css";

type Row = components["schemas"]["ScheduledExportRow"];
type Change = components["schemas"]["ScheduledExportChange"];
const KINDS: Record<Row["kind"], string> = {
  S3: "Amazon S3",
  S3_COMPATIBLE: "S3-compatible (MinIO, R2 …)",
  AZURE_BLOB_STORAGE: "Azure Blob Storage",
  GOOGLE_CLOUD_STORAGE: "Google Cloud Storage",
  FOLDER: "Folder on this server",
};
const FREQUENCIES = { every_20_minutes: "every 20 minutes", hourly: "hourly", daily: "daily", weekly: "weekly" };
const MODES = { FULL_HISTORY: "everything there is", FROM_TODAY: "from today on" };
const SOURCES = {
  LEGACY_TRACES_OBSERVATIONS: "traces, observations, scores",
  OBSERVATIONS_V2: "observations with their trace, scores",
  LEGACY_TRACES_AND_ENRICHED_OBSERVATIONS: "both",
};
const STATES: Record<Row["status"], StatusName> = {
  idle: "none",
  queued: "warn",
  running: "running",
  up_to_date: "ok",
  disabled: "none",
  error: "error",
};

/** Files of traces, observations and scores, written to a bucket on a schedule. */
export function Exports({ projectId }: { readonly projectId: string }) {
  const query = useQuery(scheduledExportQuery(projectId));
  if (query.isPending) return <LoadingRows rows={5} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const { export: found, folder_allowed } = query.data;
  return (
    <>
      {found ? <State projectId={projectId} row={found} /> : null}
      <ExportForm key={found ? "change" : "new"} projectId={projectId} row={found} folder={folder_allowed} />
      {found ? null : (
        <Empty title="Nothing is exported yet">
          Traces, observations and scores go to a bucket as files, on a schedule; each file holds what changed since the
          one before.
        </Empty>
      )}
    </>
  );
}

function State({ projectId, row }: { readonly projectId: string; readonly row: Row }) {
  const queries = useQueryClient();
  const path = { project_id: projectId };
  const refresh = () => queries.invalidateQueries({ queryKey: [projectId, "scheduled-export"] });
  const onError = (error: Error) => toast(error.message, { tone: "err" });
  const run = useMutation({
    mutationFn: () => api.post("/projects/{project_id}/scheduled-export/run", { path }),
    onSuccess: ({ files }) =>
      toast(files.length === 0 ? "Nothing new in this period" : `${files.length} files written`, { tone: "ok" }),
    onError,
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}/scheduled-export", { path }),
    onSuccess: refresh,
    onError,
  });
  return (
    <section className={css.form} aria-label="State of the export">
      <div className={css.grow}>
        <StatusText status={STATES[row.status]}>{row.status.replaceAll("_", " ")}</StatusText>
        <p>
          {row.done_ms ? `Everything before ${dateTime(row.done_ms)} is in files.` : "No period is complete yet."}
          {row.next_ms ? ` Next: ${dateTime(row.next_ms)}.` : ""}
        </p>
        {row.error ? <p role="alert">{row.error}</p> : null}
      </div>
      <Button onClick={() => run.mutate()} disabled={run.isPending}>
        Write this period now
      </Button>
      <ConfirmButton label="Remove the export; files stay" verb="Remove" run={() => remove.mutate()} />
    </section>
  );
}

interface FormProps {
  readonly projectId: string;
  readonly row: Row | null;
  readonly folder: boolean;
}

function ExportForm({ projectId, row, folder }: FormProps) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Change>({
    kind: row?.kind ?? "S3",
    bucket: row?.bucket ?? "",
    endpoint: row?.endpoint ?? null,
    region: row?.region ?? "us-east-1",
    access_key: row?.access_key ?? null,
    prefix: row?.prefix ?? "",
    frequency: row?.frequency ?? "daily",
    enabled: row?.enabled ?? true,
    path_style: row?.path_style ?? false,
    file_type: row?.file_type ?? "JSONL",
    mode: row?.mode ?? "FULL_HISTORY",
    compressed: row?.compressed ?? true,
    source: row?.source ?? "LEGACY_TRACES_OBSERVATIONS",
    secret: null,
    start_ms: row?.start_ms ?? null,
  });
  const [dirty, setDirty] = useState(false);
  useUnsaved(dirty);
  const set = (part: Partial<Change>) => {
    setDirty(true);
    setDraft({ ...draft, ...part });
  };
  const save = useMutation({
    mutationFn: () =>
      api.put("/projects/{project_id}/scheduled-export", { path: { project_id: projectId }, body: draft }),
    onSuccess: async () => {
      setDraft({ ...draft, secret: null });
      setDirty(false);
      toast("Saved", { tone: "ok" });
      await queries.invalidateQueries({ queryKey: [projectId, "scheduled-export"] });
    },
  });
  const wrong = problems(save.error, {
    bucket: /bucket|folder/i,
    endpoint: /endpoint|url|host/i,
    secret: /secret|key/i,
    prefix: /prefix/i,
  });
  const bucket = draft.kind !== "FOLDER";
  return (
    <form
      className={css.form}
      aria-label="Scheduled export"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Choice
        label="Where to"
        value={draft.kind ?? "S3"}
        names={KINDS}
        hide={folder ? [] : ["FOLDER"]}
        pick={(kind) => set({ kind })}
      />
      <Text
        label={bucket ? "Bucket" : "Folder"}
        error={wrong.bucket}
        required
        value={draft.bucket}
        type={(v) => set({ bucket: v })}
      />
      {bucket ? (
        <>
          <Text
            label="Endpoint"
            error={wrong.endpoint}
            value={draft.endpoint ?? ""}
            type={(v) => set({ endpoint: v || null })}
          />
          <Text label="Region" value={draft.region ?? ""} type={(v) => set({ region: v })} />
          <Text label="Access key" value={draft.access_key ?? ""} type={(v) => set({ access_key: v || null })} />
          <Field label="Secret" error={wrong.secret}>
            <Input
              type="password"
              autoComplete="new-password"
              placeholder={row?.has_secret ? "unchanged" : ""}
              value={draft.secret ?? ""}
              onChange={(e) => set({ secret: e.currentTarget.value || null })}
            />
          </Field>
        </>
      ) : null}
      <Text
        label="Prefix"
        error={wrong.prefix}
        placeholder="exports/"
        value={draft.prefix ?? ""}
        type={(v) => set({ prefix: v })}
      />
      <Choice
        label="How often"
        value={draft.frequency ?? "daily"}
        names={FREQUENCIES}
        pick={(frequency) => set({ frequency })}
      />
      <Choice
        label="Form"
        value={draft.file_type ?? "JSONL"}
        names={{ JSONL: "JSON Lines", JSON: "JSON", CSV: "CSV", PARQUET: "Parquet" }}
        pick={(file_type) => set({ file_type })}
      />
      <Choice
        label="What"
        value={draft.source ?? "LEGACY_TRACES_OBSERVATIONS"}
        names={SOURCES}
        pick={(source) => set({ source })}
      />
      <Choice
        label="From when"
        value={draft.mode ?? "FULL_HISTORY"}
        names={draft.mode === "FROM_CUSTOM_DATE" ? { ...MODES, FROM_CUSTOM_DATE: "from a date on" } : MODES}
        pick={(mode) => set({ mode })}
      />
      <label className={css.line}>
        <input
          type="checkbox"
          checked={draft.compressed ?? true}
          onChange={(e) => set({ compressed: e.currentTarget.checked })}
        />
        gzip
      </label>
      <label className={css.line}>
        <input
          type="checkbox"
          checked={draft.enabled ?? true}
          onChange={(e) => set({ enabled: e.currentTarget.checked })}
        />
        Enabled
      </label>
      <Button look="primary" type="submit" disabled={save.isPending}>
        {row ? "Save" : "Start exporting"}
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}

interface TextProps {
  readonly label: string;
  readonly error?: string | undefined;
  readonly value: string;
  readonly type: (value: string) => void;
  readonly required?: boolean;
  readonly placeholder?: string;
}

function Text({ label, error, value, type, ...more }: TextProps) {
  return (
    <Field label={label} error={error}>
      <Input {...more} value={value} onChange={(e) => type(e.currentTarget.value)} />
    </Field>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly names: Partial<Record<T, string>>;
  readonly hide?: readonly T[];
  readonly pick: (value: T) => void;
}

function Choice<T extends string>({ label, value, names, hide = [], pick }: ChoiceProps<T>) {
  const shown = (Object.keys(names) as T[]).filter((name) => !hide.includes(name) || name === value);
  return (
    <Field label={label}>
      <Select value={value} onChange={(e) => pick(e.currentTarget.value as T)}>
        {shown.map((name) => (
          <option key={name} value={name}>
            {names[name]}
          </option>
        ))}
      </Select>
    </Field>
  );
}
