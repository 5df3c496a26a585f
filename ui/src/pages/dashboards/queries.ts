import { queryOptions } from "@tanstack/react-query";
import { api } from "@/api/client";
import type { WidgetFilter, WidgetForm } from "@/api/types";

export const dashboardsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "dashboards"],
    queryFn: ({ signal }) => api.get("/projects/{project_id}/dashboards", { path: { project_id: projectId }, signal }),
  });

export const dashboardQuery = (projectId: string, id: string) =>
  queryOptions({
    queryKey: [projectId, "dashboard", id],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/dashboards/{dashboard_id}", {
        path: { project_id: projectId, dashboard_id: id },
        signal,
      }),
  });

export const metricViewsQuery = (projectId: string) =>
  queryOptions({
    queryKey: [projectId, "metric-views"],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/metric-views", { path: { project_id: projectId }, signal }),
  });

interface Asked {
  readonly form: WidgetForm;
  readonly filters: readonly WidgetFilter[];
  readonly range: string;
  readonly resolve: () => { from: number | null; to: number | null };
}

/** A widget's rows; live updates ask again under the same key, so that the old picture stays until the new one is there. */
export const answerQuery = (projectId: string, { form, filters, range, resolve }: Asked) =>
  queryOptions({
    queryKey: [projectId, "widget-answer", form, filters, range],
    placeholderData: (previous: unknown) => previous as never,
    retry: false,
    queryFn: async ({ signal }) => {
      const { from, to } = resolve();
      const until = to ?? Date.now();
      const since = from ?? until - 365 * 86_400_000;
      const answer = await api.get("/projects/{project_id}/widget-answer", {
        path: { project_id: projectId },
        query: { widget: JSON.stringify(form), filters: JSON.stringify(filters), from_ms: since, to_ms: until },
        signal,
      });
      return { rows: answer.rows as readonly Row[], from: since, to: until };
    },
  });

export type Cell = string | number | boolean | null | readonly (readonly [number, number, number])[];
export type Row = Readonly<Record<string, Cell>>;

/** What the editor and the server exchange: a stored widget without its identity. */
export function formOf(widget: WidgetForm): WidgetForm {
  const { name, description, view, dimensions, metrics, filters, chart_type, chart_config } = widget;
  return { name, description, view, dimensions, metrics, filters, chart_type, chart_config };
}
