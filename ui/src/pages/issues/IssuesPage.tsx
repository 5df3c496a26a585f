import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { useLive } from "@/api/live";
import { sessionQuery } from "@/api/queries";
import { issuesQuery } from "@/api/registries";
import type { IssueRow } from "@/api/types";
import { ListPage } from "@/app/ListPage";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime, integer } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chip, ChipList, StatusText } from "@/ui/Chip";
import type { Column } from "@/ui/DataTable";
import { useHotkeys } from "@/ui/hotkeys";
import { Segmented } from "@/ui/Segmented";
import { Snippet } from "@/ui/Snippet";
import { IssueDialog } from "./IssueDialog";
import { STATUSES, severityLabel, severityTone, statusDot } from "./words";

const id = (row: IssueRow) => row.issue_id;
const CHOICES = [...STATUSES, { value: "all", label: "All" }] as const;

/** Problems that traces show: what has to be looked at first stands first. */
export function IssuesPage() {
  const projectId = useProjectId();
  const navigate = useNavigate();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const query = useQuery(issuesQuery(projectId));
  useLive((events) => {
    if (events.some((e) => e.kind === "score" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "issues"] });
  });
  useHotkeys([{ keys: "n", label: "New issue", group: "Issues", run: () => setAdding(true) }]);
  const status = search.status ?? "pending";
  const issues = query.data?.issues ?? [];
  const columns = useMemo<Column<IssueRow>[]>(
    () => [
      {
        id: "severity",
        label: "Severity",
        width: 110,
        cell: (i) => (i.severity ? <Chip tone={severityTone(i.severity)}>{severityLabel(i.severity)}</Chip> : "–"),
      },
      {
        id: "name",
        label: "Issue",
        width: 280,
        grow: 2,
        cell: (i) => (
          <Link to="/project/$projectId/issues/$issueId" params={{ projectId, issueId: i.issue_id }} title={i.name}>
            {i.name}
          </Link>
        ),
      },
      {
        id: "status",
        label: "Status",
        width: 110,
        cell: (i) => (
          <StatusText status={statusDot(i.status)}>
            {STATUSES.find((s) => s.value === i.status)?.label ?? i.status}
          </StatusText>
        ),
      },
      { id: "traces", label: "Traces", width: 80, align: "right", cell: (i) => <span>{integer(i.trace_count)}</span> },
      {
        id: "categories",
        label: "Categories",
        width: 180,
        grow: 1,
        cell: (i) => (
          <ChipList>
            {i.categories.map((c) => (
              <Chip key={c}>{c}</Chip>
            ))}
          </ChipList>
        ),
      },
      { id: "by", label: "Found by", width: 110, cell: (i) => <span>{i.created_by ?? "–"}</span> },
      { id: "updated", label: "Updated", width: 170, cell: (i) => <span>{dateTime(i.updated_ms)}</span> },
    ],
    [projectId],
  );
  return (
    <>
      <ListPage
        title="Issues"
        noun="issue"
        name="issues"
        query={query}
        all={status === "all" ? issues : issues.filter((i) => i.status === status)}
        empty={issues.length === 0}
        columns={columns}
        rowId={id}
        text={(i) => [i.name, i.description, ...i.categories, ...i.root_causes].join("\n")}
        placeholder="Filter by name, description, category or cause"
        onOpen={(i) =>
          void navigate({ to: "/project/$projectId/issues/$issueId", params: { projectId, issueId: i.issue_id } })
        }
        lesson={<Lesson />}
        actions={
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setAdding(true)}>
            New issue
          </Button>
        }
        tools={
          <Segmented
            label="Status"
            value={status}
            options={CHOICES}
            onChange={(value) => setSearch({ status: value === "pending" ? undefined : value })}
          />
        }
      />
      {adding ? <IssueDialog projectId={projectId} onClose={() => setAdding(false)} /> : null}
    </>
  );
}

function Lesson() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const code = `# pip install mlflow litellm
import mlflow
from mlflow.genai.discovery.pipeline import discover_issues

mlflow.set_tracking_uri("${session.data.base_url}")

# A model reads the newest traces, groups what went wrong, and files it here:
discover_issues(experiment_id="0", model="openai:/gpt-4o-mini")

# Say that one more trace shows an issue:
mlflow.log_issue(trace_id="tr-…", issue_id="iss-…")`;
  return (
    <Snippet title="Collect what goes wrong" code={code}>
      An issue is a problem that several traces show: how bad it is, its causes, whether it is solved. File one by hand
      with “New issue”, add traces to it from a trace’s page with <kbd>i</kbd>, or let a model find them.
    </Snippet>
  );
}
