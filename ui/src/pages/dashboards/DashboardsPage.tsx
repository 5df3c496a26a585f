import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Copy, LayoutDashboard, Plus } from "lucide-react";
import { api } from "@/api/client";
import { useProjectId } from "@/app/url";
import { dateTime } from "@/base/format";
import { Button, IconButton } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { useHotkeys } from "@/ui/hotkeys";
import { PageHeader, page } from "@/ui/Page";
import { Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Dashboards.module.css";
import { dashboardsQuery } from "./queries";

/** Own dashboards first, then those that every project has. */
export function DashboardsPage() {
  const projectId = useProjectId();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(dashboardsQuery(projectId));
  const create = useMutation({
    mutationFn: (copyOf: string | null) =>
      api.post("/projects/{project_id}/dashboards", {
        path: { project_id: projectId },
        body: copyOf === null ? { name: "New dashboard" } : { copy_of: copyOf },
      }),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [projectId, "dashboards"] });
      await navigate({
        to: "/project/$projectId/dashboards/$dashboardId",
        params: { projectId, dashboardId: made.dashboard.id },
        search: { edit: "1" } as never,
      });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  useHotkeys([{ keys: "n", label: "New dashboard", group: "Dashboards", run: () => create.mutate(null) }]);
  return (
    <>
      <PageHeader title="Dashboards" name="Dashboards">
        <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => create.mutate(null)}>
          New dashboard
        </Button>
      </PageHeader>
      <div className={page.scroll}>
        {query.isPending ? (
          <LoadingRows />
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <ul className={css.boards} aria-label="Dashboards">
            {query.data.dashboards.map((board) => (
              <li key={board.id}>
                <LayoutDashboard size={18} aria-hidden="true" />
                <div>
                  <Link
                    to="/project/$projectId/dashboards/$dashboardId"
                    params={{ projectId, dashboardId: board.id }}
                    className={css.open}
                  >
                    {board.name}
                  </Link>
                  <p>{board.description || `${board.widgets} ${board.widgets === 1 ? "widget" : "widgets"}`}</p>
                </div>
                {board.built_in ? (
                  <Chip>Built in</Chip>
                ) : (
                  <span className="muted num">{board.updated_ms ? dateTime(board.updated_ms) : ""}</span>
                )}
                <IconButton label={`Copy ${board.name}`} onClick={() => create.mutate(board.id)}>
                  <Copy size={15} aria-hidden="true" />
                </IconButton>
              </li>
            ))}
          </ul>
        )}
      </div>
    </>
  );
}
