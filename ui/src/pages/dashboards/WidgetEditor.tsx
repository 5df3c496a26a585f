import { Modal } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { api } from "@/api/client";
import type { WidgetFilter, WidgetForm, WidgetRow } from "@/api/types";
import { Button, IconButton } from "@/ui/Button";
import { Input, Select } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./Dashboards.module.css";
import { columnLabel, words } from "./layout";
import { formOf, metricViewsQuery } from "./queries";
import { WidgetView } from "./WidgetView";
import { filterText, parseWhere } from "./where";

const CHARTS: readonly [WidgetForm["chart_type"], string][] = [
  ["LINE_TIME_SERIES", "Lines over time"],
  ["AREA_TIME_SERIES", "Areas over time"],
  ["BAR_TIME_SERIES", "Bars over time"],
  ["HORIZONTAL_BAR", "Bars by category"],
  ["PIE", "Shares"],
  ["NUMBER", "Number"],
  ["HISTOGRAM", "Histogram"],
  ["PIVOT_TABLE", "Table"],
];
const VIEWS: readonly [WidgetForm["view"], string][] = [
  ["observations", "Observations"],
  ["traces", "Traces"],
  ["scores-numeric", "Scores: numbers"],
  ["scores-categorical", "Scores: categories"],
];
const AGGREGATIONS = ["sum", "avg", "count", "min", "max", "p50", "p75", "p90", "p95", "p99", "uniq"];
const SINGLE = new Set(["NUMBER", "HISTOGRAM"]);

const START: WidgetForm = {
  name: "",
  description: "",
  view: "observations",
  dimensions: ["model"],
  metrics: [{ measure: "totalCost", agg: "sum" }],
  filters: [],
  chart_type: "BAR_TIME_SERIES",
  chart_config: {},
};

interface WidgetEditorProps {
  readonly projectId: string;
  readonly dashboardId: string;
  readonly widget: WidgetRow | null;
  readonly filters: readonly WidgetFilter[];
  readonly range: string;
  readonly resolve: () => { from: number | null; to: number | null };
  readonly onClose: () => void;
  readonly onStored: () => void;
}

/** Choose what to ask and how to draw it, with the answer beside it. */
export function WidgetEditor(props: WidgetEditorProps) {
  const { projectId, dashboardId, widget, onClose, onStored } = props;
  const views = useQuery(metricViewsQuery(projectId));
  const [form, setForm] = useState<WidgetForm>(widget ? formOf(widget) : START);
  const [term, setTerm] = useState("");
  const shown = useDeferredValue(form);
  const view = views.data?.views.find((v) => v.view === form.view);
  const histogram = form.chart_type === "HISTOGRAM";
  const single = SINGLE.has(form.chart_type);
  const table = form.chart_type === "PIVOT_TABLE";
  const dimensions = form.dimensions ?? [];
  const name = form.name.trim() || suggestion(form);
  const set = (patch: Partial<WidgetForm>) => setForm((was) => trimmed({ ...was, ...patch }));
  const setMetric = (at: number, patch: Partial<WidgetForm["metrics"][number]>) =>
    set({ metrics: form.metrics.map((m, i) => (i === at ? { ...m, ...patch } : m)) });
  const save = useMutation({
    mutationFn: async () => {
      const body = { ...form, name };
      if (widget)
        await api.put("/projects/{project_id}/widgets/{widget_id}", {
          path: { project_id: projectId, widget_id: widget.id },
          body,
        });
      else
        await api.post("/projects/{project_id}/dashboards/{dashboard_id}/widgets", {
          path: { project_id: projectId, dashboard_id: dashboardId },
          body,
        });
    },
    onSuccess: onStored,
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <Modal opened onClose={onClose} title={widget ? "Change widget" : "Add widget"} size={960}>
      <form
        className={css.editor}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <div className={css.controls}>
          <label>
            Chart
            <Select
              data-autofocus
              value={form.chart_type}
              onChange={(e) => set({ chart_type: e.currentTarget.value as WidgetForm["chart_type"] })}
            >
              {CHARTS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </Select>
          </label>
          <label>
            Of
            <Select
              value={form.view}
              onChange={(e) => {
                const next = e.currentTarget.value as WidgetForm["view"];
                const scores = next.startsWith("scores");
                set({
                  view: next,
                  dimensions: form.dimensions?.length ? ["name"] : [],
                  metrics: [scores && next !== "scores-categorical" ? { measure: "value", agg: "avg" } : COUNT],
                  filters: [],
                });
              }}
            >
              {VIEWS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </Select>
          </label>
          <fieldset>
            <legend>Show</legend>
            {form.metrics.map((m, i) => (
              <div key={`${i}${m.measure}`} className={css.pair}>
                {histogram || m.measure === "count" ? null : (
                  <Select
                    aria-label="Aggregation"
                    value={m.agg}
                    onChange={(e) => setMetric(i, { agg: e.currentTarget.value })}
                  >
                    {AGGREGATIONS.map((a) => (
                      <option key={a}>{a}</option>
                    ))}
                  </Select>
                )}
                <Select
                  aria-label="Measure"
                  value={m.measure}
                  onChange={(e) =>
                    setMetric(i, {
                      measure: e.currentTarget.value,
                      ...(e.currentTarget.value === "count"
                        ? { agg: "count" }
                        : m.agg === "count"
                          ? { agg: /^unique/.test(e.currentTarget.value) ? "uniq" : "sum" }
                          : {}),
                    })
                  }
                >
                  {(view?.measures ?? [m.measure]).map((name) => (
                    <option key={name} value={name}>
                      {words(name)}
                    </option>
                  ))}
                </Select>
                {form.metrics.length > 1 ? (
                  <IconButton
                    label="Remove this measure"
                    small
                    onClick={() => set({ metrics: form.metrics.filter((_, at) => at !== i) })}
                  >
                    <X size={13} aria-hidden="true" />
                  </IconButton>
                ) : null}
              </div>
            ))}
            {single || form.metrics.length >= 5 ? null : (
              <Button small icon={<Plus size={13} />} onClick={() => set({ metrics: [...form.metrics, COUNT] })}>
                Another measure
              </Button>
            )}
          </fieldset>
          {single ? null : (
            <fieldset>
              <legend>By</legend>
              {Array.from({ length: table ? Math.min(3, dimensions.length + 1) : 1 }, (_, i) => (
                <Select
                  key={`${i}${dimensions[i] ?? ""}`}
                  aria-label="Dimension"
                  value={dimensions[i] ?? ""}
                  onChange={(e) => {
                    const next = [...dimensions];
                    next[i] = e.currentTarget.value;
                    set({ dimensions: next.filter(Boolean) });
                  }}
                >
                  <option value="">nothing</option>
                  {(view?.dimensions ?? dimensions).map((name) => (
                    <option key={name} value={name}>
                      {words(name)}
                    </option>
                  ))}
                </Select>
              ))}
            </fieldset>
          )}
          <fieldset>
            <legend>Only where</legend>
            {(form.filters ?? []).map((f, i) => (
              <div key={filterText(f)} className={css.pair}>
                <code className="ellipsis">{filterText(f)}</code>
                <IconButton
                  label={`Remove ${filterText(f)}`}
                  small
                  onClick={() => set({ filters: (form.filters ?? []).filter((_, at) => at !== i) })}
                >
                  <X size={13} aria-hidden="true" />
                </IconButton>
              </div>
            ))}
            <Input
              aria-label="New condition"
              placeholder="type:GENERATION"
              value={term}
              onChange={(e) => setTerm(e.currentTarget.value)}
              onKeyDown={(e) => {
                if (e.key !== "Enter") return;
                e.preventDefault();
                const more = parseWhere(term);
                if (more.length > 0) {
                  set({ filters: [...(form.filters ?? []), ...more] });
                  setTerm("");
                }
              }}
            />
          </fieldset>
          <label>
            Name
            <Input
              maxLength={255}
              placeholder={suggestion(form)}
              value={form.name}
              onChange={(e) => set({ name: e.currentTarget.value })}
            />
          </label>
        </div>
        <section className={css.preview} aria-label="Preview">
          <h2>{name}</h2>
          <WidgetView
            projectId={projectId}
            widget={{ ...shown, name }}
            filters={props.filters}
            range={props.range}
            resolve={props.resolve}
            height={300}
          />
        </section>
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending}>
            {widget ? "Save" : "Add"}
          </Button>
        </footer>
      </form>
    </Modal>
  );
}

const COUNT = { measure: "count", agg: "count" };

/** Parts that do not go with the kind of chart fall away. */
function trimmed(form: WidgetForm): WidgetForm {
  const single = SINGLE.has(form.chart_type);
  const histogram = form.chart_type === "HISTOGRAM";
  const metrics = (single ? form.metrics.slice(0, 1) : form.metrics).map((m) => {
    if (histogram) return { measure: m.measure === "count" ? "latency" : m.measure, agg: "histogram" };
    return m.agg === "histogram" ? { ...m, agg: "avg" } : m;
  });
  const most = single ? 0 : form.chart_type === "PIVOT_TABLE" ? 3 : 1;
  return { ...form, metrics, dimensions: (form.dimensions ?? []).slice(0, most) };
}

function suggestion(form: WidgetForm): string {
  const shows = form.metrics.map((m) => (m.agg === "histogram" ? words(m.measure) : columnLabel(m.measure, m.agg)));
  const by = form.dimensions?.length ? ` by ${form.dimensions.map(words).join(" and ")}` : "";
  const text = `${shows.join(", ")}${by}`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
