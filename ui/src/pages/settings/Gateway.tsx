import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { components } from "@/api/schema.gen";
import { compact, dateTime, integer, money } from "@/base/format";
import { problems } from "@/base/problems";
import { Button } from "@/ui/Button";
import { StatusText } from "@/ui/Chip";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { CopyButton } from "@/ui/Copy";
import { Field, FormError, Input, Select } from "@/ui/Field";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { connectionsQuery, gatewayQuery } from "./queries";
import css from "./Settings.module.css";

type Endpoint = components["schemas"]["EndpointRow"];
type Budget = components["schemas"]["BudgetRow"];
type Connection = components["schemas"]["ConnectionRow"];

const UNITS = { DAYS: "a day", WEEKS: "a week", MONTHS: "a month", HOURS: "an hour" } as const;
type Unit = keyof typeof UNITS;

/** Endpoints that programs call instead of a provider, what they took in the last 30 days, and their budgets. */
export function Gateway({ projectId }: { readonly projectId: string }) {
  const query = useQuery(gatewayQuery(projectId));
  const connections = useQuery(connectionsQuery(projectId));
  if (query.isPending || connections.isPending) return <LoadingRows rows={8} />;
  const failed = query.error ?? connections.error;
  if (failed || !query.data || !connections.data)
    return <Failure error={failed} retry={() => void Promise.all([query.refetch(), connections.refetch()])} />;
  const { endpoints, budgets } = query.data;
  return (
    <>
      <section className={css.part} aria-label="Endpoints">
        <h2>Endpoints</h2>
        <p className={css.usual}>
          Programs call an endpoint with OpenAI's client at <code>{window.location.origin}/gateway/mlflow/v1</code> and
          its name as model; each call becomes a trace of the experiment <code>gateway/NAME</code>.
        </p>
        <NewEndpoint projectId={projectId} connections={connections.data.connections} />
        {endpoints.length === 0 ? (
          <Empty title="No endpoints yet">
            An endpoint stands between your programs and a provider: fallback, budgets, and a trace with tokens and cost
            per call.
          </Empty>
        ) : (
          <Endpoints projectId={projectId} endpoints={endpoints} />
        )}
      </section>
      <section className={css.part} aria-label="Budgets">
        <h2>Budgets</h2>
        <NewBudget projectId={projectId} endpoints={endpoints} />
        {budgets.length === 0 ? (
          <Empty title="No budgets yet">A budget refuses calls once its money is spent, until its window ends.</Empty>
        ) : (
          <Budgets projectId={projectId} budgets={budgets} />
        )}
      </section>
    </>
  );
}

function useRefresh(projectId: string) {
  const queries = useQueryClient();
  return async () => {
    await queries.invalidateQueries({ queryKey: [projectId, "gateway"] });
    await queries.invalidateQueries({ queryKey: [projectId, "connections"] });
  };
}

const fail = (error: Error) => {
  toast(error.message, { tone: "err" });
};

interface NewEndpointProps {
  readonly projectId: string;
  readonly connections: readonly Connection[];
}

function NewEndpoint({ projectId, connections }: NewEndpointProps) {
  const refresh = useRefresh(projectId);
  const [name, setName] = useState("");
  const [connection, setConnection] = useState("");
  const [model, setModel] = useState("");
  const [spare, setSpare] = useState("");
  const [spareModel, setSpareModel] = useState("");
  const first = connection || (connections[0]?.id ?? "");
  const create = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/gateway/endpoints", {
        path: { project_id: projectId },
        body: {
          name,
          targets: [
            { connection_id: first, model },
            ...(spare && spareModel ? [{ connection_id: spare, model: spareModel }] : []),
          ],
        },
      }),
    onSuccess: async () => {
      setName("");
      setModel("");
      setSpareModel("");
      await refresh();
    },
  });
  const wrong = problems(create.error, { name: /name/i, model: /model/i });
  if (connections.length === 0)
    return <p className={css.usual}>Add a model connection first: an endpoint calls its provider through one.</p>;
  return (
    <form
      className={css.form}
      aria-label="New endpoint"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Field label="Name" error={wrong.name}>
        <Input
          required
          pattern="[A-Za-z0-9_.\-]+"
          title="Letters, digits, _ - and ."
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
      </Field>
      <Field label="Connection">
        <Select value={first} onChange={(e) => setConnection(e.currentTarget.value)}>
          {connections.map((row) => (
            <option key={row.id} value={row.id}>
              {row.name}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Model" error={wrong.model}>
        <Input required placeholder="gpt-4o-mini" value={model} onChange={(e) => setModel(e.currentTarget.value)} />
      </Field>
      <Field label="Fallback">
        <Select value={spare} onChange={(e) => setSpare(e.currentTarget.value)}>
          <option value="">none</option>
          {connections.map((row) => (
            <option key={row.id} value={row.id}>
              {row.name}
            </option>
          ))}
        </Select>
      </Field>
      {spare ? (
        <Field label="Fallback's model">
          <Input required value={spareModel} onChange={(e) => setSpareModel(e.currentTarget.value)} />
        </Field>
      ) : null}
      <Button look="primary" type="submit" disabled={create.isPending}>
        Add endpoint
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}

function Endpoints({ projectId, endpoints }: { readonly projectId: string; readonly endpoints: readonly Endpoint[] }) {
  const refresh = useRefresh(projectId);
  const remove = useMutation({
    mutationFn: (id: string) =>
      api.delete("/projects/{project_id}/gateway/endpoints/{endpoint_id}", {
        path: { project_id: projectId, endpoint_id: id },
      }),
    onSuccess: refresh,
    onError: fail,
  });
  return (
    <table className={css.table} aria-label="Endpoints">
      <thead>
        <tr>
          <th>Name</th>
          <th>Models</th>
          <th className={css.number}>Calls, 30 days</th>
          <th className={css.number}>Failed</th>
          <th className={css.number}>Tokens</th>
          <th className={css.number}>Cost</th>
          <th>
            <span className={css.hidden}>Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map((row) => (
          <tr key={row.id}>
            <td>
              <span className={css.line}>
                {row.name}
                <CopyButton text={row.name} label={`Copy the name ${row.name}`} />
              </span>
            </td>
            <td className={css.break}>
              {row.models.map((one, index) => (
                <div key={`${one.linkage} ${one.connection} ${one.model}`}>
                  {one.linkage === "FALLBACK" ? "else " : index > 0 ? "or " : ""}
                  <code>{one.model}</code>{" "}
                  {one.connection ? (
                    <span className={css.usual}>{one.connection}</span>
                  ) : (
                    <StatusText status="error">has no connection</StatusText>
                  )}
                </div>
              ))}
            </td>
            <td className={css.number}>{integer(row.calls)}</td>
            <td className={css.number}>{integer(row.errors)}</td>
            <td className={css.number}>{compact(row.tokens)}</td>
            <td className={css.number}>{money(row.cost)}</td>
            <td>
              <ConfirmButton label={`Delete ${row.name}`} verb="Delete" run={() => remove.mutate(row.id)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function NewBudget({ projectId, endpoints }: { readonly projectId: string; readonly endpoints: readonly Endpoint[] }) {
  const refresh = useRefresh(projectId);
  const [amount, setAmount] = useState("");
  const [unit, setUnit] = useState<Unit>("MONTHS");
  const [target, setTarget] = useState("");
  const [action, setAction] = useState<"REJECT" | "ALERT">("REJECT");
  const create = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/gateway/budgets", {
        path: { project_id: projectId },
        body: {
          amount: Number(amount),
          duration_unit: unit,
          duration_value: 1,
          scope: target ? "ENDPOINT" : "WORKSPACE",
          target: target || null,
          action,
        },
      }),
    onSuccess: async () => {
      setAmount("");
      await refresh();
    },
  });
  const wrong = problems(create.error, { amount: /amount|dollar/i });
  return (
    <form
      className={css.form}
      aria-label="New budget"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Field label="US dollars" error={wrong.amount}>
        <Input
          required
          type="number"
          min="0"
          step="any"
          value={amount}
          onChange={(e) => setAmount(e.currentTarget.value)}
        />
      </Field>
      <Field label="Per">
        <Select value={unit} onChange={(e) => setUnit(e.currentTarget.value as Unit)}>
          {Object.entries(UNITS).map(([value, label]) => (
            <option key={value} value={value}>
              {label.replace(/^an? /, "")}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="For">
        <Select value={target} onChange={(e) => setTarget(e.currentTarget.value)}>
          <option value="">all endpoints</option>
          {endpoints.map((row) => (
            <option key={row.id} value={row.id}>
              {row.name}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="When it is spent">
        <Select value={action} onChange={(e) => setAction(e.currentTarget.value as "REJECT" | "ALERT")}>
          <option value="REJECT">refuse calls</option>
          <option value="ALERT">tell webhooks only</option>
        </Select>
      </Field>
      <Button look="primary" type="submit" disabled={create.isPending}>
        Add budget
      </Button>
      <FormError text={wrong.form} />
    </form>
  );
}

function Budgets({ projectId, budgets }: { readonly projectId: string; readonly budgets: readonly Budget[] }) {
  const refresh = useRefresh(projectId);
  const remove = useMutation({
    mutationFn: (id: string) =>
      api.delete("/projects/{project_id}/gateway/budgets/{budget_id}", {
        path: { project_id: projectId, budget_id: id },
      }),
    onSuccess: refresh,
    onError: fail,
  });
  return (
    <table className={css.table} aria-label="Budgets">
      <thead>
        <tr>
          <th>For</th>
          <th className={css.number}>Spent</th>
          <th>
            <span className={css.hidden}>Share</span>
          </th>
          <th className={css.number}>Of</th>
          <th>When it is spent</th>
          <th>Begins anew</th>
          <th>
            <span className={css.hidden}>Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {budgets.map((row) => (
          <tr key={row.id}>
            <td>{row.target_name ?? "all endpoints"}</td>
            <td className={css.number}>{money(row.spent)}</td>
            <td>
              <meter
                aria-label={`Share of the budget for ${row.target_name ?? "all endpoints"} that is spent`}
                min={0}
                max={1}
                high={0.8}
                optimum={0}
                value={row.amount > 0 ? Math.min(1, row.spent / row.amount) : 1}
              />
            </td>
            <td className={css.number}>
              {money(row.amount)}{" "}
              {row.duration_value === 1
                ? per(row.duration_unit)
                : `per ${row.duration_value} ${row.duration_unit.toLowerCase()}`}
            </td>
            <td>
              {row.exceeded ? (
                <StatusText status={row.action === "REJECT" ? "error" : "warn"}>
                  {row.action === "REJECT" ? "Refuses calls" : "Used up"}
                </StatusText>
              ) : row.action === "REJECT" ? (
                "refuse calls"
              ) : (
                "tell webhooks"
              )}
            </td>
            <td className="num">{dateTime(row.window_end_ms)}</td>
            <td>
              <ConfirmButton
                label={`Delete the budget for ${row.target_name ?? "all endpoints"}`}
                verb="Delete"
                run={() => remove.mutate(row.id)}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function per(unit: string): string {
  return UNITS[unit as Unit] ?? `per ${unit.toLowerCase().replace(/s$/, "")}`;
}
