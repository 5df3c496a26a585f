import { Tabs } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { api } from "@/api/client";
import { queuesQuery, scoreConfigsQuery } from "@/api/feedback";
import type { QueueRow, ScoreConfigRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chip, ChipList } from "@/ui/Chip";
import { type Column, DataTable } from "@/ui/DataTable";
import { PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { ConfigDialog, EditConfigDialog, QueueDialog } from "./dialogs";
import { Progress } from "./Progress";

/** Queues of things to judge, and the questions that can be asked. */
export function AnnotationPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const configs = search.tab === "configs";
  return (
    <>
      <PageHeader title="Annotation" name="Annotation">
        <Button
          look="primary"
          icon={<Plus size={14} aria-hidden="true" />}
          onClick={() => setSearch({ new: configs ? "config" : "queue" })}
        >
          {configs ? "New score config" : "New queue"}
        </Button>
      </PageHeader>
      <Tabs
        value={configs ? "configs" : "queues"}
        onChange={(value) => setSearch({ tab: value === "configs" ? "configs" : undefined })}
        style={{ padding: "0 16px", flex: "none" }}
      >
        <Tabs.List>
          <Tabs.Tab value="queues">Queues</Tabs.Tab>
          <Tabs.Tab value="configs">Score configs</Tabs.Tab>
        </Tabs.List>
      </Tabs>
      {configs ? <Configs projectId={projectId} /> : <Queues projectId={projectId} />}
      {search.new === "queue" ? (
        <QueueDialog projectId={projectId} onClose={() => setSearch({ new: undefined })} />
      ) : null}
      {search.new === "config" ? (
        <ConfigDialog projectId={projectId} onClose={() => setSearch({ new: undefined })} />
      ) : null}
    </>
  );
}

const queueId = (row: QueueRow) => row.queue_id;

function Queues({ projectId }: { readonly projectId: string }) {
  const navigate = useNavigate();
  const setSearch = useSetSearch();
  const query = useQuery(queuesQuery(projectId));
  const columns = useMemo<Column<QueueRow>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 200,
        grow: 2,
        cell: (q) => (
          <Link to="/project/$projectId/annotation/$queueId" params={{ projectId, queueId: q.queue_id }}>
            {q.name}
          </Link>
        ),
      },
      { id: "progress", label: "Done", width: 240, cell: (q) => <Progress queue={q} /> },
      {
        id: "questions",
        label: "Questions",
        width: 90,
        align: "right",
        cell: (q) => <span>{q.config_ids.length}</span>,
      },
      {
        id: "reviewers",
        label: "Reviewers",
        width: 200,
        grow: 1,
        cell: (q) => (
          <ChipList>
            {q.reviewers.map((name) => (
              <Chip key={name}>{name}</Chip>
            ))}
          </ChipList>
        ),
      },
      { id: "created", label: "Created", width: 170, cell: (q) => <span>{dateTime(q.created_ms)}</span> },
    ],
    [projectId],
  );
  if (query.isPending) return <LoadingRows />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (query.data.queues.length === 0)
    return (
      <div className={page.scroll}>
        <Empty
          title="No annotation queue yet"
          actions={
            <Button look="primary" onClick={() => setSearch({ new: "queue" })}>
              Create a queue
            </Button>
          }
        >
          A queue holds traces, spans or sessions that people judge by the same questions. Langfuse's annotation queues
          and MLflow's review queues show up here too.
        </Empty>
      </div>
    );
  return (
    <div className={page.fill}>
      <DataTable
        label="Annotation queues"
        name="queues"
        columns={columns}
        rows={query.data.queues}
        rowId={queueId}
        onOpen={(q) =>
          void navigate({
            to: "/project/$projectId/annotation/$queueId",
            params: { projectId, queueId: q.queue_id },
          })
        }
      />
    </div>
  );
}

const configId = (row: ScoreConfigRow) => row.config_id;

/** What a question takes, in a few words. */
export function takes(config: ScoreConfigRow): string {
  switch (config.data_type) {
    case "CATEGORICAL":
      return config.categories.map((c) => c.label).join(" · ");
    case "BOOLEAN":
      return `${config.positive_label ?? "Yes"} · ${config.negative_label ?? "No"}`;
    case "NUMERIC":
      return config.min_value === null && config.max_value === null
        ? "a number"
        : `${config.min_value ?? "…"} to ${config.max_value ?? "…"}`;
    default:
      return "text";
  }
}

function Configs({ projectId }: { readonly projectId: string }) {
  const queries = useQueryClient();
  const setSearch = useSetSearch();
  const query = useQuery(scoreConfigsQuery(projectId));
  const [edited, setEdited] = useState<ScoreConfigRow | null>(null);
  const { mutate: archive } = useMutation({
    mutationFn: (config: ScoreConfigRow) =>
      api.patch("/projects/{project_id}/score-configs/{config_id}", {
        path: { project_id: projectId, config_id: config.config_id },
        body: { archived: !config.archived },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "score-configs"] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const columns = useMemo<Column<ScoreConfigRow>[]>(
    () => [
      { id: "name", label: "Name", width: 200, grow: 1, cell: (c) => <strong>{c.name}</strong> },
      { id: "type", label: "Type", width: 120, cell: (c) => <span>{c.data_type.toLowerCase()}</span> },
      { id: "takes", label: "Takes", width: 220, grow: 1, cell: (c) => <span className="ellipsis">{takes(c)}</span> },
      {
        id: "description",
        label: "Description",
        width: 200,
        grow: 1,
        cell: (c) => <span className="muted ellipsis">{c.description}</span>,
      },
      {
        id: "experiment",
        label: "Experiment",
        width: 100,
        cell: (c) => <span className="muted">{c.experiment_id ?? "all"}</span>,
      },
      {
        id: "state",
        label: "",
        width: 150,
        cell: (c) =>
          c.standard ? (
            <Chip>standard</Chip>
          ) : (
            <>
              <Button small look="ghost" onClick={() => setEdited(c)}>
                Edit
              </Button>
              <Button small look="ghost" onClick={() => archive(c)}>
                {c.archived ? "Restore" : "Archive"}
              </Button>
            </>
          ),
      },
    ],
    [archive],
  );
  if (query.isPending) return <LoadingRows />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (query.data.configs.length === 0)
    return (
      <div className={page.scroll}>
        <Empty
          title="No score config yet"
          actions={
            <Button look="primary" onClick={() => setSearch({ new: "config" })}>
              Create a score config
            </Button>
          }
        >
          A score config says what a score of some name may be: a number in bounds, one of some categories, yes or no,
          or text. To MLflow it is a label schema.
        </Empty>
      </div>
    );
  return (
    <div className={page.fill}>
      <DataTable
        label="Score configs"
        name="score-configs"
        columns={columns}
        rows={query.data.configs}
        rowId={configId}
      />
      {edited ? <EditConfigDialog projectId={projectId} config={edited} onClose={() => setEdited(null)} /> : null}
    </div>
  );
}
