import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { ago, dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { CopyButton } from "@/ui/Copy";
import { Field, Input, Select } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { useNow } from "@/ui/time";
import { toast } from "@/ui/toast";
import { keysQuery } from "./queries";
import css from "./Settings.module.css";

const KINDS = [
  { value: "project", label: "Everything in the project" },
  { value: "read-only", label: "Read only" },
  { value: "ingest-only", label: "Send data only" },
  { value: "organization", label: "Everything in the organization" },
] as const;
type Kind = (typeof KINDS)[number]["value"];

export function Keys({ projectId }: { readonly projectId: string }) {
  const queries = useQueryClient();
  const query = useQuery(keysQuery(projectId));
  const now = useNow();
  const [kind, setKind] = useState<Kind>("project");
  const [note, setNote] = useState("");
  const create = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/keys", { path: { project_id: projectId }, body: { kind, note } }),
    onSuccess: async () => {
      setNote("");
      await queries.invalidateQueries({ queryKey: [projectId, "keys"] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const revoke = useMutation({
    mutationFn: (id: string) =>
      api.delete("/projects/{project_id}/keys/{key_id}", { path: { project_id: projectId, key_id: id } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "keys"] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  if (query.isPending) return <LoadingRows rows={5} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const made = create.data;
  return (
    <>
      <form
        className={css.form}
        aria-label="New key"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Field label="May">
          <Select value={kind} onChange={(e) => setKind(e.currentTarget.value as Kind)}>
            {KINDS.map((k) => (
              <option key={k.value} value={k.value}>
                {k.label}
              </option>
            ))}
          </Select>
        </Field>
        <Field label="Note" grow>
          <Input placeholder="where it is used" value={note} onChange={(e) => setNote(e.currentTarget.value)} />
        </Field>
        <Button look="primary" type="submit" disabled={create.isPending}>
          Create key
        </Button>
      </form>
      {made?.secret_key ? (
        <section className={css.secret} aria-label="The new key">
          <strong>Copy the secret now: it is shown this once.</strong>
          {[
            ["LANGFUSE_PUBLIC_KEY", made.public_key],
            ["LANGFUSE_SECRET_KEY", made.secret_key],
          ].map(([name, value]) => (
            <div className={css.line} key={name}>
              <code>
                {name}={value}
              </code>
              <CopyButton text={`${name}=${value}`} label={`Copy ${name}`} />
            </div>
          ))}
        </section>
      ) : null}
      {query.data.keys.length === 0 ? (
        <Empty title="No keys yet">
          Programs need one as soon as the server is secured; on this machine alone any key is accepted.
        </Empty>
      ) : (
        <table className={css.table} aria-label="API keys">
          <thead>
            <tr>
              <th>Public key</th>
              <th>Secret</th>
              <th>May</th>
              <th>Note</th>
              <th>Created</th>
              <th>Last used</th>
              <th>
                <span className={css.hidden}>Revoke</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {query.data.keys.map((key) => (
              <tr key={key.id}>
                <td>
                  <code>{key.public_key}</code>
                </td>
                <td className="muted">
                  <code>{key.hint}</code>
                </td>
                <td>{KINDS.find((k) => k.value === key.kind)?.label ?? key.kind}</td>
                <td>{key.note}</td>
                <td className="num">{dateTime(key.created_ms)}</td>
                <td className="num">{key.last_used_ms ? ago(key.last_used_ms, now) : "never"}</td>
                <td>
                  <ConfirmButton label={`Revoke ${key.public_key}`} verb="Revoke" run={() => revoke.mutate(key.id)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
