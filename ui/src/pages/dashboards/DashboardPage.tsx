import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ArrowLeft, ArrowRight, Copy, Pencil, Plus } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import type { DashboardDetail, TileRow, WidgetFilter, WidgetRow } from "@/api/types";
import { useRange } from "@/app/range";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { writeRange } from "@/base/range";
import { Button, IconButton } from "@/ui/Button";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { EnvironmentSelect } from "@/ui/EnvironmentSelect";
import { Input } from "@/ui/Field";
import { FilterBox } from "@/ui/FilterBox";
import { useHotkeys } from "@/ui/hotkeys";
import { Bar, PageHeader, page } from "@/ui/Page";
import { RangePicker } from "@/ui/RangePicker";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Dashboards.module.css";
import { inOrder, moveTo, pack } from "./layout";
import { dashboardQuery } from "./queries";
import { WidgetEditor } from "./WidgetEditor";
import { WidgetView } from "./WidgetView";
import { FILTERED, inEnvironment, parseWhere } from "./where";

const ROW = 44;
const GAP = 12;
const HEAD = 46;
const REFRESH_MS = 2_000;
const SIZES = [3, 4, 6, 8, 12] as const;

/** One dashboard: range and filter in the address, live; `?edit=1` lays it out anew. */
export function DashboardPage() {
  const projectId = useProjectId();
  const { dashboardId } = useParams({ strict: false }) as { dashboardId: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { range, key, resolve } = useRange("24h");
  const query = useQuery(dashboardQuery(projectId, dashboardId));
  const [editing, setEditing] = useState<WidgetRow | "new" | null>(null);
  const board = query.data;
  const own = board ? !board.dashboard.built_in : false;
  const edit = own && search.edit === "1";
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useLive((events) => {
    if (timer.current !== 0 || events.length === 0) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      void queries.invalidateQueries({ queryKey: [projectId, "widget-answer"] });
      void queries.invalidateQueries({ queryKey: [projectId, "values", "env"] });
    }, REFRESH_MS);
  });
  const stored = (detail: DashboardDetail) => {
    queries.setQueryData(dashboardQuery(projectId, dashboardId).queryKey, detail);
    void queries.invalidateQueries({ queryKey: [projectId, "dashboards"] });
  };
  const failed = (error: Error) => toast(error.message, { tone: "err" });
  const path = { project_id: projectId, dashboard_id: dashboardId };
  const change = useMutation({
    mutationFn: (body: { name?: string; description?: string; tiles?: TileRow[] }) =>
      api.patch("/projects/{project_id}/dashboards/{dashboard_id}", { path, body }),
    onMutate: ({ tiles }) => {
      if (board && tiles) stored({ ...board, tiles }); // at once: a tile must not jump back while it is stored
    },
    onSuccess: stored,
    onError: (error) => {
      failed(error);
      void query.refetch();
    },
  });
  const copy = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/dashboards", {
        path: { project_id: projectId },
        body: { copy_of: dashboardId },
      }),
    onSuccess: (made) =>
      navigate({
        to: "/project/$projectId/dashboards/$dashboardId",
        params: { projectId, dashboardId: made.dashboard.id },
        search: { edit: "1" } as never,
      }),
    onError: failed,
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}/dashboards/{dashboard_id}", { path }),
    onSuccess: async () => {
      toast(`${board?.dashboard.name} is deleted`, { tone: "ok" });
      await navigate({ to: "/project/$projectId/dashboards", params: { projectId } });
      await queries.invalidateQueries({ queryKey: [projectId, "dashboards"] });
    },
    onError: failed,
  });
  useHotkeys([
    {
      keys: "e",
      label: "Change the layout",
      group: "Dashboard",
      run: () => (own ? setSearch({ edit: edit ? undefined : "1" }) : copy.mutate()),
    },
    { keys: "n", label: "Add a widget", group: "Dashboard", run: () => own && setEditing("new") },
  ]);
  const where = search.where ?? "";
  const filters = useMemo<WidgetFilter[]>(
    () => [...(board?.filters ?? []), ...inEnvironment(search.env), ...parseWhere(where)],
    [board?.filters, search.env, where],
  );
  return (
    <>
      <PageHeader
        name={board?.dashboard.name ?? "Dashboard"}
        crumbs={[
          <Link key="all" to="/project/$projectId/dashboards" params={{ projectId }}>
            Dashboards
          </Link>,
        ]}
        title={board?.dashboard.name ?? ""}
      >
        {own ? (
          <>
            {edit ? (
              <ConfirmButton
                label="Delete this dashboard"
                verb="Delete it and its widgets for good"
                run={() => remove.mutate()}
              />
            ) : null}
            <Button icon={<Plus size={15} aria-hidden="true" />} onClick={() => setEditing("new")}>
              Add widget
            </Button>
            <Button
              look={edit ? "primary" : "default"}
              icon={edit ? undefined : <Pencil size={14} aria-hidden="true" />}
              onClick={() => setSearch({ edit: edit ? undefined : "1" })}
            >
              {edit ? "Done" : "Edit"}
            </Button>
          </>
        ) : board ? (
          <Button icon={<Copy size={14} aria-hidden="true" />} onClick={() => copy.mutate()}>
            Copy to change it
          </Button>
        ) : null}
        <RangePicker value={range} onChange={(text) => setSearch({ range: text === "24h" ? undefined : text })} />
      </PageHeader>
      <Bar label="Filters">
        <EnvironmentSelect
          projectId={projectId}
          value={search.env ?? ""}
          onChange={(env) => setSearch({ env: env || undefined })}
        />
        <FilterBox
          value={where}
          onChange={(text) => setSearch({ where: text })}
          label="Filter all widgets"
          placeholder="userId:alice model:gpt-4o tags:beta"
          suggest={(at) =>
            at.kind === "value"
              ? []
              : FILTERED.filter((name) => name.toLowerCase().startsWith(at.prefix.toLowerCase())).map((name) => ({
                  insert: `${name}:`,
                  label: name,
                  open: true,
                }))
          }
        />
      </Bar>
      <div className={page.scroll} tabIndex={0}>
        {query.isPending ? (
          <LoadingRows />
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <>
            {edit ? <Texts key={dashboardId} board={query.data} onChange={(body) => change.mutate(body)} /> : null}
            {query.data.tiles.length === 0 ? (
              <Empty title="Nothing on it yet">Add a widget, or copy a built-in dashboard and start from that.</Empty>
            ) : (
              <Grid
                board={query.data}
                edit={edit}
                onTiles={(tiles) => change.mutate({ tiles })}
                onEdit={setEditing}
                draw={(widget, height) => (
                  <WidgetView
                    projectId={projectId}
                    widget={widget}
                    filters={filters}
                    range={key}
                    resolve={resolve}
                    height={height}
                    onRange={(from, to) => setSearch({ range: writeRange({ kind: "absolute", from, to }) })}
                  />
                )}
              />
            )}
          </>
        )}
      </div>
      {editing ? (
        <WidgetEditor
          projectId={projectId}
          dashboardId={dashboardId}
          widget={editing === "new" ? null : editing}
          filters={filters}
          range={key}
          resolve={resolve}
          onClose={() => setEditing(null)}
          onStored={() => {
            setEditing(null);
            void queries.invalidateQueries({ queryKey: [projectId, "dashboard", dashboardId] });
          }}
        />
      ) : null}
    </>
  );
}

function Texts({
  board,
  onChange,
}: {
  readonly board: DashboardDetail;
  readonly onChange: (body: { name?: string; description?: string }) => void;
}) {
  const { name, description } = board.dashboard;
  return (
    <div className={css.texts}>
      <Input
        aria-label="Name"
        defaultValue={name}
        maxLength={255}
        onBlur={(e) => {
          const text = e.currentTarget.value.trim();
          if (text && text !== name) onChange({ name: text });
        }}
      />
      <Input
        aria-label="Description"
        placeholder="What it shows"
        defaultValue={description}
        onBlur={(e) => e.currentTarget.value !== description && onChange({ description: e.currentTarget.value })}
      />
      <span className="muted">Drag widgets by their head, or move them with the arrows.</span>
    </div>
  );
}

interface GridProps {
  readonly board: DashboardDetail;
  readonly edit: boolean;
  readonly onTiles: (tiles: TileRow[]) => void;
  readonly onEdit: (widget: WidgetRow) => void;
  readonly draw: (widget: WidgetRow, height: number) => React.ReactNode;
}

function Grid({ board, edit, onTiles, onEdit, draw }: GridProps) {
  const [dragged, setDragged] = useState<string | null>(null);
  const [over, setOver] = useState<string | null>(null);
  const tiles = inOrder(board.tiles);
  const widgets = new Map(board.widgets.map((w) => [w.id, w]));
  const step = (at: number, by: number) => {
    const target = tiles[at + by];
    const tile = tiles[at];
    if (tile && target) onTiles(moveTo(tiles, tile.id, target.id));
  };
  return (
    <div className={css.grid} style={{ gridAutoRows: ROW, gap: GAP }} data-edit={edit}>
      {tiles.map((tile, at) => {
        const widget = widgets.get(tile.widget_id);
        if (!widget) return null;
        const height = tile.height * ROW + (tile.height - 1) * GAP - HEAD - 12;
        return (
          <section
            key={tile.id}
            className={css.tile}
            data-over={over === tile.id && dragged !== tile.id}
            aria-label={widget.name}
            style={
              {
                "--column": `${tile.x + 1} / span ${tile.width}`,
                "--row": `${tile.y + 1} / span ${tile.height}`,
              } as React.CSSProperties
            }
            onDragOver={(event) => {
              if (dragged === null) return;
              event.preventDefault();
              setOver(tile.id);
            }}
            onDrop={(event) => {
              event.preventDefault();
              if (dragged !== null) onTiles(moveTo(tiles, dragged, tile.id));
              setDragged(null);
              setOver(null);
            }}
          >
            {/* biome-ignore lint/a11y/noStaticElementInteractions: a handle for the mouse; the buttons beside it do the same */}
            <header
              draggable={edit}
              onDragStart={(event) => {
                event.dataTransfer.effectAllowed = "move";
                event.dataTransfer.setData("text/plain", widget.name);
                setDragged(tile.id);
              }}
              onDragEnd={() => {
                setDragged(null);
                setOver(null);
              }}
            >
              <h2 className="ellipsis" title={widget.description || widget.name}>
                {widget.name}
              </h2>
              {edit ? (
                <div className={css.tools}>
                  <IconButton label={`Move ${widget.name} forward`} small onClick={() => step(at, -1)}>
                    <ArrowLeft size={13} aria-hidden="true" />
                  </IconButton>
                  <IconButton label={`Move ${widget.name} back`} small onClick={() => step(at, 1)}>
                    <ArrowRight size={13} aria-hidden="true" />
                  </IconButton>
                  <select
                    aria-label={`Width of ${widget.name}`}
                    value={tile.width}
                    onChange={(e) => {
                      const width = Number(e.currentTarget.value);
                      onTiles(pack(tiles.map((t) => (t.id === tile.id ? { ...t, width } : t))));
                    }}
                  >
                    {[...new Set([...SIZES, tile.width])]
                      .sort((a, b) => a - b)
                      .map((w) => (
                        <option key={w} value={w}>
                          {w}/12
                        </option>
                      ))}
                  </select>
                  {widget.built_in ? null : (
                    <IconButton label={`Change ${widget.name}`} small onClick={() => onEdit(widget)}>
                      <Pencil size={13} aria-hidden="true" />
                    </IconButton>
                  )}
                  <ConfirmButton
                    label={`Remove ${widget.name}`}
                    verb="Remove"
                    run={() => onTiles(pack(tiles.filter((t) => t.id !== tile.id)))}
                  />
                </div>
              ) : null}
            </header>
            {draw(widget, height)}
          </section>
        );
      })}
    </div>
  );
}
