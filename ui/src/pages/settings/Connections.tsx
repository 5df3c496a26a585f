import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { components } from "@/api/schema.gen";
import { useUnsaved } from "@/app/unsaved";
import { dateTime, duration } from "@/base/format";
import { problems } from "@/base/problems";
import { Button } from "@/ui/Button";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { Field, FormError, Input, Select } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { connectionsQuery } from "./queries";
import css from "./Settings.module.css";

type Row = components["schemas"]["ConnectionRow"];
type Provider = components["schemas"]["ProviderRow"];

/** Accounts at model providers, which evaluators and the gateway's endpoints use. */
export function Connections({ projectId }: { readonly projectId: string }) {
  const query = useQuery(connectionsQuery(projectId));
  const [tested, setTested] = useState<string | null>(null);
  if (query.isPending) return <LoadingRows rows={5} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const { connections, providers } = query.data;
  const shown = connections.find((row) => row.id === tested);
  return (
    <>
      <NewConnection projectId={projectId} providers={providers} />
      {connections.length === 0 ? (
        <Empty title="No model connections yet">
          A connection lets evaluators and the gateway call a provider. Its key is sealed and never shown again.
        </Empty>
      ) : (
        <table className={css.table} aria-label="Model connections">
          <thead>
            <tr>
              <th>Name</th>
              <th>Provider</th>
              <th>Address</th>
              <th>Key</th>
              <th>Used by</th>
              <th>Changed</th>
              <th>
                <span className={css.hidden}>Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {connections.map((row) => (
              <Line
                key={row.id}
                projectId={projectId}
                row={row}
                usual={providers.find((one) => one.name === row.provider)?.base_url ?? null}
                open={row.id === tested}
                toggle={() => setTested(row.id === tested ? null : row.id)}
              />
            ))}
          </tbody>
        </table>
      )}
      {shown ? <Test key={shown.id} projectId={projectId} row={shown} /> : null}
    </>
  );
}

function NewConnection({ projectId, providers }: { readonly projectId: string; readonly providers: Provider[] }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [provider, setProvider] = useState("openai");
  const [key, setKey] = useState("");
  const [base, setBase] = useState("");
  const chosen = providers.find((one) => one.name === provider);
  const create = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/connections", {
        path: { project_id: projectId },
        body: { name: name || provider, provider, api_key: key, base_url: base || null },
      }),
    onSuccess: async () => {
      setName("");
      setKey("");
      setBase("");
      await queries.invalidateQueries({ queryKey: [projectId, "connections"] });
    },
  });
  const wrong = problems(create.error, { key: /key/i, base: /url|address|host/i, name: /name/i });
  useUnsaved(!create.isPending && (key !== "" || base !== ""));
  return (
    <form
      className={css.form}
      aria-label="New model connection"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Field label="Provider">
        <Select value={provider} onChange={(e) => setProvider(e.currentTarget.value)}>
          {providers.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Name" error={wrong.name}>
        <Input placeholder={provider} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      </Field>
      <Field label="Key" error={wrong.key}>
        <Input
          type="password"
          autoComplete="new-password"
          required={chosen?.needs_key ?? false}
          placeholder={chosen?.needs_key ? "is never shown again" : "if it wants one"}
          value={key}
          onChange={(e) => setKey(e.currentTarget.value)}
        />
      </Field>
      <Field label="Base URL" error={wrong.base} grow>
        <Input
          type="url"
          required={!chosen?.base_url}
          placeholder={chosen?.base_url ?? "https://llm.example.com/v1"}
          value={base}
          onChange={(e) => setBase(e.currentTarget.value)}
        />
      </Field>
      <Button look="primary" type="submit" disabled={create.isPending}>
        Add connection
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}

interface LineProps {
  readonly projectId: string;
  readonly row: Row;
  readonly usual: string | null;
  readonly open: boolean;
  readonly toggle: () => void;
}

function Line({ projectId, row, usual, open, toggle }: LineProps) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      api.delete("/projects/{project_id}/connections/{connection_id}", {
        path: { project_id: projectId, connection_id: row.id },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "connections"] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <tr>
      <td>{row.name}</td>
      <td>{row.provider ?? ""}</td>
      <td className={css.break}>
        {row.base_url ? (
          <code>{row.base_url}</code>
        ) : (
          <span className={css.usual}>{usual ?? "the provider's own"}</span>
        )}
      </td>
      <td>
        <code>{row.key ?? "none"}</code>
      </td>
      <td className={css.break}>{row.endpoints.join(", ")}</td>
      <td className="num">{dateTime(row.updated_ms)}</td>
      <td className={css.actions}>
        <Button small onClick={toggle} aria-expanded={open} aria-label={`Test ${row.name}`}>
          Test
        </Button>
        <ConfirmButton label={`Delete ${row.name}`} verb="Delete" run={() => remove.mutate()} />
      </td>
    </tr>
  );
}

/** Asks one short question of a model behind the connection. */
function Test({ projectId, row }: { readonly projectId: string; readonly row: Row }) {
  const [model, setModel] = useState(row.models[0] ?? "");
  const test = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/connections/{connection_id}/test", {
        path: { project_id: projectId, connection_id: row.id },
        body: { model },
      }),
  });
  const result = test.data;
  return (
    <form
      className={css.form}
      aria-label={`Test of ${row.name}`}
      onSubmit={(event) => {
        event.preventDefault();
        test.mutate();
      }}
    >
      <Field label="Model to ask">
        <Input
          required
          autoFocus
          placeholder="gpt-4o-mini"
          value={model}
          onChange={(e) => setModel(e.currentTarget.value)}
        />
      </Field>
      <Button type="submit" disabled={test.isPending}>
        {test.isPending ? "Asking…" : "Ask"}
      </Button>
      <output className={css.grow} aria-live="polite">
        {result?.success ? `${row.name} answered “${result.answer}” in ${duration(result.latency_ms)}.` : null}
        {result && !result.success ? <span className={css.bad}>{result.error}</span> : null}
        {test.isError ? <span className={css.bad}>{test.error.message}</span> : null}
      </output>
    </form>
  );
}
