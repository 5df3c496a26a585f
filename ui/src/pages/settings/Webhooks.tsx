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
import { Field, FormError, Input } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { deliveriesQuery, webhooksQuery } from "./queries";
import css from "./Settings.module.css";

type Row = components["schemas"]["WebhookRow"];
const STATES: Record<string, StatusName> = { done: "ok", pending: "running", failed: "error" };

/** Who is told of what happens to models and prompts. */
export function Webhooks({ projectId }: { readonly projectId: string }) {
  const query = useQuery(webhooksQuery(projectId));
  const [open, setOpen] = useState<string | null>(null);
  if (query.isPending) return <LoadingRows rows={5} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const { webhooks, events } = query.data;
  return (
    <>
      <NewWebhook projectId={projectId} events={events} />
      {webhooks.length === 0 ? (
        <Empty title="No webhooks yet">
          A webhook gets a signed request whenever a model or prompt changes, whichever client changed it.
        </Empty>
      ) : (
        <table className={css.table} aria-label="Webhooks">
          <thead>
            <tr>
              <th>Name</th>
              <th>Address</th>
              <th>Events</th>
              <th>State</th>
              <th>
                <span className={css.hidden}>Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {webhooks.map((row) => (
              <WebhookLine
                key={row.id}
                projectId={projectId}
                row={row}
                open={open === row.id}
                toggle={() => setOpen(open === row.id ? null : row.id)}
              />
            ))}
          </tbody>
        </table>
      )}
      {webhooks.some((row) => row.id === open) ? <Deliveries projectId={projectId} webhookId={open ?? ""} /> : null}
    </>
  );
}

function NewWebhook({ projectId, events }: { readonly projectId: string; readonly events: readonly string[] }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [secret, setSecret] = useState("");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const create = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/webhooks", {
        path: { project_id: projectId },
        body: { name, url, events: [...chosen], secret: secret || null },
      }),
    onSuccess: async () => {
      setName("");
      setUrl("");
      setSecret("");
      setChosen([]);
      await queries.invalidateQueries({ queryKey: [projectId, "webhooks"] });
    },
  });
  const wrong = problems(create.error, { url: /url|address|host/i, secret: /secret/i, name: /name/i });
  useUnsaved(!create.isPending && (name !== "" || url !== ""));
  return (
    <form
      className={css.form}
      aria-label="New webhook"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Field label="Name" error={wrong.name}>
        <Input required value={name} onChange={(e) => setName(e.currentTarget.value)} />
      </Field>
      <Field label="Address" error={wrong.url} grow>
        <Input
          required
          type="url"
          placeholder="https://ci.example.com/hook"
          value={url}
          onChange={(e) => setUrl(e.currentTarget.value)}
        />
      </Field>
      <Field label="Secret" error={wrong.secret}>
        <Input
          type="password"
          autoComplete="new-password"
          placeholder="signs each delivery"
          value={secret}
          onChange={(e) => setSecret(e.currentTarget.value)}
        />
      </Field>
      <fieldset className={css.choices}>
        <legend>Events</legend>
        {events.map((event) => (
          <label key={event}>
            <input
              type="checkbox"
              checked={chosen.includes(event)}
              onChange={(e) =>
                setChosen(e.currentTarget.checked ? [...chosen, event] : chosen.filter((one) => one !== event))
              }
            />
            {event}
          </label>
        ))}
      </fieldset>
      <Button look="primary" type="submit" disabled={create.isPending || chosen.length === 0}>
        Add webhook
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}

interface LineProps {
  readonly projectId: string;
  readonly row: Row;
  readonly open: boolean;
  readonly toggle: () => void;
}

function WebhookLine({ projectId, row, open, toggle }: LineProps) {
  const queries = useQueryClient();
  const path = { project_id: projectId, webhook_id: row.id };
  const refresh = () => queries.invalidateQueries({ queryKey: [projectId, "webhooks"] });
  const fail = (error: Error) => toast(error.message, { tone: "err" });
  const test = useMutation({
    mutationFn: () => api.post("/projects/{project_id}/webhooks/{webhook_id}/test", { path, body: {} }),
    onSuccess: (result) =>
      result.success
        ? toast(`${row.name} answered ${result.response_status}`)
        : toast(result.error ?? `${row.name} answered ${result.response_status}: ${result.response_body}`, {
            tone: "err",
          }),
    onError: fail,
  });
  const change = useMutation({
    mutationFn: (status: Row["status"]) =>
      api.patch("/projects/{project_id}/webhooks/{webhook_id}", { path, body: { status } }),
    onSuccess: refresh,
    onError: fail,
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}/webhooks/{webhook_id}", { path }),
    onSuccess: refresh,
    onError: fail,
  });
  const active = row.status === "ACTIVE";
  return (
    <tr>
      <td>{row.name}</td>
      <td className={css.break}>
        <code>{row.url}</code>
      </td>
      <td title={row.events.join("\n")}>{row.events.length === 1 ? row.events[0] : `${row.events.length} events`}</td>
      <td>
        <StatusText status={active ? "ok" : "none"}>{active ? "Active" : "Disabled"}</StatusText>
        {row.signed ? "" : " (unsigned)"}
      </td>
      <td className={css.actions}>
        <Button small onClick={() => test.mutate()} disabled={test.isPending} aria-label={`Test ${row.name}`}>
          Test
        </Button>
        <Button small onClick={toggle} aria-expanded={open} aria-label={`Deliveries of ${row.name}`}>
          Deliveries
        </Button>
        <Button
          small
          onClick={() => change.mutate(active ? "DISABLED" : "ACTIVE")}
          aria-label={`${active ? "Disable" : "Enable"} ${row.name}`}
        >
          {active ? "Disable" : "Enable"}
        </Button>
        <ConfirmButton label={`Delete ${row.name}`} verb="Delete" run={() => remove.mutate()} />
      </td>
    </tr>
  );
}

function Deliveries({ projectId, webhookId }: { readonly projectId: string; readonly webhookId: string }) {
  const queries = useQueryClient();
  const query = useQuery(deliveriesQuery(projectId, webhookId));
  const retry = useMutation({
    mutationFn: (id: string) =>
      api.post("/projects/{project_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/retry", {
        path: { project_id: projectId, webhook_id: webhookId, delivery_id: id },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "webhook-deliveries", webhookId] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  if (query.isPending) return <LoadingRows rows={3} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const rows = query.data.deliveries;
  if (rows.length === 0)
    return <Empty title="Nothing delivered yet">Tests do not count: they are sent once and not kept.</Empty>;
  return (
    <table className={css.table} aria-label="Deliveries">
      <thead>
        <tr>
          <th>Time</th>
          <th>Event</th>
          <th>State</th>
          <th>Attempts</th>
          <th>Answer</th>
          <th>
            <span className={css.hidden}>Send again</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.id}>
            <td className="num">{dateTime(row.created_ms)}</td>
            <td title={row.payload}>{row.event}</td>
            <td>
              <StatusText status={STATES[row.status] ?? "none"}>{row.status}</StatusText>
            </td>
            <td className="num">{row.attempts}</td>
            <td className={css.break}>{row.error ?? row.response_status ?? ""}</td>
            <td>
              <Button small onClick={() => retry.mutate(row.id)} disabled={row.status === "pending"}>
                Send again
              </Button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
